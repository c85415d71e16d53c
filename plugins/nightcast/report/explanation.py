"""What a model says of itself: coefficients, and what its splits gained."""

from __future__ import annotations

from typing import Any

import numpy as np

from nightcast.mlmodel.blend import Blend
from nightcast.mlmodel.linear_predictor import LinearPredictor
from nightcast.mlmodel.model import MLModel, Predictor
from nightcast.mlmodel.targets import ModelType


def explanation(model: MLModel) -> dict[str, Any]:
    """What the model looks at, without any data.

    Returns
    -------
    dict
        ``coefficients``, largest magnitude first, each with ``feature``, ``weight`` and, of a MULTICLASS model, the
        ``class`` whose score it adds to; ``intercepts`` by class (one under no name else); ``importance``: share of
        each attribute in the gain of all splits of boosted trees. What a model does not have is empty. Of a mean of
        models, ``shares`` by kind: coefficients are those of its linear member, importance that of its trees.
    """
    told: dict[str, Any] = {"modelType": model.model_type.value, "target": model.target.name, "learner": model.learner}
    # A stored model has its facts in the order of their names.
    gains = model.training.get("importance", {})
    importance = dict(sorted(gains.items(), key=lambda pair: (-pair[1], pair[0])))
    predictor: Predictor | None = model.predictor
    if isinstance(predictor, Blend):
        told["shares"] = predictor.shares
        predictor = predictor.of_kind(LinearPredictor.kind)
    if not isinstance(predictor, LinearPredictor):
        return {**told, "intercepts": {}, "coefficients": [], "importance": importance}
    several = model.model_type is ModelType.MULTICLASS
    classes = model.target.classes if several else ("",)
    names = predictor.featurizer.feature_names
    weights = predictor.weights.reshape(-1)
    coefficients = []
    # Of equal ones the first feature comes first.
    for place in np.argsort(-np.abs(weights), kind="stable").tolist():
        feature, output = divmod(place, len(classes))
        found = {"feature": names[feature], "weight": float(weights[place])}
        coefficients.append(found | {"class": classes[output]} if several else found)
    intercepts = dict(zip(classes, map(float, predictor.intercepts), strict=True))
    return {**told, "intercepts": intercepts, "coefficients": coefficients, "importance": importance}
