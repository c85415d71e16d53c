"""Records in memory, with the sums that a linear fit needs."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from nightcast.datasource.arrow_arrays import Bools, Floats
from nightcast.mlmodel.class_chunks import PieceChunk, products

if TYPE_CHECKING:
    from scipy.sparse import csr_array


class RecordFeatures:
    """Features of records that are held, and what follows from them alone, whatever the targets are.

    Parameters
    ----------
    matrix
        Features X, numbers about their centers; shape (records, features).
    """

    def __init__(self, matrix: csr_array) -> None:
        self.matrix = matrix
        self._taken: dict[bytes, RecordFeatures] = {}

    @cached_property
    def columns(self) -> csr_array:
        """X' by rows: a product of it adds each sum in the order of the records."""
        return self.matrix.T.tocsr()

    @cached_property
    def sums(self) -> Floats:
        """Column sums of X; float64 of shape (features,)."""
        return np.asarray(self.columns @ np.ones(self.matrix.shape[0]))

    @cached_property
    def diagonal(self) -> Floats:
        """Column sums of the squares of X; float64 of shape (features,)."""
        return np.asarray(self.columns.power(2) @ np.ones(self.matrix.shape[0]))

    def taken(self, mask: Bools) -> RecordFeatures:
        """Those of some of the records; the same object for the same records."""
        key = np.packbits(mask).tobytes()
        if key not in self._taken:
            self._taken[key] = RecordFeatures(self.matrix[np.flatnonzero(mask)])
        return self._taken[key]


class RecordSums:
    """The sums of `nightcast.mlmodel.gram.Gram` over records that are held.

    Parameters
    ----------
    features
        Of the records; sums of other targets may share them.
    targets
        About a center of their own; shape (records,).
    """

    def __init__(self, features: RecordFeatures, targets: Floats) -> None:
        self.features = features
        self.targets = targets

    @cached_property
    def with_target(self) -> Floats:
        """X'y; float64 of shape (features,)."""
        return np.asarray(self.features.columns @ self.targets)

    @property
    def sums(self) -> Floats:
        """Column sums of X; float64 of shape (features,)."""
        return self.features.sums

    @property
    def diagonal(self) -> Floats:
        """Column sums of the squares of X; float64 of shape (features,)."""
        return self.features.diagonal

    def times(self, vector: Floats) -> Floats:
        """``X'X v`` for a vector v of shape (features,)."""
        return np.asarray(self.features.columns @ (self.features.matrix @ vector))

    def products(self) -> Floats:
        """X'X; float64 of shape (features, features)."""
        return np.asarray((self.features.columns @ self.features.matrix).toarray())

    def scores(self, vector: Floats) -> Floats:
        """``X v``; float64 of shape (records,)."""
        return np.asarray(self.features.matrix @ vector)

    def taken(self, mask: Bools) -> RecordSums:
        """The sums over some of the records."""
        return RecordSums(self.features.taken(mask), self.targets[mask])


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
