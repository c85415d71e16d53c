"""Solving a penalised linear regression from sums, for several penalties."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from nightcast.datasource.arrow_arrays import Floats
from nightcast.mlmodel.group_scaling import GroupScaling
from nightcast.mlmodel.ridge import RidgeSolver, one_thread
from nightcast.mlmodel.shapes import Shapes
from nightcast.mlmodel.square_sums import Products, SquareSums, dot

# Up to here a factor takes less time than descents.
_FACTORED = 300
# Descents that have not converged by then are not going to, and a factor is worth its time.
_MOST_STEPS = 1_500
_MOST_FACTORED = 10_000


@dataclass(frozen=True)
class PenalizedSquares:
    """Finds coefficients u of least ``sum((y - b - X B u)**2) + sum(penalties * u**2)``; the constant b is free.

    Parameters
    ----------
    sums
        Over at least one record.
    shapes
        Holds the basis B.
    like
        Another one over nearly the same records, of which the guess that descents are scaled by will do.
    """

    sums: SquareSums[Products]
    shapes: Shapes
    like: PenalizedSquares | None = None
    # The last guess, by its penalties.
    _guesses: dict[bytes, Callable[[Floats], Floats]] = field(default_factory=dict, init=False, repr=False)

    def solved(self, penalties: Floats, start: Floats | None = None, tolerance: float = 1e-10) -> Floats:
        """The coefficients, shape (coefficients,).

        Parameters
        ----------
        penalties
            >= 0; shape (coefficients,).
        start
            Coefficients near the solution.
        tolerance
            Share of the right side's norm that may be left.
        """
        return self.inverse(self._right, penalties, start, tolerance)

    def inverse(self, right: Floats, penalties: Floats, start: Floats | None, tolerance: float) -> Floats:
        """The inverse of half the second derivatives, times a vector of shape (coefficients,)."""
        with one_thread():
            if self.shapes.size > _FACTORED:
                found = self._descended(right, penalties, start, tolerance)
                if found is not None:
                    return found
            return self._solver(penalties).solve(right)

    def constant(self, weights: Floats) -> float:
        """The constant that goes with weights, about the target's center."""
        return (self.sums.total - dot(weights, self.sums.gram.sums)) / self.sums.records

    def weights(self, coefficients: Floats) -> Floats:
        """``B u``: float64 of shape (features,)."""
        return np.asarray(self.shapes.basis @ coefficients)

    def transposed(self, values: Floats) -> Floats:
        """``B' v``: float64 of shape (coefficients,)."""
        return np.asarray(self.shapes.transposed @ values)

    @cached_property
    def _means(self) -> Floats:
        return self.sums.gram.sums / self.sums.records

    @cached_property
    def _right(self) -> Floats:
        return self.transposed(self.sums.gram.with_target - self._means * self.sums.total)

    @cached_property
    def _diagonal(self) -> Floats:
        """Squares of the columns of X B about their means: features of one coefficient exclude each other."""
        squares = np.asarray(self.shapes.transposed.power(2) @ self.sums.gram.diagonal)
        return squares - self.sums.records * self.transposed(self._means) ** 2

    @cached_property
    def _products(self) -> Floats:
        return self.shapes.turned(self.sums.gram.products())

    def _solver(self, penalties: Floats) -> RidgeSolver:
        return RidgeSolver(self._products.copy(), self.transposed(self._means), self.sums.records, penalties)

    def _times(self, coefficients: Floats) -> Floats:
        weights = self.weights(coefficients)
        about = self.sums.gram.times(weights) - self._means * (self.sums.records * dot(self._means, weights))
        return self.transposed(about)

    def _size_of(self, right: Floats, penalties: Floats) -> float:
        """The square of a right side, scaled by what these records tell: those of `like` may lack some features."""
        if self.like is None:
            return math.inf
        diagonal = self._diagonal + penalties
        return dot(right, np.divide(right, diagonal, out=np.zeros(len(right)), where=diagonal > 0.0))

    def _guess(self, penalties: Floats) -> Callable[[Floats], Floats]:
        """See `GroupScaling`."""
        if self.like is not None and penalties.min(initial=1.0) > 0.0:
            return self.like._guess(penalties)
        key = penalties.tobytes()
        if key not in self._guesses:
            self._guesses.clear()
            counts, records = self.sums.gram.diagonal, self.sums.records
            self._guesses[key] = GroupScaling(self.shapes, counts, self._diagonal, records, penalties).prepared()
        return self._guesses[key]

    def _descended(self, right: Floats, penalties: Floats, start: Floats | None, tolerance: float) -> Floats | None:
        """By conjugate gradients, scaled by groups; None if they do not converge.

        Source: Golub and Van Loan, Matrix Computations, 4th edition, algorithm 11.5.1.
        """
        scaling = self._guess(penalties)
        found = np.zeros(len(right)) if start is None else start.copy()
        rest = right - (self._times(found) + penalties * found) if start is not None else right.copy()
        goal = tolerance**2 * min(dot(right, scaling(right)), self._size_of(right, penalties))
        direction = scaled = scaling(rest)
        size = dot(rest, scaled)
        for _ in range(_MOST_STEPS):
            if not size > goal:
                return found
            product = self._times(direction) + penalties * direction
            curvature = dot(direction, product)
            if not curvature > 0.0:
                break
            step = size / curvature
            found = found + step * direction
            rest = rest - step * product
            scaled = scaling(rest)
            last, size = size, dot(rest, scaled)
            direction = scaled + (size / last) * direction
        return None if self.shapes.size <= _MOST_FACTORED else found
