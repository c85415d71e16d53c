"""From a datasource with insights and a recipe to an ML model."""

from __future__ import annotations

import hashlib
import json
import math
from typing import Any

from nightcast.datasource.insights import Insights, NumericInsights
from nightcast.datasource.parts import ByteSource, Datasource, Mapper
from nightcast.datasource.rearrangement import Rearrangement
from nightcast.mlmodel.files import MLModel
from nightcast.mlmodel.linear import LinearFit, fit_linear, regression_target
from nightcast.recipe.featurizer import Featurizer, build_featurizer
from nightcast.recipe.grammar import parse_recipe
from nightcast.recipe.vocabulary import count_vocabularies

# X'X and its factor take 0.9 GB at this number.
KEPT_FEATURES = 4_000


def train_regression(
    datasource: Datasource,
    insights: Insights,
    recipe: str,
    rearrangement: Rearrangement,
    source: ByteSource,
    mapper: Mapper = map,
    *,
    l2: float = 1.0,
) -> MLModel:
    """Train a regression model on the records that the rearrangement takes.

    Parameters
    ----------
    insights
        Statistics of the datasource: bin edges, vocabularies, means.
    recipe
        JSON, given or suggested. Beyond 6,000 features the rarest values and tokens are left out, and counted in
        ``training["trimmedFeatures"]``.
    l2
        Penalty on squared weights, >= 0.

    Raises
    ------
    RecipeError
        If the recipe does not fit the schema.
    ModelError
        If there is no NUMERIC target, or no two records have one.
    """
    target = regression_target(datasource.schema)
    parsed = parse_recipe(recipe, datasource.schema)
    vocabularies = count_vocabularies(datasource, rearrangement, parsed, insights, source, mapper)
    featurizer = build_featurizer(parsed, datasource.schema, insights, vocabularies, KEPT_FEATURES)
    known = insights.attributes.get(target)
    center = known.mean or 0.0 if isinstance(known, NumericInsights) else 0.0
    fit = fit_linear(datasource, rearrangement, featurizer, source, mapper, l2=l2, target_center=center)
    return MLModel(
        schema=datasource.schema,
        recipe=recipe,
        featurizer=featurizer,
        weights=fit.weights,
        intercept=fit.intercept,
        learner="linear",
        parameters={"l2": float(l2)},
        training=_facts(fit, featurizer, datasource, rearrangement),
    )


def datasource_digest(datasource: Datasource) -> str:
    """Tells whether two datasources are the same records: file names, sizes and record counts in part order.

    Places are left out, so that a copy of the files is still the same datasource.
    """
    parts = [[part.uri.rsplit("/", 1)[-1], part.records, part.bytes] for part in datasource.parts]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _facts(
    fit: LinearFit, featurizer: Featurizer, datasource: Datasource, rearrangement: Rearrangement
) -> dict[str, Any]:
    targets = fit.targets
    return {
        "records": targets.records,
        "invalidRecords": targets.without_target + targets.invalid_target,
        "recordsWithoutTarget": targets.without_target,
        "recordsWithInvalidTarget": targets.invalid_target,
        "targetMean": targets.mean,
        "targetStd": math.sqrt(targets.deviations / (targets.records - 1)),
        "targetMin": targets.low,
        "targetMax": targets.high,
        "rmse": fit.rmse,
        "features": featurizer.n_features,
        "trimmedFeatures": featurizer.trimmed,
        "rearrangement": json.loads(rearrangement.to_json()),
        "datasource": {"digest": datasource_digest(datasource), "records": datasource.records},
    }
