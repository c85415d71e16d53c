"""Numbers of distinct lists of indicators, and sums over lists as sums over indicators."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from nightcast.datasource.arrow_arrays import Ints, run_starts
from nightcast.mlmodel.block_sums import Table
from nightcast.mlmodel.member_pairs import count_own_members, mirrored
from nightcast.recipe.pieces import ManyHot

# Rows of an indicator that are added in rounds over all indicators; the rows of one with more, in one go.
_ROUNDS = 16


@dataclass
class ListNumbers:
    """Numbers of distinct lists of indicators over several batches, each of which numbers its own."""

    room: int
    known: dict[bytes, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.known)

    def numbers(self, piece: ManyHot) -> Ints:
        """The number of each list of a piece."""
        numbers = [self.known.setdefault(content, len(self.known)) for content in _contents(piece)]
        return np.array(numbers, dtype=np.int64)

    def with_those_of(self, piece: ManyHot) -> int:
        """How many lists there are together with those of a piece."""
        return len(self) + sum(content not in self.known for content in set(_contents(piece)))

    def by_indicator(self, table: Table, size: int) -> Table:
        """Sums over lists, one row a list, as sums over the indicators that lists set: shape (size, columns)."""
        piece = self.piece(size)
        return indicator_sums(table, piece.owners, piece.members, size)

    def own_pairs(self, counts: Table, size: int) -> Table:
        """Sums over lists as sums over pairs of indicators that a list sets: shape (size, size)."""
        table = np.zeros((size + 1) ** 2, dtype=counts.dtype)
        count_own_members(table, self.piece(size), counts[: len(self)])
        return mirrored(table, size + 1)[1:, 1:]

    def piece(self, size: int) -> ManyHot:
        """Each list as the features of one record, from column 0 on."""
        members = np.frombuffer(b"".join(self.known), dtype=np.int64)
        ends = np.cumsum([0, *(len(content) // members.itemsize for content in self.known)])
        return ManyHot(0, size, np.arange(len(self)), ends, members)


def _contents(piece: ManyHot) -> Iterator[bytes]:
    """Each list of a piece as bytes."""
    members = np.ascontiguousarray(piece.list_members, dtype=np.int64)
    content, ends = members.tobytes(), (piece.list_offsets * members.itemsize).tolist()
    return (content[begin:end] for begin, end in pairwise(ends))


def indicator_sums(table: Table, owners: Ints, members: Ints, size: int) -> Table:
    """Sums of the rows of a table that set each indicator.

    Parameters
    ----------
    owners, members
        Rows, and the indicators that they set; no pair twice.

    Returns
    -------
    Table
        Of shape (size, columns).
    """
    found = np.zeros((size, table.shape[1]), dtype=table.dtype)
    order = np.argsort(members, kind="stable")
    rows, starts = owners[order], run_starts(members[order])
    indicators, lengths = members[order][starts], np.diff(np.append(starts, len(order)))
    for place in np.flatnonzero(lengths > _ROUNDS):
        chosen = rows[starts[place] : starts[place] + lengths[place]]
        found[indicators[place]] = np.add.reduce(table[chosen], axis=0)
    for rank in range(int(lengths[lengths <= _ROUNDS].max(initial=0))):
        # In one round each indicator gets one row at most, so that rows are added without a look at repetitions.
        held = np.flatnonzero((lengths > rank) & (lengths <= _ROUNDS))
        found[indicators[held]] += table[rows[starts[held] + rank]]
    return found
