"""Make a run visible: report, predictions, and run.json as the commit point."""

from __future__ import annotations

import gzip
import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from nightcast import __version__
from nightcast.artifacts import HTML, JSON, ArtifactRef, to_json_bytes
from nightcast.operators.base import FAILED, Returned, Stage, StageOperator, state_of, tasks_of
from nightcast.operators.predict import STAGING

_FIRST_PREDICTIONS = 10


class PublishRunOperator(StageOperator):
    """
    Publish what the run has made.

    Writes ``report.html``, moves result files and rejected records to ``predictions/``, then writes the
    batch prediction's manifest and, last, ``run.json``: whoever finds it finds everything. If anything fails
    on the way, no prediction stays visible. Returns the reference of ``run.json`` (``rows``: records seen).

    :param prediction: reference of ``batch-prediction.json``.
    :param artifacts: references of the run's other artifacts by name, such as ``schema``, ``insights``, ``recipe``,
        ``model`` and ``evaluation``; the report shows them. A list names what may give one, or nothing: a run in which
        the champion scores has made few of them. Whether a task of a list may fail, and the run be published all the
        same, is for the DAG to say; report and ``run.json`` (``failed``) then tell it.
    """

    publishes = True

    def __init__(self, *, prediction: Returned, artifacts: dict[str, Returned], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.prediction = prediction
        self.artifacts = artifacts

    def run_stage(self, stage: Stage) -> ArtifactRef:
        """Write report, predictions, manifest and ``run.json``."""
        from nightcast.report.page import render_report

        facts = json.loads(stage.storage.read_artifact(stage.pull(self.prediction)))
        run = self._facts_of_the_run(stage, facts)
        failed = self._failed(stage)
        if failed:
            # A run without failures says nothing of them, and so keeps its bytes.
            run["failed"] = failed
            self.log.warning("published without %s, which could not be made: see the failed tasks", ", ".join(failed))
        pulled = {name: stage.pull(returned) for name, returned in self.artifacts.items()}
        artifacts = {name: reference for name, reference in pulled.items() if reference is not None}
        contents = {name: json.loads(stage.storage.read_artifact(ref)) for name, ref in artifacts.items()}
        laid = self._where_they_lie(stage, facts)
        page = render_report(run, contents, self._first_predictions(stage, laid))
        with self._visible_as_a_whole(stage, laid):
            manifest = self._publish_predictions(stage, facts, laid)
            report = stage.storage.write_bytes(stage.place("report.html"), page.encode(), HTML)
            run["artifacts"] = {
                **artifacts,
                "batch-prediction": stage.pull(self.prediction),
                "report": report,
                "predictions": manifest,
            }
            committed = stage.storage.write_bytes(
                stage.place("run.json"), to_json_bytes(run), JSON, rows=facts["totalRecordCount"]
            )
        stage.storage.delete(stage.storage.names_below(stage.place(STAGING, "")))
        self._announce(stage, run)
        self.log.info("published %s; report %s", manifest["uri"], report["uri"])
        return committed

    def _failed(self, stage: Stage) -> list[str]:
        """Names of the artifacts whose tasks have failed."""
        made_by = {name: tasks_of(returned) for name, returned in self.artifacts.items() if isinstance(returned, list)}
        return sorted(
            name for name, ids in made_by.items() if any(state_of(stage.context, id_) in FAILED for id_ in ids)
        )

    def _where_they_lie(self, stage: Stage, facts: dict[str, Any]) -> dict[str, str]:
        """Place of each published file, and where it lies now: there already, if this task has done its work before."""
        known = stage.committed().get("artifacts", {}).get("batch-prediction", {})
        done = known.get("sha256") == stage.pull(self.prediction)["sha256"]
        files = (*facts["results"], *facts["rejected"])
        places = {stage.place(file["published"]): file["uri"] for file in files}
        return {place: place if done else uri for place, uri in places.items()}

    @contextmanager
    def _visible_as_a_whole(self, stage: Stage, laid: dict[str, str]) -> Iterator[None]:
        """Leave no prediction where a first publication breaks off, and none of an earlier try beside it."""
        first = any(place != uri for place, uri in laid.items())
        if first:
            stage.take_back()
        try:
            yield
        except BaseException:
            if first:
                stage.take_back()
            raise

    @staticmethod
    def _publish_predictions(stage: Stage, facts: dict[str, Any], laid: dict[str, str]) -> ArtifactRef:
        from nightcast.prediction.batch import manifest

        for place, uri in laid.items():
            if place != uri:
                stage.storage.copy(uri, place)
        name = f"predictions/batch-prediction/{facts['batchPredictionId']}.manifest"
        pairs = {file["input"]: stage.place(file["published"]) for file in facts["results"]}
        return stage.storage.write_bytes(stage.place(name), manifest(pairs), JSON, rows=facts["totalRecordCount"])

    @staticmethod
    def _facts_of_the_run(stage: Stage, facts: dict[str, Any]) -> dict[str, Any]:
        names = ("pipeline", "run_id", "run_key", "run_type", "period", "dates", "sql")
        return {
            "nightcast": __version__,
            **{name: stage.run[name] for name in names},
            "settings": stage.settings.model_dump(mode="json"),
            "batchPrediction": {
                name: facts[name] for name in ("batchPredictionId", "totalRecordCount", "invalidRecordCount")
            },
            "model": facts["model"],
        }

    @staticmethod
    def _first_predictions(stage: Stage, laid: dict[str, str]) -> list[str]:
        """Header and first lines of the first result file."""
        with stage.storage.local_copy(next(iter(laid.values()))) as path, gzip.open(path, "rt") as lines:
            return [line.rstrip("\n") for line in itertools.islice(lines, _FIRST_PREDICTIONS + 1)]

    def _announce(self, stage: Stage, run: dict[str, Any]) -> None:
        """Tell the consumers of the outlets what this event is about."""
        for outlet in self.outlets:
            stage.context["outlet_events"][outlet].extra = {
                "period": run["period"]["label"],
                "run": stage.place("run.json"),
                "predictions": run["artifacts"]["predictions"]["uri"],
                "recordsSeen": run["batchPrediction"]["totalRecordCount"],
            }
