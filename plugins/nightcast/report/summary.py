"""A published run in a few lines, and a copy of it on disk."""

from __future__ import annotations

import gzip
import itertools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nightcast.errors import ReportError
from nightcast.report.headline import headline

if TYPE_CHECKING:
    from nightcast.storage import Storage

_LINES = 6


def run_summary(storage: Storage, uri: str) -> str:
    """Records, the metric beside its baseline, the first predictions, and where everything lies.

    Parameters
    ----------
    uri
        ``run.json`` of a published run, or the folder that holds it.

    Raises
    ------
    ReportError
        If there is no published run.
    """
    run = read_run(storage, uri)
    prediction = run["batchPrediction"]
    lines = [
        f"Run            {run['pipeline']}, sales period {run['period']['label']} ({run['run_id']})",
        *_model_lines(storage, run),
        f"Predictions    {prediction['totalRecordCount']:,} records seen, "
        f"{prediction['invalidRecordCount']:,} records failed to process",
        *(f"               {line}" for line in _first_lines(storage, run)),
        f"Manifest       {run['artifacts']['predictions']['uri']}",
        f"Report         {run['artifacts']['report']['uri']}",
    ]
    return "\n".join(lines)


def copy_run(storage: Storage, uri: str, folder: Path) -> Path:
    """Copy report and predictions of a published run below a folder; returns the run's own folder there."""
    run = read_run(storage, uri)
    base = uri.rsplit("/", 1)[0] + "/"
    target = folder / f"period={run['period']['label']}" / f"run={run['run_key']}"
    for source in (run["artifacts"]["report"]["uri"], *storage.names_below(f"{base}predictions/")):
        with storage.local_copy(source) as path:
            copied = target / source.removeprefix(base)
            copied.parent.mkdir(parents=True, exist_ok=True)
            copied.write_bytes(path.read_bytes())
    return target


def read_run(storage: Storage, uri: str) -> dict[str, Any]:
    """The document ``run.json`` of a published run.

    Parameters
    ----------
    uri
        As of `run_summary`.

    Raises
    ------
    ReportError
        If there is no published run.
    """
    location = uri if uri.endswith("run.json") else f"{uri.rstrip('/')}/run.json"
    if storage.size(location) is None:
        raise ReportError(f"{location} does not exist: the run has not ended well, or lies elsewhere.")
    return dict(json.loads(storage.read_bytes(location)))


def _model_lines(storage: Storage, run: dict[str, Any]) -> list[str]:
    """What the run trained and how good it is, and which model scored."""
    artifacts, lines = run["artifacts"], []
    if "insights" in artifacts:
        lines.append(f"Records        {artifacts['insights']['rows']:,} in the training datasource")
    if "evaluation" in artifacts:
        evaluation = json.loads(storage.read_artifact(artifacts["evaluation"]))
        judged = headline(evaluation)
        value = "undefined" if judged.value is None else f"{judged.value:.6g}"
        lines.append(
            f"{judged.name:<14} {value} on {evaluation['recordsSeen']:,} held-out records; "
            f"{judged.baseline_name}: {judged.baseline:.6g}, so {judged.verdict}"
        )
    if "gate" in artifacts:
        lines.append(f"Gate           {json.loads(storage.read_artifact(artifacts['gate']))['reason']}")
    if "accuracy" in run.get("failed", ()):
        lines.append("Accuracy       could not be measured; the failed task's log says why")
    scored = run.get("model")
    if scored and not scored["trainedByThisRun"]:
        lines.append(f"Scored by      the champion, of run {scored['runKey']}, cut-off {scored['trainingCutOff']}")
    return lines


def _first_lines(storage: Storage, run: dict[str, Any]) -> list[str]:
    results = json.loads(storage.read_artifact(run["artifacts"]["predictions"]))
    for result in results.values():
        with storage.local_copy(result) as path, gzip.open(path, "rt") as lines:
            return [line.rstrip("\n") for line in itertools.islice(lines, _LINES)]
    return []
