"""Sales periods ``[start, end)`` of whole UTC days, and how they follow each other in the calendar."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import Enum

from nightcast.errors import PeriodError

_DAY = timedelta(days=1)
# 52 weeks: a year ago on the same days of the week.
_SEASON_DAYS = 364
_SEASON_MONTHS = 12


@dataclass(frozen=True)
class Period:
    """A sales period ``[start, end)`` of whole days, UTC.

    Parameters
    ----------
    start
        First day, inclusive.
    end
        Day after the last, exclusive.
    source
        Where it was read from: ``params``, ``data interval``, ``partition key``, ``logical date`` or ``run time``.
    months
        Calendar months that it steps by; 0: it steps by its number of days. None: its ends tell, so that a
        period from the first of a month to the first of another steps by months.

    Examples
    --------
    >>> march = Period(date(2024, 3, 1), date(2024, 4, 1))
    >>> march.next.label, march.previous.label
    ('2024-04-01_2024-04-30', '2024-02-01_2024-02-29')
    >>> Period(date(2024, 3, 5), date(2024, 3, 6)).a_season_ago.label  # both are Tuesdays
    '2023-03-07'
    """

    start: date
    end: date
    source: str = "params"
    months: int | None = None

    def __post_init__(self) -> None:
        if self.start >= self.end:
            raise PeriodError(
                f"the sales period [{self.start}, {self.end}) is empty: its end is exclusive and must "
                "come after its start. For a single day give the following day as period_end."
            )
        spanned = _months_between(self.start, self.end)
        if self.months not in (None, 0, spanned):
            raise PeriodError(f"the sales period [{self.start}, {self.end}) does not span {self.months} months.")
        if self.months is None:
            object.__setattr__(self, "months", spanned)

    @property
    def label(self) -> str:
        """Name of the period in S3 keys: its first day, and its last where it has several.

        No two periods have the same one, and they sort by time.
        """
        last = self.end - _DAY
        return self.start.isoformat() if last == self.start else f"{self.start}_{last}"

    @property
    def end_instant(self) -> datetime:
        """Midnight, UTC, at which the period is over."""
        return datetime(self.end.year, self.end.month, self.end.day, tzinfo=UTC)

    @property
    def next(self) -> Period:
        """The following period of the same length: what the batch prediction scores."""
        return self._stepped(1)

    @property
    def previous(self) -> Period:
        """The period of the same length that ends where this one starts."""
        return self._stepped(-1)

    @property
    def a_season_ago(self) -> Period:
        """The same period a year ago: 12 months earlier, or 364 days, so that the days of the week match.

        A period longer than that goes back by as many years as it takes not to overlap with itself: so a season
        before ``next`` never reaches beyond this period's end.
        """
        if self.months:
            return self._moved(months=-_SEASON_MONTHS * math.ceil(self.months / _SEASON_MONTHS))
        return self._moved(days=-_SEASON_DAYS * math.ceil(self.days / _SEASON_DAYS))

    @property
    def days(self) -> int:
        """Number of days."""
        return (self.end - self.start).days

    def sql_names(self, training_days: int) -> dict[str, str]:
        """Names that SQL templates may use; instants as ``YYYY-MM-DD HH:MM:SS``, UTC, ends exclusive."""
        periods = {
            "period": self,
            "next_period": self.next,
            "previous_period": self.previous,
            "season_ago": self.a_season_ago,
        }
        days = {"history_start": _moved_day(self.end, days=-training_days)}
        for name, period in periods.items():
            days |= {f"{name}_start": period.start, f"{name}_end": period.end}
        return {name: f"{day.isoformat()} 00:00:00" for name, day in days.items()}

    def _stepped(self, steps: int) -> Period:
        return self._moved(months=steps * self.months) if self.months else self._moved(days=steps * self.days)

    def _moved(self, *, days: int = 0, months: int = 0) -> Period:
        # The step is handed on: 28 days that happen to fill a February are not to become a month on their way.
        start, end = (_moved_day(day, days=days, months=months) for day in (self.start, self.end))
        return Period(start, end, self.source, self.months)


class PeriodLength(Enum):
    """How long the periods of a schedule are; they tile the UTC calendar."""

    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"

    @property
    def noun(self) -> str:
        """What one period is called."""
        return {"daily": "UTC day", "weekly": "ISO week", "monthly": "calendar month"}[self.value]

    def holding(self, day: date) -> Period:
        """The period that a day lies in: the day, its ISO week from Monday on, or its calendar month."""
        if self is PeriodLength.DAILY:
            return Period(day, _moved_day(day, days=1))
        if self is PeriodLength.WEEKLY:
            monday = _moved_day(day, days=-day.weekday())
            return Period(monday, _moved_day(monday, days=7))
        first = day.replace(day=1)
        return Period(first, _moved_day(first, months=1))

    def last_complete(self, instant: datetime) -> Period:
        """The last period that is over at an instant (with any time zone): at midnight UTC the one ending then."""
        return self.holding(utc_day(instant)).previous

    def tiles(self, start: date, end: date) -> bool:
        """Whether ``[start, end)`` is one period of this length, or several one after the other."""
        return all(self.holding(day).start == day for day in (start, end)) and start < end


def utc_day(instant: datetime) -> date:
    """The UTC day of an instant that has a time zone."""
    return instant.astimezone(UTC).date()


def _months_between(start: date, end: date) -> int:
    """Calendar months from one first of a month to another; 0 where they are no firsts."""
    if start.day != 1 or end.day != 1:
        return 0
    return (end.year - start.year) * 12 + end.month - start.month


def _moved_day(day: date, *, days: int = 0, months: int = 0) -> date:
    """A day moved by days, or the first of a month moved by months."""
    try:
        if not months:
            return day + timedelta(days=days)
        count = day.year * 12 + day.month - 1 + months
        return date(count // 12, count % 12 + 1, day.day)
    except (OverflowError, ValueError) as error:
        raise PeriodError(f"{day} lies too near to the end of the calendar; choose another sales period.") from error
