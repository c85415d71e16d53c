"""Evaluate an ML model."""

from __future__ import annotations

from typing import Any

from nightcast.artifacts import JSON, ArtifactRef
from nightcast.operators.base import Returned, Stage, StageOperator


class EvaluateModelOperator(StageOperator):
    """
    Evaluate on the records that did not train: the complement of the data rearrangement of the insights.

    Returns the reference of ``evaluation.json``.

    :param manifest: what the unload task returned.
    :param schema: reference of ``schema.json``.
    :param insights: reference of ``insights.json``; it holds the training's data rearrangement.
    :param model: reference of ``model/model.json``.
    """

    def __init__(
        self, *, manifest: Returned, schema: Returned, insights: Returned, model: Returned, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.manifest = manifest
        self.schema = schema
        self.insights = insights
        self.model = model

    def run_stage(self, stage: Stage) -> ArtifactRef:
        """Write ``evaluation.json``."""
        from nightcast.compute import mapper_for
        from nightcast.datasource.insights import Insights
        from nightcast.evaluation.evaluate import evaluate
        from nightcast.evaluation.segments import segment_attributes, week_attribute
        from nightcast.operators.inputs import datasource_of, model_of

        datasource = datasource_of(stage, self.manifest, self.schema)
        insights = Insights.from_json(stage.storage.read_artifact(stage.pull(self.insights)).decode())
        held_out = insights.rearrangement.complemented()
        model = model_of(stage, self.model)
        with mapper_for(len(datasource.parts), datasource.records, compute=stage.compute) as mapper:
            evaluation = evaluate(
                model,
                datasource,
                held_out,
                stage.storage,
                mapper,
                segments=segment_attributes(datasource.schema, insights),
                dates=week_attribute(datasource.schema, insights),
            )
        self.log.info(
            "%s %s, baseline %.6g, on %s records",
            evaluation.metric_name,
            evaluation.metric,
            evaluation.baseline,
            evaluation.records_seen - evaluation.records_failed,
        )
        return stage.storage.write_bytes(
            stage.place("evaluation.json"), evaluation.to_json().encode(), JSON, rows=evaluation.records_seen
        )
