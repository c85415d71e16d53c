"""Linear regression with squared loss and an L2 penalty, solved exactly.

Minimises ``sum((y - b - x w)**2) + penalty`` over weights w and intercept b, which is not penalised. With given
strength the penalty is ``l2 * sum(w**2)``: scikit-learn's ``Ridge(alpha=l2)``. Otherwise it is that of
`nightcast.mlmodel.shapes`, with strengths that are chosen by the error on records that did not fit: on six folds where
records are few, else on the validation slice; one for values and one for numbers, and where there are records enough,
one for each output of the recipe, so that what tells nothing is kept from adding noise. Records are held in memory
where that takes less than the sums that a fit needs of them, X'X; otherwise these are accumulated over parts in one
pass.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
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
from nightcast.mlmodel.regression_sums import Trial, TrialSet, held_records, summed_records
from nightcast.mlmodel.relevance import refined
from nightcast.mlmodel.shapes import Shapes, plain_shapes, shapes_of
from nightcast.mlmodel.square_sums import dot
from nightcast.mlmodel.strengths import Strengths, best_strength, tried_pairs
from nightcast.recipe.blocks import block_starts
from nightcast.recipe.featurizer import Featurizer

_LEAST_RECORDS = 2
_LEAST_STRENGTH = 0.01
# Shares of the right side that may be left in a choice, and at the end.
_ROUGH, _SLOPED, _FINE, _EXACT = 1e-5, 1e-2, 1e-8, 1e-10
# Records that judge, from which on each output of the recipe has a penalty of its own.
_REFINED = 1_000


def fit_regression(
    task: TrainingTask, featurizer: Featurizer, given: Strengths | None, mapper: Mapper, *, held: bool
) -> Fit:
    """Fit the exact linear model.

    Parameters
    ----------
    given
        Penalties; with equal ones on both kinds that of Ridge; None: chosen.
    held
        Whether the records are held in memory.

    Raises
    ------
    ModelError
        If fewer than 2 records have a target, or numbers are too large.
    """
    known = task.insights.attributes.get(task.target.name)
    center = known.mean or 0.0 if isinstance(known, NumericInsights) else 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        trials = (held_records if held else summed_records)(task, featurizer, center, mapper)
        if trials.records < _LEAST_RECORDS:
            raise ModelError(
                f"{trials.records} training record(s) have a target, at least {_LEAST_RECORDS} are needed: check "
                f"query, schema (is {task.target.name!r} NUMERIC in the data?) and data rearrangement."
            )
        plain = given is not None and given.values == given.numbers
        shapes = plain_shapes(featurizer) if plain else shapes_of(featurizer, task.insights)
        search = _Search(shapes, trials.trials)
        return _fit(task, featurizer, trials, search, search.choose(given, held=held))


def _fit(task: TrainingTask, featurizer: Featurizer, trials: TrialSet, search: _Search, penalties: Floats) -> Fit:
    rests = search.solved_rests(penalties, _FINE)
    residuals = _joined([trial.residuals(weights, constant) for trial, weights, constant in rests])
    slice_rmse = math.sqrt(rests[0][0].validation.squared_error(*rests[0][1:])[0]) if rests else math.nan
    whole = PenalizedSquares(trials.whole(), search.shapes)
    weights = whole.weights(whole.solved(penalties, search.last.get(0), _EXACT))
    constant = whole.constant(weights)
    training_rmse = math.sqrt(whole.sums.squared_error(weights, constant)[0])
    if not (np.isfinite(weights).all() and math.isfinite(training_rmse)):
        raise ModelError(
            "the numbers of the training records, or their squares, are too large for float64: scale "
            f"{task.target.name!r} and the numeric attributes in the query."
        )
    loss = slice_rmse if rests else training_rmse
    facts: dict[str, Any] = {
        "features": featurizer.n_features,
        "trimmedFeatures": featurizer.trimmed,
        "rmse": training_rmse,
        "validation": {"RegressionRMSE": loss},
        "validationLoss": loss,
        "validationRecords": rests[0][0].validation.records if rests else 0,
        "folds": len(rests),
        "crossValidatedLoss": _pooled_rmse(rests) if rests else loss,
        "strengths": search.tried,
        "penalties": search.by_output(featurizer, penalties),
    }
    intercept = trials.center + constant - dot(weights, featurizer.centers)
    predictor = LinearPredictor(featurizer, weights[:, None], np.array([intercept]))
    found = None if residuals is None else (residuals[0] + trials.center, residuals[1])
    parameters = {"l2": search.strengths.values, "l2Numbers": search.strengths.numbers}
    return Fit(predictor, Link.IDENTITY, parameters, facts, residuals=found)


@dataclass
class _Search:
    """The choice of penalties by the error on records that did not fit.

    Attributes
    ----------
    tried
        Strengths of both kinds and the RMSE that they led to, for the model directory.
    last
        By trial, coefficients from which the next solution begins.
    strengths
        The chosen ones; outputs with a penalty of their own begin with them.
    """

    shapes: Shapes
    trials: Sequence[Trial]
    tried: list[dict[str, float]] = field(default_factory=list)
    last: dict[int, Floats] = field(default_factory=dict)
    strengths: Strengths = field(default_factory=Strengths)

    def __post_init__(self) -> None:
        self.systems = [PenalizedSquares(trial.rest, self.shapes) for trial in self.trials]

    def choose(self, given: Strengths | None, *, held: bool) -> Floats:
        """A penalty for each coefficient, from given strengths or the best ones."""
        self.strengths = given or Strengths()
        if given is None and self.trials and held:
            kinds = {"values": bool((~self.shapes.numbers).any()), "numbers": bool(self.shapes.numbers.any())}
            self.strengths = best_strength(tried_pairs(self._rmse, **kinds, least=_LEAST_STRENGTH))
        penalties = self.shapes.penalties(self.strengths.values, self.strengths.numbers)
        judging = sum(trial.validation.records for trial in self.trials)
        if given is not None or judging < _REFINED:
            return penalties
        powers = refined(self._slopes, np.log10(self.shapes.by_owner(penalties)))
        return np.asarray(10.0 ** powers[self.shapes.owners])

    def solved_rests(self, penalties: Floats, tolerance: float = _ROUGH) -> list[tuple[Trial, Floats, float]]:
        """For each trial, weights and constant of the model that was fitted without its validation records."""
        found = []
        for number, (trial, system) in enumerate(zip(self.trials, self.systems, strict=True)):
            self.last[number] = system.solved(penalties, self.last.get(number), tolerance)
            weights = system.weights(self.last[number])
            found.append((trial, weights, system.constant(weights)))
        return found

    def by_output(self, featurizer: Featurizer, penalties: Floats) -> dict[str, dict[str, float]]:
        """The penalty on values and on the shape of numbers, by the text of the recipe's output."""
        found: dict[str, dict[str, float]] = {}
        starts, basis = block_starts(featurizer.blocks), self.shapes.basis
        for block, start, end in zip(featurizer.blocks, starts, starts[1:], strict=False):
            for place in np.unique(basis.indices[basis.indptr[start] : basis.indptr[end]]):
                kind = "l2Numbers" if self.shapes.numbers[place] else "l2"
                found.setdefault(str(block.expression), {})[kind] = float(f"{penalties[place]:.4g}")
        return found

    def _rmse(self, pair: Strengths) -> float:
        rmse = _pooled_rmse(self.solved_rests(self.shapes.penalties(pair.values, pair.numbers)))
        self.tried.append({"l2": pair.values, "l2Numbers": pair.numbers, "RegressionRMSE": rmse})
        return rmse

    def _slopes(self, powers: Floats) -> tuple[float, Floats]:
        """The RMSE at powers of ten of the owners' penalties, and by which share it changes with each."""
        penalties = np.asarray(10.0 ** powers[self.shapes.owners])
        total, records, changes = 0.0, 0.0, np.zeros(len(powers))
        for number, (trial, weights, constant) in enumerate(self.solved_rests(penalties)):
            system, judging = self.systems[number], trial.validation
            squared, of_weights, of_constant = judging.squared_error(weights, constant)
            means = system.sums.gram.sums / system.sums.records
            right = system.transposed(of_weights - of_constant * means)
            adjoint = system.inverse(right, penalties, None, _SLOPED)
            by_coefficient = -2.0 * math.log(10) * penalties * adjoint * self.last[number]
            total += judging.records * squared
            changes += judging.records * np.bincount(self.shapes.owners, by_coefficient, len(powers))
            records += judging.records
        return math.sqrt(total / records), changes / (2.0 * total) if total > 0 else changes


def _pooled_rmse(rests: Sequence[tuple[Trial, Floats, float]]) -> float:
    """The RMSE over the records that judge, of all trials."""
    judging = [trial.validation for trial, _, _ in rests]
    squared = [one.records * one.squared_error(*found[1:])[0] for one, found in zip(judging, rests, strict=True)]
    return math.sqrt(sum(squared) / sum(one.records for one in judging))


def _joined(found: Sequence[tuple[Floats, Floats]]) -> tuple[Floats, Floats] | None:
    if not found:
        return None
    return np.concatenate([first for first, _ in found]), np.concatenate([second for _, second in found])
