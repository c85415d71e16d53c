from __future__ import annotations

from datetime import date

import pytest

from nightcast.period import PeriodLength
from nightcast.sandbox.backfill import BackfillRequest
from nightcast.sandbox.commands import _labels, main


@pytest.mark.parametrize(
    ("length", "first", "last", "labels"),
    [
        (PeriodLength.DAILY, date(2024, 2, 28), date(2024, 3, 1), ["2024-02-28", "2024-02-29", "2024-03-01"]),
        (PeriodLength.WEEKLY, date(2024, 3, 4), date(2024, 3, 17), ["2024-03-04", "2024-03-11"]),
        (PeriodLength.WEEKLY, date(2024, 3, 5), date(2024, 3, 10), []),
        (PeriodLength.MONTHLY, date(2024, 1, 31), date(2024, 3, 1), ["2024-02-01", "2024-03-01"]),
    ],
)
def test_a_backfill_makes_the_periods_that_begin_in_its_range(length, first, last, labels):
    expected = {length.holding(date.fromisoformat(label)).label for label in labels}
    found = _labels(length, BackfillRequest("sales", first, last))
    assert found == expected
    assert len(found) == len(labels)


def test_a_pipeline_of_ones_own_is_run_for_a_day_that_is_named(capsys, tmp_path):
    assert main(["--project", str(tmp_path), "run", "--dag", "shops"]) == 1
    assert "make run DAG=shops DAY=YYYY-MM-DD" in capsys.readouterr().err
