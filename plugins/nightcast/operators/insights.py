"""Compute the training datasource's statistics."""

from __future__ import annotations

from typing import Any

from nightcast.artifacts import JSON, ArtifactRef
from nightcast.operators.base import Returned, Stage, StageOperator


class ComputeInsightsOperator(StageOperator):
    """
    Compute the insights of the unloaded records in one pass.

    Returns the reference of ``insights.json``, which serves report, suggested recipe and featurizer.

    :param manifest: what the unload task returned.
    :param schema: reference of ``schema.json``.
    """

    def __init__(self, *, manifest: Returned, schema: Returned, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.manifest = manifest
        self.schema = schema

    def run_stage(self, stage: Stage) -> ArtifactRef:
        """Write ``insights.json``."""
        from nightcast.compute import mapper_for
        from nightcast.datasource.insights import compute_insights
        from nightcast.operators.inputs import datasource_of

        datasource = datasource_of(stage, self.manifest, self.schema)
        with mapper_for(len(datasource.parts), datasource.records) as mapper:
            insights = compute_insights(datasource, stage.storage, mapper)
        self.log.info("statistics of %s records, %s attributes", insights.records, len(insights.attributes))
        return stage.storage.write_bytes(
            stage.place("insights.json"), insights.to_json().encode(), JSON, rows=insights.records
        )
