"""From a datasource with insights and a recipe to an ML model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from nightcast.datasource.insights import Insights, NumericInsights
from nightcast.datasource.parts import ByteSource, Datasource, Mapper
from nightcast.datasource.rearrangement import Rearrangement
from nightcast.errors import ModelError
from nightcast.mlmodel.held_out import held_out_records
from nightcast.mlmodel.intervals import intervals_of
from nightcast.mlmodel.learner_table import learner_of
from nightcast.mlmodel.learners import TrainingTask
from nightcast.mlmodel.model import MLModel
from nightcast.mlmodel.targets import ModelType, Target
from nightcast.recipe.grammar import parse_recipe


def train(
    datasource: Datasource,
    insights: Insights,
    recipe: str,
    rearrangement: Rearrangement,
    source: ByteSource,
    mapper: Mapper = map,
    *,
    learner: str = "auto",
    parameters: Mapping[str, Any] | None = None,
    seed: str = "",
) -> MLModel:
    """Train a model on the records that the rearrangement takes.

    Parameters
    ----------
    insights
        Statistics of these records: bin edges, vocabularies, means, classes.
    recipe
        JSON, given or suggested. Beyond 4,000 features of a linear model the rarest values and tokens are left out, and
        counted in ``training["trimmedFeatures"]``.
    learner
        ``sgd``, ``linear``, ``boosting`` or ``auto``.
    parameters
        Of the learner; numbers may be written as strings. Keys begin with the learner's name: ``sgd.maxPasses``.
        Keys of other learners than the chosen one are an error.
    seed
        Any string; whatever is drawn follows from it.

    Raises
    ------
    RecipeError
        If the recipe does not fit the schema.
    SchemaError
        If there is no target, or it is TEXT.
    ModelError
        If a parameter is unknown or out of range, or the records do not allow to learn: too few, of one class only.
    """
    if insights.rearrangement != rearrangement:
        raise ModelError(
            f"the insights are of the records {insights.rearrangement.to_json()}, and the training records are "
            f"{rearrangement.to_json()}: compute insights of the training records."
        )
    chosen = learner_of(learner, parameters or {})
    target = Target.of(datasource.schema, insights)
    parsed = parse_recipe(recipe, datasource.schema)
    task = TrainingTask(datasource, insights, parsed, target, rearrangement, source, seed)
    fit = chosen.fit(task, mapper)
    intervals = None
    if fit.residuals is not None:
        intervals = intervals_of(task, *fit.residuals)
    elif target.model_type is ModelType.REGRESSION:
        records = held_out_records(task, [fit], mapper)
        if records is not None:
            intervals = intervals_of(task, records.predictions[0], records.targets - records.predictions[0])
    return MLModel(
        schema=datasource.schema,
        recipe=recipe,
        target=target,
        predictor=fit.predictor,
        link=fit.link,
        learner=fit.learner or learner,
        parameters=fit.parameters,
        training=_facts(datasource, insights, target, rearrangement) | dict(fit.facts) | {"seed": seed},
        intervals=None if intervals is None else intervals.to_document(),
        log=fit.log,
    )


def datasource_digest(datasource: Datasource) -> str:
    """Tells whether two datasources are the same records: file names, sizes and record counts in part order.

    Places are left out, so that a copy of the files is still the same datasource.
    """
    parts = [[part.uri.rsplit("/", 1)[-1], part.records, part.bytes] for part in datasource.parts]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _facts(datasource: Datasource, insights: Insights, target: Target, rearrangement: Rearrangement) -> dict[str, Any]:
    found = insights.attributes[target.name]
    invalid = getattr(found, "invalid", 0)
    facts: dict[str, Any] = {
        "records": insights.records - found.missing - invalid,
        "invalidRecords": found.missing + invalid,
        "recordsWithoutTarget": found.missing,
        "recordsWithInvalidTarget": invalid,
        "badRecords": insights.bad_records,
        "rearrangement": json.loads(rearrangement.to_json()),
        "datasource": {"digest": datasource_digest(datasource), "records": datasource.records},
    }
    if isinstance(found, NumericInsights):
        return facts | {
            "targetMean": found.mean,
            "targetStd": found.std,
            "targetMin": found.min,
            "targetMax": found.max,
        }
    return facts | {"classCounts": insights.target_distribution() or {}}
