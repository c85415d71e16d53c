"""How often which string occurs: exactly while they fit in bounded memory, else the frequent ones."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightcast.datasource.arrow_arrays import (
    Array,
    Bools,
    Floats,
    Hashes,
    Ints,
    coded,
    fixed_values,
    int_array,
    run_starts,
    string_spans,
    valid_mask,
)
from nightcast.datasource.hashing import string_hashes
from nightcast.datasource.sketches import DistinctHashes

LISTED_VALUES = 10_000
_ALL_TABLES = 1 << 21
_LARGEST_TABLE = 65_536
_SMALLEST_TABLE = 2 * LISTED_VALUES
_ALL_BYTES = 256 << 20
_LARGEST_BYTES = 64 << 20


@dataclass(frozen=True)
class TableLimits:
    """How many strings, and how many bytes of them, one table may hold."""

    strings: int = _LARGEST_TABLE
    bytes: int = _LARGEST_BYTES

    @classmethod
    def shared_by(cls, tables: int) -> TableLimits:
        """Limits that keep any number of tables (one a CATEGORICAL or TEXT attribute) in bounded memory."""
        strings = max(_SMALLEST_TABLE, min(_LARGEST_TABLE, _ALL_TABLES // max(tables, 1)))
        return cls(strings, min(_LARGEST_BYTES, _ALL_BYTES // max(tables, 1)))


@dataclass
class _Rows:
    """Strings with their numbers of records and sums of the target.

    String i is ``origin[places[i]]``: strings are copied only for a table that is kept.
    """

    hashes: Hashes
    origin: Array
    places: Ints
    counts: Ints
    paired: Ints
    sums: Floats

    def __len__(self) -> int:
        return len(self.hashes)

    @property
    def values(self) -> Array:
        return self.origin.take(int_array(self.places))

    @property
    def sizes(self) -> Ints:
        """Bytes of each string."""
        _, offsets = string_spans(self.origin)
        return offsets[self.places + 1] - offsets[self.places]

    def taken(self, chosen: Ints | Bools | Hashes) -> _Rows:
        return _Rows(
            self.hashes[chosen],
            self.origin,
            self.places[chosen],
            self.counts[chosen],
            self.paired[chosen],
            self.sums[chosen],
        )

    def joined_by_hash(self, other: _Rows) -> _Rows:
        """Both as one table, sorted by hash."""
        hashes = np.concatenate((self.hashes, other.hashes))
        order = np.argsort(hashes)
        return _Rows(
            hashes[order],
            pa.concat_arrays([self.values, other.values]).take(int_array(order)),
            np.arange(len(order)),
            np.concatenate((self.counts, other.counts))[order],
            np.concatenate((self.paired, other.paired))[order],
            np.concatenate((self.sums, other.sums))[order],
        )


def _no_rows() -> _Rows:
    whole = np.zeros(0, dtype=np.int64)
    return _Rows(np.zeros(0, dtype=np.uint64), pa.nulls(0, pa.string()), whole, whole, whole, np.zeros(0))


@dataclass
class StringCounts:
    """Counts of strings, and sums of the target by string.

    Exact while there are no more than `limits`. When a table would grow beyond, the rarest strings are dropped and
    counted as other, and `error` grows by the largest dropped count: a string in the table may be short of that many
    records, and a string that is not there may have had as many. Source: the idea of Manku and Motwani, Approximate
    frequency counts over data streams, VLDB 2002, with a table of fixed size. Distinct strings are
    then estimated, see `DistinctHashes`.
    """

    limits: TableLimits = field(default_factory=TableLimits)
    rows: _Rows = field(default_factory=_no_rows)
    error: int = 0
    distinct: DistinctHashes | None = None

    def add(self, strings: Array, target: Floats | None, paired: Bools | None) -> int:
        """Count the strings of a batch.

        Parameters
        ----------
        strings
            string or dictionary<int32, string> array, one cell a record.
        target
            Target of each record, float64 of the same shape; None for no sums.
        paired
            Which records have a target; None for all.

        Returns
        -------
        int
            Number of null cells, which are not counted.
        """
        rows, missing = (
            _coded_rows(strings, target, paired) if _is_coded(strings) else _plain_rows(strings, target, paired)
        )
        self._join(rows)
        return missing

    def add_counted(self, values: Array, counts: Ints) -> None:
        """Count strings without nulls, of shape (k,), that so many records have."""
        places = np.arange(len(values))
        self._join(
            _once(_Rows(string_hashes(values), values, places, counts, np.zeros_like(counts), np.zeros(len(counts))))
        )

    def merge(self, other: StringCounts) -> None:
        """Add what `other` has seen."""
        if other.distinct is not None:
            self._estimate_distinct()
            self._distinct().merge(other.distinct)
        self.error += other.error
        self._join(other.rows)

    @property
    def distinct_count(self) -> tuple[int, bool]:
        """Number of distinct strings, and whether it is counted."""
        return (len(self.rows), True) if self.distinct is None else (self.distinct.count, self.distinct.exact)

    def listed(self) -> list[tuple[str, int]]:
        """Up to 10,000 strings with their counts, most frequent first, equally frequent by string."""
        return _listed(self.rows)

    def least_frequent(self) -> tuple[str, int] | None:
        """The rarest string, of equally rare ones the first; None when it is not known or there is none."""
        if self.error or len(self.rows) == 0:
            return None
        rarest = self.rows.taken(self.rows.counts == self.rows.counts.min())
        return min(rarest.values.to_pylist()), int(rarest.counts[0])

    def _join(self, batch: _Rows) -> None:
        table = self.rows
        places = np.searchsorted(table.hashes, batch.hashes)
        inside = np.minimum(places, max(len(table) - 1, 0))
        known = table.hashes[inside] == batch.hashes if len(table) else np.zeros(len(batch), dtype=np.bool_)
        hit = inside[known]
        # Each string is in the batch once, so no place is hit twice.
        table.counts[hit] += batch.counts[known]
        table.paired[hit] += batch.paired[known]
        table.sums[hit] += batch.sums[known]
        if self.distinct is not None:
            self.distinct.add(batch.hashes)
        if known.all():
            return
        new = np.flatnonzero(~known)
        if self._too_many(table, batch, new):
            self._drop_rarest(batch, new)
        else:
            self.rows = table.joined_by_hash(batch.taken(new))

    def _too_many(self, table: _Rows, batch: _Rows, new: Ints) -> bool:
        if len(table) + len(new) > self.limits.strings:
            return True
        size = int(table.sizes.sum()) + int(batch.taken(new).sizes.sum())
        return size > self.limits.bytes

    def _drop_rarest(self, batch: _Rows, new: Ints) -> None:
        self._estimate_distinct()
        self._distinct().add(batch.hashes)
        table = self.rows
        keep = self.limits.strings // 2
        counts = np.concatenate((table.counts, batch.counts[new]))
        while True:
            # The table is to be at most half full, in strings and in bytes.
            keep = min(keep, len(counts) - 1)
            limit = int(np.partition(counts, len(counts) - 1 - keep)[len(counts) - 1 - keep])
            left, right = table.taken(table.counts > limit), batch.taken(new[batch.counts[new] > limit])
            if int(left.sizes.sum()) + int(right.sizes.sum()) <= self.limits.bytes // 2:
                break
            keep //= 2
        self.error += int(counts[counts <= limit].max(initial=0))
        self.rows = left.joined_by_hash(right)

    def _estimate_distinct(self) -> None:
        if self.distinct is None:
            self.distinct = DistinctHashes()
            self.distinct.add(self.rows.hashes)

    def _distinct(self) -> DistinctHashes:
        if self.distinct is None:
            raise AssertionError("the estimate of distinct strings was not begun")
        return self.distinct


def _is_coded(strings: Array) -> bool:
    return bool(pa.types.is_dictionary(strings.type))


def _coded_rows(strings: Array, target: Floats | None, paired: Bools | None) -> tuple[_Rows, int]:
    codes, distinct = coded(strings)
    size = len(distinct) + 1
    counts = np.bincount(codes, minlength=size)
    pairs: Ints = np.zeros(size, dtype=np.int64)
    sums: Floats = np.zeros(size)
    if target is not None:
        chosen, weights = (codes, target) if paired is None else (codes[paired], target[paired])
        pairs = counts if paired is None else np.bincount(chosen, minlength=size)
        sums = np.bincount(chosen, weights=weights, minlength=size).astype(np.float64, copy=False)
    places = np.arange(len(distinct))
    rows = _Rows(string_hashes(distinct), distinct, places, counts[:-1], pairs[:-1], sums[:-1])
    return _once(rows), int(counts[-1])


def _plain_rows(strings: Array, target: Floats | None, paired: Bools | None) -> tuple[_Rows, int]:
    # Ids come without a dictionary: to sort their hashes is quicker than to build one.
    valid = valid_mask(strings)
    places = np.arange(len(strings)) if valid is None else np.flatnonzero(valid)
    hashes = string_hashes(strings)[places]
    order = np.argsort(hashes)
    hashes, places = hashes[order], places[order]
    starts = run_starts(hashes)
    pairs: Ints = np.zeros(len(starts), dtype=np.int64)
    sums: Floats = np.zeros(len(starts))
    if target is not None and len(starts):
        has = np.ones(len(places), dtype=np.bool_) if paired is None else paired[places]
        pairs = np.add.reduceat(has.astype(np.int64), starts)
        sums = np.add.reduceat(np.where(has, target[places], 0.0), starts)
    rows = _Rows(hashes[starts], strings, places[starts], np.diff(starts, append=len(hashes)), pairs, sums)
    return rows, len(strings) - len(places)


def _once(rows: _Rows) -> _Rows:
    """Sorted by hash, and each string once: a dictionary may hold one string twice."""
    if not rows.counts.all():
        rows = rows.taken(rows.counts > 0)
    rows = rows.taken(np.argsort(rows.hashes))
    starts = run_starts(rows.hashes)
    if len(starts) == len(rows):
        return rows
    once = rows.taken(starts)
    once.counts = np.add.reduceat(rows.counts, starts)
    once.paired = np.add.reduceat(rows.paired, starts)
    once.sums = np.add.reduceat(rows.sums, starts)
    return once


def _listed(rows: _Rows) -> list[tuple[str, int]]:
    if len(rows) > LISTED_VALUES:
        place = len(rows) - LISTED_VALUES
        rows = rows.taken(rows.counts >= np.partition(rows.counts, place)[place])
    rows = rows.taken(fixed_values(pc.array_sort_indices(rows.values), np.uint64))
    rows = rows.taken(np.argsort(-rows.counts, kind="stable")[:LISTED_VALUES])
    return list(zip(rows.values.to_pylist(), rows.counts.tolist(), strict=True))
