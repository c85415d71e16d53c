"""Linear regression with squared loss and an L2 penalty, solved exactly.

Minimises ``sum((y - b - x w)**2) + l2 * sum(w**2)`` over weights w and intercept b, which is not penalised:
scikit-learn's ``Ridge(alpha=l2)``, by the normal equations. Their sums are accumulated over parts in one pass, apart
for the validation slice and the rest: strengths are solved from the sums of the rest and judged by those of the slice,
and the model that is kept is solved from both.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from nightcast.datasource.arrow_arrays import Floats
from nightcast.datasource.insights import NumericInsights
from nightcast.datasource.parts import Mapper, NumberedPart
from nightcast.errors import ModelError
from nightcast.mlmodel.gram import Gram
from nightcast.mlmodel.learners import Fit, TrainingTask
from nightcast.mlmodel.linear_predictor import LinearPredictor
from nightcast.mlmodel.marked_batches import marked_batches
from nightcast.mlmodel.model import Link
from nightcast.mlmodel.ridge import RidgeSolver, one_thread
from nightcast.mlmodel.strengths import DEFAULT_L2, best_strength, tried_strengths
from nightcast.recipe.featurizer import Featurizer
from nightcast.recipe.pieces import Piece

_LEAST_RECORDS = 2
# Two solutions at once take 0.2 GB more at this number.
_EARLY_FEATURES = 2_500


@dataclass
class SquareSums:
    """Sums over some records: all that their squared error depends on. No record among them.

    Parameters
    ----------
    gram
        Of the features, with targets about `center`.
    center
        A number near the target's mean, the same in every part: sums of squares about it lose fewer digits.
    total, squares
        Sums of the targets and of their squares, about the center.
    """

    gram: Gram
    center: float
    records: int = 0
    total: float = 0.0
    squares: float = 0.0

    def add(self, pieces: list[Piece], targets: Floats) -> None:
        """Add the records of a batch."""
        centered = targets - self.center
        self.records += len(targets)
        self.total += float(centered.sum())
        self.squares += float(np.einsum("i,i->", centered, centered))
        self.gram.add(pieces, centered)

    def merge(self, other: SquareSums) -> None:
        """Add the sums of the records that follow."""
        self.records += other.records
        self.total += other.total
        self.squares += other.squares
        self.gram.merge(other.gram)

    def merged(self, other: SquareSums) -> SquareSums:
        """The sums of these records and others."""
        found = SquareSums(Gram(self.gram.centers), self.center)
        found.merge(self)
        found.merge(other)
        return found

    def solution(self, l2: float) -> Solution:
        """The weights of least squared error and penalty; at least one record is needed."""
        # Said here too: another thread does not inherit it.
        with np.errstate(over="ignore", invalid="ignore"):
            means = self.gram.sums / self.records
            solver = RidgeSolver(self.gram.products(), means, self.records, l2)
            weights = solver.solve(self.gram.with_target - means * self.total)
            constant = self.total / self.records - _dot(weights, means)
            # The derivative of (A + l2 I) w = right by l2.
            slope = -solver.solve(weights)
            return Solution(weights, constant, l2 * slope, -l2 * _dot(slope, means))

    def squared_error(self, solution: Solution) -> tuple[float, float]:
        """Mean squared error of a solution on these records, and its derivative by the logarithm of the penalty."""
        weights, constant = solution.weights, solution.constant
        of_weights = self.gram.times(weights) + constant * self.gram.sums - self.gram.with_target
        of_constant = _dot(weights, self.gram.sums) + self.records * constant - self.total
        error = self.squares + _dot(weights, of_weights - self.gram.with_target) + constant * (of_constant - self.total)
        change = 2 * (_dot(of_weights, solution.weights_change) + of_constant * solution.constant_change)
        # NaN, where squares were beyond float64, stays NaN.
        return (0.0 if error < 0 else error / self.records), change / self.records


@dataclass(frozen=True)
class Solution:
    """Weights, and how they change with the logarithm of the penalty.

    Parameters
    ----------
    weights
        float64 of shape (features,).
    constant
        Prediction, about the target's center, for a record whose features are at their centers.
    """

    weights: Floats
    constant: float
    weights_change: Floats
    constant_change: float


def fit_regression(task: TrainingTask, featurizer: Featurizer, l2: float | None, mapper: Mapper) -> Fit:
    """Fit the exact linear model.

    Parameters
    ----------
    l2
        Penalty on squared weights, >= 0; None: chosen on the validation slice.

    Raises
    ------
    ModelError
        If fewer than 2 records have a target, or numbers are too large.
    """
    known = task.insights.attributes.get(task.target.name)
    center = known.mean or 0.0 if isinstance(known, NumericInsights) else 0.0
    rest, validation = (SquareSums(Gram(featurizer.centers), center) for _ in range(2))
    with np.errstate(over="ignore", invalid="ignore"):
        for some_rest, some_validation in mapper(
            partial(part_sums, task=task, featurizer=featurizer, center=center), task.datasource.numbered()
        ):
            rest.merge(some_rest)
            validation.merge(some_validation)
        return _solved(task, featurizer, rest, validation, l2)


def part_sums(
    numbered: NumberedPart, task: TrainingTask, featurizer: Featurizer, center: float
) -> tuple[SquareSums, SquareSums]:
    """The sums over one part: outside the validation slice, and within."""
    rest, validation = (SquareSums(Gram(featurizer.centers), center) for _ in range(2))
    with np.errstate(over="ignore", invalid="ignore"):
        for batch, targets, places, mask in marked_batches(numbered, task, featurizer.columns):
            pieces = featurizer.pieces(batch)
            for sums, chosen in ((rest, places[~mask]), (validation, places[mask])):
                if len(chosen):
                    sums.add([piece.taken(chosen) for piece in pieces], targets[chosen])
    return rest, validation


def _solved(
    task: TrainingTask, featurizer: Featurizer, rest: SquareSums, validation: SquareSums, l2: float | None
) -> Fit:
    records = rest.records + validation.records
    if records < _LEAST_RECORDS:
        raise ModelError(
            f"{records} training record(s) have a target, at least {_LEAST_RECORDS} are needed: check query, schema "
            f"(is {task.target.name!r} NUMERIC in the data?) and data rearrangement."
        )
    judged = validation.records > 0 and rest.records > 0
    held_out: dict[float, Solution] = {}
    whole, solution, tried = _chosen(rest, validation, l2, held_out, judged=judged)
    chosen = best_strength(tried)
    training_rmse = math.sqrt(whole.squared_error(solution)[0])
    if not (np.isfinite(solution.weights).all() and math.isfinite(training_rmse)):
        raise ModelError(
            "the numbers of the training records, or their squares, are too large for float64: scale "
            f"{task.target.name!r} and the numeric attributes in the query."
        )
    loss = tried[chosen] if judged else training_rmse
    facts: dict[str, Any] = {
        "features": featurizer.n_features,
        "trimmedFeatures": featurizer.trimmed,
        "rmse": training_rmse,
        "validation": {"RegressionRMSE": loss},
        "validationLoss": loss,
        "validationRecords": validation.records if judged else 0,
        "strengths": [{"l2": one, "RegressionRMSE": value} for one, value in tried.items()] if judged else [],
    }
    return Fit(
        _predictor(featurizer, whole.center, solution),
        Link.IDENTITY,
        {"l2": chosen},
        facts,
        held_out=_predictor(featurizer, whole.center, held_out[chosen]) if chosen in held_out else None,
    )


def _predictor(featurizer: Featurizer, center: float, solution: Solution) -> LinearPredictor:
    constant = center + solution.constant - _dot(solution.weights, featurizer.centers)
    return LinearPredictor(featurizer, solution.weights[:, None], np.array([constant]))


def _chosen(
    rest: SquareSums, validation: SquareSums, l2: float | None, held_out: dict[float, Solution], *, judged: bool
) -> tuple[SquareSums, Solution, dict[float, float]]:
    """All sums, the solution from them, and the validation RMSE by strength; the first sums are used up.

    `held_out` is filled with the solutions from the first sums.
    """
    first = DEFAULT_L2 if l2 is None else l2
    if len(rest.gram.centers) > _EARLY_FEATURES:
        tried = _tried(rest, validation, l2, held_out) if judged else {first: math.nan}
        rest.merge(validation)
        return rest, rest.solution(best_strength(tried)), tried
    whole = rest.merged(validation)
    # Most often no other strength is notably better than the first one: its solution is prepared meanwhile. Both run
    # on one thread each, whatever the machine has.
    with one_thread(), ThreadPoolExecutor(1) as aside:
        early = aside.submit(whole.solution, first)
        tried = _tried(rest, validation, l2, held_out) if judged else {first: math.nan}
        chosen = best_strength(tried)
        return whole, early.result() if chosen == first else whole.solution(chosen), tried


def _tried(
    rest: SquareSums, validation: SquareSums, l2: float | None, held_out: dict[float, Solution]
) -> dict[float, float]:
    """Validation RMSE by strength, of the given one alone or of those that are tried; `held_out` gets the solutions."""
    found: dict[float, tuple[float, float]] = {}

    def error(strength: float) -> tuple[float, float]:
        if strength not in found:
            held_out[strength] = rest.solution(strength)
            found[strength] = validation.squared_error(held_out[strength])
        return found[strength]

    def rmse(strength: float) -> float:
        return math.sqrt(error(strength)[0])

    def change(strength: float) -> float:
        squared, by_logarithm = error(strength)
        return by_logarithm * math.log(1.1) / (2 * squared) if squared > 0 else 0.0

    return tried_strengths(rmse, change=change) if l2 is None else {l2: rmse(l2)}


def _dot(left: Floats, right: Floats) -> float:
    # Not BLAS: how that splits the sum depends on its threads.
    return float(np.einsum("i,i->", left, right))
