"""Which runs train: by the calendar, so that the same period always decides the same."""

from __future__ import annotations

from datetime import date
from enum import StrEnum


class Cadence(StrEnum):
    """How often a model is trained."""

    EVERY_RUN = "every_run"
    WEEKLY = "weekly"
    MONTHLY = "monthly"

    def trains(self, start: date, previous_start: date) -> bool:
        """Whether a period is the first one of its ISO week or calendar month.

        Parameters
        ----------
        start, previous_start
            First days of the period and of the one before.

        Examples
        --------
        >>> Cadence.WEEKLY.trains(date(2008, 12, 29), date(2008, 12, 28))  # a Monday
        True
        >>> Cadence.MONTHLY.trains(date(2008, 12, 29), date(2008, 12, 28))
        False
        """
        if self is Cadence.WEEKLY:
            return start.isocalendar()[:2] != previous_start.isocalendar()[:2]
        if self is Cadence.MONTHLY:
            return (start.year, start.month) != (previous_start.year, previous_start.month)
        return True
