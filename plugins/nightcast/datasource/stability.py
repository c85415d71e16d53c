"""The population stability index: how far a distribution has moved, from counts of two samples in the same bins."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nightcast.datasource.arrow_arrays import Floats
from nightcast.datasource.insights_format import (
    AttributeInsights,
    BinaryInsights,
    CategoricalInsights,
    DateInsights,
    NumericInsights,
    TextInsights,
)

_BINS = 10
_LISTED_SHARE = 0.99
_MOST_VALUES = 50

Counts = Sequence[float] | Floats
Tables = Sequence[tuple[Counts, Counts]]
Index = tuple[float | None, float | None]
"""A population stability index, and what sampling alone would give; None where a side has no records."""


def stability_index(reference: Counts, current: Counts) -> float | None:
    """Population stability index of two lists of counts by bin.

    Returns
    -------
    float or None
        ``sum((c - r) * ln(c / r))`` over the shares r and c, symmetric and >= 0; a bin with less than half a record on
        one side counts as half a record there, and one that is empty on both is left out. None where a side has no
        records.

    Examples
    --------
    >>> stability_index([50, 50], [50, 50]), round(stability_index([50, 50], [70, 30]), 4)
    (0.0, 0.1695)
    """
    return _index([(reference, current)])[0]


def _index(tables: Tables) -> Index:
    """The mean index of tables of counts, reference and current, and the mean of what sampling alone would give."""
    found = []
    for pair in tables:
        first, second = (np.asarray(counts, dtype=np.float64) for counts in pair)
        sizes = first.sum(), second.sum()
        if min(sizes) <= 0:
            continue
        # A bin that is empty on both sides says nothing.
        filled = (first > 0) | (second > 0)
        left, right = (
            np.maximum(counts[filled], 0.5) / size for counts, size in zip((first, second), sizes, strict=True)
        )
        noise = (int(filled.sum()) - 1) * (1 / sizes[0] + 1 / sizes[1])
        found.append((((right - left) * np.log(right / left)).sum(), noise))
    if not found:
        return None, None
    psi, noise = np.mean(np.array(found), axis=0)
    return float(psi), float(noise)


def _strength(index: Index) -> tuple[float, float]:
    """What an index is above its noise; of those that are not, the greater one."""
    psi, noise = index
    return (-1.0, -1.0) if psi is None or noise is None else (max(psi - noise, 0.0), psi)


def attribute_index(here: AttributeInsights, there: AttributeInsights, here_records: int, there_records: int) -> Index:
    """The index of an attribute, in the bins that `nightcast.datasource.drift.AttributeDrift` tells, and its noise.

    Parameters
    ----------
    here, there
        Statistics of the reference's and of the current records, of one type.
    here_records, there_records
        How many records those are.
    """
    presence = [
        [records - absent_cells(found), absent_cells(found)]
        for found, records in ((here, here_records), (there, there_records))
    ]
    if dates_of(here) is not None and dates_of(there) is not None:
        return _index([(presence[0], presence[1])])
    if isinstance(here, NumericInsights) and isinstance(there, NumericInsights):
        return _index([_number_counts(here, there, here_records, there_records)])
    if isinstance(here, BinaryInsights) and isinstance(there, BinaryInsights):
        first, second = ([found.false, found.true, absent_cells(found)] for found in (here, there))
        return _index([(first, second)])
    if isinstance(here, CategoricalInsights) and isinstance(there, CategoricalInsights):
        kept = _frequent(here)
        return _index([(_value_counts(here, kept), _value_counts(there, kept))])
    if isinstance(here, TextInsights) and isinstance(there, TextInsights):
        tokens = _index(_token_tables(here, there, here_records, there_records))
        # Among fifty tokens that each few records hold, the mean hides that most texts are gone.
        return max(tokens, _index([(presence[0], presence[1])]), key=_strength)
    return None, None


def absent_cells(found: AttributeInsights) -> int:
    """Number of records without a readable value."""
    return found.missing + (found.invalid if isinstance(found, NumericInsights | BinaryInsights) else 0)


def dates_of(found: AttributeInsights) -> DateInsights | None:
    """The time span of an attribute of dates, else None."""
    return found.dates if isinstance(found, CategoricalInsights | TextInsights) else None


def _number_counts(
    here: NumericInsights, there: NumericInsights, here_records: int, there_records: int
) -> tuple[Floats, Floats]:
    cuts = _cuts(here.quantiles)
    tables = []
    for found, records in ((here, here_records), (there, there_records)):
        # Without values each bin is empty, and the missing cells alone differ.
        shares = np.diff(np.concatenate(([0.0], share_below(found.quantiles, cuts), [1.0])))
        tables.append(np.append(shares * (records - absent_cells(found)), absent_cells(found)))
    return tables[0], tables[1]


def _cuts(quantiles: Sequence[float]) -> Floats:
    """Where bins begin: at the tenths but the least; where some are equal, just above that value, too."""
    if not quantiles:
        return np.zeros(0)
    tenths = np.asarray(quantiles)[:: (len(quantiles) - 1) // _BINS]
    tied = tenths[1:][tenths[1:] == tenths[:-1]]
    with np.errstate(over="ignore"):
        above = np.nextafter(tied, np.inf)
    return np.unique(np.concatenate((tenths[1:-1], tied, above)))


def share_below(quantiles: Sequence[float], points: Floats) -> Floats:
    """Share of values below each point, from quantiles of the values at equal steps; to one step.

    Examples
    --------
    >>> share_below([permille / 10 for permille in range(1001)], np.array([-1.0, 25.0, 200.0])).tolist()
    [0.0, 0.25, 1.0]
    """
    if not quantiles:
        return np.zeros(len(points))
    table = np.asarray(quantiles, dtype=np.float64)
    steps = len(table) - 1
    upper = np.searchsorted(table, points, side="left")
    place = np.clip(upper, 1, steps)
    low, high = table[place - 1], table[place]
    # Halves, for the distance of the ends of float64 is none.
    width = high / 2 - low / 2
    inner = place - 1 + (np.clip(points, low, high) / 2 - low / 2) / np.where(width > 0, width, 1.0)
    return np.asarray(np.where(upper == 0, 0.0, np.where(upper > steps, 1.0, inner / steps)))


def _frequent(found: CategoricalInsights) -> list[str]:
    total = sum(count for _, count in found.values) + found.other
    kept: list[str] = []
    covered = 0
    for value, count in found.values[:_MOST_VALUES]:
        if covered >= _LISTED_SHARE * total:
            break
        kept.append(value)
        covered += count
    return kept


def _value_counts(found: CategoricalInsights, kept: Sequence[str]) -> list[float]:
    counts = dict(found.values)
    chosen = [float(counts.get(value, 0)) for value in kept]
    return [*chosen, sum(counts.values()) + found.other - sum(chosen), float(found.missing)]


def _token_tables(here: TextInsights, there: TextInsights, here_records: int, there_records: int) -> Tables:
    first, second = dict(here.tokens), dict(there.tokens)
    tokens = dict.fromkeys(token for found in (here, there) for token, _ in found.tokens[:_MOST_VALUES])
    pairs = [(first.get(token, 0), second.get(token, 0)) for token in tokens]
    return [([one, here_records - one], [other, there_records - other]) for one, other in pairs]
