"""How good a model is on the validation slice, by the names of Amazon ML's properties."""

from __future__ import annotations

import math

import numpy as np

from nightcast.datasource.arrow_arrays import Floats, Ints, run_starts
from nightcast.mlmodel.targets import ModelType

_LEAST_PROBABILITY = 1e-15


def validation_facts(model_type: ModelType, truth: Floats, predictions: Floats) -> tuple[dict[str, float], float]:
    """The metrics of predictions, and the loss that learners are compared by.

    Parameters
    ----------
    truth
        Numbers, 0 and 1, or numbers of classes; shape (n,) with n >= 1.
    predictions
        Numbers or probabilities of 1, shape (n,); or one probability a class, shape (n, classes).

    Returns
    -------
    metrics
        ``RegressionRMSE``; ``BinaryAUC`` (0.5 where one class is missing) and ``logLoss``; or ``MulticlassAvgFScore``
        and ``logLoss``, in nats a record.
    loss
        The RMSE of a regression, else the log loss.
    """
    if model_type is ModelType.REGRESSION:
        rmse = math.sqrt(float(np.mean((truth - predictions) ** 2)))
        return {"RegressionRMSE": rmse}, rmse
    loss = log_loss(true_probabilities(truth, predictions))
    if model_type is ModelType.BINARY:
        return {"BinaryAUC": area_under_curve(truth > 0, predictions), "logLoss": loss}, loss
    classes = truth.astype(np.int64)
    score = macro_f1(classes, predictions.argmax(axis=1), predictions.shape[1])
    return {"MulticlassAvgFScore": score, "logLoss": loss}, loss


def true_probabilities(truth: Floats, predictions: Floats) -> Floats:
    """What a classification gave to the class that is true; shape (n,), arguments as of `validation_facts`."""
    if predictions.ndim == 1:
        return np.where(truth > 0, predictions, 1.0 - predictions)
    return predictions[np.arange(len(truth)), truth.astype(np.int64)]


def log_loss(probabilities: Floats) -> float:
    """Mean negative logarithm of the probabilities that a model gave to what is true, none below 1e-15."""
    return -float(np.mean(np.log(np.maximum(probabilities, _LEAST_PROBABILITY))))


def area_under_curve(positive: np.ndarray[tuple[int], np.dtype[np.bool_]], scores: Floats) -> float:
    """The chance that a positive record scores above a negative one, ties counted half; 0.5 without one of them.

    Source: the Mann-Whitney statistic.

    Examples
    --------
    >>> area_under_curve(np.array([False, True, False, True]), np.array([0.1, 0.4, 0.4, 0.8]))
    0.875
    """
    ones = int(positive.sum())
    zeros = len(positive) - ones
    if not (ones and zeros):
        return 0.5
    order = np.argsort(scores, kind="stable")
    starts = run_starts(scores[order])
    of_ones = np.add.reduceat(positive[order].astype(np.int64), starts)
    of_zeros = np.diff(np.append(starts, len(scores))) - of_ones
    # Whole halves, so that the sum is exact.
    below = 2 * (np.cumsum(of_zeros) - of_zeros) + of_zeros
    return float((of_ones * below).sum()) / (2.0 * ones * zeros)


def macro_f1(truth: Ints, labels: Ints, classes: int) -> float:
    """Mean over the classes that occur in `truth` of 2PR / (P + R), Amazon ML's macro-average F1."""
    hits = np.bincount(truth[truth == labels], minlength=classes)
    occur = np.bincount(truth, minlength=classes)
    sums = occur + np.bincount(labels, minlength=classes)
    kept = occur > 0
    return float(np.mean(2.0 * hits[kept] / sums[kept]))
