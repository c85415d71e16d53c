"""The sample's `date` table: TICKIT's calendar dimension for any year, with holidays by rule."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pyarrow as pa

# Day 1 of TICKIT's own calendar, so that the sample's ids read like those in the Redshift documentation.
_EPOCH = date(2008, 1, 1)
_EPOCH_ID = 1827
_CALENDAR_AHEAD = timedelta(days=90)
_DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")


@dataclass(frozen=True)
class SalesYear:
    """The 365 or 366 days up to and including `end`; day 0 is the first of them.

    Days are counted by plain integers everywhere in the generator: 0 .. `days` - 1 have sales, the
    calendar and the events go on behind that.
    """

    end: date

    @property
    def start(self) -> date:
        """First day with sales: the day after the same date one year before."""
        day_after = self.end + timedelta(days=1)
        if (day_after.month, day_after.day) == (2, 29):
            return date(day_after.year - 1, 3, 1)
        return day_after.replace(year=day_after.year - 1)

    @property
    def days(self) -> int:
        """Number of days with sales."""
        return (self.end - self.start).days + 1

    @property
    def calendar_days(self) -> int:
        """Number of days in the `date` table."""
        return self.days + _CALENDAR_AHEAD.days

    def calendar(self) -> list[date]:
        """All days of the `date` table, in order."""
        return [self.start + timedelta(days=day) for day in range(self.calendar_days)]

    @property
    def first_dateid(self) -> int:
        """`dateid` of day 0."""
        return _EPOCH_ID + (self.start - _EPOCH).days

    def timestamps(self, seconds: np.ndarray) -> np.ndarray:
        """Seconds since the start of day 0 as datetime64[s], UTC."""
        return np.datetime64(self.start, "s") + seconds.astype("timedelta64[s]")


def _nth_weekday(year: int, month: int, weekday: int, nth: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (nth - 1))


def holidays(year: int) -> frozenset[date]:
    """Public holidays of the United States that move ticket sales."""
    last_of_may = date(year, 5, 31)
    thanksgiving = _nth_weekday(year, 11, 3, 4)
    return frozenset(
        {
            date(year, 1, 1),
            _nth_weekday(year, 1, 0, 3),
            _nth_weekday(year, 2, 0, 3),
            last_of_may - timedelta(days=last_of_may.weekday()),
            date(year, 7, 4),
            _nth_weekday(year, 9, 0, 1),
            thanksgiving,
            thanksgiving + timedelta(days=1),
            date(year, 12, 25),
            date(year, 12, 26),
        }
    )


def _week(day: date) -> int:
    """Week of the year, Sunday first, 1 for the week of 1 January."""
    offset = (date(day.year, 1, 1).weekday() + 1) % 7
    return (day.timetuple().tm_yday - 1 + offset) // 7 + 1


def date_table(year: SalesYear) -> pa.Table:
    """The `date` table of the sales year and the 90 days behind it."""
    days = year.calendar()
    known = {day for number in {day.year for day in days} for day in holidays(number)}
    return pa.table(
        {
            "dateid": pa.array(range(year.first_dateid, year.first_dateid + len(days)), pa.int16()),
            "caldate": pa.array(days, pa.date32()),
            "day": pa.array([_DAYS[day.weekday()] for day in days]),
            "week": pa.array([_week(day) for day in days], pa.int16()),
            "month": pa.array([_MONTHS[day.month - 1] for day in days]),
            "qtr": pa.array([str((day.month + 2) // 3) for day in days]),
            "year": pa.array([day.year for day in days], pa.int16()),
            "holiday": pa.array([day in known for day in days]),
        }
    )
