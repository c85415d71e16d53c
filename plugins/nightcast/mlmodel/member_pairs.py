"""Counting pairs of indicators where a record sets several of a piece."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nightcast.datasource.arrow_arrays import Ints
from nightcast.mlmodel.block_sums import Table
from nightcast.recipe.pieces import ManyHot

_PAIRS_AT_ONCE = 262_144
_MEMBERS_AT_ONCE = 65_536
_ONE = np.int32(1)


def count_members(table: Table, left: ManyHot, right: ManyHot, weights: Table | None) -> None:
    """Count the pairs of two pieces of which a record has several codes; a bounded number of pairs at a time."""
    for owners, rows, columns in _member_pairs(left, right):
        places = (rows + 1) * (right.size + 1) + (columns + 1)
        add_at(table, places, None if weights is None else weights[owners])


def count_own_members(table: Table, piece: ManyHot, weights: Table | None) -> None:
    """Count the pairs of a piece with itself, the first member not after the second; as `_count_members`."""
    ends = piece.offsets[piece.owners + 1]
    for begin in range(0, len(ends), _MEMBERS_AT_ONCE):
        firsts = np.arange(begin, min(begin + _MEMBERS_AT_ONCE, len(ends)))
        repeats = ends[firsts] - firsts
        starts = firsts - (np.cumsum(repeats) - repeats)
        seconds = np.repeat(starts, repeats) + np.arange(int(repeats.sum()))
        rows = np.repeat(piece.members[firsts].astype(np.int64), repeats)
        places = (rows + 1) * (piece.size + 1) + (piece.members[seconds] + 1)
        add_at(table, places, None if weights is None else weights[np.repeat(piece.owners[firsts], repeats)])


def mirrored(flat: Table, width: int) -> Table:
    """A symmetric table of which the upper triangle was counted; shape (width, width)."""
    upper = flat.reshape(width, width)
    found: Table = upper + upper.T
    np.fill_diagonal(found, upper.diagonal())
    return found


def add_at(table: Table, places: Ints, weights: Table | None) -> None:
    np.add.at(table, places, _ONE if weights is None else weights)


def _member_pairs(left: ManyHot, right: ManyHot) -> Iterator[tuple[Ints, Ints, Ints]]:
    """Records, and each member of `left` with each of `right` of the same record."""
    widths = np.diff(right.offsets)
    made = np.cumsum(np.diff(left.offsets) * widths)
    records, begin = len(made), 0
    while begin < records:
        before = int(made[begin - 1]) if begin else 0
        end = max(int(np.searchsorted(made, before + _PAIRS_AT_ONCE)), begin + 1)
        own = slice(int(left.offsets[begin]), int(left.offsets[end]))
        owners = left.owners[own]
        repeats = widths[owners]
        firsts = right.offsets[owners] - (np.cumsum(repeats) - repeats)
        rights = np.repeat(firsts, repeats) + np.arange(int(repeats.sum()))
        yield np.repeat(owners, repeats), np.repeat(left.members[own], repeats), right.members[rights]
        begin = end
