"""How often pairs of indicators are set together, for the pieces of a feature matrix.

A count over pairs of small whole numbers is made many times faster than a product of sparse matrices. Texts repeat:
while the distinct ones are few, pairs are counted by text, and become counts by token once, at the end.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from nightcast.datasource.arrow_arrays import Floats, Ints, run_starts
from nightcast.mlmodel.block_sums import BlockSums, Table
from nightcast.mlmodel.member_pairs import add_at, count_members, count_own_members, mirrored
from nightcast.recipe.pieces import ManyHot, OneHot

# Counting by list pays when each is that frequent: what it saves on records, it spends on the tokens of the lists.
_RECORDS_A_LIST = 24
_LEAST_ROOM, _MOST_LISTS = 256, 4_096
# Pieces of few indicators are counted together, by their combinations.
_COMBINATIONS = 256
# Lists of an indicator that are added in rounds over all indicators; the lists of one with more, in one go.
_ROUNDS = 16
# Places of a table that are computed before they are used, so that they are still near the processor.
_CHUNK = 32_768


class PairCounts:
    """Counts of records, or sums of their weights, by pairs of indicators.

    Parameters
    ----------
    blocks
        Where `settle` adds them.
    """

    def __init__(self, blocks: BlockSums) -> None:
        self._blocks = blocks
        # By the names of two units: sums by left and right code, flat; of a unit with itself, sums by code.
        self._tables: dict[tuple[_Name, _Name], Table] = {}
        self._lists: dict[int, _Lists] = {}
        self._groups: list[list[int]] | None = None

    def add(self, pieces: Sequence[OneHot | ManyHot], weights: Floats | None) -> None:
        """Add the records of a batch.

        Parameters
        ----------
        pieces
            Of indicators; the same ones in each batch.
        weights
            How much each record counts; None: once. For all batches, or for none.
        """
        units = self._units(pieces)
        for place, left in enumerate(units):
            self._add_own(left, weights)
            for right in units[place + 1 :]:
                table = self._table(left, right, left.width * right.width, weights)
                if left.piece is not None and right.piece is not None:
                    count_members(table, left.piece, right.piece, weights)
                else:
                    _count(table, left, right, weights)

    def settle(self) -> None:
        """Pour what was counted into the blocks."""
        for (left, right), flat in self._tables.items():
            if left == right and left.by_lists:
                [(start, width)] = left.axes
                self._blocks.add(start, start, self._lists[start].own_pairs(flat, width - 1))
            elif left == right and left.several:
                self._settle_pair(left, right, mirrored(flat, left.width))
            elif left == right:
                self._settle_own(left, flat)
            else:
                table = flat.reshape(self._lists[left.axes[0][0]].room if left.by_lists else left.width, -1)
                if right.by_lists:
                    table = self._by_indicator(right, table.T).T
                if left.by_lists:
                    table = self._by_indicator(left, table)
                self._settle_pair(left, right, table)
        self._tables.clear()
        self._lists.clear()

    def _settle_own(self, name: _Name, counts: Table) -> None:
        for place, (start, _) in enumerate(name.axes):
            self._blocks.add(start, start, name.by_axes(counts, place)[1:])
            for behind in range(place + 1, len(name.axes)):
                self._blocks.add(start, name.axes[behind][0], name.by_axes(counts, place, behind)[1:, 1:])

    def _settle_pair(self, left: _Name, right: _Name, table: Table) -> None:
        for place, (row, _) in enumerate(left.axes):
            some = left.by_axes(table, place)
            for other, (column, _) in enumerate(right.axes):
                block = right.by_axes(some.T, other).T[1:, 1:]
                if row <= column:
                    self._blocks.add(row, column, block)
                else:
                    self._blocks.add(column, row, block.T)

    def _by_indicator(self, name: _Name, table: Table) -> Table:
        [(start, width)] = name.axes
        found = np.zeros((width, table.shape[1]), dtype=table.dtype)
        found[1:] = self._lists[start].by_indicator(table, width - 1)
        return found

    def _units(self, pieces: Sequence[OneHot | ManyHot]) -> list[_Unit]:
        single = [piece for piece in pieces if isinstance(piece, OneHot)]
        if self._groups is None:
            self._groups = _groups([piece.size + 1 for piece in single])
        units = [_combined([single[place] for place in group]) for group in self._groups]
        # Lists first: as rows of a table they lie together when their sums are made sums over tokens.
        return [*(self._unit(piece) for piece in pieces if isinstance(piece, ManyHot)), *units]

    def _unit(self, piece: ManyHot) -> _Unit:
        axes = ((piece.start, piece.size + 1),)
        if piece.lists <= _MOST_LISTS and piece.lists * _RECORDS_A_LIST <= len(piece.codes):
            known = self._lists.setdefault(piece.start, _Lists(_room(piece.lists)))
            if len(known) + piece.lists > known.room:
                self.settle()
                known = self._lists.setdefault(piece.start, _Lists(_room(len(known) + piece.lists)))
            return _Unit(_Name(axes, by_lists=True), known.numbers(piece)[piece.codes], known.room)
        return _Unit(_Name(axes, several=True), piece.members + 1, piece.size + 1, piece)

    def _add_own(self, unit: _Unit, weights: Floats | None) -> None:
        if unit.piece is None:
            add_at(self._table(unit, unit, unit.width, weights), unit.codes, weights)
        else:
            count_own_members(self._table(unit, unit, unit.width**2, weights), unit.piece, weights)

    def _table(self, left: _Unit, right: _Unit, cells: int, weights: Floats | None) -> Table:
        key = (left.name, right.name)
        if key not in self._tables:
            self._tables[key] = np.zeros(cells, dtype=np.int32 if weights is None else np.float64)
        return self._tables[key]


@dataclass(frozen=True)
class _Name:
    """What the codes of a unit mean.

    Parameters
    ----------
    axes
        First column of each piece, and 1 more than its size: a code 0 stands for no indicator, others for 1 plus its
        number. Codes of several pieces are combined, the last one's running fastest.
    by_lists
        Codes are numbers of lists instead.
    several
        A record may have any number of codes.
    """

    axes: tuple[tuple[int, int], ...]
    by_lists: bool = False
    several: bool = False

    @property
    def width(self) -> int:
        """Number of combined codes."""
        return math.prod(width for _, width in self.axes)

    def by_axes(self, table: Table, *places: int) -> Table:
        """Sums over the other axes; the first axis of the table is that of combined codes."""
        if len(self.axes) == len(places) == 1:
            return table
        shaped = table.reshape(*(width for _, width in self.axes), *table.shape[1:])
        summed: Table = shaped.sum(axis=tuple(place for place in range(len(self.axes)) if place not in places))
        return summed


@dataclass(frozen=True)
class _Unit:
    """Pieces of a batch that are counted together.

    Parameters
    ----------
    codes
        What the records have; below `width`.
    piece
        Set where a record may have several codes.
    """

    name: _Name
    codes: Ints
    width: int
    piece: ManyHot | None = None

    @property
    def owners(self) -> Ints | None:
        """Which record each code belongs to; None: each record has one, in order."""
        return None if self.piece is None else self.piece.owners

    def of(self, owners: Ints | None) -> Ints:
        """The codes of the given records."""
        return self.codes if owners is None else self.codes[owners]


@dataclass
class _Lists:
    """Numbers of distinct lists of indicators over several batches, each of which numbers its own."""

    room: int
    known: dict[bytes, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.known)

    def numbers(self, piece: ManyHot) -> Ints:
        """The number of each list of a piece."""
        members = np.ascontiguousarray(piece.list_members, dtype=np.int64)
        content, ends = members.tobytes(), (piece.list_offsets * members.itemsize).tolist()
        numbers = [self.known.setdefault(content[begin:end], len(self.known)) for begin, end in pairwise(ends)]
        return np.array(numbers, dtype=np.int64)

    def by_indicator(self, table: Table, size: int) -> Table:
        """Sums over lists, one row a list, as sums over the indicators that lists set: shape (size, columns)."""
        found = np.zeros((size, table.shape[1]), dtype=table.dtype)
        piece = self._piece(size)
        order = np.argsort(piece.members, kind="stable")
        owners, starts = piece.owners[order], run_starts(piece.members[order])
        indicators, lengths = piece.members[order][starts], np.diff(np.append(starts, len(order)))
        for place in np.flatnonzero(lengths > _ROUNDS):
            chosen = owners[starts[place] : starts[place] + lengths[place]]
            found[indicators[place]] = np.add.reduce(table[chosen], axis=0)
        for rank in range(_ROUNDS):
            # In one round each indicator gets one list at most, so that rows are added without a look at repetitions.
            held = np.flatnonzero((lengths > rank) & (lengths <= _ROUNDS))
            found[indicators[held]] += table[owners[starts[held] + rank]]
        return found

    def own_pairs(self, counts: Table, size: int) -> Table:
        """Sums over lists as sums over pairs of indicators that a list sets: shape (size, size)."""
        table = np.zeros((size + 1) ** 2, dtype=counts.dtype)
        piece = self._piece(size)
        count_own_members(table, piece, counts[: len(self)])
        return mirrored(table, size + 1)[1:, 1:]

    def _piece(self, size: int) -> ManyHot:
        """Each list as the features of one record."""
        members = np.frombuffer(b"".join(self.known), dtype=np.int64)
        ends = np.cumsum([0, *(len(content) // members.itemsize for content in self.known)])
        return ManyHot(0, size, np.arange(len(self)), ends, members)


def _groups(widths: Sequence[int]) -> list[list[int]]:
    """Places of pieces that are counted together: as many of the smallest as have few combinations."""
    found: list[list[int]] = []
    combinations = _COMBINATIONS + 1
    for place in sorted(range(len(widths)), key=widths.__getitem__):
        combinations *= widths[place]
        if combinations > _COMBINATIONS:
            found.append([])
            combinations = widths[place]
        found[-1].append(place)
    return [sorted(group) for group in found]


def _combined(pieces: Sequence[OneHot]) -> _Unit:
    codes = pieces[0].codes
    for piece in pieces[1:]:
        codes = codes * (piece.size + 1) + piece.codes
    axes = tuple((piece.start, piece.size + 1) for piece in pieces)
    return _Unit(_Name(axes), codes, math.prod(width for _, width in axes))


def _room(lists: int) -> int:
    """Space for more lists than there are yet; a power of two."""
    return min(max(2 << lists.bit_length(), _LEAST_ROOM), _MOST_LISTS)


def _count(table: Table, left: _Unit, right: _Unit, weights: Floats | None) -> None:
    """Count the pairs of two pieces of which one has one code a record."""
    owners = right.owners if left.owners is None else left.owners
    rows, columns = left.of(right.owners), right.of(left.owners)
    counted = weights if weights is None or owners is None else weights[owners]
    places = np.empty(min(_CHUNK, len(rows)), dtype=np.int64)
    for begin in range(0, len(rows), _CHUNK):
        part = slice(begin, begin + _CHUNK)
        some = places[: len(rows[part])]
        np.multiply(rows[part], right.width, out=some)
        some += columns[part]
        add_at(table, some, None if counted is None else counted[part])
