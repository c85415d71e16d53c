from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightcast.cadence import Cadence
from nightcast.period import Period, PeriodLength
from nightcast.setting_groups import ModelSettings

DAYS = st.dates(date(1999, 1, 1), date(2035, 12, 31))


@given(day=DAYS)
def test_of_seven_days_in_a_row_one_trains_weekly_and_it_is_the_monday(day):
    week = [day + timedelta(days=n) for n in range(7)]
    trained = [one for one in week if Cadence.WEEKLY.trains(one, one - timedelta(days=1))]
    assert [one.weekday() for one in trained] == [0]


@given(day=DAYS, length=st.sampled_from(PeriodLength))
def test_the_first_period_of_a_month_trains_monthly(day, length):
    period = length.holding(day)
    before = period.previous.start
    assert Cadence.MONTHLY.trains(period.start, before) == (before.month != period.start.month)
    assert Cadence.EVERY_RUN.trains(period.start, before)


@given(day=DAYS)
def test_a_period_of_a_week_or_more_always_trains_weekly(day):
    for period in (PeriodLength.WEEKLY.holding(day), Period(day, day + timedelta(days=8))):
        assert Cadence.WEEKLY.trains(period.start, period.previous.start)


@pytest.mark.parametrize("name", ["every_run", "weekly", "monthly"])
def test_the_param_offers_the_cadences(name):
    assert Cadence(ModelSettings(retrain=name).retrain) == name
