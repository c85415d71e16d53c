"""What is summed up of each attribute in one pass, by its type."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf, sqrt
from typing import Protocol

import numpy as np

from nightcast.artifacts import finite
from nightcast.datasource.arrow_arrays import Array, Bools, Floats, numbers, valid_mask
from nightcast.datasource.insights_format import (
    AttributeInsights,
    BinaryInsights,
    CategoricalInsights,
    NumericInsights,
)
from nightcast.datasource.number_counts import NumberCounts, histogram, quantiles
from nightcast.datasource.sketches import Comoments, Deviations, Moments
from nightcast.datasource.string_counts import StringCounts, TableLimits


@dataclass(frozen=True)
class TargetCells:
    """The target in one batch, as numbers: BINARY counts as 0 and 1.

    Parameters
    ----------
    values
        float64 of shape (len(batch),), undefined where not valid.
    valid
        bool of the same shape, or None when all are valid.
    found
        Deviations of the valid values.
    """

    values: Floats
    valid: Bools | None
    found: Deviations

    @classmethod
    def of(cls, array: Array) -> TargetCells:
        """The target of a NUMERIC or BINARY column."""
        values, valid = numbers(array)
        return cls(values, valid, Deviations.of(values if valid is None else values[valid]))


class ColumnState(Protocol):
    """A mergeable summary of one attribute."""

    def add(self, array: Array, invalid: Bools | None, target: TargetCells | None) -> None:
        """Take in one batch of the attribute, with the mask of its invalid cells."""
        ...

    def merge(self, other: ColumnState) -> None:
        """Add what a state of the same kind has seen in the next part."""
        ...

    def insights(self) -> AttributeInsights:
        """The statistics."""
        ...


@dataclass
class NumericState:
    """Sums up a NUMERIC attribute."""

    missing: int = 0
    invalid: int = 0
    zeros: int = 0
    low: float = inf
    high: float = -inf
    moments: Moments = field(default_factory=Moments)
    pairs: Comoments = field(default_factory=Comoments)
    counts: NumberCounts = field(default_factory=NumberCounts)

    def add(self, array: Array, invalid: Bools | None, target: TargetCells | None) -> None:
        """See `ColumnState`."""
        values, valid = numbers(array)
        absent = 0 if valid is None else len(values) - int(np.count_nonzero(valid))
        wrong = 0 if invalid is None else int(np.count_nonzero(invalid))
        self.invalid += wrong
        self.missing += absent - wrong
        found = values if valid is None else values[valid]
        if len(found) == 0:
            return
        low, high = float(found.min()), float(found.max())
        self.low, self.high = min(self.low, low), max(self.high, high)
        if low <= 0 <= high:
            self.zeros += len(found) - int(np.count_nonzero(found))
        pairs = None if target is None else _pairs(values, valid, target)
        if pairs is not None and pairs.first.count == len(found):
            self.moments.merge(pairs.first)
        else:
            self.moments.merge(Moments.of(found))
        if pairs is not None:
            self.pairs.merge(pairs)
        self.counts.add(found, low, high)

    def merge(self, other: ColumnState) -> None:
        """See `ColumnState`."""
        if not isinstance(other, NumericState):
            raise TypeError("only states of one attribute can be merged")
        self.missing += other.missing
        self.invalid += other.invalid
        self.zeros += other.zeros
        self.low, self.high = min(self.low, other.low), max(self.high, other.high)
        self.moments.merge(other.moments)
        self.pairs.merge(other.pairs)
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
            distinct=distinct,
            distinct_exact=distinct_exact,
            quantiles=permilles,
            quantiles_exact=self.counts.exact,
            histogram=histogram(points, counts, low, high) if some else None,
            correlation=self.pairs.correlation,
        )


@dataclass
class BinaryState:
    """Sums up a BINARY attribute."""

    missing: int = 0
    invalid: int = 0
    true: int = 0
    false: int = 0
    pairs: Comoments = field(default_factory=Comoments)

    def add(self, array: Array, invalid: Bools | None, target: TargetCells | None) -> None:
        """See `ColumnState`."""
        values, valid = numbers(array)
        found = values if valid is None else values[valid]
        wrong = 0 if invalid is None else int(np.count_nonzero(invalid))
        true = int(np.count_nonzero(found))
        self.true += true
        self.false += len(found) - true
        self.invalid += wrong
        self.missing += len(values) - len(found) - wrong
        if target is not None:
            self.pairs.merge(_pairs(values, valid, target))

    def merge(self, other: ColumnState) -> None:
        """See `ColumnState`."""
        if not isinstance(other, BinaryState):
            raise TypeError("only states of one attribute can be merged")
        self.missing += other.missing
        self.invalid += other.invalid
        self.true += other.true
        self.false += other.false
        self.pairs.merge(other.pairs)

    def insights(self) -> BinaryInsights:
        """See `ColumnState`."""
        return BinaryInsights(self.true, self.false, self.missing, self.invalid, self.pairs.correlation)


@dataclass
class CategoricalState:
    """Sums up a CATEGORICAL attribute, or the row id."""

    counts: StringCounts
    missing: int = 0
    present: int = 0
    target: Moments = field(default_factory=Moments)

    @classmethod
    def of(cls, limits: TableLimits) -> CategoricalState:
        """A state that has seen nothing."""
        return cls(StringCounts(limits))

    def add(self, array: Array, invalid: Bools | None, target: TargetCells | None) -> None:
        """See `ColumnState`."""
        if target is None:
            missing = self.counts.add(array, None, None)
        else:
            missing = self.counts.add(array, target.values, target.valid)
            self.target.merge(target.found.moments if missing == 0 else _moments_where(valid_mask(array), target))
        self.missing += missing
        self.present += len(array) - missing

    def merge(self, other: ColumnState) -> None:
        """See `ColumnState`."""
        if not isinstance(other, CategoricalState):
            raise TypeError("only states of one attribute can be merged")
        self.missing += other.missing
        self.present += other.present
        self.target.merge(other.target)
        self.counts.merge(other.counts)

    def insights(self) -> CategoricalInsights:
        """See `ColumnState`."""
        distinct, exact = self.counts.distinct_count
        listed = self.counts.listed()
        return CategoricalInsights(
            missing=self.missing,
            distinct=distinct,
            distinct_exact=exact,
            values=listed,
            other=self.present - sum(count for _, count in listed),
            count_error=self.counts.error,
            most_frequent=listed[0] if listed else None,
            least_frequent=self.counts.least_frequent(),
            correlation=self._correlation(),
        )

    def _correlation(self) -> float | None:
        """Kelley's epsilon: the correlation ratio eta, freed of what chance adds with each further category.

        epsilon**2 = 1 - (1 - eta**2) (n - 1) / (n - k) for n records in k categories; an id, with one record a
        category, has none, where eta would be 1. Source: Kelley, An unbiased correlation ratio measure, PNAS 21 (1935).
        """
        rows = self.counts.rows
        filled = rows.paired > 0
        categories, records = int(np.count_nonzero(filled)), self.target.count
        if self.counts.error or records <= categories or not self.target.varies:
            return None
        paired = rows.paired[filled]
        deviations = rows.sums[filled] / paired - self.target.mean
        between = finite(float((paired * deviations * deviations).sum()) / self.target.squares)
        if between is None:
            return None
        adjusted = 1.0 - (1.0 - between) * (records - 1) / (records - categories)
        return sqrt(min(1.0, max(0.0, adjusted)))


def _pairs(values: Floats, valid: Bools | None, target: TargetCells) -> Comoments:
    """Co-moments of the records that have both a value and a target."""
    if valid is None and target.valid is None:
        return Comoments.of_deviations(values, target.found)
    both = target.valid if valid is None else valid if target.valid is None else valid & target.valid
    return Comoments.of(values[both], target.values[both])


def _moments_where(chosen: Bools | None, target: TargetCells) -> Moments:
    if chosen is None:
        return target.found.moments
    return Moments.of(target.values[chosen if target.valid is None else chosen & target.valid])
