"""Which sales period a run is for.

Airflow gives one date four different data intervals, depending on who started the run; docs/periods.md lists them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from nightcast.errors import PeriodError
from nightcast.period import Period, PeriodLength, utc_day
from nightcast.run_dates import RunDates, run_dates

# The data intervals of these run types are the schedule's own; all others are guesses of Airflow's.
_OWN_INTERVAL = ("scheduled", "backfill")
# Clocks are shifted by one hour at most places, by half an hour or two at some.
_CLOCK_SHIFT = timedelta(hours=2)
# A month is up to three days longer than the one before it, as a weekend is longer than the night before a Friday.
_UNEVEN_SCHEDULE = timedelta(days=3)
_KEYS = (
    (re.compile(r"\d{4}-\d{2}-\d{2}"), "{}", PeriodLength.DAILY),
    (re.compile(r"\d{4}-W\d{2}"), "{}-1", PeriodLength.WEEKLY),
    (re.compile(r"\d{4}-\d{2}"), "{}-01", PeriodLength.MONTHLY),
)


def resolve_period(context: Mapping[str, Any]) -> Period:
    """Tell the sales period of the run that an Airflow task context belongs to.

    Raises
    ------
    PeriodError
        If the period can not be told, is told in two ways that disagree, or is not over yet.
    """
    params = context.get("params") or {}
    return choose_period(
        run_dates(context),
        params.get("period_start"),
        params.get("period_end"),
        _length_named(params.get("period_length")),
        allow_unfinished=bool(params.get("allow_unfinished_period")),
    )


def choose_period(
    dates: RunDates,
    period_start: str | None,
    period_end: str | None,
    length: PeriodLength = PeriodLength.DAILY,
    *,
    allow_unfinished: bool = False,
) -> Period:
    """Choose between Params, data interval, partition key and the last complete period, in this order.

    Parameters
    ----------
    dates
        What Airflow says of the run.
    period_start, period_end
        First day (inclusive) and day after the last (exclusive): ``YYYY-MM-DD``, or an ISO instant at
        midnight UTC. A period of any length; both or neither.
    length
        What a data interval or a partition key must hold one or several of, and what a manual run is for the last
        complete one of. Whatever has whole days is daily: one week of a weekly schedule is seven of them.
    allow_unfinished
        Whether the period may end after the run was due.

    Raises
    ------
    PeriodError
        If the period can not be told, is told in two ways that disagree, or is not over yet.
    """
    period = _period_of_params(period_start, period_end)
    if period is None:
        period = _period_of_dates(dates, length)
    else:
        _refuse_other_dates(period, dates, length)
    if not allow_unfinished:
        _refuse_unfinished(period, dates)
    return period


def is_assumed(period: Period) -> bool:
    """Whether nobody named the period: it is the last complete one before the run."""
    return period.source in ("logical date", "run time")


def is_unfinished(period: Period, dates: RunDates) -> bool:
    """Whether the period ends after the instant that the run speaks of as now."""
    return dates.known_until is None or period.end_instant > dates.known_until


def reason_of(period: Period, dates: RunDates) -> str:
    """Why the run is for this period: a phrase for its log."""
    kind = dates.run_type
    if period.source == "params":
        reason = f"named by the Params period_start and period_end of this {kind} run"
    elif period.source == "data interval" and dates.interval:
        reason = f"the data interval {_written(dates.interval)} of this {kind} run"
    elif period.source == "partition key":
        reason = f"the partition key {dates.partition_key} of this {kind} run"
    else:
        instant = dates.logical_date or dates.run_after
        reason = (
            f"ASSUMED, since nobody named one: the last complete period of {_days(period.days)} before the "
            f"{period.source} {instant and instant.isoformat()} of this {kind} run; for another, trigger with the "
            "Params period_start and period_end, or period_length"
        )
        scheduled = dates.interval and (dates.interval[1] - dates.interval[0]).days
        if scheduled and scheduled > period.days + _UNEVEN_SCHEDULE.days:
            reason += f" (its DAG is scheduled for {_days(scheduled)} at once)"
    return f"{reason}; NOT OVER YET, its sales are incomplete" if is_unfinished(period, dates) else reason


def _period_of_params(period_start: str | None, period_end: str | None) -> Period | None:
    if not (period_start or period_end):
        return None
    if not (period_start and period_end):
        raise PeriodError(
            "only one of the Params period_start and period_end is given; give both or neither "
            "(period_start is inclusive, period_end exclusive)."
        )
    return Period(_parse_day("period_start", period_start), _parse_day("period_end", period_end))


def _period_of_dates(dates: RunDates, length: PeriodLength) -> Period:
    """The period without Params."""
    keyed = _period_of_key(dates.partition_key)
    if keyed and dates.interval and _utc_days(dates.interval) != (keyed.start, keyed.end):
        raise PeriodError(
            f"the run's partition key {dates.partition_key} and its data interval {_written(dates.interval)} are "
            "different periods. Trigger again without a logical date, or without a partition key."
        )
    if dates.interval and dates.run_type in _OWN_INTERVAL:
        return _period_of_interval(dates, dates.interval, length)
    if keyed:
        _refuse_parts(keyed.start, keyed.end, length, f"the partition key {dates.partition_key}")
        return keyed
    if dates.partition_key:
        raise PeriodError(
            f"the partition key {dates.partition_key!r} names no period; a day is written YYYY-MM-DD, an ISO week "
            "YYYY-Www, a month YYYY-MM. For the days of a nightly schedule: "
            'CronPartitionTimetable(..., run_offset=-1, key_format="%Y-%m-%d"). Or give the Params period_start and '
            "period_end."
        )
    return _last_complete(dates, length)


def _period_of_interval(dates: RunDates, interval: tuple[datetime, datetime], length: PeriodLength) -> Period:
    start, end = _utc_days(interval)
    if dates.logical_date and dates.logical_date != interval[0]:
        raise PeriodError(
            f"this {dates.run_type} run has the logical date {dates.logical_date.isoformat()} and the data interval "
            f"{_written(interval)} of another date: a backfill has taken over a run that was started by hand, and "
            "Airflow keeps its old interval. Delete this run, then create the backfill again."
        )
    # Seen by the clock, so that a schedule in a zone with daylight saving has whole days all year.
    if start >= end or abs((interval[1] - interval[0]) - (end - start)) > _CLOCK_SHIFT:
        raise PeriodError(
            f"the data interval {_written(interval)} is not a number of whole UTC days. Schedule the DAG once a day or "
            'less often, as in CronDataIntervalTimetable("0 2 * * *", timezone="UTC"), or give the Params '
            "period_start and period_end."
        )
    _refuse_parts(start, end, length, f"the data interval {_written(interval)}")
    return Period(start, end, "data interval")


def _period_of_key(key: str | None) -> Period | None:
    for form, first_day, length in _KEYS:
        if key and form.fullmatch(key):
            try:
                period = length.holding(date.fromisoformat(first_day.format(key)))
            except ValueError as error:
                raise PeriodError(f"the partition key {key!r} has the form of a {length.noun}, but is none.") from error
            return Period(period.start, period.end, "partition key")
    return None


def _last_complete(dates: RunDates, length: PeriodLength) -> Period:
    if dates.interval and dates.logical_date:
        _refuse_contradiction(dates.logical_date, dates.interval)
    # Not the interval of a manual run: Airflow ends it at the last schedule, before 02:00 a day too early.
    source, instant = "logical date", dates.logical_date
    if instant is None:
        source, instant = "run time", dates.run_after
    if instant is None:
        raise PeriodError(
            f"this {dates.run_type} run has no data interval and no run time; give the Params "
            "period_start and period_end."
        )
    period = length.last_complete(instant)
    return Period(period.start, period.end, source)


def _refuse_contradiction(logical_date: datetime, interval: tuple[datetime, datetime]) -> None:
    """`airflow dags trigger --logical-date D` infers the interval from now, not from D: refuse to guess."""
    start, end = interval
    if logical_date < end or logical_date - end > end - start + _UNEVEN_SCHEDULE:
        raise PeriodError(
            f"the run's logical date {logical_date.isoformat()} and its data interval {_written(interval)} belong to "
            "different periods: `airflow dags trigger --logical-date` and TriggerDagRunOperator infer the interval "
            "from the present. Trigger again with the Params period_start and period_end and no logical date, or "
            "use `airflow backfill create`."
        )


def _refuse_other_dates(period: Period, dates: RunDates, length: PeriodLength) -> None:
    """A period that Params name must be the one of a backfill's run, and of a partition key."""
    own = _period_of_dates(dates, length) if dates.run_type == "backfill" else _period_of_key(dates.partition_key)
    if own and (own.start, own.end) != (period.start, period.end):
        raise PeriodError(
            f"the Params name the sales period [{period.start}, {period.end}), the run's {own.source} "
            f"[{own.start}, {own.end}). "
            + (
                "All runs of a backfill have the same Params and would compute the same period: leave period_start and "
                "period_end out, and choose the periods by --from-date and --to-date."
                if dates.run_type == "backfill"
                else "Trigger again with one of them."
            )
        )


def _refuse_parts(start: date, end: date, length: PeriodLength, what: str) -> None:
    if not length.tiles(start, end):
        raise PeriodError(
            f"{what} covers [{start}, {end}), {_days((end - start).days)} from a {start:%A} on, yet the Param "
            f"period_length is {length.value}: it must be one whole {length.noun}, or several. Leave period_length at "
            "what the DAG is scheduled for (daily takes any number of days), or change the schedule."
        )


def _refuse_unfinished(period: Period, dates: RunDates) -> None:
    if is_unfinished(period, dates):
        until = dates.known_until
        raise PeriodError(
            f"the sales period [{period.start}, {period.end}) is not over yet at the run's run time "
            f"{until.isoformat() if until else '(it has none)'}: its sales are incomplete. Run it from "
            f"{period.end} 00:00 UTC on, choose an earlier period, or set the Param allow_unfinished_period."
        )


def _utc_days(interval: tuple[datetime, datetime]) -> tuple[date, date]:
    return utc_day(interval[0]), utc_day(interval[1])


def _written(interval: tuple[datetime, datetime]) -> str:
    return f"[{interval[0].isoformat()}, {interval[1].isoformat()})"


def _days(count: int) -> str:
    return "1 day" if count == 1 else f"{count} days"


def _length_named(name: str | None) -> PeriodLength:
    try:
        return PeriodLength(name or "daily")
    except ValueError as error:
        known = ", ".join(length.value for length in PeriodLength)
        raise PeriodError(f"Param period_length is {name!r}; choose one of {known}.") from error


def _parse_day(name: str, text: str) -> date:
    try:
        if "T" not in text and " " not in text:
            return date.fromisoformat(text)
        instant = datetime.fromisoformat(text)
        instant = instant.astimezone(UTC) if instant.tzinfo else instant.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise PeriodError(f"Param {name} is {text!r}; write a date as YYYY-MM-DD.") from error
    if (instant.hour, instant.minute, instant.second, instant.microsecond) != (0, 0, 0, 0):
        raise PeriodError(f"Param {name} is {text!r}, which is not midnight UTC; write a date as YYYY-MM-DD.")
    return instant.date()
