"""Records of a batch counted by the code of their string: by value, and by value and class of the target."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from nightcast.datasource.arrow_arrays import Array, Floats, Hashes, Ints, T, int_array, run_starts
from nightcast.datasource.target_cells import TargetCells

_DENSE_CELLS = 1 << 20
_JOINED_STRINGS = 1 << 16
_JOINED_BYTES = 16 << 20

Codes = npt.NDArray[np.int32]


@dataclass(frozen=True)
class ClassEntries:
    """Numbers of records of pairs of string and class, all of shape (n,), ascending by string and then by class.

    Parameters
    ----------
    strings, classes
        Places of the string and of the class.
    records
        Number of records, more than 0.
    """

    strings: Ints
    classes: Ints
    records: Ints


@dataclass
class Tally:
    """Numbers of records of each of some strings.

    Parameters
    ----------
    distinct, keys
        The strings, of which some may have no record, and their keys.
    records
        Records of each string, shape (strings,).
    classes
        Records of each class, shape (classes,), null cells left out; empty without a target.
    paired, sums
        Records of each string with a numeric target, and the sum of their targets; None where they are not wanted.
    joint
        Records of each string and class, shape (strings, classes); None without a target and where it would be too
        large.
    entries
        What stands in for `joint` there.
    """

    distinct: Array
    keys: Hashes
    records: Ints
    classes: Ints
    paired: Ints | None = None
    sums: Floats | None = None
    joint: Ints | None = None
    entries: ClassEntries | None = None

    def add(self, other: Tally) -> None:
        """Add a tally of the same strings in the same order; neither has `entries`."""
        self.add_at(np.arange(len(self.keys)), other)

    def join(self, other: Tally) -> bool:
        """Add a tally of perhaps other strings, unless the dictionary would become too large.

        Returns
        -------
        bool
            Whether it was added; if not, nothing has changed.
        """
        if (
            self.entries is not None
            or other.entries is not None
            or len(run_starts(np.sort(other.keys))) < len(other.keys)
        ):
            return False
        order = np.argsort(self.keys)
        found = np.minimum(np.searchsorted(self.keys[order], other.keys), max(len(order) - 1, 0))
        places = order[found] if len(order) else np.zeros(len(other.keys), dtype=np.int64)
        new = np.flatnonzero(self.keys[places] != other.keys) if len(order) else np.arange(len(other.keys))
        size = len(self.keys) + len(new)
        if (size + 1) * (len(self.classes) + 1) > _DENSE_CELLS or size > _JOINED_STRINGS:
            return False
        if self.distinct.nbytes + other.distinct.nbytes > _JOINED_BYTES:
            return False
        if len(new):
            places[new] = np.arange(len(self.keys), size)
            self._grow(other.distinct.take(int_array(new)), other.keys[new])
        self.add_at(places, other)
        return True

    def add_at(self, places: Ints, other: Tally) -> None:
        """Add the records of the strings of `other` to those at `places`, each once, of this tally."""
        self.classes = self.classes + other.classes
        for mine, theirs in zip(self._by_string(), other._by_string(), strict=True):
            if mine is not None and theirs is not None:
                mine[places] += theirs

    def _by_string(self) -> tuple[Ints | Floats | None, ...]:
        return self.records, self.paired, self.sums, self.joint

    def _grow(self, strings: Array, keys: Hashes) -> None:
        self.distinct = pa.concat_arrays([self.distinct, strings])
        self.keys = np.concatenate((self.keys, keys))
        more = len(keys)
        self.records = _longer(self.records, more)
        self.paired = None if self.paired is None else _longer(self.paired, more)
        self.sums = None if self.sums is None else _longer(self.sums, more)
        self.joint = None if self.joint is None else _longer(self.joint, more)

    def class_entries(self) -> ClassEntries:
        """Pairs of string and class that have records."""
        if self.entries is not None:
            return self.entries
        if self.joint is None:
            none = np.zeros(0, dtype=np.int64)
            return ClassEntries(none, none, none)
        strings, classes = np.nonzero(self.joint)
        return ClassEntries(strings, classes, self.joint[strings, classes])

    def class_table(self) -> tuple[Hashes, Ints]:
        """Keys and class counts, of shape (n,) and (n, classes): of all strings, or of as many frequent ones as fit."""
        if self.joint is not None:
            return self.keys, self.joint
        width = len(self.classes)
        most = _DENSE_CELLS // max(width, 1)
        chosen = np.sort(np.argsort(-self.records, kind="stable")[:most])
        place = np.full(len(self.records), -1, dtype=np.int64)
        place[chosen] = np.arange(len(chosen))
        entries = self.class_entries()
        kept = place[entries.strings] >= 0
        table = np.zeros((len(chosen), width), dtype=np.int64)
        table[place[entries.strings[kept]], entries.classes[kept]] = entries.records[kept]
        return self.keys[chosen], table


def tally_of(
    codes: Codes, distinct: Array, keys: Hashes, target: TargetCells | None, *, summed: bool = True
) -> tuple[Tally, int]:
    """Count records.

    Parameters
    ----------
    codes
        int32 of shape (records,): the place of each record's string in `distinct`, ``len(distinct)`` for a null cell.
    target
        The target of the same records, or None.
    summed
        Whether the target's sums are wanted, if it is a number.

    Returns
    -------
    tally, missing
        What was counted, and the number of null cells.
    """
    size = len(distinct) + 1
    if target is None:
        records = np.bincount(codes, minlength=size)
        return Tally(distinct, keys, records[:-1], np.zeros(0, dtype=np.int64)), int(records[-1])
    if size * (target.count + 1) <= _DENSE_CELLS:
        tally, missing = _dense(codes, distinct, keys, target)
    else:
        tally, missing = _sparse(codes, distinct, keys, target)
    if summed and target.values is not None:
        tally.sums = _sums(codes, size, target.values, target)
    return tally, missing


def _dense(codes: Codes, distinct: Array, keys: Hashes, target: TargetCells) -> tuple[Tally, int]:
    size, width = len(distinct) + 1, target.count + 1
    cells = codes * np.int32(width)
    cells += target.classes
    joint = np.bincount(cells, minlength=size * width).reshape(size, width)
    records, joint = joint.sum(axis=1), joint[:-1, :-1]
    tally = Tally(distinct, keys, records[:-1], joint.sum(axis=0), joint.sum(axis=1), joint=joint)
    return tally, int(records[-1])


def _sparse(codes: Codes, distinct: Array, keys: Hashes, target: TargetCells) -> tuple[Tally, int]:
    size, width = len(distinct) + 1, target.count
    records = np.bincount(codes, minlength=size)
    has = (target.classes < width) & (codes < size - 1)
    cells = np.sort(codes[has].astype(np.int64) * width + target.classes[has])
    starts = run_starts(cells)
    strings, classes = cells[starts] // width, cells[starts] % width
    counts = np.diff(starts, append=len(cells))
    paired = np.bincount(codes[has], minlength=size)[:-1]
    by_class = np.bincount(target.classes[has], minlength=width)
    tally = Tally(distinct, keys, records[:-1], by_class, paired, entries=ClassEntries(strings, classes, counts))
    return tally, int(records[-1])


def _longer(numbers: npt.NDArray[T], more: int) -> npt.NDArray[T]:
    return np.concatenate((numbers, np.zeros((more, *numbers.shape[1:]), dtype=numbers.dtype)))


def _sums(codes: Codes, size: int, values: Floats, target: TargetCells) -> Floats:
    if target.valid is not None:
        codes, values = codes[target.valid], values[target.valid]
    return np.bincount(codes, weights=values, minlength=size).astype(np.float64, copy=False)[:-1]
