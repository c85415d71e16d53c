"""Which sales period a run is for: the only reader of Airflow's dates.

Airflow gives one date four different data intervals, depending on who started the run. Nothing
else in Nightcast reads ``ds``, ``logical_date`` or ``data_interval_*``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from nightcast.errors import PeriodError

_DAY = timedelta(days=1)


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
        Where it was read from: ``params``, ``data interval`` or ``run time``.
    """

    start: date
    end: date
    source: str = "params"

    def __post_init__(self) -> None:
        if self.start >= self.end:
            raise PeriodError(
                f"the sales period [{self.start}, {self.end}) is empty: its end is exclusive and must "
                "come after its start. For a single day give the following day as period_end."
            )

    @property
    def label(self) -> str:
        """Name of the period in S3 keys: its first day, and its last where it has several."""
        last = self.end - _DAY
        return self.start.isoformat() if last == self.start else f"{self.start}_{last}"

    @property
    def next(self) -> Period:
        """The following period of the same number of days: what the batch prediction scores."""
        return Period(self.end, self.end + (self.end - self.start), self.source)

    def sql_names(self, training_days: int) -> dict[str, str]:
        """Names that SQL templates may use; instants as ``YYYY-MM-DD HH:MM:SS``, UTC, ends exclusive."""
        instants = {
            "history_start": self.end - timedelta(days=training_days),
            "period_start": self.start,
            "period_end": self.end,
            "next_period_start": self.next.start,
            "next_period_end": self.next.end,
        }
        return {name: f"{day.isoformat()} 00:00:00" for name, day in instants.items()}


@dataclass(frozen=True)
class RunDates:
    """What Airflow says of a run's dates; instants with a time zone, or None where a run has none."""

    run_type: str
    run_after: datetime | None
    logical_date: datetime | None
    interval_start: datetime | None
    interval_end: datetime | None


def resolve_period(context: Mapping[str, Any]) -> Period:
    """Tell the sales period of the run that an Airflow task context belongs to.

    Raises
    ------
    PeriodError
        If the period can not be told, or is told in two ways that disagree.
    """
    run = context["dag_run"]
    params = context.get("params") or {}
    dates = RunDates(
        run_type=str(getattr(run.run_type, "value", run.run_type)),
        run_after=getattr(run, "run_after", None),
        logical_date=context.get("logical_date"),
        interval_start=context.get("data_interval_start"),
        interval_end=context.get("data_interval_end"),
    )
    return choose_period(dates, params.get("period_start"), params.get("period_end"))


def choose_period(dates: RunDates, period_start: str | None, period_end: str | None) -> Period:
    """Choose between Params, data interval and run time, in this order.

    A scheduled or backfilled run is for its data interval. A manual run is for the last whole day
    before the instant that it was started for. Both give way to the Params ``period_start``
    (inclusive) and ``period_end`` (exclusive).
    """
    if period_start or period_end:
        if not (period_start and period_end):
            raise PeriodError(
                "only one of the Params period_start and period_end is given; give both or neither "
                "(period_start is inclusive, period_end exclusive)."
            )
        return Period(_parse_day("period_start", period_start), _parse_day("period_end", period_end))
    if dates.interval_start and dates.interval_end and dates.interval_start < dates.interval_end:
        if dates.run_type != "manual":
            return Period(_floor(dates.interval_start), _floor(dates.interval_end), "data interval")
        # Airflow infers a manual run's interval, and ends it at the last schedule: before 02:00 a day too early.
        _refuse_contradiction(dates, dates.interval_start, dates.interval_end)
    instant = dates.logical_date or dates.run_after
    if instant is None:
        raise PeriodError(
            f"this {dates.run_type} run has no data interval and no run time; give the Params "
            "period_start and period_end."
        )
    end = _floor(instant)
    return Period(end - _DAY, end, "run time")


def _refuse_contradiction(dates: RunDates, interval_start: datetime, interval_end: datetime) -> None:
    """`airflow dags trigger --logical-date D` infers the interval from now, not from D: refuse to guess."""
    length = interval_end - interval_start
    if dates.logical_date is not None and abs(interval_end - dates.logical_date) > length:
        raise PeriodError(
            f"the run's logical date {dates.logical_date.isoformat()} and its data interval "
            f"[{interval_start.isoformat()}, {interval_end.isoformat()}) belong to different "
            "periods: `airflow dags trigger --logical-date` infers the interval from the present. "
            "Trigger again with the Params period_start and period_end, or use `airflow backfill create`."
        )


def _floor(instant: datetime) -> date:
    return instant.astimezone(UTC).date()


def _parse_day(name: str, text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise PeriodError(f"Param {name} is {text!r}; write a date as YYYY-MM-DD.") from error
