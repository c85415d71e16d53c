"""Losses of the three model types, for several learners at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nightcast.datasource.arrow_arrays import Floats
from nightcast.mlmodel.class_loss import second_derivatives
from nightcast.mlmodel.targets import ModelType

CURVATURES = {ModelType.REGRESSION: 1.0, ModelType.BINARY: 0.25, ModelType.MULTICLASS: 0.5}
"""The greatest second derivative of each loss by the scores of a record (for softmax: Böhning, 1992)."""


class Losses(NamedTuple):
    """Losses of records: half the squared error, or the negative log-likelihood in nats.

    Parameters
    ----------
    values
        float64 of shape (records, learners).
    residuals
        Derivatives by the scores: float64 of shape (records, learners, outputs).
    """

    values: Floats
    residuals: Floats


def curvatures(model_type: ModelType, scores: Floats) -> Floats:
    """Second derivatives of each record's loss by its own scores, both of shape (records, outputs)."""
    if model_type is ModelType.REGRESSION:
        return np.ones_like(scores)
    return second_derivatives(np.ascontiguousarray(scores.T)).T


def losses(model_type: ModelType, scores: Floats, targets: Floats) -> Losses:
    """Losses and their derivatives.

    Parameters
    ----------
    scores
        Before the link; float64 of shape (records, learners, outputs).
    targets
        Numbers, 0 and 1, or numbers of classes; shape (records,).
    """
    if model_type is ModelType.REGRESSION:
        residuals = scores - targets[:, None, None]
        return Losses(0.5 * residuals[:, :, 0] ** 2, residuals)
    if model_type is ModelType.BINARY:
        small = np.exp(-np.abs(scores))
        residuals = np.where(scores >= 0, 1.0, small) / (1.0 + small) - targets[:, None, None]
        values = np.log1p(small) + np.maximum(scores, 0.0) - targets[:, None, None] * scores
        return Losses(values[:, :, 0], residuals)
    own = (np.arange(len(targets)), slice(None), targets.astype(np.int64))
    highest = scores.max(axis=2)
    residuals = np.exp(scores - highest[:, :, None])
    sums = residuals.sum(axis=2)
    values = np.log(sums) + highest - scores[own]
    residuals /= sums[:, :, None]
    residuals[own] -= 1.0
    return Losses(values, residuals)
