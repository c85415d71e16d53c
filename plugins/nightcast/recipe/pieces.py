"""A batch as a feature matrix, kept in the form that it came in.

Most features are indicators of which at most one is set per record and attribute. A record's place in
such a block is one whole number, from which sums of squares, predictions and, where it is wanted, a sparse matrix
follow faster than from the matrix itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from nightcast.datasource.arrow_arrays import Floats, Ints

if TYPE_CHECKING:
    from scipy.sparse import csr_array


@dataclass(frozen=True)
class OneHot:
    """Indicators ``[start, start + size)`` of which a record sets one or none.

    Parameters
    ----------
    codes
        int64 of shape (n,): 0 for none, else 1 plus the number of the indicator within the block.
    """

    start: int
    size: int
    codes: Ints

    def entries(self) -> tuple[Ints, Ints, Floats]:
        """Rows, columns and values of the matrix entries that are not 0."""
        rows = np.flatnonzero(self.codes)
        return rows, self.codes[rows] + (self.start - 1), np.ones(len(rows))


@dataclass(frozen=True)
class Dense:
    """One number per record, in column ``start``.

    Parameters
    ----------
    values
        float64 of shape (n,).
    """

    start: int
    values: Floats
    size: int = 1

    def entries(self) -> tuple[Ints, Ints, Floats]:
        """Rows, columns and values of the matrix entries that are not 0."""
        rows = np.flatnonzero(self.values)
        return rows, np.full(len(rows), self.start, dtype=np.int64), self.values[rows]


@dataclass(frozen=True)
class ManyHot:
    """Indicators ``[start, start + size)`` of which a record sets any number.

    Parameters
    ----------
    offsets
        int64 of shape (n + 1,): record i sets ``members[offsets[i]:offsets[i + 1]]``.
    members
        Numbers of indicators within the block, ascending in each record, none twice.
    """

    start: int
    size: int
    offsets: Ints
    members: Ints

    def entries(self) -> tuple[Ints, Ints, Floats]:
        """Rows, columns and values of the matrix entries that are not 0."""
        return self.owners, self.members + self.start, np.ones(len(self.members))

    @cached_property
    def owners(self) -> Ints:
        """For each member, which record sets it."""
        return np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))


Piece = OneHot | Dense | ManyHot


def to_csr(pieces: Sequence[Piece], records: int, features: int) -> csr_array:
    """The pieces as one sparse float64 matrix of shape (records, features), columns ascending in each row."""
    from scipy.sparse import coo_array

    found = [piece.entries() for piece in pieces] or [
        (np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(0))
    ]
    rows, columns, values = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
    return coo_array((values, (rows, columns)), shape=(records, features)).tocsr()


def linear_scores(pieces: Sequence[Piece], weights: Floats, intercept: float, records: int) -> Floats:
    """``intercept + X @ weights`` for the matrix X that the pieces make; float64 of shape (records,).

    Terms are added block by block in the order of the pieces, so that the sum is the same on every machine. A sum
    beyond the range of float64 is infinite or NaN.
    """
    scores = np.full(records, intercept)
    with np.errstate(over="ignore", invalid="ignore"):
        for piece in pieces:
            scores += _terms(piece, weights[piece.start : piece.start + piece.size], records)
    return scores


def _terms(piece: Piece, weights: Floats, records: int) -> Floats:
    if isinstance(piece, OneHot):
        padded = np.zeros(len(weights) + 1)
        padded[1:] = weights
        terms: Floats = padded[piece.codes]
        return terms
    if isinstance(piece, Dense):
        return piece.values * float(weights[0])
    return np.bincount(piece.owners, weights=weights[piece.members], minlength=records).astype(np.float64, copy=False)
