"""The sums that a linear fit needs, X'X and X'y, accumulated batch by batch.

Most pairs of columns are indicators. Their products are counts of records, and a count over pairs of
small whole numbers is made many times faster than a product of sparse matrices.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nightcast.datasource.arrow_arrays import Floats, Ints
from nightcast.recipe.pieces import Dense, ManyHot, OneHot, Piece

# A table of counts of two blocks is filled in one go while it is not much larger than a batch.
_TABLE_CELLS = 2_000_000
_PAIRS_AT_ONCE = 4_000_000


class Gram:
    """Sums over records, of columns about given centers.

    Parameters
    ----------
    centers
        float64 of shape (features,): what is subtracted from each column, the same in every part.

    Attributes
    ----------
    products
        float64 of shape (features, features): X'X, of which the upper triangle counts.
    with_target
        float64 of shape (features,): X'y.
    sums
        float64 of shape (features,): column sums of X.
    """

    def __init__(self, centers: Floats) -> None:
        features = len(centers)
        self.centers = centers
        self.products = np.zeros((features, features))
        self.with_target = np.zeros(features)
        self.sums = np.zeros(features)

    def add(self, pieces: Sequence[Piece], target: Floats) -> None:
        """Add the records of a batch.

        Parameters
        ----------
        pieces
            Their features, ordered by column.
        target
            Their targets, about a center of their own; shape (records,).
        """
        centered = [_centered(piece, self.centers) for piece in pieces]
        for place, piece in enumerate(centered):
            columns = _columns(piece)
            self.with_target[columns] += _sums(piece, target)
            self.sums[columns] += _sums(piece, None)
            self._add_pair(piece, piece)
            for other in centered[place + 1 :]:
                self._add_pair(piece, other)

    def merge(self, other: Gram) -> None:
        """Add the sums of other records."""
        self.products += other.products
        self.with_target += other.with_target
        self.sums += other.sums

    def _add_pair(self, left: Piece, right: Piece) -> None:
        """Products of the columns of two pieces, of which ``right`` does not stand before ``left``."""
        if isinstance(left, Dense):
            self.products[left.start, _columns(right)] += _sums(right, left.values)
        elif isinstance(right, Dense):
            self.products[_columns(left), right.start] += _sums(left, right.values)
        elif left is right and isinstance(left, OneHot):
            places = np.arange(left.start, left.start + left.size)
            self.products[places, places] += _sums(left, None)
        elif isinstance(left, ManyHot) and isinstance(right, ManyHot):
            self._add_many(left, right)
        else:
            # Code 0 stands for records without an indicator of the block; its row or column is dropped.
            rows = left.codes[_records(right)] if isinstance(left, OneHot) else left.members + 1
            columns = right.codes[_records(left)] if isinstance(right, OneHot) else right.members + 1
            self._count(rows, left, columns, right)

    def _add_many(self, left: ManyHot, right: ManyHot) -> None:
        """Count the pairs of indicators that records set, a bounded number of pairs at a time."""
        made = np.cumsum(np.diff(left.offsets) * np.diff(right.offsets))
        records, begin = len(made), 0
        while begin < records:
            before = int(made[begin - 1]) if begin else 0
            end = max(int(np.searchsorted(made, before + _PAIRS_AT_ONCE)), begin + 1)
            rows, columns = _member_pairs(left, right, begin, end)
            self._count(rows + 1, left, columns + 1, right)
            begin = end

    def _count(self, rows: Ints, left: Piece, columns: Ints, right: Piece) -> None:
        """Add how often each pair of codes occurs; code 0 is none, the others count the columns of the pieces."""
        height, width = left.size + 1, right.size + 1
        pairs = rows * width
        pairs += columns
        if height * width <= max(_TABLE_CELLS, 4 * len(pairs)):
            table = np.bincount(pairs, minlength=height * width).reshape(height, width)
            self.products[_columns(left), _columns(right)] += table[1:, 1:]
            return
        found, counts = np.unique(pairs, return_counts=True)
        rows, columns = np.divmod(found, width)
        kept = (rows > 0) & (columns > 0)
        self.products[rows[kept] + (left.start - 1), columns[kept] + (right.start - 1)] += counts[kept]


def _records(piece: Piece) -> Ints | slice:
    """Which record each member of a piece belongs to: all in order, if each record has one."""
    return piece.owners if isinstance(piece, ManyHot) else slice(None)


def _columns(piece: Piece) -> slice:
    return slice(piece.start, piece.start + piece.size)


def _centered(piece: Piece, centers: Floats) -> Piece:
    return Dense(piece.start, piece.values - centers[piece.start]) if isinstance(piece, Dense) else piece


def _sums(piece: Piece, weights: Floats | None) -> Floats:
    """Sum over records of each column, times the records' weights."""
    if isinstance(piece, OneHot):
        return np.bincount(piece.codes, weights=weights, minlength=piece.size + 1)[1:].astype(np.float64, copy=False)
    if isinstance(piece, Dense):
        # Not a dot product of BLAS: how that splits the sum depends on its threads.
        total = piece.values.sum() if weights is None else np.einsum("i,i->", piece.values, weights)
        return np.array([float(total)])
    spread = None if weights is None else np.repeat(weights, np.diff(piece.offsets))
    return np.bincount(piece.members, weights=spread, minlength=piece.size).astype(np.float64, copy=False)


def _member_pairs(left: ManyHot, right: ManyHot, begin: int, end: int) -> tuple[Ints, Ints]:
    """Each member of ``left`` with each of ``right`` of the same record, for records ``[begin, end)``."""
    widths = np.diff(right.offsets[begin : end + 1])
    repeats = np.repeat(widths, np.diff(left.offsets[begin : end + 1]))
    rows = np.repeat(left.members[left.offsets[begin] : left.offsets[end]], repeats)
    firsts = np.repeat(right.offsets[begin:end], np.diff(left.offsets[begin : end + 1]))
    before = np.cumsum(repeats) - repeats
    return rows, right.members[np.repeat(firsts - before, repeats) + np.arange(len(rows))]
