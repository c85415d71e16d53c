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
from nightcast.recipe.tokens import list_offsets, ragged_places

if TYPE_CHECKING:
    from scipy.sparse import csr_array


@dataclass(frozen=True)
class OneHot:
    """Indicators ``[start, start + size)`` of which a record sets one or none.

    Parameters
    ----------
    codes
        Integers of shape (n,): 0 for none, else 1 plus the number of the indicator within the block.
    """

    start: int
    size: int
    codes: Ints

    def entries(self) -> tuple[Ints, Ints, Floats]:
        """Rows, columns and values of the matrix entries that are not 0."""
        rows = np.flatnonzero(self.codes)
        return rows, self.codes[rows] + (self.start - 1), np.ones(len(rows))

    def taken(self, places: Ints) -> OneHot:
        """The piece of the records at the given places."""
        return OneHot(self.start, self.size, self.codes.take(places))

    def narrow(self) -> OneHot:
        """The same piece in half the memory."""
        return OneHot(self.start, self.size, self.codes.astype(np.int32))


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

    def taken(self, places: Ints) -> Dense:
        """The piece of the records at the given places."""
        return Dense(self.start, self.values.take(places))

    def narrow(self) -> Dense:
        """The same piece: numbers are not rounded."""
        return self


@dataclass(frozen=True)
class ManyHot:
    """Indicators ``[start, start + size)`` of which a record sets any number.

    Texts repeat: what they set is held once for each distinct one.

    Parameters
    ----------
    codes
        Integers of shape (n,): number of each record's list.
    list_offsets
        int64 of shape (lists + 1,): list i sets ``list_members[list_offsets[i]:list_offsets[i + 1]]``.
    list_members
        Numbers of indicators within the block, ascending in each list, none twice.
    """

    start: int
    size: int
    codes: Ints
    list_offsets: Ints
    list_members: Ints

    def entries(self) -> tuple[Ints, Ints, Floats]:
        """Rows, columns and values of the matrix entries that are not 0."""
        return self.owners, self.members + self.start, np.ones(len(self.members))

    def taken(self, places: Ints) -> ManyHot:
        """The piece of the records at the given places; lists that none of them has are left out if they are many."""
        codes, offsets, members = self.codes.take(places), self.list_offsets, self.list_members
        if self.lists > len(places):
            held, codes = np.unique(codes, return_inverse=True)
            members = members[ragged_places(offsets, held)]
            offsets = list_offsets(np.diff(offsets)[held])
        return ManyHot(self.start, self.size, codes, offsets, members)

    def narrow(self) -> ManyHot:
        """The same piece in half the memory."""
        codes, members = self.codes.astype(np.int32), self.list_members.astype(np.int32)
        return ManyHot(self.start, self.size, codes, self.list_offsets, members)

    @property
    def lists(self) -> int:
        """Number of lists."""
        return len(self.list_offsets) - 1

    @cached_property
    def list_owners(self) -> Ints:
        """For each member of the lists, which list it is in."""
        return np.repeat(np.arange(self.lists), np.diff(self.list_offsets))

    @cached_property
    def offsets(self) -> Ints:
        """int64 of shape (n + 1,): record i sets ``members[offsets[i]:offsets[i + 1]]``."""
        return list_offsets(np.diff(self.list_offsets)[self.codes])

    @cached_property
    def members(self) -> Ints:
        """Numbers of indicators that each record sets, record after record."""
        return self.list_members[ragged_places(self.list_offsets, self.codes)]

    @cached_property
    def owners(self) -> Ints:
        """For each of `members`, which record sets it."""
        return np.repeat(np.arange(len(self.codes)), np.diff(self.offsets))


Piece = OneHot | Dense | ManyHot


def to_csr(pieces: Sequence[Piece], records: int, features: int) -> csr_array:
    """The pieces as one sparse float64 matrix of shape (records, features), columns ascending in each row."""
    from scipy.sparse import coo_array

    found = [piece.entries() for piece in pieces] or [
        (np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(0))
    ]
    rows, columns, values = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
    return coo_array((values, (rows, columns)), shape=(records, features)).tocsr()


def vertical(matrices: Sequence[csr_array], features: int) -> csr_array:
    """Sparse matrices of so many columns one below the other; there may be none."""
    from scipy.sparse import csr_array, vstack

    return csr_array(vstack(matrices, format="csr")) if matrices else csr_array((0, features))


def linear_scores(pieces: Sequence[Piece], weights: Floats, intercept: float, records: int) -> Floats:
    """``intercept + X @ weights`` for the matrix X that the pieces make; float64 of shape (records,).

    Terms are added block by block in the order of the pieces, so that the sum is the same on every machine. A sum
    beyond the range of float64 is infinite or NaN.
    """
    scores = np.full(records, intercept)
    with np.errstate(over="ignore", invalid="ignore"):
        for piece in pieces:
            scores += _terms(piece, weights[piece.start : piece.start + piece.size])
    return scores


def centered(pieces: Sequence[Piece], centers: Floats) -> list[Piece]:
    """The pieces with numbers about the centers of their columns; float64 of shape (features,)."""
    return [
        Dense(piece.start, piece.values - centers[piece.start]) if isinstance(piece, Dense) else piece
        for piece in pieces
    ]


def column_sums(piece: Piece, factors: Floats | None) -> Floats:
    """Sum over records of each column of a piece, times the records' factors; float64 of shape (piece.size,).

    Records are added in order.
    """
    if isinstance(piece, Dense):
        # Not a dot product of BLAS: how that splits the sum depends on its threads.
        total = piece.values.sum() if factors is None else np.einsum("i,i->", piece.values, factors)
        return np.array([float(total)])
    if isinstance(piece, OneHot):
        return np.bincount(piece.codes, factors, piece.size + 1)[1:].astype(np.float64, copy=False)
    of_lists = np.bincount(piece.codes, factors, piece.lists)
    return np.bincount(piece.list_members, of_lists[piece.list_owners], piece.size).astype(np.float64, copy=False)


def _terms(piece: Piece, weights: Floats) -> Floats:
    if isinstance(piece, Dense):
        return piece.values * float(weights[0])
    if isinstance(piece, OneHot):
        padded = np.zeros(len(weights) + 1)
        padded[1:] = weights
        terms: Floats = padded.take(piece.codes)
        return terms
    of_lists = np.bincount(piece.list_owners, weights[piece.list_members], piece.lists).astype(np.float64, copy=False)
    return of_lists.take(piece.codes)
