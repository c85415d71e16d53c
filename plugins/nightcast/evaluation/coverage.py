"""How many true values prediction intervals enclose, and how wide they are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nightcast.artifacts import finite
from nightcast.datasource.arrow_arrays import Floats, Ints
from nightcast.mlmodel.intervals import Intervals

LEVELS = (0.5, 0.8, 0.9, 0.95)


@dataclass
class Coverage:
    """Sums over evaluated records.

    Parameters
    ----------
    records
        Number of records.
    inside
        Records whose true value lies in the interval, ends included, for each of `LEVELS`: int64 of shape (4,).
    widths
        Sums of upper - lower, likewise.
    """

    records: int = 0
    inside: Ints = field(default_factory=lambda: np.zeros(len(LEVELS), dtype=np.int64))
    widths: Floats = field(default_factory=lambda: np.zeros(len(LEVELS)))

    def add(self, intervals: Intervals, truth: Floats, predictions: Floats) -> None:
        """Add true values and predictions, all finite; shape (records,)."""
        self.records += len(truth)
        for place, (lower, upper) in enumerate(intervals.bounds_at(predictions, LEVELS)):
            self.inside[place] += np.count_nonzero((lower <= truth) & (truth <= upper))
            self.widths[place] += float((upper - lower).sum())

    def merge(self, other: Coverage) -> None:
        """Add the sums of the records that follow."""
        self.records += other.records
        self.inside = self.inside + other.inside
        self.widths = self.widths + other.widths

    def facts(self) -> list[dict[str, Any]]:
        """One object a level; none without records."""
        if not self.records:
            return []
        return [
            {"level": level, "coverage": int(inside) / self.records, "meanWidth": finite(float(width) / self.records)}
            for level, inside, width in zip(LEVELS, self.inside, self.widths, strict=True)
        ]
