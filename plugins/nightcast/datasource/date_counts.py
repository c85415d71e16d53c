"""Strings that are dates, counted by day."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from nightcast.datasource.arrow_arrays import Array, Ints, run_starts
from nightcast.datasource.attribute_insights import DateInsights
from nightcast.datasource.iso_dates import days_of

_SHARE = 0.99


@dataclass
class DateCounts:
    """Numbers of records by day, and of records whose string is no date; exact, and no larger than the days that occur.

    Parameters
    ----------
    days
        Days since 1970-01-01, ascending, each once.
    counts
        Records of each day.
    others
        Records with a string that is no date.
    """

    days: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    counts: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    others: int = 0

    def add(self, strings: Array, records: Ints) -> None:
        """Count strings, of shape (n,), that so many records have; 0 for null cells."""
        days, is_date = days_of(strings)
        is_date &= records > 0
        dated = int(records[is_date].sum())
        self.others += int(records.sum()) - dated
        if dated:
            self._add_days(days[is_date], records[is_date])

    def merge(self, other: DateCounts) -> None:
        """Add what `other` has seen."""
        self.others += other.others
        self._add_days(other.days, other.counts)

    def insights(self) -> DateInsights | None:
        """First and last day and percentiles; None where less than 99 % of the strings are dates."""
        total = int(self.counts.sum())
        if total == 0 or total < _SHARE * (total + self.others):
            return None
        ranks = np.array([percent * (total - 1) // 100 for percent in range(101)])
        found = self.days[np.searchsorted(np.cumsum(self.counts), ranks, side="right")]
        percentiles = [str(day) for day in found.astype("datetime64[D]")]
        return DateInsights(percentiles[0], percentiles[-1], total, percentiles)

    def _add_days(self, days: Ints, counts: Ints) -> None:
        if len(days) == 0:
            return
        days, counts = np.concatenate((self.days, days)), np.concatenate((self.counts, counts))
        order = np.argsort(days, kind="stable")
        days, counts = days[order], counts[order]
        starts = run_starts(days)
        self.days, self.counts = days[starts], np.add.reduceat(counts, starts)
