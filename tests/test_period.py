from __future__ import annotations

import doctest
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from nightcast import period as module
from nightcast.errors import PeriodError
from nightcast.period import Period, PeriodLength, utc_day

DAYS = st.dates(date(1900, 1, 1), date(2200, 1, 1))
LENGTHS = st.sampled_from(PeriodLength)
INSTANTS = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))


def months_from(day: date, count: int) -> Period:
    end = day.replace(day=1)
    for _ in range(count):
        end = PeriodLength.MONTHLY.holding(end).end
    return Period(day.replace(day=1), end)


ANY_PERIOD = st.one_of(
    st.builds(PeriodLength.holding, LENGTHS, DAYS),
    st.builds(lambda day, days: Period(day, day + timedelta(days=days)), DAYS, st.integers(1, 800)),
    st.builds(months_from, DAYS, st.integers(1, 30)),
)


def between(start: str, end: str) -> Period:
    return Period(date.fromisoformat(start), date.fromisoformat(end))


def test_the_docstrings_examples():
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize(
    ("period", "previous", "following", "season"),
    [
        pytest.param(
            between("2024-02-29", "2024-03-01"),
            between("2024-02-28", "2024-02-29"),
            between("2024-03-01", "2024-03-02"),
            between("2023-03-02", "2023-03-03"),
            id="leap day, a Thursday, and the Thursday a year ago",
        ),
        pytest.param(
            between("2020-12-28", "2021-01-04"),
            between("2020-12-21", "2020-12-28"),
            between("2021-01-04", "2021-01-11"),
            between("2019-12-30", "2020-01-06"),
            id="ISO week 2020-W53: 52 weeks before is 2020-W01",
        ),
        pytest.param(
            between("2024-03-01", "2024-04-01"),
            between("2024-02-01", "2024-03-01"),
            between("2024-04-01", "2024-05-01"),
            between("2023-03-01", "2023-04-01"),
            id="March: 31 days, then 30, before 29",
        ),
        pytest.param(
            between("2024-02-01", "2024-03-01"),
            between("2024-01-01", "2024-02-01"),
            between("2024-03-01", "2024-04-01"),
            between("2023-02-01", "2023-03-01"),
            id="leap February",
        ),
        pytest.param(
            between("2023-12-01", "2024-01-01"),
            between("2023-11-01", "2023-12-01"),
            between("2024-01-01", "2024-02-01"),
            between("2022-12-01", "2023-01-01"),
            id="December",
        ),
        pytest.param(
            between("2024-01-01", "2024-04-01"),
            between("2023-10-01", "2024-01-01"),
            between("2024-04-01", "2024-07-01"),
            between("2023-01-01", "2023-04-01"),
            id="a quarter steps by quarters",
        ),
        pytest.param(
            between("2008-12-02", "2008-12-05"),
            between("2008-11-29", "2008-12-02"),
            between("2008-12-05", "2008-12-08"),
            between("2007-12-04", "2007-12-07"),
            id="three days",
        ),
        pytest.param(
            between("2022-01-01", "2024-01-01"),
            between("2020-01-01", "2022-01-01"),
            between("2024-01-01", "2026-01-01"),
            between("2020-01-01", "2022-01-01"),
            id="a season before two years does not overlap with them",
        ),
    ],
)
def test_the_periods_around_one(period, previous, following, season):
    assert (period.previous, period.next, period.a_season_ago) == (previous, following, season)


@given(ANY_PERIOD)
def test_next_and_previous_are_inverse_and_leave_no_gap(period):
    assert period.next.start == period.end
    assert period.previous.end == period.start
    assert period.next.previous == period == period.previous.next


@given(ANY_PERIOD)
def test_a_season_ago_has_been_over_when_the_period_ends(period):
    assert period.a_season_ago.end <= period.start
    assert period.next.a_season_ago.end <= period.end
    if not period.months:
        assert period.a_season_ago.start.weekday() == period.start.weekday()
        assert period.a_season_ago.days == period.days


@given(ANY_PERIOD, st.integers(1, 3660))
def test_sql_names_are_half_open_and_only_the_next_period_lies_at_or_after_the_end(period, training_days):
    names = period.sql_names(training_days)
    later = {name for name, instant in names.items() if instant >= names["period_end"]}
    assert later == {"period_end", "next_period_start", "next_period_end"}
    assert names["previous_period_end"] == names["period_start"]
    assert names["next_period_start"] == names["period_end"]


def test_28_days_that_step_into_a_february_do_not_become_a_month():
    four_weeks = between("2021-01-04", "2021-02-01")
    assert (four_weeks.next.start, four_weeks.next.end) == (date(2021, 2, 1), date(2021, 3, 1))
    assert four_weeks.next.next.end == date(2021, 3, 29)
    assert four_weeks.next != between("2021-02-01", "2021-03-01")


def test_a_step_that_is_not_the_periods_is_refused():
    with pytest.raises(PeriodError, match="does not span 2 months"):
        Period(date(2024, 1, 1), date(2024, 2, 1), months=2)
    with pytest.raises(PeriodError, match="does not span 1 months"):
        Period(date(2024, 1, 31), date(2024, 2, 28), months=1)


@given(LENGTHS, DAYS)
def test_the_periods_of_a_length_tile_the_calendar(length, day):
    period = length.holding(day)
    assert period.start <= day < period.end
    assert length.holding(period.end) == period.next
    assert length.holding(period.start - timedelta(days=1)) == period.previous
    assert length.tiles(period.start, period.end)
    assert length.tiles(period.start, period.next.end)


@given(LENGTHS, DAYS, DAYS)
def test_only_whole_periods_tile(length, start, end):
    assume(start < end)
    whole = length.holding(start).start == start and length.holding(end).start == end
    assert length.tiles(start, end) is whole
    assert not length.tiles(end, start)
    assert not length.tiles(start, start)


@given(LENGTHS, INSTANTS)
def test_the_last_complete_period_is_over_and_the_next_one_is_not(length, instant):
    period = length.last_complete(instant)
    assert period.end_instant <= instant < period.next.end_instant


@given(LENGTHS, INSTANTS, st.integers(-12 * 60, 14 * 60))
def test_an_instant_is_the_same_in_every_time_zone(length, instant, minutes):
    elsewhere = instant.astimezone(timezone(timedelta(minutes=minutes)))
    assert length.last_complete(elsewhere) == length.last_complete(instant)
    assert utc_day(elsewhere) == instant.date()


@pytest.mark.parametrize("year", [2004, 2008, 2009, 2015, 2020, 2026])
def test_weeks_are_those_of_iso_8601_around_new_year(year):
    for offset in range(-10, 11):
        day = date(year, 1, 1) + timedelta(days=offset)
        week = PeriodLength.WEEKLY.holding(day)
        assert week.start == date.fromisocalendar(*day.isocalendar()[:2], 1)
        assert week.days == 7


def test_instants_of_midnight_belong_to_the_day_that_begins():
    midnight = datetime(2024, 3, 1, tzinfo=UTC)
    assert PeriodLength.MONTHLY.last_complete(midnight) == between("2024-02-01", "2024-03-01")
    assert PeriodLength.MONTHLY.last_complete(midnight - timedelta(seconds=1)) == between("2024-01-01", "2024-02-01")


def test_an_empty_period_is_refused():
    with pytest.raises(PeriodError, match=r"\[2008-12-02, 2008-12-02\) is empty"):
        between("2008-12-02", "2008-12-02")


@pytest.mark.parametrize(
    ("start", "end", "of"),
    [
        (date(1, 1, 1), date(1, 1, 2), lambda period: period.previous),
        (date(1, 1, 1), date(1, 2, 1), lambda period: period.a_season_ago),
        (date(9999, 12, 30), date(9999, 12, 31), lambda period: period.next.next),
        (date(9999, 11, 1), date(9999, 12, 1), lambda period: period.next),
        (date(5, 1, 1), date(5, 1, 2), lambda period: period.sql_names(3660)),
    ],
)
def test_the_ends_of_the_calendar_are_named(start, end, of):
    with pytest.raises(PeriodError, match="too near to the end of the calendar"):
        of(Period(start, end))


def test_names_for_sql():
    assert between("2008-12-30", "2009-01-01").sql_names(training_days=30) == {
        "history_start": "2008-12-02 00:00:00",
        "period_start": "2008-12-30 00:00:00",
        "period_end": "2009-01-01 00:00:00",
        "next_period_start": "2009-01-01 00:00:00",
        "next_period_end": "2009-01-03 00:00:00",
        "previous_period_start": "2008-12-28 00:00:00",
        "previous_period_end": "2008-12-30 00:00:00",
        "season_ago_start": "2008-01-01 00:00:00",
        "season_ago_end": "2008-01-03 00:00:00",
    }


@pytest.mark.parametrize(
    ("start", "end", "label"),
    [
        ("2008-06-30", "2008-07-01", "2008-06-30"),
        ("2008-06-02", "2008-06-09", "2008-06-02_2008-06-08"),
        ("2008-06-01", "2008-07-01", "2008-06-01_2008-06-30"),
        ("2008-12-25", "2009-01-01", "2008-12-25_2008-12-31"),
    ],
)
def test_labels(start, end, label):
    assert between(start, end).label == label


@given(ANY_PERIOD, ANY_PERIOD)
def test_labels_are_unambiguous_and_sort_by_time(one, other):
    assert (one.label == other.label) == ((one.start, one.end) == (other.start, other.end))
    assert (one.label < other.label) == ((one.start, one.end) < (other.start, other.end))
