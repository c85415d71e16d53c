"""How often pairs of indicators are set together, and sums of numbers by indicator, for the pieces of a feature matrix.

A count over pairs of small whole numbers is made many times faster than a product of sparse matrices. Texts repeat:
while the distinct ones are few, pairs are counted by text, and become counts by token once, at the end. So do pieces
that follow from others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from nightcast.datasource.arrow_arrays import Floats, Ints
from nightcast.mlmodel.block_sums import BlockSums, Table
from nightcast.mlmodel.count_units import Followers, Kind, Name, Unit, axis, combined
from nightcast.mlmodel.list_numbers import ListNumbers, indicator_sums
from nightcast.mlmodel.member_pairs import add_at, count_members, count_own_members, mirrored
from nightcast.recipe.pieces import ManyHot, OneHot, column_sums

# Counting by list pays when each is that frequent: what it saves on records, it spends on the tokens of the lists.
_RECORDS_A_LIST = 24
_LEAST_ROOM, _MOST_LISTS = 256, 4_096
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
        self._tables: dict[tuple[Name, Name], Table] = {}
        # By the name of a unit: sums of numbers by code; shape (numbers, codes).
        self._number_sums: dict[Name, Floats] = {}
        self._sums: dict[int, Floats] = {}
        self._lists: dict[int, ListNumbers] = {}
        self._followers = Followers()

    def add(self, pieces: Sequence[OneHot | ManyHot], numbers: Sequence[Floats], weights: Floats | None) -> None:
        """Add the records of a batch.

        Parameters
        ----------
        pieces
            Of indicators; the same ones in each batch.
        numbers
            What is summed by indicator, each of shape (records,); as many in each batch.
        weights
            How much each record counts; None: once. For all batches, or for none.
        """
        units = self._units(pieces)
        for place, left in enumerate(units):
            self._add_own(left, weights)
            self._add_numbers(left, numbers)
            for right in units[place + 1 :]:
                table = self._table(left, right, left.width * right.width, weights)
                if left.piece is not None and right.piece is not None:
                    count_members(table, left.piece, right.piece, weights)
                else:
                    _count(table, left, right, weights)

    def number_sums(self) -> dict[int, Floats]:
        """Sums since they were taken last, by the first column of a piece; of shape (numbers, indicators)."""
        self.settle()
        sums, self._sums = self._sums, {}
        return sums

    def settle(self) -> None:
        """Pour what was counted into the blocks."""
        for name, by_code in self._number_sums.items():
            for place, (start, _) in enumerate(name.axes):
                self._sums[start] = self._sums.get(start, 0.0) + self._rows(name, place, by_code.T).T
        self._number_sums.clear()
        # Each table makes room for its blocks before the next one is taken.
        for left, right in list(self._tables):
            flat = self._tables.pop((left, right))
            if left != right:
                self._settle_pair(left, right, flat)
            elif left.kind is Kind.MEMBERS:
                [(start, width)] = left.axes
                self._blocks.add(start, start, mirrored(flat, width)[1:, 1:])
            else:
                self._settle_own(left, flat)
        for start in self._lists:
            self._followers.forget(start)
        self._lists.clear()

    def _settle_own(self, name: Name, counts: Table) -> None:
        for place, (start, width) in enumerate(name.axes):
            if name.kind is Kind.LISTS and place == 0:
                self._blocks.add(start, start, self._lists[start].own_pairs(counts, width - 1))
            else:
                self._blocks.add(start, start, self._rows(name, place, counts[:, None])[:, 0])
            for behind in range(place + 1, len(name.axes)):
                spread = np.zeros((len(counts), name.axes[behind][1]), dtype=counts.dtype)
                spread[np.arange(len(counts)), self._codes(name, behind)] = counts
                self._add(start, name.axes[behind][0], self._rows(name, place, spread)[:, 1:])

    def _settle_pair(self, left: Name, right: Name, flat: Table) -> None:
        table = flat.reshape(self._width(left), -1)
        for place, (row, _) in enumerate(left.axes):
            some = self._rows(left, place, table).T
            for other, (column, _) in enumerate(right.axes):
                self._add(row, column, self._rows(right, other, some).T)

    def _add(self, row: int, column: int, block: Table) -> None:
        if row <= column:
            self._blocks.add(row, column, block)
        else:
            self._blocks.add(column, row, block.T)

    def _rows(self, name: Name, place: int, table: Table) -> Table:
        """Sums of the rows that set each indicator of one piece; the rows are those of the unit's codes."""
        start, width = name.axes[place]
        if name.kind is Kind.LISTS and place == 0:
            return self._lists[start].by_indicator(table, width - 1)
        if place == 0 and (name.kind is not Kind.COMBINED or len(name.axes) == 1):
            return table[1:]
        codes = self._codes(name, place)
        held = np.flatnonzero(codes > 0)
        return indicator_sums(table, held, codes[held] - 1, width - 1)

    def _codes(self, name: Name, place: int) -> Ints:
        """The code of one piece by those of the unit; not of its first piece, whose codes they are, unless combined."""
        if name.kind is Kind.COMBINED:
            return name.combined_codes(place)
        return np.maximum(self._followers.codes(name.axes[0][0], name.axes[place][0]), 0)

    def _width(self, name: Name) -> int:
        if name.kind is Kind.LISTS:
            return self._lists[name.axes[0][0]].room
        return name.combinations if name.kind is Kind.COMBINED else name.axes[0][1]

    def _units(self, pieces: Sequence[OneHot | ManyHot]) -> list[Unit]:
        single = [piece for piece in pieces if isinstance(piece, OneHot)]
        several = self._several([piece for piece in pieces if isinstance(piece, ManyHot)])
        by_code = [(unit.name.axes[0][0], unit.codes) for unit in several if unit.piece is None]
        self._followers.look([*by_code, *((piece.start, piece.codes) for piece in single)], single)
        # Lists first: as rows of a table they lie together when their sums are made sums over tokens.
        units = [self._led(unit, single) for unit in several]
        units += [
            self._led(Unit(Name(Kind.LED, (axis(piece),)), piece.codes, piece.size + 1), single)
            for piece in single
            if self._followers.of(piece.start)
        ]
        counted = {start for unit in units for start, _ in unit.name.axes}
        rest = [piece for piece in single if piece.start not in counted]
        # Apart, so that units remain the same ones in batches in which what follows elsewhere does not.
        found = self._followers.found
        units += combined([piece for piece in rest if piece.start not in found])
        units += combined([piece for piece in rest if piece.start in found])
        return units

    def _several(self, pieces: Sequence[ManyHot]) -> list[Unit]:
        listed = [piece for piece in pieces if _by_list(piece)]
        wanted = {piece.start: self._lists.get(piece.start, ListNumbers(0)).with_those_of(piece) for piece in listed}
        if any(wanted[start] > lists.room for start, lists in self._lists.items() if start in wanted):
            self.settle()
        for start, lists in wanted.items():
            if start not in self._lists:
                self._lists[start] = ListNumbers(_room(lists))
        return [self._unit(piece) for piece in pieces]

    def _unit(self, piece: ManyHot) -> Unit:
        axes = (axis(piece),)
        if _by_list(piece):
            known = self._lists[piece.start]
            return Unit(Name(Kind.LISTS, axes), known.numbers(piece)[piece.codes], known.room)
        return Unit(Name(Kind.MEMBERS, axes), piece.members + 1, piece.size + 1, piece)

    def _led(self, unit: Unit, single: Sequence[OneHot]) -> Unit:
        """The unit with the pieces that follow from it."""
        [(leader, _)] = unit.name.axes
        names = () if unit.piece else self._followers.of(leader)
        pieces = [piece for piece in single if piece.start in names]
        following = self._followers.following(leader, unit.codes, unit.width, pieces)
        return replace(unit, name=replace(unit.name, axes=(*unit.name.axes, *map(axis, following))))

    def _add_own(self, unit: Unit, weights: Floats | None) -> None:
        if unit.piece is None:
            add_at(self._table(unit, unit, unit.width, weights), unit.codes, weights)
            return
        table, piece = self._table(unit, unit, unit.width**2, weights), unit.piece
        if piece.lists < len(piece.codes):
            each = np.bincount(piece.codes, weights, piece.lists).astype(table.dtype)
            lists = ManyHot(piece.start, piece.size, np.arange(piece.lists), piece.list_offsets, piece.list_members)
            count_own_members(table, lists, each)
        else:
            count_own_members(table, piece, weights)

    def _add_numbers(self, unit: Unit, numbers: Sequence[Floats]) -> None:
        if unit.name not in self._number_sums:
            self._number_sums[unit.name] = np.zeros((len(numbers), unit.width))
        for sums, factors in zip(self._number_sums[unit.name], numbers, strict=True):
            if unit.piece is None:
                sums += np.bincount(unit.codes, factors, unit.width)
            else:
                sums[1:] += column_sums(unit.piece, factors)

    def _table(self, left: Unit, right: Unit, cells: int, weights: Floats | None) -> Table:
        key = (left.name, right.name)
        if key not in self._tables:
            self._tables[key] = np.zeros(cells, dtype=np.int32 if weights is None else np.float64)
        return self._tables[key]


def _by_list(piece: ManyHot) -> bool:
    return piece.lists <= _MOST_LISTS and piece.lists * _RECORDS_A_LIST <= len(piece.codes)


def _room(lists: int) -> int:
    """Space for more lists than there are yet; a power of two."""
    return min(max(1 << (lists + lists // 4).bit_length(), _LEAST_ROOM), _MOST_LISTS)


def _count(table: Table, left: Unit, right: Unit, weights: Floats | None) -> None:
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
