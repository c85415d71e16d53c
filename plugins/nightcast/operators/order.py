"""The order between runs: a run looks at what the run of the previous period has done, so it lets that one go first.

Only a run that is under way is waited for. Queued ones are not: of a backfill that runs backwards, or of one whose runs
are all queued behind this one, they would wait for this run. Nor are runs by hand, and these wait for nobody.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowRescheduleException

from nightcast.run_dates import RunDates, run_dates

if TYPE_CHECKING:
    from airflow.sdk import Context

_ORDERED = ("scheduled", "backfill")
_FINAL = ("success", "failed", "skipped", "upstream_failed", "removed")
_POLL_SECONDS, _LOOK_SECONDS, _TELL_SECONDS = 1.0, 10.0, 60.0
# A task that waits longer than this gives its worker slot away, for the run before may need it.
PATIENCE = timedelta(seconds=45)
# How long it stays away. Longer than a supervisor may take to tell the scheduler that its task's process has ended
# (`[workers] min_heartbeat_interval`, 5 s): a task that is queued again by then is taken for one that died.
AWAY = timedelta(seconds=20)
_LIMIT = timedelta(hours=1)


def previous_logical_date(dates: RunDates, start: date, previous_start: date) -> datetime | None:
    """The logical date of the run of the previous period: as far into its period as this one's.

    Parameters
    ----------
    start, previous_start
        First days of this run's sales period and of the one before.

    Returns
    -------
    datetime or None
        None where the run has no such neighbour: runs by hand, or without a logical date.
    """
    if dates.run_type not in _ORDERED or dates.logical_date is None:
        return None
    return dates.logical_date - (_midnight(start) - _midnight(previous_start))


def is_under_way(context: Context, run: dict[str, Any], task_id: str) -> bool:
    """Whether the run of the previous period is running, and a task of it has not come to its end.

    Parameters
    ----------
    run
        What ``resolve_period`` returned.
    """
    logical_date = _logical_date_before(context, run)
    return (
        logical_date is not None and _is_pending(context, logical_date, task_id) and _is_running(context, logical_date)
    )


def let_previous_go_first(
    context: Context,
    run: dict[str, Any],
    task_id: str,
    log: Any,
    *,
    limit: timedelta | None = None,
    patience: timedelta = PATIENCE,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Wait until a task of the previous period's run has come to its end, if that run is under way.

    Parameters
    ----------
    run
        What ``resolve_period`` returned.
    limit
        How long at most, an hour by default; from then on the run goes on with a warning.
    patience
        How long the task keeps its worker slot, and its slot in a pool; it comes back after `AWAY`.

    Returns
    -------
    bool
        Whether that task has ended, or there is none to wait for.

    Raises
    ------
    AirflowRescheduleException
        After `patience`: the task comes back later, so that its slots are free meanwhile.
    """
    logical_date = _logical_date_before(context, run)
    if logical_date is None:
        return True
    waited, begun = _waited_before(context), clock()
    told, looked = -_TELL_SECONDS, -_LOOK_SECONDS
    most = (limit or _LIMIT).total_seconds()
    while _is_pending(context, logical_date, task_id):
        now = clock() - begun
        # Seldom: a run that has broken off has ended its tasks, too.
        if now - looked >= _LOOK_SECONDS:
            if not _is_running(context, logical_date):
                return True
            looked = now
        if waited + now >= most:
            log.warning("the run of %s has not ended %s in time: going on without it", logical_date, task_id)
            return False
        if now >= patience.total_seconds():
            log.info("the run of %s has still not ended %s: looking again later", logical_date, task_id)
            raise AirflowRescheduleException(datetime.now(UTC) + AWAY)  # type: ignore[no-untyped-call]
        if now - told >= _TELL_SECONDS:
            log.info("waiting for the run of %s, the period before, to end %s", logical_date, task_id)
            told = now
        sleep(_POLL_SECONDS)
    return True


def _logical_date_before(context: Context, run: dict[str, Any]) -> datetime | None:
    period = run["period"]
    start, before = (date.fromisoformat(day) for day in (period["start"], period["previous"]["start"]))
    return previous_logical_date(run_dates(context), start, before)


def _is_pending(context: Context, logical_date: datetime, task_id: str) -> bool:
    """Whether there is such a run, and the task has not ended."""
    dag_id = context["dag_run"].dag_id
    found = context["ti"].get_task_states(dag_id, task_ids=[task_id], logical_dates=[logical_date])
    states = [state for tasks in found.values() for state in tasks.values()]
    return any(str(getattr(state, "value", state)) not in _FINAL for state in states)


def _is_running(context: Context, logical_date: datetime) -> bool:
    dag_id = context["dag_run"].dag_id
    return bool(context["ti"].get_dr_count(dag_id, logical_dates=[logical_date], states=["running"]))


def _waited_before(context: Context) -> float:
    """Seconds since the task began to wait, before it was rescheduled for the first time."""
    first = context["ti"].get_first_reschedule_date(context)
    return 0.0 if first is None else (datetime.now(UTC) - first).total_seconds()


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
