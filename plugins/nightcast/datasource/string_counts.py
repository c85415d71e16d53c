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
    fixed_values,
    int_array,
    run_starts,
    string_spans,
)
from nightcast.datasource.sketches import DistinctHashes
from nightcast.datasource.tally import Tally

LISTED_VALUES = 10_000
_ALL_TABLES = 1 << 21
_LARGEST_TABLE = 65_536
_SMALLEST_TABLE = 2 * LISTED_VALUES
_ALL_BYTES = 256 << 20
_LARGEST_BYTES = 64 << 20
_ALL_CELLS = 1 << 23
_LARGEST_CELLS = 1 << 20
# A batch of an id-like column has about one string a bucket, rarely more than four.
_BUCKET_BITS = 17
_FILTER_BITS = 20
_RARE_IN_BATCH = 4


@dataclass(frozen=True)
class TableLimits:
    """How many strings, how many bytes of them, and how many class counts one table may hold."""

    strings: int = _LARGEST_TABLE
    bytes: int = _LARGEST_BYTES
    cells: int = _LARGEST_CELLS

    @classmethod
    def shared_by(cls, tables: int) -> TableLimits:
        """Limits that keep any number of tables (one a CATEGORICAL or TEXT attribute) in bounded memory."""
        strings = max(_SMALLEST_TABLE, min(_LARGEST_TABLE, _ALL_TABLES // max(tables, 1)))
        share = max(tables, 1)
        return cls(strings, min(_LARGEST_BYTES, _ALL_BYTES // share), min(_LARGEST_CELLS, _ALL_CELLS // share))


@dataclass
class _Rows:
    """Strings with their numbers of records and sums of the target.

    String i is ``origin[places[i]]``: strings are copied only for a table that is kept.
    """

    keys: Hashes
    origin: Array
    places: Ints
    counts: Ints
    paired: Ints
    sums: Floats

    def __len__(self) -> int:
        return len(self.keys)

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
            self.keys[chosen],
            self.origin,
            self.places[chosen],
            self.counts[chosen],
            self.paired[chosen],
            self.sums[chosen],
        )

    def joined_by_key(self, other: _Rows) -> _Rows:
        """Both as one table, sorted by key."""
        keys = np.concatenate((self.keys, other.keys))
        order = np.argsort(keys)
        return _Rows(
            keys[order],
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

    def add(self, tally: Tally) -> None:
        """Count strings by a tally of records."""
        none = np.zeros(len(tally.keys))
        rows = _Rows(
            tally.keys,
            tally.distinct,
            np.arange(len(tally.keys)),
            tally.records,
            none.astype(np.int64) if tally.paired is None else tally.paired,
            none if tally.sums is None else tally.sums,
        )
        self._join(_once(rows))

    def add_counted(self, values: Array, keys: Hashes, counts: Ints) -> None:
        """Count strings without nulls, of shape (k,), that so many records have."""
        none = np.zeros(len(counts))
        self._join(_once(_Rows(keys, values, np.arange(len(values)), counts, none.astype(np.int64), none)))

    def frequent(self, keys: Hashes) -> Bools | None:
        """Which records of a batch are worth counting.

        Parameters
        ----------
        keys
            Keys of the strings of records, in any order.

        Returns
        -------
        numpy.ndarray or None
            bool of shape (len(keys),), or None for all. The table having overflown, only strings that it holds, or that
            may occur more than four times in the batch, are counted by `add`; the others are done with here: they add
            to `error` and to the estimate of distinct strings.
        """
        if self.distinct is None or not self.error:
            return None
        self.distinct.add(keys)
        buckets = (keys >> np.uint64(64 - _BUCKET_BITS)).astype(np.int64)
        found = np.bincount(buckets, minlength=1 << _BUCKET_BITS)[buckets]
        held = np.zeros(1 << _FILTER_BITS, dtype=np.bool_)
        held[(self.rows.keys >> np.uint64(64 - _FILTER_BITS)).astype(np.int64)] = True
        kept = (found > _RARE_IN_BATCH) | held[(keys >> np.uint64(64 - _FILTER_BITS)).astype(np.int64)]
        self.error += int(found[~kept].max(initial=0))
        return np.asarray(kept)

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
        places = np.searchsorted(table.keys, batch.keys)
        inside = np.minimum(places, max(len(table) - 1, 0))
        known = table.keys[inside] == batch.keys if len(table) else np.zeros(len(batch), dtype=np.bool_)
        hit = inside[known]
        # Each string is in the batch once, so no place is hit twice.
        table.counts[hit] += batch.counts[known]
        table.paired[hit] += batch.paired[known]
        table.sums[hit] += batch.sums[known]
        if self.distinct is not None:
            self.distinct.add(batch.keys)
        if known.all():
            return
        new = np.flatnonzero(~known)
        if self._too_many(table, batch, new):
            self._drop_rarest(batch, new)
        else:
            self.rows = table.joined_by_key(batch.taken(new))

    def _too_many(self, table: _Rows, batch: _Rows, new: Ints) -> bool:
        if len(table) + len(new) > self.limits.strings:
            return True
        size = int(table.sizes.sum()) + int(batch.taken(new).sizes.sum())
        return size > self.limits.bytes

    def _drop_rarest(self, batch: _Rows, new: Ints) -> None:
        self._estimate_distinct()
        self._distinct().add(batch.keys)
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
        self.rows = left.joined_by_key(right)

    def _estimate_distinct(self) -> None:
        if self.distinct is None:
            self.distinct = DistinctHashes()
            self.distinct.add(self.rows.keys)

    def _distinct(self) -> DistinctHashes:
        if self.distinct is None:
            raise AssertionError("the estimate of distinct strings was not begun")
        return self.distinct


def _once(rows: _Rows) -> _Rows:
    """Sorted by key, and each string once: a dictionary may hold one string twice."""
    if not rows.counts.all():
        rows = rows.taken(rows.counts > 0)
    rows = rows.taken(np.argsort(rows.keys))
    starts = run_starts(rows.keys)
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
