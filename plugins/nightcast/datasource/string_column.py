"""The strings of a CATEGORICAL or TEXT attribute, brought together before they are looked at.

Batches of a row group share one dictionary. They are counted by their codes alone, and the strings themselves are
looked at once, when the part ends or there are too many.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from nightcast.datasource.arrow_arrays import (
    Array,
    Hashes,
    Ints,
    coded,
    int_array,
    run_starts,
    valid_mask,
)
from nightcast.datasource.date_counts import DateCounts
from nightcast.datasource.string_counts import StringCounts
from nightcast.datasource.tally import Tally, tally_of
from nightcast.datasource.target_cells import Beside, TargetCells
from nightcast.datasource.value_keys import string_keys, weighted_sum, with_null


@dataclass
class StringColumn:
    """Counts the strings of an attribute by their codes.

    Parameters
    ----------
    summed
        Whether the target is summed up by string.
    fingerprint
        Sum over the records of their weights times the keys of their strings, modulo 2**64.
    missing, present
        Numbers of null cells and of others.
    dates
        Which of the strings are dates.
    pending
        What is counted of strings that were not looked at yet.
    latest
        The dictionary of the last batch, and its keys.
    """

    summed: bool = True
    fingerprint: int = 0
    missing: int = 0
    present: int = 0
    dates: DateCounts = field(default_factory=DateCounts)
    pending: Tally | None = None
    latest: tuple[Array, Hashes] | None = None

    def add(self, array: Array, beside: Beside) -> list[Tally]:
        """Count a batch; gives what is complete of former batches."""
        codes, distinct = coded(array)
        if self.latest is None or not self.latest[0].equals(distinct):
            self.latest = distinct, string_keys(distinct)
        keys = self.latest[1]
        tally, missing = tally_of(codes, distinct, keys, beside.target, summed=self.summed)
        self._seen(len(array), missing, weighted_sum(beside.weights, with_null(keys)[codes]))
        done = self.pending
        if done is not None and done.keys is keys and done.entries is None:
            done.add(tally)
            return []
        if done is not None and done.join(tally):
            return []
        complete = self._completed()
        self.pending = tally
        return complete

    def add_plain(self, strings: Array, beside: Beside, table: StringCounts) -> list[Tally]:
        """The same for strings without a dictionary, such as ids: to sort their keys is quicker than to build one."""
        keys, weights, target = string_keys(strings), beside.weights, beside.target
        valid = valid_mask(strings)
        places = np.arange(len(strings))
        if valid is not None:
            places, keys, weights = places[valid], keys[valid], weights[valid]
            target = None if target is None else target.taken(valid)
        self._seen(len(strings), len(strings) - len(keys), weighted_sum(weights, keys))
        self.dates.add(strings, np.ones(len(strings), dtype=np.int64) if valid is None else valid.astype(np.int64))
        classes = None if target is None else np.bincount(target.classes, minlength=target.count + 1)[:-1]
        kept = table.frequent(keys)
        if kept is not None:
            places, keys = places[kept], keys[kept]
            target = None if target is None else target.taken(kept)
        tally = _sorted_tally(strings, keys, places, target, summed=self.summed)
        if classes is not None:
            tally.classes = classes
        return [*self._completed(), tally]

    def rest(self) -> list[Tally]:
        """What is left at the end of a part."""
        self.latest = None
        return self._completed()

    def merge(self, other: StringColumn) -> None:
        """Add what `other` has seen."""
        self.fingerprint = (self.fingerprint + other.fingerprint) % 2**64
        self.missing += other.missing
        self.present += other.present
        self.dates.merge(other.dates)

    def _completed(self) -> list[Tally]:
        done, self.pending = self.pending, None
        if done is None:
            return []
        self.dates.add(done.distinct, done.records)
        return [done]

    def _seen(self, records: int, missing: int, fingerprint: int) -> None:
        self.missing += missing
        self.present += records - missing
        self.fingerprint = (self.fingerprint + fingerprint) % 2**64


def is_coded(strings: Array) -> bool:
    """Whether an array of strings has a dictionary."""
    return bool(pa.types.is_dictionary(strings.type))


def _sorted_tally(strings: Array, keys: Hashes, places: Ints, target: TargetCells | None, *, summed: bool) -> Tally:
    order = np.argsort(keys)
    ordered = keys[order]
    starts = run_starts(ordered)
    codes = np.zeros(len(keys), dtype=np.int32)
    steps = np.zeros(len(keys), dtype=np.int32)
    steps[starts[1:]] = 1
    codes[order] = np.cumsum(steps, dtype=np.int32)
    distinct = strings.take(int_array(places[order[starts]]))
    return tally_of(codes, distinct, ordered[starts], target, summed=summed)[0]
