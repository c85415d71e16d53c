"""The choice of a regression's penalties by the error on records that did not fit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from nightcast.datasource.arrow_arrays import Floats
from nightcast.mlmodel.penalized_squares import PenalizedSquares
from nightcast.mlmodel.regression_sums import Trial
from nightcast.mlmodel.relevance import refined
from nightcast.mlmodel.shapes import Kind, Shapes
from nightcast.mlmodel.strengths import Strengths, best_strength, tried_kinds

_LEAST_STRENGTH = 0.01
# Shares of the right side that may be left of a solution and of a derivative.
_ROUGH, _SLOPED = 1e-5, 1e-2
# Records that judge, from which on each output of the recipe has a penalty of its own.
_REFINED = 1_000


@dataclass
class RegressionSearch:
    """The choice of penalties by the error on records that did not fit.

    Attributes
    ----------
    tried
        Strengths and the RMSE that they led to, for the model directory; without the doubt that they are chosen with.
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

    def choose(self, given: Strengths | None = None, *, held: bool = True) -> Floats:
        """A penalty for each coefficient, from given strengths or the best ones.

        Parameters
        ----------
        held
            Whether a solution takes so little time that strengths are tried one after the other.
        """
        self.strengths = given or Strengths()
        if given is None and self.trials and held:
            # Otherwise lines and steps have a penalty of their own for each output.
            steps = self.judging < _REFINED and self.shapes.has(Kind.STEP)
            tried = tried_kinds(
                self._doubted_rmse,
                values=self.shapes.has(Kind.VALUE),
                numbers=self.shapes.has(Kind.LINE),
                steps=steps,
                least=_LEAST_STRENGTH,
            )
            self.strengths = best_strength(tried)
        penalties = self.penalties_of(self.strengths)
        if given is not None or self.judging < _REFINED:
            return penalties
        powers = refined(self._slopes, np.log10(self.shapes.by_owner(penalties)))
        return np.asarray(10.0 ** powers[self.shapes.owners])

    @property
    def judging(self) -> float:
        """Number of records that judge, of all trials."""
        return sum(trial.validation.records for trial in self.trials)

    def solved_rests(self, penalties: Floats, tolerance: float = _ROUGH) -> list[tuple[Trial, Floats, float]]:
        """For each trial, weights and constant of the model that was fitted without its validation records."""
        found = []
        for number, (trial, system) in enumerate(zip(self.trials, self.systems, strict=True)):
            self.last[number] = system.solved(penalties, self.last.get(number), tolerance)
            weights = system.weights(self.last[number])
            found.append((trial, weights, system.constant(weights)))
        return found

    def penalties_of(self, strengths: Strengths) -> Floats:
        """The penalty on each coefficient, by its kind alone."""
        return self.shapes.penalties(strengths.values, strengths.numbers, strengths.of_steps)

    def _doubted_rmse(self, strengths: Strengths) -> float:
        """The RMSE, greater by as much as strengths that are no defaults have to gain."""
        rmse = pooled_rmse(self.solved_rests(self.penalties_of(strengths)))
        self.tried.append(strengths.told() | {"RegressionRMSE": rmse})
        # A normal likelihood of n records has n log(rmse) nats.
        return rmse * math.exp(strengths.doubt / self.judging)

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


def pooled_rmse(rests: Sequence[tuple[Trial, Floats, float]]) -> float:
    """The RMSE over the records that judge, of all trials."""
    judging = [trial.validation for trial, _, _ in rests]
    squared = [one.records * one.squared_error(*found[1:])[0] for one, found in zip(judging, rests, strict=True)]
    return math.sqrt(sum(squared) / sum(one.records for one in judging))
