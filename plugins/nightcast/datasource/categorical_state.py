"""What is summed up of a CATEGORICAL attribute, and of the row id, in one pass."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from nightcast.datasource.arrow_arrays import Array, Bools, coded, int_array, valid_mask
from nightcast.datasource.attribute_insights import CategoricalInsights
from nightcast.datasource.class_counts import ClassCounts
from nightcast.datasource.column_state import ColumnState
from nightcast.datasource.information import correlation_ratio, informational_correlation
from nightcast.datasource.sketches import DistinctHashes, Moments
from nightcast.datasource.string_column import StringColumn, is_coded
from nightcast.datasource.string_counts import StringCounts, TableLimits
from nightcast.datasource.tally import Tally
from nightcast.datasource.target_cells import Beside, TargetCells
from nightcast.datasource.value_keys import digits, string_keys, weighted_sum, with_null

_SAMPLED_IDS = 10


@dataclass
class CategoricalState:
    """Sums up a CATEGORICAL attribute."""

    counts: StringCounts
    classes: ClassCounts
    column: StringColumn = field(default_factory=StringColumn)
    target: Moments = field(default_factory=Moments)
    numeric: bool = True

    @classmethod
    def of(cls, limits: TableLimits, *, numeric: bool = True) -> CategoricalState:
        """A state that has seen nothing; `numeric` says whether the correlation is one with a NUMERIC target."""
        return cls(StringCounts(limits), ClassCounts(limits.cells), StringColumn(summed=numeric), numeric=numeric)

    def add(self, array: Array, invalid: Bools | None, beside: Beside) -> None:
        """See `ColumnState`."""
        if is_coded(array):
            self._take_in(self.column.add(array, beside))
        else:
            self._take_in(self.column.add_plain(array, beside, self.counts))
        if self.numeric and beside.target is not None and beside.target.found is not None:
            self.target.merge(_moments_where(valid_mask(array), beside.target))

    def finish(self) -> None:
        """See `ColumnState`."""
        self._take_in(self.column.rest())

    def merge(self, other: ColumnState) -> None:
        """See `ColumnState`."""
        if not isinstance(other, CategoricalState):
            raise TypeError("only states of one attribute can be merged")
        self.column.merge(other.column)
        self.target.merge(other.target)
        self.counts.merge(other.counts)
        self.classes.merge(other.classes)

    def insights(self) -> CategoricalInsights:
        """See `ColumnState`."""
        distinct, exact = self.counts.distinct_count
        listed = self.counts.listed()
        information = self.classes.information
        return CategoricalInsights(
            missing=self.column.missing,
            # An estimate errs to both sides; no record has two values.
            distinct=min(distinct, self.column.present),
            distinct_exact=exact,
            values=listed,
            other=self.column.present - sum(count for _, count in listed),
            count_error=self.counts.error,
            most_frequent=listed[0] if listed else None,
            least_frequent=self.counts.least_frequent(),
            correlation=self._ratio() if self.numeric else informational_correlation(information),
            mutual_information=information,
            dates=self.column.dates.insights(),
            fingerprint=digits(self.column.fingerprint),
        )

    def _ratio(self) -> float | None:
        rows = self.counts.rows
        return None if self.counts.error else correlation_ratio(rows.paired, rows.sums, self.target)

    def _take_in(self, tallies: Iterable[Tally]) -> None:
        for tally in tallies:
            self.counts.add(tally)
            if len(tally.classes):
                keys, joint = tally.class_table()
                self.classes.add(keys, joint, tally.classes)


@dataclass
class RowIdState:
    """Sums up the row id: how many names there are, and the first of them as a sample; no two are alike, as a rule.

    Each of the values in the sample is counted once: `count_error` tells how many records that may be short of.
    """

    distinct: DistinctHashes = field(default_factory=DistinctHashes)
    missing: int = 0
    present: int = 0
    fingerprint: int = 0
    sample: tuple[str, ...] = ()

    def add(self, array: Array, invalid: Bools | None, beside: Beside) -> None:
        """See `ColumnState`."""
        valid = valid_mask(array)
        if is_coded(array):
            codes, distinct = coded(array)
            keys = with_null(string_keys(distinct))[codes]
        else:
            keys = string_keys(array)
        weights = beside.weights
        if valid is not None:
            keys, weights = keys[valid], weights[valid]
        self.fingerprint = (self.fingerprint + weighted_sum(weights, keys)) % 2**64
        self.distinct.add(keys)
        self.missing += len(array) - len(keys)
        self.present += len(keys)
        if len(self.sample) < _SAMPLED_IDS:
            first = np.arange(len(array)) if valid is None else np.flatnonzero(valid)
            self._sampled(array.take(int_array(first[:_SAMPLED_IDS])).to_pylist())

    def finish(self) -> None:
        """See `ColumnState`."""

    def merge(self, other: ColumnState) -> None:
        """See `ColumnState`."""
        if not isinstance(other, RowIdState):
            raise TypeError("only states of one attribute can be merged")
        self.distinct.merge(other.distinct)
        self.missing += other.missing
        self.present += other.present
        self.fingerprint = (self.fingerprint + other.fingerprint) % 2**64
        self._sampled(other.sample)

    def insights(self) -> CategoricalInsights:
        """See `ColumnState`."""
        values = [(value, 1) for value in self.sample]
        return CategoricalInsights(
            missing=self.missing,
            distinct=min(self.distinct.count, self.present),
            distinct_exact=self.distinct.exact,
            values=values,
            other=self.present - len(values),
            count_error=self.present - len(values),
            most_frequent=values[0] if values else None,
            least_frequent=None,
            correlation=None,
            mutual_information=None,
            dates=None,
            fingerprint=digits(self.fingerprint),
        )

    def _sampled(self, values: Iterable[str]) -> None:
        self.sample = tuple(dict.fromkeys((*self.sample, *values)))[:_SAMPLED_IDS]


def _moments_where(chosen: Bools | None, target: TargetCells) -> Moments:
    if target.values is None or target.found is None:
        raise AssertionError("a CATEGORICAL target has no moments")
    if chosen is None:
        return target.found.moments
    return Moments.of(target.values[chosen if target.valid is None else chosen & target.valid])
