"""Records in memory as a sparse matrix, with the sums that a linear fit needs."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from nightcast.datasource.arrow_arrays import Bools, Floats

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

    def taken(self, mask: Bools) -> RecordSums:
        """The sums over some of the records."""
        return RecordSums(self.matrix[np.flatnonzero(mask)], self.targets[mask])
