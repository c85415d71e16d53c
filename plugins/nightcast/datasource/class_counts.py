"""How many records of each class of the target a string has, for as many strings as fit in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from nightcast.datasource.arrow_arrays import Hashes, Ints, run_starts
from nightcast.datasource.information import mutual_information


@dataclass
class ClassCounts:
    """Class counts of strings, by their keys.

    When there are more strings than fit in `cells` numbers, the most frequent half of them stays and the others are
    one together: what they then tell of the class is at most what they told apart (data processing inequality), so that
    information is never overstated.

    Parameters
    ----------
    cells
        Strings times classes are no more than this.
    keys
        Ascending.
    counts
        Shape (strings, classes).
    classes
        All records by class, those of strings that are not kept too: shape (classes,).
    """

    cells: int
    keys: Hashes = field(default_factory=lambda: np.zeros(0, dtype=np.uint64))
    counts: Ints = field(default_factory=lambda: np.zeros((0, 0), dtype=np.int64))
    classes: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    def add(self, keys: Hashes, counts: Ints, classes: Ints) -> None:
        """Count records of strings, each perhaps more than once: shapes (n,), (n, classes) and (classes,)."""
        if len(self.classes) == 0:
            self.counts, self.classes = np.zeros((0, len(classes)), dtype=np.int64), np.zeros_like(classes)
        self.classes = self.classes + classes
        keys, counts = _once(keys, counts)
        places = np.searchsorted(self.keys, keys)
        inside = np.minimum(places, max(len(self.keys) - 1, 0))
        known = self.keys[inside] == keys if len(self.keys) else np.zeros(len(keys), dtype=np.bool_)
        self.counts[inside[known]] += counts[known]
        if known.all():
            return
        keys, counts = np.concatenate((self.keys, keys[~known])), np.concatenate((self.counts, counts[~known]))
        most = max(1, self.cells // len(classes))
        if len(keys) > most:
            records = counts.sum(axis=1)
            limit = np.partition(records, len(records) - 1 - most // 2)[len(records) - 1 - most // 2]
            keys, counts = keys[records > limit], counts[records > limit]
        order = np.argsort(keys)
        self.keys, self.counts = keys[order], counts[order]

    def merge(self, other: ClassCounts) -> None:
        """Add what `other` has seen."""
        if len(other.classes):
            self.add(other.keys, other.counts, other.classes)

    @property
    def information(self) -> float | None:
        """Bits that the string tells of the class; None without records that have both."""
        if len(self.classes) == 0:
            return None
        return mutual_information(np.vstack((self.counts, self.classes - self.counts.sum(axis=0))))


def _once(keys: Hashes, counts: Ints) -> tuple[Hashes, Ints]:
    used = counts.any(axis=1)
    keys, counts = keys[used], counts[used]
    order = np.argsort(keys)
    keys, counts = keys[order], counts[order]
    starts = run_starts(keys)
    if len(starts) == len(keys):
        return keys, counts
    return keys[starts], np.add.reduceat(counts, starts)
