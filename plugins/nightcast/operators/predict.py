"""Make a batch prediction."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from nightcast.artifacts import GZIP, JSON, ArtifactRef, object_id, to_json_bytes
from nightcast.errors import PredictionError
from nightcast.operators.base import Returned, Stage, StageOperator

if TYPE_CHECKING:
    from nightcast.prediction.batch import BatchPrediction

STAGING = "unpublished"


class BatchPredictOperator(StageOperator):
    """
    Score the records of a datasource, and lay the result files beside the place where they will be seen.

    :class:`~nightcast.operators.publish.PublishRunOperator` makes them visible, so that a run that fails leaves
    no predictions. Returns the reference of ``batch-prediction.json`` (``rows``: records seen).

    :param manifest: what the unload task of the scored records returned; None or empty: ``training_manifest``.
    :param training_manifest: what the unload task of the training records returned.
    :param schema: reference of ``schema.json``.
    :param model: reference of ``model/model.json``.
    """

    def __init__(
        self, *, manifest: Returned, training_manifest: Returned, schema: Returned, model: Returned, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.manifest = manifest
        self.training_manifest = training_manifest
        self.schema = schema
        self.model = model

    def run_stage(self, stage: Stage) -> ArtifactRef:
        """Write result files and rejected records below ``unpublished/``, and ``batch-prediction.json``."""
        from nightcast.compute import local_compute, mapper_for
        from nightcast.operators.inputs import datasource_of, model_of
        from nightcast.prediction.batch import predict

        scored = stage.pull(self.manifest) or stage.pull(self.training_manifest)
        datasource = datasource_of(stage, scored, self.schema)
        # Derived from what goes in: the same run again writes the same file names.
        trained = stage.pull(self.model)
        bp_id = object_id("bp", stage.run["pipeline"], stage.run["period"]["label"], trained["sha256"])
        with TemporaryDirectory(prefix="nightcast-predictions-") as folder:
            with (
                model_of(stage, trained) as model,
                # The result files are written to this machine's disk, which a cluster's workers do not share.
                mapper_for(len(datasource.parts), datasource.records, compute=local_compute(stage.compute)) as mapper,
            ):
                result = predict(
                    model,
                    datasource,
                    bp_id,
                    Path(folder),
                    stage.storage,
                    mapper,
                    level=stage.settings.prediction.intervals,
                )
            facts = self._lay(stage, result, bp_id)
        self._refuse_too_many_failures(stage, result)
        self.log.info("records seen %s, records failed to process %s", result.records_seen, result.records_failed)
        return stage.storage.write_bytes(
            stage.place("batch-prediction.json"), to_json_bytes(facts), JSON, rows=result.records_seen
        )

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
