"""The chart of one attribute, by its type."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from nightcast.datasource.insights_format import (
    AttributeInsights,
    BinaryInsights,
    CategoricalInsights,
    DateInsights,
    NumericInsights,
    TextInsights,
)
from nightcast.report.charts import NARROW, Box, histogram, value_bars

_TOP_VALUES = 10
_BINS = 50
# One interval with this share of the values hides what the others hold.
_CROWDED = 0.9
_DATE_BINS = 25


def attribute_chart(name: str, found: AttributeInsights, records: int) -> str:
    """Draw the chart.

    Parameters
    ----------
    name, found
        The attribute.
    records
        What shares are of.

    Returns
    -------
    str
        SVG. NUMERIC: histogram and box plot; BINARY: both values; CATEGORICAL: the ten most frequent values and the
        others; dates: how they lie in time; TEXT: the ten most frequent tokens.
    """
    if isinstance(found, NumericInsights):
        return _numbers(name, found)
    if isinstance(found, BinaryInsights):
        valid = found.true + found.false
        return value_bars([("0", found.false), ("1", found.true)], valid, f"Values of {name}")
    if found.dates is not None:
        return _dates(name, found.dates)
    if isinstance(found, CategoricalInsights):
        if found.most_frequent is not None and found.most_frequent[1] == 1:
            return '<p class="empty">Each value occurs once.</p>'
        others = found.other + sum(count for _, count in found.values[_TOP_VALUES:])
        return value_bars(found.values[:_TOP_VALUES], records, f"Most frequent values of {name}", others)
    return _texts(name, found, records)


def _texts(name: str, found: TextInsights, records: int) -> str:
    return value_bars(found.tokens[:_TOP_VALUES], records, f"Records that hold each token of {name}")


def _numbers(name: str, found: NumericInsights) -> str:
    if found.histogram is None or not found.quantiles:
        return histogram([], [], f"Distribution of {name}", width=NARROW)
    edges, counts, title = found.histogram.edges, found.histogram.counts, f"Distribution of {name}"
    if len(counts) == 1:
        return value_bars([(f"{found.min:.10g}", counts[0])], counts[0], title)
    points = found.quantiles
    # Tukey's whiskers would need the values themselves.
    box = Box(points[10], points[250], points[500], points[750], points[990])
    if max(counts) >= _CROWDED * sum(counts) and box.high > box.low:
        edges, counts = binned(points[10:991], _BINS, sum(counts) / 1000)
        title += ", middle 98 %"
    return histogram(edges, counts, title, box=box, width=NARROW)


def _dates(name: str, dates: DateInsights) -> str:
    title = f"Dates of {name}"
    days = [float(date.fromisoformat(day).toordinal()) for day in dates.percentiles]
    if days[0] == days[-1]:
        return value_bars([(dates.first, dates.values)], dates.values, title)
    edges, counts = binned(days, min(_DATE_BINS, int(days[-1] - days[0]) + 1), dates.values / 100)
    return histogram(edges, counts, title, width=NARROW, label=_day)


def _day(ordinal: float) -> str:
    return date.fromordinal(int(ordinal)).isoformat()


def binned(points: Sequence[float], bins: int, weight: float) -> tuple[list[float], list[int]]:
    """Bins of equal width over points of equal weight, such as quantiles.

    Parameters
    ----------
    points
        Ascending, first and last different.
    bins
        How many.
    weight
        Records that one point stands for.

    Returns
    -------
    edges, counts
        As of `histogram`; counts are rounded.

    Examples
    --------
    >>> binned([0.0, 1.0, 2.0, 3.0, 4.0], 2, 10)
    ([0.0, 2.0, 4.0], [20, 30])
    """
    first, last = points[0], points[-1]
    edges = [first * (1 - place / bins) + last * (place / bins) for place in range(bins + 1)]
    counts = [0] * bins
    place = 0
    for point in points:
        while place < bins - 1 and point >= edges[place + 1]:
            place += 1
        counts[place] += 1
    return edges, [round(count * weight) for count in counts]
