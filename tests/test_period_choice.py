"""All ways to start a run, and the sales period that each one gets (docs/periods.md has the same table)."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightcast.errors import PeriodError
from nightcast.period import Period, PeriodLength
from nightcast.period_choice import choose_period, is_assumed, is_unfinished, reason_of, resolve_period
from nightcast.run_dates import RunDates

DAILY, WEEKLY, MONTHLY = PeriodLength
NOW = datetime(2026, 11, 23, 15, tzinfo=UTC)


def at(text: str) -> datetime:
    """An instant as ``2024-03-02T02`` or ``2024-03-02``, UTC."""
    return datetime.fromisoformat(text if "T" in text else f"{text}T02").replace(tzinfo=UTC)


def dates(run_type: str, *, run_after=NOW, logical=None, interval=(None, None), key=None, started=None) -> RunDates:
    instants = [at(value) if isinstance(value, str) else value for value in (run_after, logical, *interval)]
    return RunDates(run_type, *instants, partition_key=key, start_date=at(started) if started else None)


def due(run_type: str, start: str, end: str, **others) -> RunDates:
    """A run of the schedule's own interval, due when it ends."""
    return dates(run_type, **{"run_after": end, "logical": start, "interval": (start, end), **others})


def chosen(told, length=DAILY, *params, **options):
    period = choose_period(told, *(params or (None, None)), length, **options)
    return str(period.start), str(period.end), period.source


@pytest.mark.parametrize(
    ("told", "length", "expected"),
    [
        # The schedule's own intervals.
        pytest.param(
            due("scheduled", "2024-03-02", "2024-03-03"),
            DAILY,
            ("2024-03-02", "2024-03-03", "data interval"),
            id="scheduler: the interval is [2 March 02:00, 3 March 02:00)",
        ),
        pytest.param(
            due("backfill", "2024-03-02", "2024-03-03", started="2026-11-23T15"),
            DAILY,
            ("2024-03-02", "2024-03-03", "data interval"),
            id="backfill create",
        ),
        pytest.param(
            due("scheduled", "2024-03-04", "2024-03-11"),
            WEEKLY,
            ("2024-03-04", "2024-03-11", "data interval"),
            id="weekly schedule",
        ),
        pytest.param(
            due("scheduled", "2024-03-04", "2024-03-11"),
            DAILY,
            ("2024-03-04", "2024-03-11", "data interval"),
            id="weekly schedule, period_length left at daily: seven whole days",
        ),
        pytest.param(
            due("scheduled", "2024-03-01", "2024-03-04"),
            DAILY,
            ("2024-03-01", "2024-03-04", "data interval"),
            id="a schedule of working days, over a weekend",
        ),
        pytest.param(
            due("backfill", "2024-02-01", "2024-03-01"),
            MONTHLY,
            ("2024-02-01", "2024-03-01", "data interval"),
            id="monthly schedule, a leap February",
        ),
        pytest.param(
            due("scheduled", "2024-01-01", "2024-04-01"),
            MONTHLY,
            ("2024-01-01", "2024-04-01", "data interval"),
            id="quarterly schedule",
        ),
        # A bare cron string gives empty intervals.
        pytest.param(
            due("scheduled", "2024-03-03", "2024-03-03"),
            DAILY,
            ("2024-03-02", "2024-03-03", "logical date"),
            id="bare cron string: an empty interval tells nothing",
        ),
        # CronTriggerTimetable with an interval: the logical date is its start.
        pytest.param(
            due("backfill", "2024-02-29", "2024-03-01"),
            DAILY,
            ("2024-02-29", "2024-03-01", "data interval"),
            id="CronTriggerTimetable(interval=1 day)",
        ),
        # By hand.
        pytest.param(
            dates("manual", logical="2024-03-02", interval=("2024-03-01", "2024-03-02")),
            DAILY,
            ("2024-03-01", "2024-03-02", "logical date"),
            id="UI, REST and dags test with a logical date: the interval before it",
        ),
        pytest.param(
            dates("manual", logical="2024-03-05T01", interval=("2024-03-03", "2024-03-04")),
            DAILY,
            ("2024-03-04", "2024-03-05", "logical date"),
            id="UI at 01:00, when the inferred interval is still that of the night before",
        ),
        pytest.param(
            dates("manual", logical="2024-03-05T00", interval=("2024-03-03", "2024-03-04")),
            DAILY,
            ("2024-03-04", "2024-03-05", "logical date"),
            id="UI at midnight sharp",
        ),
        pytest.param(
            dates("manual", logical="2024-03-04T01", interval=("2024-02-29", "2024-03-01")),
            DAILY,
            ("2024-03-03", "2024-03-04", "logical date"),
            id="schedule of working days, in the night to Monday",
        ),
        pytest.param(
            dates("manual", logical="2024-03-14", interval=("2024-03-04", "2024-03-11")),
            WEEKLY,
            ("2024-03-04", "2024-03-11", "logical date"),
            id="weekly by hand on a Thursday",
        ),
        pytest.param(
            dates("manual", logical="2023-03-31T23", interval=("2023-02-01", "2023-03-01")),
            MONTHLY,
            ("2023-02-01", "2023-03-01", "logical date"),
            id="monthly by hand at the end of March: longer ago than February was long",
        ),
        pytest.param(
            dates("manual", run_after="2024-03-05T15"),
            DAILY,
            ("2024-03-04", "2024-03-05", "run time"),
            id="CLI trigger, and REST and UI with logical_date null",
        ),
        pytest.param(
            dates("manual", run_after="2021-01-05T15"),
            WEEKLY,
            ("2020-12-28", "2021-01-04", "run time"),
            id="CLI trigger, weekly: ISO week 2020-W53",
        ),
        pytest.param(
            dates("manual", run_after="2024-01-01T00"),
            MONTHLY,
            ("2023-12-01", "2024-01-01", "run time"),
            id="CLI trigger, monthly, at New Year's midnight",
        ),
        *(
            pytest.param(
                dates(run_type, run_after="2024-03-05T15"),
                DAILY,
                ("2024-03-04", "2024-03-05", "run time"),
                id=f"{run_type}: as by hand",
            )
            for run_type in ("asset_triggered", "asset_materialization", "operator_triggered")
        ),
        # Partitioned DAGs.
        *(
            pytest.param(dates(run_type, key=key), length, (start, end, "partition key"), id=f"{run_type} {key}")
            for run_type, key, length, start, end in (
                ("scheduled", "2024-02-29", DAILY, "2024-02-29", "2024-03-01"),
                ("backfill", "2024-03-02", DAILY, "2024-03-02", "2024-03-03"),
                ("manual", "2020-W53", WEEKLY, "2020-12-28", "2021-01-04"),
                ("asset_triggered", "2024-W01", DAILY, "2024-01-01", "2024-01-08"),
                ("scheduled", "2024-02", MONTHLY, "2024-02-01", "2024-03-01"),
            )
        ),
        pytest.param(
            due("scheduled", "2024-03-02", "2024-03-03", key="2024-03-02"),
            DAILY,
            ("2024-03-02", "2024-03-03", "data interval"),
            id="a partition key that says what the interval says",
        ),
        pytest.param(
            due("scheduled", "2024-03-02", "2024-03-03", key="eu-west-1"),
            DAILY,
            ("2024-03-02", "2024-03-03", "data interval"),
            id="a partition that is none of time, beside an interval",
        ),
    ],
)
def test_the_period_of_each_way_to_start_a_run(told, length, expected):
    assert chosen(told, length) == expected


@pytest.mark.parametrize(
    ("told", "params", "expected"),
    [
        pytest.param(
            dates("manual"),
            ("2008-12-01", "2008-12-03"),
            ("2008-12-01", "2008-12-03"),
            id="UI, REST, CLI trigger and dags test with Params",
        ),
        pytest.param(
            due("scheduled", "2024-03-02", "2024-03-03"),
            ("2008-12-01", "2008-12-03"),
            ("2008-12-01", "2008-12-03"),
            id="a DAG with Params of its own",
        ),
        pytest.param(
            dates("manual", logical="2024-03-05", interval=("2026-11-22", "2026-11-23")),
            ("2024-03-04", "2024-03-05"),
            ("2024-03-04", "2024-03-05"),
            id="CLI trigger with a logical date, put right by Params",
        ),
        pytest.param(
            due("backfill", "2024-03-02", "2024-03-03"),
            ("2024-03-02", "2024-03-03"),
            ("2024-03-02", "2024-03-03"),
            id="a backfill of the one period that its conf names",
        ),
        pytest.param(
            dates("manual", key="2024-03-02"),
            ("2024-03-02", "2024-03-03"),
            ("2024-03-02", "2024-03-03"),
            id="a partition key that says the same",
        ),
        pytest.param(
            dates("manual", key="eu-west-1"),
            ("2024-03-02", "2024-03-03"),
            ("2024-03-02", "2024-03-03"),
            id="a partition that is none of time",
        ),
        pytest.param(
            dates("manual"),
            ("2024-03-02T00:00:00", "2024-03-03 00:00:00+00:00"),
            ("2024-03-02", "2024-03-03"),
            id="instants at midnight UTC",
        ),
        pytest.param(
            dates("manual"),
            ("2024-03-02T00:00:00Z", "2024-03-03T09:00:00+09:00"),
            ("2024-03-02", "2024-03-03"),
            id="midnight UTC, written in Tokyo",
        ),
    ],
)
def test_params_go_before_everything(told, params, expected):
    assert chosen(told, DAILY, *params) == (*expected, "params")


@pytest.mark.parametrize("length", PeriodLength)
def test_params_name_a_period_of_any_length(length):
    assert chosen(dates("manual"), length, "2008-12-03", "2008-12-30") == ("2008-12-03", "2008-12-30", "params")


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [
        ("2008-12-01", None, "only one of the Params"),
        (None, "2008-12-01", "only one of the Params"),
        ("", "2008-12-01", "only one of the Params"),
        ("2008-12-02", "2008-12-02", "is empty"),
        ("2008-12-02", "2008-12-01", "is empty"),
        ("2 December", "2008-12-03", "period_start is '2 December'"),
        ("2008-12-02", "2008-12-03T02:00", "period_end is '2008-12-03T02:00', which is not midnight UTC"),
        ("2008-12-02T00:00+09:00", "2008-12-03", "period_start is .* not midnight UTC"),
        ("2008-12-02T25:00", "2008-12-03", "write a date as YYYY-MM-DD"),
        ("0001-01-01T00:00+09:00", "2008-12-03", "write a date as YYYY-MM-DD"),
    ],
)
def test_bad_params_are_refused(start, end, message):
    with pytest.raises(PeriodError, match=message):
        choose_period(dates("manual"), start, end)


@pytest.mark.parametrize(
    ("told", "length", "params", "message"),
    [
        pytest.param(
            dates("manual", logical="2024-03-05", interval=("2026-11-22", "2026-11-23")),
            DAILY,
            (),
            r"2024-03-05.*belong to different periods.*backfill create",
            id="CLI trigger with a logical date: the interval is that of now",
        ),
        pytest.param(
            dates("operator_triggered", logical="2024-03-05", interval=("2026-11-22", "2026-11-23")),
            DAILY,
            (),
            "TriggerDagRunOperator infer the interval from the present",
            id="TriggerDagRunOperator with a logical date",
        ),
        pytest.param(
            dates("manual", logical="2026-11-22T10", interval=("2026-11-22", "2026-11-23")),
            DAILY,
            (),
            "belong to different periods",
            id="CLI trigger with a logical date of yesterday",
        ),
        pytest.param(
            dates("manual", logical="2024-03-05", interval=("2024-01-01", "2024-01-31")),
            DAILY,
            (),
            "belong to different periods",
            id="REST with an interval of its own, far from the logical date",
        ),
        pytest.param(
            dates("backfill", logical="2024-03-02", interval=("2024-03-01", "2024-03-02")),
            DAILY,
            (),
            "has taken over a run that was started by hand.*Delete this run",
            id="a backfill that cleared a manual run keeps the manual run's interval",
        ),
        pytest.param(
            due("backfill", "2024-03-02", "2024-03-03"),
            DAILY,
            ("2024-03-01", "2024-03-02"),
            r"Params name .*2024-03-01, 2024-03-02.*data interval \[2024-03-02, 2024-03-03\).*would compute the same",
            id="a backfill with one period in its conf",
        ),
        pytest.param(
            dates("backfill", key="2024-03-02"),
            DAILY,
            ("2024-03-01", "2024-03-02"),
            "run's partition key.*would compute the same period",
            id="a partitioned backfill with one period in its conf",
        ),
        pytest.param(
            due("backfill", "2024-03-03", "2024-03-03"),
            DAILY,
            ("2024-03-01", "2024-03-02"),
            "run's logical date.*would compute the same period",
            id="a backfill of a bare cron string with one period in its conf",
        ),
        pytest.param(
            dates("manual", key="2024-03-02"),
            DAILY,
            ("2024-03-01", "2024-03-02"),
            "run's partition key .2024-03-02, 2024-03-03.*Trigger again with one of them",
            id="Params beside another partition key",
        ),
        pytest.param(
            due("scheduled", "2024-03-02", "2024-03-03", key="2024-03-03"),
            DAILY,
            (),
            "partition key 2024-03-03 and its data interval .* are different periods",
            id="a partition key beside another interval",
        ),
        pytest.param(
            dates("manual", key="2024-03-02T02:00:00"),
            DAILY,
            (),
            "names no period.*run_offset=-1, key_format=",
            id="a partition key in Airflow's default format",
        ),
        pytest.param(
            dates("manual", key="2023-W53"),
            WEEKLY,
            (),
            "2023-W53' has the form of .* ISO week, but is none",
            id="no week",
        ),
        pytest.param(
            dates("manual", key="2023-02-29"), DAILY, (), "has the form of a UTC day, but is none", id="no day"
        ),
        pytest.param(
            dates("manual", key="2024-02"),
            WEEKLY,
            (),
            "partition key 2024-02 covers .*from a Thursday on.*period_length is weekly",
            id="a month that is to be weeks",
        ),
        pytest.param(
            due("backfill", "2024-03-02", "2024-03-03"),
            WEEKLY,
            (),
            "covers .2024-03-02, 2024-03-03.*1 day from a Saturday on.*one whole ISO week, or several",
            id="a daily backfill that is to be weekly",
        ),
        pytest.param(
            due("scheduled", "2024-03-04", "2024-03-11"),
            MONTHLY,
            (),
            "one whole calendar month, or several",
            id="a weekly schedule that is to be monthly",
        ),
        pytest.param(
            due("scheduled", "2024-03-06", "2024-03-13"),
            WEEKLY,
            (),
            "7 days from a Wednesday on",
            id="weeks from Wednesday on",
        ),
        pytest.param(
            due("scheduled", "2024-03-02T00", "2024-03-02T12"),
            DAILY,
            (),
            "not a number of whole UTC days",
            id="morning",
        ),
        pytest.param(
            due("scheduled", "2024-03-02T12", "2024-03-03T00"),
            DAILY,
            (),
            "not a number of whole UTC days",
            id="evening",
        ),
        pytest.param(
            due("scheduled", "2024-03-02T23", "2024-03-03T00"),
            DAILY,
            (),
            "not a number of whole UTC days",
            id="an hour",
        ),
        pytest.param(
            dates("manual", run_after=None), DAILY, (), "no data interval and no run time", id="a run without any date"
        ),
    ],
)
def test_contradictions_are_refused_with_an_explanation(told, length, params, message):
    with pytest.raises(PeriodError, match=message):
        chosen(told, length, *params)
    with pytest.raises(PeriodError, match=message):
        chosen(told, length, *params, allow_unfinished=True)


@pytest.mark.parametrize(
    ("told", "params"),
    [
        pytest.param(dates("manual", run_after="2024-03-05T15"), ("2024-03-05", "2024-03-06"), id="today"),
        pytest.param(dates("manual", run_after="2024-03-05T23:59"), ("2024-03-01", "2024-03-06"), id="a minute early"),
        pytest.param(dates("manual", run_after="2024-03-05", logical="2024-03-07"), (), id="a logical date to come"),
        pytest.param(dates("manual", run_after="2024-03-05", key="2024-W10"), (), id="the partition of this week"),
        pytest.param(
            due("scheduled", "2024-03-05", "2024-03-06", run_after="2024-03-05T23"), (), id="a schedule ahead of time"
        ),
        pytest.param(
            due("backfill", "2024-03-05", "2024-03-06", started="2024-03-05T12"),
            (),
            id="a backfill that is started before its run is due",
        ),
        pytest.param(
            due("backfill", "2024-03-05", "2024-03-06", run_after="2024-03-05T12", started="2024-03-06"),
            (),
            id="a backfill's run that was due too early",
        ),
        pytest.param(dates("manual", run_after=None), ("2024-03-05", "2024-03-06"), id="no run time at all"),
    ],
)
def test_a_period_that_is_not_over_yet_is_refused_unless_it_is_allowed(told, params):
    with pytest.raises(PeriodError, match=r"is not over yet at the run's run time.*allow_unfinished_period"):
        chosen(told, DAILY, *params)
    period = choose_period(told, *(params or (None, None)), allow_unfinished=True)
    assert is_unfinished(period, told)
    assert reason_of(period, told).endswith("NOT OVER YET, its sales are incomplete")


@pytest.mark.parametrize("run_after", ["2024-03-06T00", "2024-03-06T02"])
def test_a_period_is_over_at_midnight(run_after):
    told = dates("manual", run_after=run_after)
    assert chosen(told, DAILY, "2024-03-05", "2024-03-06") == ("2024-03-05", "2024-03-06", "params")


def test_the_start_of_dags_test_is_its_logical_date_and_does_not_count():
    told = dates("manual", logical="2024-03-02", interval=("2024-03-01", "2024-03-02"), started="2024-03-02")
    assert chosen(told, DAILY, "2024-03-04", "2024-03-05")[2] == "params"


RUN_TYPES = st.sampled_from(["scheduled", "backfill", "manual", "asset_triggered"])
SPANS = st.integers(0, 1000) | st.integers(1, 60).map(lambda days: 24 * days)
HOURS = st.integers(0, 60 * 24 * 365).map(lambda hours: datetime(2000, 1, 1, tzinfo=UTC) + timedelta(hours=hours))


@given(RUN_TYPES, HOURS, st.none() | HOURS, st.none() | st.tuples(HOURS, SPANS), st.none() | HOURS,
       st.none() | st.dates(date(2000, 1, 1), date(2060, 1, 1)), st.sampled_from(PeriodLength))  # fmt: skip
def test_whatever_airflow_says_no_run_sees_its_future(run_type, run_after, logical, interval, started, key, length):
    start, hours = interval or (None, 0)
    end = start and start + timedelta(hours=hours)
    told = RunDates(run_type, run_after, logical, start, end, str(key) if key else None, started)
    try:
        period = choose_period(told, None, None, length)
    except PeriodError:
        return
    assert period.end_instant <= run_after
    if run_type == "backfill" and started:
        assert period.end_instant <= started
    assert length.tiles(period.start, period.end)


@given(HOURS, st.sampled_from(PeriodLength))
def test_every_manual_run_without_dates_has_a_period(run_after, length):
    told = RunDates("manual", run_after, None, None, None)
    period = choose_period(told, None, None, length)
    assert (period.start, period.end) == (length.last_complete(run_after).start, length.last_complete(run_after).end)
    assert is_assumed(period)


def test_instants_of_other_zones_are_read_in_utc():
    tokyo = timezone(timedelta(hours=9))
    told = dates("manual", run_after=datetime(2024, 3, 5, 8, tzinfo=tokyo))  # 4 March 23:00 UTC
    assert chosen(told) == ("2024-03-03", "2024-03-04", "run time")


@pytest.mark.parametrize(
    ("told", "length", "params", "loud", "reason"),
    [
        (dates("manual"), DAILY, ("2024-03-04", "2024-03-05"), False, "named by the Params .* of this manual run"),
        (
            due("scheduled", "2024-03-02", "2024-03-03"),
            DAILY,
            (),
            False,
            r"the data interval \[2024-03-02T02:00:00\+00:00, 2024-03-03T02:00:00\+00:00\) of this scheduled run",
        ),
        (dates("backfill", key="2024-W10"), WEEKLY, (), False, "the partition key 2024-W10 of this backfill run"),
        (
            dates("manual"),
            DAILY,
            (),
            True,
            r"ASSUMED.*last complete period of 1 day before the run time 2026-11-23T15:00:00\+00:00 of this manual "
            "run; for another, trigger with the Params period_start and period_end, or period_length",
        ),
        (
            dates("manual", logical="2024-03-14", interval=("2024-03-04", "2024-03-11")),
            DAILY,
            (),
            True,
            r"ASSUMED.* before the logical date 2024-03-14.*\(its DAG is scheduled for 7 days at once\)",
        ),
        (
            dates("manual", logical="2023-03-01T01", interval=("2023-01-01", "2023-02-01")),
            MONTHLY,
            (),
            True,
            r"ASSUMED.*last complete period of 28 days before .* or period_length",
        ),
    ],
)
def test_the_reason_says_what_was_decided_and_why(told, length, params, loud, reason):
    period = choose_period(told, *(params or (None, None)), length)
    assert is_assumed(period) is loud
    assert re.fullmatch(reason, reason_of(period, told))


def airflow_context(told: RunDates, **params):
    """A task's context; without a logical date the keys that hang on it are absent."""
    run = SimpleNamespace(
        run_type=SimpleNamespace(value=told.run_type),
        run_after=told.run_after,
        start_date=told.start_date,
        partition_key=told.partition_key,
    )
    if told.logical_date is None:
        return {"dag_run": run, "params": params}
    interval = {"data_interval_start": told.interval_start, "data_interval_end": told.interval_end}
    return {"dag_run": run, "params": params, "logical_date": told.logical_date, **interval}


@pytest.mark.parametrize(
    ("told", "params", "expected"),
    [
        (due("scheduled", "2024-03-02", "2024-03-03"), {}, Period(date(2024, 3, 2), date(2024, 3, 3), "data interval")),
        (dates("manual", run_after="2024-03-05"), {}, Period(date(2024, 3, 4), date(2024, 3, 5), "run time")),
        (
            dates("manual", run_after="2024-03-05"),
            {"period_length": "monthly"},
            Period(date(2024, 2, 1), date(2024, 3, 1), "run time"),
        ),
        (
            dates("manual", run_after="2024-03-05"),
            {"period_start": "2024-03-05", "period_end": "2024-03-06", "allow_unfinished_period": True},
            Period(date(2024, 3, 5), date(2024, 3, 6), "params"),
        ),
        (dates("manual", key="2024-03"), {}, Period(date(2024, 3, 1), date(2024, 4, 1), "partition key")),
    ],
)
def test_resolve_period_reads_an_airflow_context(told, params, expected):
    defaults = {"period_start": None, "period_end": None, "period_length": "daily", "allow_unfinished_period": False}
    assert resolve_period(airflow_context(told, **{**defaults, **params})) == expected
    assert resolve_period(airflow_context(told, **params)) == expected


def test_a_length_that_does_not_exist_is_named():
    with pytest.raises(PeriodError, match="period_length is 'yearly'; choose one of daily, weekly, monthly"):
        resolve_period(airflow_context(dates("manual"), period_length="yearly"))
