"""Drift: how far the distribution of each attribute has moved between two datasources, from their insights alone."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

import numpy as np

from nightcast.datasource.insights_format import (
    AttributeInsights,
    CategoricalInsights,
    Insights,
    NumericInsights,
)
from nightcast.datasource.iso_dates import day_number
from nightcast.datasource.stability import absent_cells, attribute_index, dates_of, share_below

FORMAT = "nightcast-drift"
VERSION = 1
_MODERATE, _MAJOR = 0.1, 0.25
_NAMED = 10


class DriftLevel(StrEnum):
    """What a population stability index means, by the usual rule of thumb: below 0.1 stable, up to 0.25 moderate.

    Source: Siddiqi, Credit Risk Scorecards, 2006.
    """

    STABLE = "stable"
    MODERATE = "moderate"
    MAJOR = "major"

    @classmethod
    def of(cls, psi: float | None) -> DriftLevel:
        """The level of an index; stable where there is none."""
        if psi is None or psi < _MODERATE:
            return cls.STABLE
        return cls.MODERATE if psi <= _MAJOR else cls.MAJOR


@dataclass(frozen=True)
class AttributeDrift:
    """How one attribute differs between a reference and the current records.

    Parameters
    ----------
    attribute
        Its name.
    psi
        Population stability index, of `nightcast.datasource.stability`; None where a side has no records. Its bins are,
        NUMERIC: the reference's tenths, a value that ends two of them as a bin of its own, and missing cells. BINARY:
        false, true, missing. CATEGORICAL: the reference's most frequent values that cover 99 % of its records, at most
        50, others, missing. TEXT: the mean of the indices of whether a record holds each token that is among the 50
        most frequent of either side, or the index of present and missing where that is further above its noise. Dates,
        which move on as time does: present and missing alone.
    noise
        The index that two samples of these sizes of one source have on average: (bins - 1) (1 / n + 1 / m). Source:
        Yurdakul, Statistical properties of population stability index, Western Michigan University, 2018.
    level
        Of what the index is above that: without it, a few hundred records would always seem to drift.
    missing_reference, missing_current
        Shares of records whose cell is missing or invalid.
    below, above
        NUMERIC and dates: shares of the current values below the reference's minimum and above its maximum, to 0.1 %
        (dates: to 1 %).
    new_values, vanished_values
        CATEGORICAL with fully known values: up to 10 values that only the current records have, most frequent first,
        and up to 10 that only the reference has.
    """

    attribute: str
    psi: float | None
    noise: float | None
    level: DriftLevel
    missing_reference: float
    missing_current: float
    below: float | None = None
    above: float | None = None
    new_values: tuple[str, ...] = ()
    vanished_values: tuple[str, ...] = ()


@dataclass(frozen=True)
class Drift:
    """How a datasource differs from a reference.

    Parameters
    ----------
    attributes
        Of those that both have with one type, in the reference's order.
    added, removed
        Names of attributes that only the current or only the reference has.
    retyped
        Names of attributes whose type differs.
    """

    attributes: tuple[AttributeDrift, ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]
    retyped: tuple[str, ...]

    @property
    def level(self) -> DriftLevel:
        """The worst level; major where attributes went or changed their type.

        One that came is not read by a model that was trained on the reference.
        """
        if self.removed or self.retyped:
            return DriftLevel.MAJOR
        order = list(DriftLevel)
        return max((found.level for found in self.attributes), key=order.index, default=DriftLevel.STABLE)

    def to_json(self) -> str:
        """A document with sorted keys, ended by a line end."""
        document = {
            "format": FORMAT,
            "version": VERSION,
            "level": self.level,
            "attributes": [asdict(found) for found in self.attributes],
            "added": self.added,
            "removed": self.removed,
            "retyped": self.retyped,
        }
        return json.dumps(document, sort_keys=True, allow_nan=False, ensure_ascii=False, indent=2) + "\n"


def compare_insights(reference: Insights, current: Insights, ignored: Collection[str] = ()) -> Drift:
    """Compare the insights of two datasources of one kind, such as two sales periods.

    Parameters
    ----------
    reference
        What is normal: the records that the model was trained on.
    current
        The records of now.
    ignored
        Names of attributes that are not compared, such as the row id, which names records and always differs.
    """
    here, there = (
        {name: statistics for name, statistics in found.attributes.items() if name not in ignored}
        for found in (reference, current)
    )
    both = [name for name in here if name in there]
    return Drift(
        attributes=tuple(
            _attribute_drift(name, here[name], there[name], reference.records, current.records)
            for name in both
            if here[name].type is there[name].type
        ),
        added=tuple(name for name in there if name not in here),
        removed=tuple(name for name in here if name not in there),
        retyped=tuple(name for name in both if here[name].type is not there[name].type),
    )


def _attribute_drift(
    name: str, here: AttributeInsights, there: AttributeInsights, here_records: int, there_records: int
) -> AttributeDrift:
    missing = [
        absent_cells(found) / max(records, 1) for found, records in ((here, here_records), (there, there_records))
    ]
    psi, noise = attribute_index(here, there, here_records, there_records)
    below, above = _beyond(_range(here), _range(there))
    new: tuple[str, ...] = ()
    vanished: tuple[str, ...] = ()
    if isinstance(here, CategoricalInsights) and isinstance(there, CategoricalInsights):
        new, vanished = _only_there(here, there), _only_there(there, here)
    level = DriftLevel.of(None if psi is None or noise is None else psi - noise)
    return AttributeDrift(name, psi, noise, level, missing[0], missing[1], below, above, new, vanished)


def _range(found: AttributeInsights) -> Sequence[float]:
    """Quantiles from minimum to maximum; empty where there is no order."""
    dates = dates_of(found)
    if dates is not None:
        return [float(day_number(day)) for day in dates.percentiles]
    return found.quantiles if isinstance(found, NumericInsights) else ()


def _beyond(here: Sequence[float], there: Sequence[float]) -> tuple[float | None, float | None]:
    if not here or not there:
        return None, None
    # From the other end, so that no value is above its own maximum.
    below = share_below(there, np.array([here[0]]))
    above = share_below([-value for value in reversed(there)], np.array([-here[-1]]))
    return float(below[0]), float(above[0])


def _only_there(here: CategoricalInsights, there: CategoricalInsights) -> tuple[str, ...]:
    if here.other or here.count_error:
        return ()
    known = {value for value, _ in here.values}
    return tuple(value for value, _ in there.values if value not in known)[:_NAMED]
