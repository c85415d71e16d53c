"""Errors by the value of an attribute, and by week."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from math import sqrt
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightcast.datasource.arrow_arrays import Array, Bools, Floats, Ints, bool_values, coded, valid_mask
from nightcast.datasource.insights import BinaryInsights, CategoricalInsights, Insights, TextInsights
from nightcast.datasource.parts import Batch
from nightcast.datasource.schema import Schema

_MOST_VALUES = 50
_LISTED = 50
MISSING = ""


def segment_attributes(schema: Schema, insights: Insights) -> tuple[str, ...]:
    """Attributes to tell errors by: BINARY and CATEGORICAL inputs of 2 to 50 values."""
    chosen = []
    for attribute in schema.inputs:
        found = insights.attributes.get(attribute.name)
        several = isinstance(found, CategoricalInsights) and 2 <= found.distinct <= _MOST_VALUES
        if several or isinstance(found, BinaryInsights):
            chosen.append(attribute.name)
    return tuple(chosen)


def week_attribute(schema: Schema, insights: Insights) -> str | None:
    """The first attribute that holds dates of more than one week, excluded ones among them; None without one."""
    for name in schema.names:
        found = insights.attributes.get(name)
        spans = found.dates if isinstance(found, CategoricalInsights | TextInsights) else None
        if spans is not None and date.fromisoformat(spans.last) - date.fromisoformat(spans.first) >= timedelta(days=7):
            return name
    return None


@dataclass
class ErrorSums:
    """Sums of residuals by key: each a row of records, sum, sum of magnitudes, sum of squares; shape (4,)."""

    rows: dict[str, Floats] = field(default_factory=dict)

    def add(self, keys: Sequence[str], codes: Ints, residuals: Floats) -> None:
        """Add residuals, shape (n,), of the keys ``keys[codes]``."""
        size = len(keys)
        with np.errstate(over="ignore"):
            squares = residuals * residuals
        table = np.stack(
            [
                np.bincount(codes, minlength=size).astype(np.float64),
                np.bincount(codes, weights=residuals, minlength=size),
                np.bincount(codes, weights=np.abs(residuals), minlength=size),
                np.bincount(codes, weights=squares, minlength=size),
            ],
            axis=1,
        )
        for place in np.flatnonzero(table[:, 0]).tolist():
            self._add_row(keys[place], table[place])

    def merge(self, other: ErrorSums) -> None:
        """Add the sums of other records."""
        for key, row in other.rows.items():
            self._add_row(key, row)

    def _add_row(self, key: str, row: Floats) -> None:
        known = self.rows.get(key)
        self.rows[key] = row.copy() if known is None else known + row

    def facts(self, by_key: bool = False) -> list[dict[str, Any]]:
        """One object a key: the 50 with most records, most first; or all in the order of keys."""
        ordered = sorted(self.rows.items(), key=lambda pair: pair[0] if by_key else (-pair[1][0], pair[0]))
        return [
            {
                "value": key,
                "records": int(count),
                "meanResidual": float(total / count),
                "meanAbsoluteError": float(magnitudes / count),
                "rootMeanSquaredError": sqrt(float(squares / count)),
            }
            for key, (count, total, magnitudes, squares) in (ordered if by_key else ordered[:_LISTED])
        ]


def keys_of(batch: Batch, name: str) -> tuple[list[str], Ints]:
    """Values of a BINARY, CATEGORICAL or TEXT attribute, and which of them each record has; missing ones are ``""``."""
    array = batch.columns[name]
    if pa.types.is_boolean(array.type):
        return ["0", "1", MISSING], _or_missing(bool_values(array).astype(np.int64), valid_mask(array), 2)
    codes, distinct = coded(array)
    return [*distinct.to_pylist(), MISSING], codes


def weeks_of(batch: Batch, name: str) -> tuple[list[str], Ints]:
    """Mondays, as ISO dates, of an attribute that holds ISO dates; what is no date is ``""``."""
    array: Array = batch.columns[name]
    if not pa.types.is_dictionary(array.type):
        array = pc.utf8_slice_codeunits(array, 0, 10)
    codes, distinct = coded(array)
    return [*map(_monday, distinct.to_pylist()), MISSING], codes


def _monday(text: str) -> str:
    try:
        day = date.fromisoformat(text[:10])
    except ValueError:
        return MISSING
    return (day - timedelta(days=day.weekday())).isoformat()


def _or_missing(codes: Ints, valid: Bools | None, missing: int) -> Ints:
    return codes if valid is None else np.where(valid, codes, missing)
