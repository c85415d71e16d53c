"""Records in memory, with the sums that a linear fit needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
    chunks
        At least one; numbers about their centers, and targets too.
    """

    def __init__(self, chunks: Sequence[PieceChunk]) -> None:
        self.chunks = chunks
        self.targets = np.concatenate([chunk.targets for chunk in chunks])

    @cached_property
    def with_target(self) -> Floats:
        """X'y; float64 of shape (features,)."""
        return self._summed(lambda chunk: chunk.targets)

    @cached_property
    def sums(self) -> Floats:
        """Column sums of X; float64 of shape (features,)."""
        return self._summed(lambda chunk: np.ones(len(chunk.targets)))

    @cached_property
    def diagonal(self) -> Floats:
        """Column sums of the squares of X; float64 of shape (features,)."""
        found = np.zeros(self.chunks[0].features)
        for chunk in self.chunks:
            found += chunk.squared_sums(np.ones((1, len(chunk.targets))))[0]
        return found

    def times(self, vector: Floats) -> Floats:
        """``X'X v`` for a vector v of shape (features,)."""
        return self._summed(lambda chunk: chunk.scores(vector[None, :])[0])

    def products(self) -> Floats:
        """X'X in the upper triangle."""
        return products([(chunk, np.ones(len(chunk.targets))) for chunk in self.chunks], self.chunks[0].features)

    def scores(self, vector: Floats) -> Floats:
        """``X v``; float64 of shape (records,)."""
        return np.concatenate([chunk.scores(vector[None, :])[0] for chunk in self.chunks])

    def _summed(self, factors: Callable[[PieceChunk], Floats]) -> Floats:
        found = np.zeros(self.chunks[0].features)
        for chunk in self.chunks:
            found += chunk.sums(factors(chunk)[None, :])[0]
        return found
