"""Records in memory, with the sums that a linear fit needs."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from nightcast.datasource.arrow_arrays import Bools, Floats
from nightcast.mlmodel.class_chunks import PieceChunk, products

if TYPE_CHECKING:
    from scipy.sparse import csr_array


class RecordSums:
    """The sums of `nightcast.mlmodel.gram.Gram` over records that are held.

    Parameters
    ----------
    matrix
        Features X, numbers about their centers; shape (records, features).
    targets
        About a center of their own; shape (records,).
    """

    def __init__(self, matrix: csr_array, targets: Floats) -> None:
        self.matrix = matrix
        self.targets = targets

    @cached_property
    def _columns(self) -> csr_array:
        """X' by rows: a product of it adds each sum in the order of the records."""
        return self.matrix.T.tocsr()

    @cached_property
    def with_target(self) -> Floats:
        """X'y; float64 of shape (features,)."""
        return np.asarray(self._columns @ self.targets)

    @cached_property
    def sums(self) -> Floats:
        """Column sums of X; float64 of shape (features,)."""
        return np.asarray(self._columns @ np.ones(len(self.targets)))

    @cached_property
    def diagonal(self) -> Floats:
        """Column sums of the squares of X; float64 of shape (features,)."""
        return np.asarray(self._columns.power(2) @ np.ones(len(self.targets)))

    def times(self, vector: Floats) -> Floats:
        """``X'X v`` for a vector v of shape (features,)."""
        return np.asarray(self._columns @ (self.matrix @ vector))

    def products(self) -> Floats:
        """X'X; float64 of shape (features, features)."""
        return np.asarray((self._columns @ self.matrix).toarray())

    def scores(self, vector: Floats) -> Floats:
        """``X v``; float64 of shape (records,)."""
        return np.asarray(self.matrix @ vector)

    def taken(self, mask: Bools) -> RecordSums:
        """The sums over some of the records."""
        return RecordSums(self.matrix[np.flatnonzero(mask)], self.targets[mask])


class PieceSums:
    """The sums over records that are held as pieces, in less memory than `RecordSums` and in more time.

    Parameters
    ----------
    chunk
        Numbers about their centers, and targets too.
    """

    def __init__(self, chunk: PieceChunk) -> None:
        self.chunk = chunk
        self.targets = chunk.targets

    @cached_property
    def with_target(self) -> Floats:
        """X'y; float64 of shape (features,)."""
        return self._summed(self.targets)

    @cached_property
    def sums(self) -> Floats:
        """Column sums of X; float64 of shape (features,)."""
        return self._summed(np.ones(len(self.targets)))

    @cached_property
    def diagonal(self) -> Floats:
        """Column sums of the squares of X; float64 of shape (features,)."""
        found: Floats = self.chunk.squared_sums(np.ones((1, len(self.targets))))[0]
        return found

    def times(self, vector: Floats) -> Floats:
        """``X'X v`` for a vector v of shape (features,)."""
        return self._summed(self.scores(vector))

    def products(self) -> Floats:
        """X'X in the upper triangle."""
        return products([(self.chunk, np.ones(len(self.targets)))], self.chunk.features)

    def scores(self, vector: Floats) -> Floats:
        """``X v``; float64 of shape (records,)."""
        found: Floats = self.chunk.scores(vector[None, :])[0]
        return found

    def _summed(self, factors: Floats) -> Floats:
        found: Floats = self.chunk.sums(factors[None, :])[0]
        return found
