from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nightcast.evaluation.accuracy_history import AccuracyRow
from nightcast.evaluation.accuracy_summary import by_month, by_week, grouped, together

EMPTY = AccuracyRow("2008-12-31", "r", "m", "2008-12-29", 2, "REGRESSION", 0, 0, 0, 0, 0, 0)


def row(period: str, predicted: np.ndarray, actual: np.ndarray, **changes) -> AccuracyRow:
    """The row of predictions and outcomes, by the definitions of its metrics."""
    errors = predicted - actual
    return replace(
        EMPTY,
        period=period,
        records_matched=len(actual),
        rmse=float(np.sqrt(np.mean(errors**2))),
        wape=float(np.abs(errors).sum() / np.abs(actual).sum()),
        bias=float(errors.mean()),
        bias_percent=float(100 * errors.sum() / actual.sum()),
        interval_coverage=float(np.mean(np.abs(errors) < 1)),
        **changes,
    )


def test_the_figures_of_parts_give_those_of_all_records():
    random = np.random.default_rng(7)
    parts = [(random.gamma(2, 3, size), random.gamma(2, 3, size)) for size in (10, 500, 77)]
    rows = [row(f"2008-12-{29 + n}", *part, model_age_days=n) for n, part in enumerate(parts)]
    found = together("all", rows)
    expected = row("all", *(np.concatenate(side) for side in zip(*parts, strict=True)))
    for metric in ("rmse", "wape", "bias", "bias_percent", "interval_coverage"):
        assert getattr(found, metric) == pytest.approx(getattr(expected, metric)), metric
    assert (found.period, found.run, found.records_matched, found.model_age_days) == ("all", "3 runs", 587, 1)


def test_what_parts_do_not_tell_is_left_out():
    exact = np.array([1.0, 2.0])
    found = together("all", [row("2008-12-30", exact, exact), row("2008-12-31", exact + 1, exact, auc=0.7)])
    assert (found.wape, found.bias_percent, found.auc) == (None, None, None)
    assert found.bias == 0.5
    assert together("all", [EMPTY, EMPTY]).rmse is None


def test_a_period_without_outcomes_counts_nothing():
    some = row("2008-12-30", np.array([3.0, 5.0]), np.array([2.0, 5.0]))
    found = together("all", [some, EMPTY])
    assert (found.rmse, found.wape) == (pytest.approx(some.rmse), pytest.approx(some.wape))


def test_rows_are_grouped_by_iso_week_or_month():
    days = ["2008-12-28", "2008-12-29", "2008-12-31", "2009-01-01", "2009-01-05"]
    rows = [replace(EMPTY, period=day, records_predicted=1) for day in reversed(days)]
    weeks = grouped(rows, by_week)
    assert [(one.period, one.records_predicted) for one in weeks] == [
        *(("2008-W52", 1), ("2009-W01", 3), ("2009-W02", 1)),
    ]
    assert [(one.period, one.run) for one in grouped(rows, by_month)] == [("2008-12", "3 runs"), ("2009-01", "2 runs")]
