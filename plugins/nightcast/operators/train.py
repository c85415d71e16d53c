"""Train an ML model."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from nightcast.artifacts import BYTES, JSON, ArtifactRef
from nightcast.operators.base import Returned, Stage, StageOperator

# X'X of the linear learner at its default number of features: what a part of it may return.
_RESULT_BYTES = 8 * 4_000**2


class TrainModelOperator(StageOperator):
    """
    Train on the records that the insights were computed of, with the given or the suggested recipe.

    Returns the reference of ``model/model.json``, the directory's table of contents (``rows``: training
    records), and pushes that of ``recipe.json`` under the key ``recipe``.

    :param manifest: what the unload task returned.
    :param schema: reference of ``schema.json``.
    :param insights: reference of ``insights.json``; it holds the data rearrangement.
    """

    def __init__(self, *, manifest: Returned, schema: Returned, insights: Returned, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.manifest = manifest
        self.schema = schema
        self.insights = insights

    def run_stage(self, stage: Stage) -> ArtifactRef:
        """Write ``recipe.json`` and ``model/``."""
        from nightcast.compute import mapper_for
        from nightcast.datasource.insights import Insights
        from nightcast.mlmodel.files import save_model
        from nightcast.mlmodel.train import train
        from nightcast.operators.inputs import datasource_of
        from nightcast.recipe.suggest import suggest_recipe

        datasource = datasource_of(stage, self.manifest, self.schema)
        insights = Insights.from_json(stage.storage.read_artifact(stage.pull(self.insights)).decode())
        recipe = stage.settings.model.recipe or suggest_recipe(datasource.schema, insights)
        settings = stage.settings.model
        with mapper_for(
            len(datasource.parts), datasource.records, result_bytes=_RESULT_BYTES, compute=stage.compute
        ) as mapper:
            model = train(
                datasource,
                insights,
                recipe,
                insights.rearrangement,
                stage.storage,
                mapper,
                learner=settings.learner,
                parameters=settings.parameters(),
                seed=settings.training_seed or "",
            )
        written = stage.storage.write_bytes(stage.place("recipe.json"), recipe.encode(), JSON)
        stage.context["ti"].xcom_push(key="recipe", value=written)
        with TemporaryDirectory(prefix="nightcast-model-") as folder:
            # model.json names the digests of the others, so it goes last.
            for name in save_model(model, Path(folder)):
                reference = stage.storage.upload(Path(folder) / name, stage.place("model", name), BYTES)
        self.log.info(
            "%s: trained on %s records, %s, size %s",
            model.learner,
            model.training["records"],
            ", ".join(f"validation {name} {value:.6g}" for name, value in model.training["validation"].items()),
            model.predictor.size,
        )
        return {**reference, "media_type": JSON, "rows": model.training["records"]}
