"""What is summed up of a NUMERIC attribute in one pass."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf

import numpy as np

from nightcast.datasource.arrow_arrays import Array, Bools, Floats, Hashes, Ints, numbers
from nightcast.datasource.attribute_insights import NumericInsights
from nightcast.datasource.column_state import ColumnState, cells_without_value, pairs_of
from nightcast.datasource.information import correlation_ratio
from nightcast.datasource.number_counts import NumberCounts, histogram, quantiles
from nightcast.datasource.sketches import Comoments, Deviations, Moments
from nightcast.datasource.target_cells import Beside, TargetCells
from nightcast.datasource.value_keys import digits, float_keys, weighted_sum


@dataclass
class _ClassSums:
    """Numbers and sums of values by class of a CATEGORICAL target."""

    counts: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    sums: Floats = field(default_factory=lambda: np.zeros(0))
    moments: Moments = field(default_factory=Moments)

    def add(self, found: Deviations, target: TargetCells) -> None:
        size = target.count + 1
        counts = np.bincount(target.classes, minlength=size)[:-1]
        sums = np.bincount(target.classes, weights=found.values, minlength=size)[:-1] + counts * found.moments.mean
        has = target.classes < target.count
        moments = found.moments if has.all() else Moments.of(found.values[has] + found.moments.mean)
        self.merge(_ClassSums(counts, sums, moments))

    def merge(self, other: _ClassSums) -> None:
        if len(self.counts) == 0:
            self.counts, self.sums = np.zeros_like(other.counts), np.zeros_like(other.sums)
        if len(other.counts):
            self.counts, self.sums = self.counts + other.counts, self.sums + other.sums
            self.moments.merge(other.moments)

    @property
    def correlation(self) -> float | None:
        return correlation_ratio(self.counts, self.sums, self.moments)


@dataclass
class NumericState:
    """Sums up a NUMERIC attribute."""

    missing: int = 0
    invalid: int = 0
    zeros: int = 0
    fingerprint: int = 0
    low: float = inf
    high: float = -inf
    moments: Moments = field(default_factory=Moments)
    pairs: Comoments = field(default_factory=Comoments)
    by_class: _ClassSums = field(default_factory=_ClassSums)
    counts: NumberCounts = field(default_factory=NumberCounts)

    def add(self, array: Array, invalid: Bools | None, beside: Beside) -> None:
        """See `ColumnState`."""
        values, valid = numbers(array)
        missing, wrong = cells_without_value(len(values), valid, invalid)
        self.missing += missing
        self.invalid += wrong
        found = values if valid is None else values[valid]
        if len(found) == 0:
            return
        keys, weighted = _keys_of(values, valid, beside.weights)
        self.fingerprint = (self.fingerprint + weighted) % 2**64
        low, high = float(found.min()), float(found.max())
        self.low, self.high = min(self.low, low), max(self.high, high)
        if low <= 0 <= high:
            self.zeros += len(found) - int(np.count_nonzero(found))
        deviations = Deviations.of(found)
        self.moments.merge(deviations.moments)
        if beside.target is not None:
            self._add_pairs(deviations, values, valid, beside.target)
        self.counts.add(found, low, high, keys)

    def finish(self) -> None:
        """See `ColumnState`."""

    def merge(self, other: ColumnState) -> None:
        """See `ColumnState`."""
        if not isinstance(other, NumericState):
            raise TypeError("only states of one attribute can be merged")
        self.missing += other.missing
        self.invalid += other.invalid
        self.zeros += other.zeros
        self.fingerprint = (self.fingerprint + other.fingerprint) % 2**64
        self.low, self.high = min(self.low, other.low), max(self.high, other.high)
        self.moments.merge(other.moments)
        self.pairs.merge(other.pairs)
        self.by_class.merge(other.by_class)
        self.counts.merge(other.counts)

    def insights(self) -> NumericInsights:
        """See `ColumnState`."""
        some = self.moments.count > 0
        distinct, distinct_exact = self.counts.distinct
        # 0.0 and -0.0 are one value; the sign would depend on which came first.
        low, high = self.low + 0.0, self.high + 0.0
        points, counts = self.counts.points(low, high)
        permilles = quantiles(points, counts, low, high) if some else []
        return NumericInsights(
            missing=self.missing,
            invalid=self.invalid,
            min=low if some else None,
            max=high if some else None,
            mean=self.moments.average,
            std=self.moments.deviation,
            median=permilles[500] if some else None,
            zeros=self.zeros,
            # An estimate errs to both sides; no record has two values.
            distinct=min(distinct, self.moments.count),
            distinct_exact=distinct_exact,
            quantiles=permilles,
            quantiles_exact=self.counts.exact,
            histogram=histogram(points, counts, low, high) if some else None,
            correlation=self.by_class.correlation if len(self.by_class.counts) else self.pairs.correlation,
            mutual_information=None,
            fingerprint=digits(self.fingerprint),
        )

    def _add_pairs(self, found: Deviations, values: Floats, valid: Bools | None, target: TargetCells) -> None:
        if target.values is None:
            self.by_class.add(found, target if valid is None else target.taken(valid))
        else:
            self.pairs.merge(pairs_of(found, values, valid, target))


def _keys_of(values: Floats, valid: Bools | None, weights: Hashes) -> tuple[Hashes, int]:
    """Keys of the valid values, some perhaps repeated, and their weighted sum."""
    keys = float_keys(values)
    total = weighted_sum(weights, keys)
    if valid is None:
        return keys, total
    # Few cells are null, as a rule: to mend those is quicker than to copy the others.
    nulls = np.flatnonzero(~valid)
    total -= weighted_sum(weights[nulls], keys[nulls])
    keys[nulls] = keys[int(valid.argmax())]
    return keys, total
