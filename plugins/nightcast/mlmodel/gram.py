"""The sums that a linear fit needs, X'X and X'y, accumulated batch by batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nightcast.datasource.arrow_arrays import Floats
from nightcast.mlmodel.block_sums import BlockSums
from nightcast.mlmodel.pair_counts import PairCounts
from nightcast.recipe.pieces import Dense, Piece, centered, column_sums


class Gram:
    """Sums over records, of columns about given centers.

    Parameters
    ----------
    centers
        float64 of shape (features,): what is subtracted from each column, the same in every part.
    """

    def __init__(self, centers: Floats) -> None:
        self.centers = centers
        self._with_target = np.zeros(len(centers))
        # Columns of numbers, in the order of the features.
        self._numbers: list[int] = []
        self._number_sums: dict[int, float] = {}
        self._blocks = BlockSums()
        self._counts = PairCounts(self._blocks)

    def add(self, pieces: Sequence[Piece], target: Floats, weights: Floats | None = None) -> None:
        """Add the records of a batch.

        Parameters
        ----------
        pieces
            Their features, ordered by column; of the same recipe in each batch.
        target
            Their targets, about a center of their own; shape (records,).
        weights
            How much each record counts; None: once. One object gets weights with each batch, or with none.
        """
        weighted = target if weights is None else target * weights
        about = centered(pieces, self.centers)
        numbers = [piece for piece in about if isinstance(piece, Dense)]
        factors = [piece.values if weights is None else piece.values * weights for piece in numbers]
        for place, (piece, values) in enumerate(zip(numbers, factors, strict=True)):
            self._with_target[piece.start] += column_sums(piece, weighted)[0]
            self._add_sum(piece.start, float(column_sums(piece, weights)[0]))
            for other in numbers[place:]:
                self._blocks.add(piece.start, other.start, column_sums(other, values)[None, :])
        self._numbers = [piece.start for piece in numbers]
        indicators = [piece for piece in about if not isinstance(piece, Dense)]
        self._counts.add(indicators, [weighted, *factors], weights)

    def merge(self, other: Gram) -> None:
        """Add the sums of other records."""
        self._with_target += other.with_target
        for column, total in other._number_sums.items():
            self._add_sum(column, total)
        self._blocks.merge(other._blocks)

    @property
    def with_target(self) -> Floats:
        """X'y, of weighted records if they have weights: float64 of shape (features,)."""
        self._settle()
        return self._with_target

    @property
    def sums(self) -> Floats:
        """Column sums of X, of weighted records if they have weights: float64 of shape (features,)."""
        self._settle()
        # The square of an indicator is the indicator.
        found = self._blocks.diagonal(len(self.centers))
        for column, total in self._number_sums.items():
            found[column] = total
        return found

    @property
    def diagonal(self) -> Floats:
        """Column sums of the squares of X: float64 of shape (features,)."""
        self._settle()
        return self._blocks.diagonal(len(self.centers))

    def products(self) -> Floats:
        """X'X in the upper triangle of a float64 matrix of shape (features, features), 0 below it."""
        self._settle()
        return self._blocks.upper(len(self.centers))

    def times(self, vector: Floats) -> Floats:
        """``X'X v`` for a vector v of shape (features,); within `one_thread`, the same on any number of processors."""
        self._settle()
        return self._blocks.times(vector)

    def _add_sum(self, column: int, total: float) -> None:
        self._number_sums[column] = self._number_sums.get(column, 0.0) + total

    def _settle(self) -> None:
        """Pour the sums over indicators to the others."""
        for start, (with_target, *with_numbers) in self._counts.number_sums().items():
            self._with_target[start : start + len(with_target)] += with_target
            for number, found in zip(self._numbers, with_numbers, strict=True):
                if start < number:
                    self._blocks.add(start, number, found[:, None])
                else:
                    self._blocks.add(number, start, found[None, :])

    def __getstate__(self) -> dict[str, Any]:
        self._settle()
        return {name: value for name, value in self.__dict__.items() if name != "_counts"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._counts = PairCounts(self._blocks)
