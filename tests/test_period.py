from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightcast.errors import PeriodError
from nightcast.period import Period, RunDates, choose_period, resolve_period


def at(day: int, hour: int = 2) -> datetime:
    return datetime(2024, 3, day, hour, tzinfo=UTC)


def dates(run_type: str, *, run_after=None, logical=None, interval=(None, None)) -> RunDates:
    return RunDates(run_type, run_after, logical, *interval)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        pytest.param(
            dates("scheduled", run_after=at(3), logical=at(2), interval=(at(2), at(3))),
            (date(2024, 3, 2), date(2024, 3, 3)),
            id="scheduler: the interval is [2 March 02:00, 3 March 02:00)",
        ),
        pytest.param(
            dates("backfill", run_after=at(3), logical=at(2), interval=(at(2), at(3))),
            (date(2024, 3, 2), date(2024, 3, 3)),
            id="backfill",
        ),
        pytest.param(
            dates("manual", run_after=at(2), logical=at(2), interval=(at(1), at(2))),
            (date(2024, 3, 1), date(2024, 3, 2)),
            id="UI, REST and dags test with a logical date: the interval before it",
        ),
        pytest.param(
            dates("manual", run_after=at(5, 1), logical=at(5, 1), interval=(at(3), at(4))),
            (date(2024, 3, 4), date(2024, 3, 5)),
            id="UI at 01:00, when the inferred interval is still that of the night before",
        ),
        pytest.param(
            dates("manual", run_after=at(5, 15)),
            (date(2024, 3, 4), date(2024, 3, 5)),
            id="CLI and REST without a logical date: the last whole day",
        ),
        pytest.param(
            dates("manual", run_after=at(5), logical=at(4, 9), interval=(at(4, 9), at(4, 9))),
            (date(2024, 3, 3), date(2024, 3, 4)),
            id="an empty interval tells nothing, the logical date does",
        ),
        pytest.param(
            dates("scheduled", interval=(at(4), at(11))),
            (date(2024, 3, 4), date(2024, 3, 11)),
            id="weekly",
        ),
    ],
)
def test_period_of_each_way_to_start_a_run(told, expected):
    period = choose_period(told, None, None)
    assert (period.start, period.end) == expected


def test_params_go_before_everything():
    told = dates("scheduled", interval=(at(2), at(3)))
    assert choose_period(told, "2008-12-01", "2008-12-03") == Period(date(2008, 12, 1), date(2008, 12, 3), "params")


def test_cli_trigger_with_a_logical_date_is_refused_instead_of_guessed():
    now = datetime(2026, 11, 23, 2, tzinfo=UTC)
    told = dates("manual", logical=at(5), interval=(now - timedelta(days=1), now))
    with pytest.raises(PeriodError, match=r"2024-03-05.*belong to different periods.*backfill create"):
        choose_period(told, None, None)


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [
        ("2008-12-01", None, "only one of the Params"),
        (None, "2008-12-01", "only one of the Params"),
        ("2008-12-02", "2008-12-02", "is empty"),
        ("2008-12-02", "2008-12-01", "is empty"),
        ("2 December", "2008-12-03", "period_start is '2 December'"),
    ],
)
def test_bad_params_are_refused(start, end, message):
    with pytest.raises(PeriodError, match=message):
        choose_period(dates("manual", run_after=at(5)), start, end)


def test_a_run_without_any_date_is_refused():
    with pytest.raises(PeriodError, match="no data interval and no run time"):
        choose_period(dates("manual"), None, None)


def test_instants_of_other_zones_are_read_in_utc():
    tokyo = timezone(timedelta(hours=9))
    told = dates("manual", run_after=datetime(2024, 3, 5, 8, tzinfo=tokyo))  # 4 March 23:00 UTC
    assert choose_period(told, None, None).end == date(2024, 3, 4)


def test_resolve_period_reads_an_airflow_context():
    context = {
        "dag_run": SimpleNamespace(run_type=SimpleNamespace(value="scheduled"), run_after=at(3)),
        "params": {"period_start": None, "period_end": None},
        "logical_date": at(2),
        "data_interval_start": at(2),
        "data_interval_end": at(3),
    }
    assert resolve_period(context) == Period(date(2024, 3, 2), date(2024, 3, 3), "data interval")


def test_sql_names_are_half_open_and_meet():
    names = Period(date(2008, 12, 30), date(2009, 1, 1)).sql_names(training_days=30)
    assert names == {
        "history_start": "2008-12-02 00:00:00",
        "period_start": "2008-12-30 00:00:00",
        "period_end": "2009-01-01 00:00:00",
        "next_period_start": "2009-01-01 00:00:00",
        "next_period_end": "2009-01-03 00:00:00",
    }


@given(st.dates(date(1970, 1, 2), date(2200, 1, 1)), st.integers(1, 40))
def test_next_periods_tile_time(start, days):
    period = Period(start, start + timedelta(days=days))
    assert period.next.start == period.end
    assert period.next.end - period.next.start == period.end - period.start


def test_labels():
    assert Period(date(2008, 12, 31), date(2009, 1, 1)).label == "2008-12-31"
    assert Period(date(2008, 12, 25), date(2009, 1, 1)).label == "2008-12-25_2008-12-31"
