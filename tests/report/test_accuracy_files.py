from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest

from nightcast.evaluation.accuracy_history import AccuracyRow
from nightcast.operators.accuracy_table import row_statements
from nightcast.report.accuracy_files import accuracy_table, read_rows, summary_table, write_row
from nightcast.storage import Storage

ROW = AccuracyRow(
    *("2008-12-30", "backfill__29", "backfill__22", "2008-12-23", 7, "REGRESSION", 538, 0, 530, 8, 3, 0),
    rmse=2.5,
    baseline_rmse=4.0,
    wape=0.25,
)


@pytest.fixture
def pipeline(tmp_path):
    return f"{tmp_path.as_uri()}/sales_forecast"


def test_no_two_runs_write_the_same_object(pipeline):
    storage = Storage()
    places = [
        write_row(storage, pipeline, run, replace(ROW, period=period))["uri"]
        for period in ("2008-12-30", "2008-12-31")
        for run in ("backfill__30", "scheduled__30")
    ]
    assert len({*places}) == 4
    assert places[0].endswith("/sales_forecast/accuracy/2008-12-30/backfill__30.json")


def test_rows_come_in_order_and_those_of_later_periods_can_be_left_out(pipeline):
    storage = Storage()
    days = [f"2008-12-{day}" for day in (31, 29, 30)]
    for day in days:
        write_row(storage, pipeline, "backfill__a", replace(ROW, period=day))
    # Measured once more, by another run, with more sales.
    write_row(storage, pipeline, "scheduled__a", replace(ROW, period=days[1], records_matched=538))
    rows = read_rows(storage, pipeline)
    assert [(row.period, row.records_matched) for row in rows] == [
        *(("2008-12-29", 538), ("2008-12-30", 530), ("2008-12-31", 530)),
    ]
    assert [row.period for row in read_rows(storage, pipeline, until="2008-12-30", periods=1)] == ["2008-12-30"]
    assert read_rows(storage, pipeline + "/of-another") == []


def test_the_table_has_the_metrics_that_there_are():
    text = accuracy_table([ROW, replace(ROW, period="2008-12-31", rmse=None)])
    header, first, second = text.split("\n")
    assert header.split() == ["period", "model", "until", "age", "records", "RMSE", "baseline", "WAPE", "%"]
    assert first.split() == ["2008-12-30", "2008-12-23", "7", "d", "530", "2.5", "4", "25"]
    assert len(header) == len(first) == len(second)


def test_statements_quote_what_they_write():
    create, delete, insert = row_statements("s.t", replace(ROW, run="it's"))
    assert create.startswith("create table if not exists s.t (period varchar(32), run varchar(256)")
    assert delete == "delete from s.t where period = '2008-12-30' and run = 'it''s'"
    assert (
        ", 'it''s', 'backfill__22', '2008-12-23', 7, 'REGRESSION', 538, 0, 530, 8, 3, 0, 2.5, 4.0, 0.25, null" in insert
    )


@pytest.mark.parametrize(
    ("days", "lines", "first"), [(1, 2, "2008-01-01"), (31, 33, "2008-01-01"), (32, 7, "2008-W01"), (121, 6, "2008-01")]
)
def test_a_long_history_is_told_by_week_or_month_and_overall(days, lines, first):
    start = date(2008, 1, 1)
    rows = [replace(ROW, period=(start + timedelta(days=n)).isoformat()) for n in range(days)]
    text = summary_table(rows).split("\n")
    assert (len(text), text[1].split()[0]) == (lines, first)
    assert days == 1 or text[-1].split()[0] == "all"
