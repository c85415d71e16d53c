"""Rows of the accuracy history taken together, by ISO week, by month, or all of them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

from nightcast.evaluation.accuracy_history import AccuracyRow

_COUNTS = (
    "records_predicted", "records_failed", "records_matched", "missing_actual", "without_prediction", "duplicates",
)  # fmt: skip
# Means over records, so they can be taken together; an AUC or an F1 can not.
_MEANS = ("bias", "interval_coverage", "interval_width", "log_loss", "baseline_log_loss")
_SQUARES = ("rmse", "baseline_rmse")


def by_week(row: AccuracyRow) -> str:
    """Name of the ISO week in which the row's period begins, as in ``2008-W52``."""
    year, week, _ = date.fromisoformat(row.period[:10]).isocalendar()
    return f"{year}-W{week:02d}"


def by_month(row: AccuracyRow) -> str:
    """Name of the month in which the row's period begins, as in ``2008-12``."""
    return row.period[:7]


def grouped(rows: Sequence[AccuracyRow], group: Callable[[AccuracyRow], str]) -> list[AccuracyRow]:
    """One row for each group of rows that follow one another, by period."""
    ordered = sorted(rows, key=lambda row: (row.period, row.run))
    return [together(name, list(members)) for name, members in itertools.groupby(ordered, group)]


def together(name: str, rows: Sequence[AccuracyRow]) -> AccuracyRow:
    """The accuracy over all records of several periods.

    Parameters
    ----------
    name
        Stands in the place of the period.
    rows
        At least one, all of one model type.

    Returns
    -------
    AccuracyRow
        Counts are sums; the age is the mean one, rounded; model and cut-off are the last row's. RMSE, bias, coverage,
        width and log loss are those of all matched records. WAPE and bias in percent need the sum of the true values,
        which a row tells by the ratio of its two biases: they are exact where no true value is negative, and None where
        a row has no bias. AUC and F1 can not be told from those of parts, and are None.
    """
    figures: dict[str, Any] = {count: sum(getattr(row, count) for row in rows) for count in _COUNTS}
    figures |= {metric: _mean(rows, metric, 1) for metric in _MEANS}
    figures |= {metric: _root(_mean(rows, metric, 2)) for metric in _SQUARES}
    figures |= dict.fromkeys(("wape", "bias_percent", "auc", "f1", "baseline_f1"))
    figures |= _ratios(rows, [_actual(row) for row in rows])
    age = round(sum(row.model_age_days for row in rows) / len(rows))
    return replace(rows[-1], period=name, run=f"{len(rows)} runs", model_age_days=age, **figures)


def _ratios(rows: Sequence[AccuracyRow], actual: Sequence[float | None]) -> dict[str, float]:
    known = [value for value in actual if value is not None]
    if len(known) < len(actual) or not sum(known):
        return {}
    total = sum(known)
    errors = [(row.wape or 0.0) * value for row, value in zip(rows, known, strict=True)]
    biases = [(row.bias_percent or 0.0) * value for row, value in zip(rows, known, strict=True)]
    return {"wape": sum(errors) / total, "bias_percent": sum(biases) / total}


def _actual(row: AccuracyRow) -> float | None:
    """Sum of the true values of a period; None where it can not be told."""
    if not row.records_matched:
        return 0.0
    return 100 * row.bias * row.records_matched / row.bias_percent if row.bias and row.bias_percent else None


def _mean(rows: Iterable[AccuracyRow], metric: str, power: int) -> float | None:
    known = [(getattr(row, metric), row.records_matched) for row in rows if getattr(row, metric) is not None]
    records = sum(count for _, count in known)
    return sum(value**power * count for value, count in known) / records if records else None


def _root(value: float | None) -> float | None:
    return None if value is None else math.sqrt(value)
