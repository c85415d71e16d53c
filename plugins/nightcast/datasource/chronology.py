"""Where a chronological data rearrangement cuts: order statistics of the attribute that tells the time.

Dates count by the day. Sales of one day depend on each other, and a model that learnt from a day's morning would be
praised for knowing its evening; besides, the counts of days are exact and small, whatever the number of time stamps.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from math import inf

import numpy as np

from nightcast.datasource.arrow_arrays import Array, Ints, coded, numbers
from nightcast.datasource.date_counts import DateCounts
from nightcast.datasource.iso_dates import days_of
from nightcast.datasource.number_counts import NumberCounts
from nightcast.datasource.parts import ByteSource, Datasource, Mapper, NumberedPart, read_batches
from nightcast.datasource.schema import AttributeType, Schema
from nightcast.datasource.time_cuts import Cut, Cuts
from nightcast.errors import RearrangementError

_LEAST_SHARE = 0.5


@dataclass
class Instants:
    """How many records have which day or number.

    Parameters
    ----------
    records
        All records, those without a readable value included.
    example
        A value that is neither, if there is one.
    """

    records: int = 0
    days: DateCounts = field(default_factory=DateCounts)
    numbers: NumberCounts = field(default_factory=NumberCounts)
    low: float = inf
    high: float = -inf
    example: str | None = None

    def add_numbers(self, array: Array) -> None:
        """Count the cells of a NUMERIC attribute."""
        values, valid = numbers(array)
        found = values if valid is None else values[valid]
        self.records += len(values)
        if len(found):
            low, high = float(found.min()), float(found.max())
            self.numbers.add(found, low, high)
            self.low, self.high = min(self.low, low), max(self.high, high)

    def add_strings(self, array: Array) -> None:
        """Count the cells of a CATEGORICAL or TEXT attribute."""
        codes, distinct = coded(array)
        counts = np.bincount(codes, minlength=len(distinct) + 1)
        self.records += len(codes)
        before = self.days.others
        self.days.add(distinct, counts[:-1])
        if self.example is None and self.days.others > before:
            self.example = _no_date(distinct, counts[:-1])

    def merge(self, other: Instants) -> None:
        """Add what `other` has seen."""
        self.records += other.records
        self.days.merge(other.days)
        self.numbers.merge(other.numbers)
        self.low, self.high = min(self.low, other.low), max(self.high, other.high)
        self.example = self.example if self.example is not None else other.example


def find_cuts(
    attribute: str, percents: tuple[int, int], datasource: Datasource, source: ByteSource, mapper: Mapper = map
) -> Cuts:
    """The values at which a chronological rearrangement cuts.

    Parameters
    ----------
    attribute
        What tells the time.
    percents
        Begin and end of the range; 0 and 100 are open ends.

    Returns
    -------
    tuple
        For each end an ISO day, or a number for a NUMERIC attribute: the value of the record of rank
        ``floor(records * percent / 100)``, from 0, in ascending order, records without a readable value first. Days are
        exact; numbers are exact up to 4,096 distinct ones and to 0.025 % beyond. Rejected records do not count.

    Raises
    ------
    RearrangementError
        If the schema lacks the attribute, or fewer than half of the records have a day or number.
    """
    schema = datasource.schema
    _check_attribute(attribute, schema)
    total = Instants()
    for found in mapper(partial(part_instants, attribute=attribute, source=source), datasource.numbered()):
        total.merge(found)
    numeric = schema.type_of(attribute) is AttributeType.NUMERIC
    points, counts = total.numbers.points(total.low, total.high) if numeric else (total.days.days, total.days.counts)
    known_records = int(counts.sum())
    if known_records < max(_LEAST_SHARE * total.records, 1):
        example = f" ({total.example!r:.40} is none)" if total.example is not None else ""
        raise RearrangementError(
            f"{known_records:,} of {total.records:,} records have {'a number' if numeric else 'an ISO date'} in "
            f"{attribute!r}{example}; name an attribute that tells the time, such as 2008-12-31"
        )
    ends = np.cumsum(counts) + (total.records - known_records)
    begin, end = (_cut(points, ends, total.records * percent // 100, numeric) for percent in percents)
    return begin if percents[0] > 0 else None, end if percents[1] < 100 else None


def part_instants(numbered: NumberedPart, attribute: str, source: ByteSource) -> Instants:
    """The counts of one part."""
    state = Instants()
    numeric = numbered.schema.type_of(attribute) is AttributeType.NUMERIC
    for batch in read_batches(numbered, source, (attribute,)):
        column = batch.columns[attribute]
        if numeric:
            state.add_numbers(column)
        else:
            state.add_strings(column)
        # Their cells are null, and were counted as records without a value.
        state.records -= len(batch.rejects)
    return state


def _check_attribute(attribute: str, schema: Schema) -> None:
    numeric = attribute in schema.names and schema.type_of(attribute) is AttributeType.NUMERIC
    if attribute not in schema.names:
        fault = "no attribute"
    elif schema.type_of(attribute) is AttributeType.BINARY:
        fault = "BINARY"
    elif numeric and attribute == schema.row_id:
        fault = "the row id, whose numbers are names"
    else:
        return
    known = ", ".join(repr(name) for name in schema.names[:20])
    raise RearrangementError(
        f"a chronological rearrangement needs an attribute of dates or numbers, and {attribute!r} is {fault}; "
        f"the schema has {known}"
    )


def _cut(points: Array, ends: Ints, rank: int, numeric: bool) -> Cut:
    found = points[min(int(np.searchsorted(ends, rank, side="right")), len(points) - 1)]
    return float(found) if numeric else str(np.datetime64(int(found), "D"))


def _no_date(distinct: Array, counts: Ints) -> str | None:
    _, is_date = days_of(distinct)
    places = np.flatnonzero(~is_date & (counts > 0))
    return str(distinct[int(places[0])].as_py()) if len(places) else None
