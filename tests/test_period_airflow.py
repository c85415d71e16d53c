"""The dates that real Airflow gives to runs go through ``choose_period`` rightly."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest

from nightcast.errors import PeriodError
from nightcast.period import PeriodLength
from nightcast.period_choice import choose_period
from nightcast.run_dates import RunDates

DAILY, WEEKLY, MONTHLY = PeriodLength
NOW = datetime(2026, 11, 23, 15, tzinfo=UTC)


def at(day: str) -> datetime:
    """02:00 UTC of a day."""
    return datetime.fromisoformat(f"{day}T02:00:00+00:00")


class Schedule:
    """Real Airflow's timetable: the dates of the runs that it gives."""

    def __init__(self, expression: str, timezone: str = "UTC"):
        from airflow.timetables.interval import CronDataIntervalTimetable

        self.timetable = CronDataIntervalTimetable(expression, timezone=timezone)

    def scheduled(self, since: str, count: int, run_type: str = "scheduled") -> list[RunDates]:
        from airflow.timetables.base import TimeRestriction
        from pendulum import instance

        restriction = TimeRestriction(earliest=instance(at(since)), latest=None, catchup=True)
        runs, last = [], None
        for _ in range(count):
            info = self.timetable.next_dagrun_info(last_automated_data_interval=last, restriction=restriction)
            last = info.data_interval
            runs.append(RunDates(run_type, info.run_after, info.logical_date, last.start, last.end))
        return runs

    def manual(self, instant: datetime, run_after: datetime = NOW) -> RunDates:
        """As `POST /dagRuns` and `dags test` do it with a logical date."""
        from pendulum import instance

        inferred = self.timetable.infer_manual_data_interval(run_after=instance(instant))
        return RunDates("manual", run_after, instant, inferred.start, inferred.end)

    def triggered(self, logical: datetime) -> RunDates:
        """As `airflow dags trigger --logical-date` does it."""
        return replace(self.manual(NOW), logical_date=logical)


REAL = [
    pytest.param("0 2 * * *", DAILY, "2023-12-20", id="nightly"),
    pytest.param("0 2 * * 1", WEEKLY, "2020-11-30", id="weekly, over 2020-W53"),
    pytest.param("0 2 1 * *", MONTHLY, "2023-11-01", id="monthly, over a leap February"),
]


@pytest.mark.parametrize("run_type", ["scheduled", "backfill"])
@pytest.mark.parametrize(("expression", "length", "since"), REAL)
def test_the_intervals_that_airflow_schedules_tile_the_calendar(expression, length, since, run_type):
    runs = Schedule(expression).scheduled(since, 14, run_type)
    periods = [choose_period(run, None, None, length) for run in runs]
    assert periods == [choose_period(run, None, None, DAILY) for run in runs]
    assert periods[0].start == date.fromisoformat(since)
    assert all(following == period.next for period, following in pairwise(periods))
    for period, run in zip(periods, runs, strict=True):
        assert period == replace(length.holding(period.start), source="data interval")
        assert period.end_instant == run.run_after - timedelta(hours=2)


@pytest.mark.parametrize(("expression", "length", "since"), REAL)
def test_a_manual_run_is_for_the_last_complete_period_whatever_airflow_infers(expression, length, since):
    schedule = Schedule(expression)
    instant = at(since)
    for _ in range(300):
        instant += timedelta(hours=7, minutes=13)
        period = choose_period(schedule.manual(instant), None, None, length)
        assert period == replace(length.last_complete(instant), source="logical date")


@pytest.mark.parametrize(("expression", "length", "since"), REAL)
def test_a_trigger_with_an_old_logical_date_is_refused_as_airflow_really_makes_it(expression, length, since):
    with pytest.raises(PeriodError, match="belong to different periods"):
        choose_period(Schedule(expression).triggered(at(since)), None, None, length)


@pytest.mark.parametrize("zone", ["America/New_York", "Europe/Berlin", "Asia/Tokyo", "Australia/Lord_Howe"])
def test_a_schedule_in_a_zone_with_daylight_saving_has_whole_utc_days_all_year(zone):
    days = [choose_period(run, None, None) for run in Schedule("0 12 * * *", zone).scheduled("2023-01-01", 400)]
    assert all(following == day.next and day.days == 1 for day, following in pairwise(days))


def test_a_schedule_that_crosses_midnight_with_the_clock_is_refused_where_it_does():
    """In London 00:30 is 23:30 UTC in summer: that night has no UTC midnight, the one in autumn two."""
    refused = []
    for run in Schedule("30 0 * * *", "Europe/London").scheduled("2024-01-01", 366):
        try:
            choose_period(run, None, None)
        except PeriodError as error:
            refused.append((str(run.run_after.date()), "not a number of whole UTC days" in str(error)))
    assert refused == [("2024-03-31", True), ("2024-10-28", True)]


def test_the_keys_of_a_partitioned_dag_are_read_as_airflow_writes_them():
    timetables = pytest.importorskip("airflow.timetables.trigger")
    if not hasattr(timetables, "CronPartitionTimetable"):
        pytest.skip("this Airflow has no partitions")
    from airflow.timetables.base import TimeRestriction
    from pendulum import instance

    timetable = timetables.CronPartitionTimetable("0 2 * * *", timezone="UTC", run_offset=-1, key_format="%Y-%m-%d")
    restriction = TimeRestriction(earliest=instance(at("2024-02-28")), latest=None, catchup=True)
    info = timetable.next_dagrun_info_v2(last_dagrun_info=None, restriction=restriction)
    told = RunDates("scheduled", info.run_after, None, None, None, partition_key=info.partition_key)
    period = choose_period(told, None, None)
    assert period.source == "partition key"
    assert period.next.end_instant > info.run_after >= period.end_instant
