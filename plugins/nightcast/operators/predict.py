"""Make a batch prediction."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from nightcast.artifacts import GZIP, JSON, ArtifactRef, finite, object_id, to_json_bytes
from nightcast.errors import PredictionError
from nightcast.operators.base import Returned, Stage, StageOperator
from nightcast.operators.choose import chosen_document

if TYPE_CHECKING:
    from nightcast.datasource.parts import Datasource
    from nightcast.mlmodel.model import MLModel
    from nightcast.prediction.batch import BatchPrediction

STAGING = "unpublished"


class BatchPredictOperator(StageOperator):
    """
    Score the records of a datasource, and lay the result files beside the place where they will be seen.

    :class:`~nightcast.operators.publish.PublishRunOperator` makes them visible, so that a run that fails leaves
    no predictions. Returns the reference of ``batch-prediction.json`` (``rows``: records seen).

    :param manifest: what the unload task of the scored records returned; None or empty: ``training_manifest``.
    :param training_manifest: what the unload task of the training records returned.
    :param schema: reference of ``schema.json``, for a model that this run has trained.
    :param model: reference of ``model/model.json``, or a list of what may give it: the promoted model, else the
        champion, else the model that was trained.
    :param champion: reference of ``champion.json``; None where the run can only score by its own model. The champion
        reads the records by the schema that it was trained with.
    """

    def __init__(
        self,
        *,
        manifest: Returned,
        training_manifest: Returned,
        schema: Returned,
        model: Returned,
        champion: Returned = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.manifest = manifest
        self.training_manifest = training_manifest
        self.schema = schema
        self.model = model
        self.champion = champion

    def run_stage(self, stage: Stage) -> ArtifactRef:
        """Write result files and rejected records below ``unpublished/``, and ``batch-prediction.json``."""
        from nightcast.compute import local_compute, mapper_for
        from nightcast.operators.inputs import model_of
        from nightcast.prediction.batch import predict

        reference = stage.pull(self.model)
        if reference is None:
            raise PredictionError(
                "there is no model to score with: none was trained in this run, and there is no champion as of its "
                "period. Trigger it again with the Params retrain=every_run, on_data_alerts=warn and on_drift=warn."
            )
        scored = stage.pull([self.manifest, self.training_manifest])
        scoring = scoring_model(stage, reference, self.champion)
        # Derived from what goes in: the same run again writes the same file names.
        bp_id = object_id("bp", stage.run["pipeline"], stage.run["period"]["label"], reference["sha256"])
        model = model_of(stage, reference)
        datasource = self._datasource(stage, scored, model, trained=scoring["trainedByThisRun"])
        with TemporaryDirectory(prefix="nightcast-predictions-") as folder:
            # The result files are written to this machine's disk, which a cluster's workers do not share.
            with mapper_for(len(datasource.parts), datasource.records, compute=local_compute(stage.compute)) as mapper:
                result = predict(
                    model,
                    datasource,
                    bp_id,
                    Path(folder),
                    stage.storage,
                    mapper,
                    level=stage.settings.prediction.intervals,
                )
            facts = {**self._lay(stage, result, bp_id), "model": {**scoring, **_told_by(model)}}
        self._refuse_too_many_failures(stage, result)
        self.log.info(
            "records seen %s, records failed to process %s; scored by the model of run %s, cut-off %s",
            *(result.records_seen, result.records_failed, scoring["runKey"], scoring["trainingCutOff"]),
        )
        return stage.storage.write_bytes(
            stage.place("batch-prediction.json"), to_json_bytes(facts), JSON, rows=result.records_seen
        )

    def _datasource(self, stage: Stage, scored: Any, model: MLModel, *, trained: bool) -> Datasource:
        from nightcast.operators.inputs import datasource_as_known, datasource_of, manifest_of

        if trained:
            return datasource_of(stage, scored, self.schema)
        return datasource_as_known(model.schema, manifest_of(stage, scored), scored["format"])

    @staticmethod
    def _refuse_too_many_failures(stage: Stage, result: BatchPrediction) -> None:
        failed, limit = result.records_failed, stage.settings.prediction.max_failed_records
        if failed and (failed == result.records_seen or failed > limit):
            raise PredictionError(
                f"{failed:,} of {result.records_seen:,} records failed to process (limit {limit:,}, or all). The files "
                f"{stage.place(STAGING, '*.csv.gz')} name attribute and reason of each. "
                "Correct the scoring query or the schema, or raise the Param max_failed_records."
            )

    def _lay(self, stage: Stage, result: BatchPrediction, bp_id: str) -> dict[str, Any]:
        """Upload the files; the facts say where each is to be published."""
        stage.storage.delete(stage.storage.names_below(stage.place(STAGING, "")))
        files = []
        for part in result.results:
            published = f"predictions/batch-prediction/result/{part.path.name}"
            reference = stage.storage.upload(part.path, stage.place(STAGING, part.path.name), GZIP, rows=part.records)
            files.append({"input": part.uri, "published": published, **reference})
        rejected = []
        for path in result.rejected:
            published = f"predictions/rejected/{path.name}"
            rejected.append(
                {"published": published, **stage.storage.upload(path, stage.place(STAGING, path.name), GZIP)}
            )
        return {
            "batchPredictionId": bp_id,
            "totalRecordCount": result.records_seen,
            "invalidRecordCount": result.records_failed,
            "results": files,
            "rejected": rejected,
        }


def scoring_model(stage: Stage, reference: ArtifactRef, champion: Returned) -> dict[str, Any]:
    """Which model scores, by which run it was trained, and on sales before which day (UTC)."""
    entry = chosen_document(stage, champion)["champion"] if champion is not None else None
    if entry is not None and entry["model"]["uri"] == reference["uri"]:
        origin = {"runKey": entry["runKey"], "trainingCutOff": entry["trainingCutOff"]}
    else:
        origin = {"runKey": stage.run["run_key"], "trainingCutOff": stage.run["period"]["end"]}
    trained = origin["runKey"] == stage.run["run_key"]
    return {"uri": reference["uri"], "sha256": reference["sha256"], "trainedByThisRun": trained, **origin}


def _told_by(model: MLModel) -> dict[str, Any]:
    """What the accuracy of the predictions will be measured with, when the actual values are known."""
    training = model.training
    usual = (
        {"classCounts": dict(training["classCounts"])}
        if "classCounts" in training
        else {"targetMean": finite(training["targetMean"])}
    )
    return {"target": model.target.name, "rowId": model.schema.row_id, "training": usual}
