"""Linear regression with squared loss and an L2 penalty, solved exactly.

Minimises ``sum((y - b - x w)**2) + penalty`` over weights w and intercept b, which is not penalised. With given
strength the penalty is ``l2 * sum(w**2)``: scikit-learn's ``Ridge(alpha=l2)``. Otherwise it is that of
`nightcast.mlmodel.shapes`, with strengths that are chosen by the error on records that did not fit: on six folds where
records are few, else on the validation slice; for values, lines and steps, and where there are records enough,
for each output of the recipe, so that what tells nothing is kept from adding noise. Records are held in memory
where that takes less than the sums that a fit needs of them, X'X; otherwise these are accumulated over parts in one
pass.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from nightcast.datasource.arrow_arrays import Floats
from nightcast.datasource.insights import NumericInsights
from nightcast.datasource.parts import Mapper
from nightcast.errors import ModelError
from nightcast.mlmodel.learners import Fit, TrainingTask
from nightcast.mlmodel.linear_predictor import LinearPredictor
from nightcast.mlmodel.model import Link
from nightcast.mlmodel.penalized_squares import PenalizedSquares
from nightcast.mlmodel.regression_search import RegressionSearch, pooled_rmse
from nightcast.mlmodel.regression_sums import TrialSet, held_records, summed_records
from nightcast.mlmodel.shapes import Shapes, plain_shapes, shapes_of
from nightcast.mlmodel.strengths import Strengths
from nightcast.recipe.featurizer import Featurizer

_LEAST_RECORDS = 2
# Shares of the right side that may be left of a solution, in the choice's last look and at the end. Of sums over very
# many records a descent takes long, and what is left is far below what these records tell.
_EXACT, _SUMMED = (1e-8, 1e-10), (1e-5, 1e-7)


def fit_regression(
    task: TrainingTask, featurizer: Featurizer, given: Strengths | None, mapper: Mapper, *, held: bool
) -> Fit:
    """Fit the exact linear model.

    Parameters
    ----------
    given
        Penalties; with equal ones on all kinds that of Ridge; None: chosen.
    held
        Whether the records are held in memory.

    Raises
    ------
    ModelError
        If fewer than 2 records have a target, or numbers are too large.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        trials = (held_records if held else summed_records)(task, featurizer, _center(task), mapper)
        if trials.records < _LEAST_RECORDS:
            raise ModelError(
                f"{trials.records} training record(s) have a target, at least {_LEAST_RECORDS} are needed: check "
                f"query, schema (is {task.target.name!r} NUMERIC in the data?) and data rearrangement."
            )
        plain = given is not None and given.plain
        shapes = plain_shapes(featurizer) if plain else shapes_of(featurizer, task.insights)
        search = RegressionSearch(shapes, trials.trials)
        penalties = search.choose(given, held=held)
        return _fit(task, featurizer, trials, search, penalties, _EXACT if held or given else _SUMMED)


def chosen_penalties(task: TrainingTask, featurizer: Featurizer, mapper: Mapper) -> tuple[Shapes, Floats]:
    """The penalty on half the square of each coefficient that is best for records which are held in memory."""
    with np.errstate(over="ignore", invalid="ignore"):
        shapes = shapes_of(featurizer, task.insights)
        trials = held_records(task, featurizer, _center(task), mapper)
        return shapes, RegressionSearch(shapes, trials.trials).choose()


def _center(task: TrainingTask) -> float:
    known = task.insights.attributes.get(task.target.name)
    return known.mean or 0.0 if isinstance(known, NumericInsights) else 0.0


def _fit(
    task: TrainingTask,
    featurizer: Featurizer,
    trials: TrialSet,
    search: RegressionSearch,
    penalties: Floats,
    tolerances: tuple[float, float],
) -> Fit:
    rests = search.solved_rests(penalties, tolerances[0])
    residuals = _joined([trial.residuals(weights, constant) for trial, weights, constant in rests])
    slice_rmse = math.sqrt(rests[0][0].validation.squared_error(*rests[0][1:])[0]) if rests else math.nan
    whole = PenalizedSquares(trials.whole(), search.shapes, next(iter(search.systems), None))
    weights = whole.weights(whole.solved(penalties, search.last.get(0), tolerances[1]))
    constant = whole.constant(weights)
    training_rmse = math.sqrt(whole.sums.squared_error(weights, constant)[0])
    loss = slice_rmse if rests else training_rmse
    if not (np.isfinite(weights).all() and math.isfinite(training_rmse) and math.isfinite(loss)):
        raise ModelError(
            "the numbers of the training records, or their squares, are too large for float64: scale "
            f"{task.target.name!r} and the numeric attributes in the query."
        )
    facts: dict[str, Any] = {
        "features": featurizer.n_features,
        "trimmedFeatures": featurizer.trimmed,
        "rmse": training_rmse,
        "validation": {"RegressionRMSE": loss},
        "validationLoss": loss,
        "validationRecords": rests[0][0].validation.records if rests else 0,
        "folds": len(rests),
        "crossValidatedLoss": pooled_rmse(rests) if rests else loss,
        "strengths": search.tried,
        "penalties": search.shapes.by_output(featurizer, penalties),
    }
    held_out = {
        trial.fold: _predictor(featurizer, weights_of_rest, constant_of_rest, trials.center)
        for trial, weights_of_rest, constant_of_rest in rests
    }
    found = None if residuals is None else (residuals[0] + trials.center, residuals[1])
    parameters = search.strengths.told()
    predictor = _predictor(featurizer, weights, constant, trials.center)
    return Fit(predictor, Link.IDENTITY, parameters, facts, held_out=held_out, residuals=found)


def _predictor(featurizer: Featurizer, weights: Floats, constant: float, center: float) -> LinearPredictor:
    return LinearPredictor.about_centers(featurizer, weights[None, :], np.array([center + constant]))


def _joined(found: Sequence[tuple[Floats, Floats]]) -> tuple[Floats, Floats] | None:
    if not found:
        return None
    return np.concatenate([first for first, _ in found]), np.concatenate([second for _, second in found])
