"""Days, weeks and months in Redshift's SQL, and what of a series' past is told of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Step(StrEnum):
    """What one record is for: a day, an ISO week, a calendar month; UTC."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"

    @property
    def calendar(self) -> StepCalendar:
        """How it is written and looked back on."""
        return _CALENDARS[self]


@dataclass(frozen=True)
class StepCalendar:
    """A step in SQL, Airflow and words.

    Parameters
    ----------
    noun, length, adverb
        ``week``; the Param `period_length`; the same as a word of a sentence.
    cron
        A schedule that starts two hours after a step's end, UTC.
    training_days
        Usual history, in days.
    short, long
        Steps of the trailing means; the longer one also tells which series are alive.
    season
        Steps to the same step a year ago.
    parts
        Attributes of a record's first day, as SQL.
    days
        Of a step; 0: a calendar month.
    """

    noun: str

    length: str
    adverb: str
    cron: str
    training_days: int
    short: int
    long: int
    season: int
    parts: Mapping[str, str]
    days: int = 0

    def first_day(self, instant: str) -> str:
        """First day of the step that an SQL instant lies in."""
        return f"date_trunc('{self.noun}', {instant})::date"

    def add(self, count: str, day: str) -> str:
        """The first day some steps later."""
        if self.days == 1:
            return f"dateadd(day, {count}, {day})::date"
        if self.days:
            factor = count if count.replace(".", "").isidentifier() else f"({count})"
            return f"dateadd(day, {self.days} * {factor}, {day})::date"
        return f"dateadd(month, {count}, {day})::date"

    def between(self, first: str, last: str) -> str:
        """Steps from one first day to another."""
        if self.days == 1:
            return f"datediff(day, {first}, {last})::integer"
        unit = "day" if self.days else "month"
        steps = f"datediff({unit}, {first}, {last})::integer"
        return f"{steps} / {self.days}" if self.days else steps

    def season_ago(self, day: str) -> str:
        """First day of the same step a year ago; Mondays meet Mondays."""
        return f"dateadd(day, -364, {day})::date" if self.days else f"dateadd(month, -12, {day})::date"


_MONTH = "to_char(records.period_day, 'MM')::char(2)"
_CALENDARS = {
    Step.DAY: StepCalendar(
        "day",
        *("daily", "nightly", "0 2 * * *"),
        training_days=182,
        short=7,
        long=28,
        season=364,
        parts={"dayofweek": "date_part(dow, records.period_day)::smallint::char(1)", "monthofyear": _MONTH},
        days=1,
    ),
    Step.WEEK: StepCalendar(
        "week",
        *("weekly", "weekly", "0 2 * * 1"),
        training_days=728,
        short=4,
        long=13,
        season=52,
        parts={"weekofyear": "date_part(week, records.period_day)::smallint", "monthofyear": _MONTH},
        days=7,
    ),
    Step.MONTH: StepCalendar(
        "month",
        *("monthly", "monthly", "0 2 1 * *"),
        training_days=1096,
        short=3,
        long=12,
        season=12,
        parts={"monthofyear": _MONTH},
    ),
}
