"""A deadline of nightly runs."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow.sdk import DAG

from nightcast.alerts.message import Alert
from nightcast.alerts.targets import tell
from nightcast.errors import PeriodError
from nightcast.period_choice import choose_period
from nightcast.run_dates import RunDates

if TYPE_CHECKING:
    from airflow.sdk.definitions.deadline import DeadlineAlert

log = logging.getLogger(__name__)

_STATES = {
    "queued": "The run has not begun: are scheduler and workers alive, and does another run hold its place?",
    "running": "The run goes on: see which task is slow, or waits for a slot of its pool.",
    "failed": "The run has failed: mend the cause and clear its failed tasks.",
}


class DeadlineDAG(DAG):
    """
    A DAG with a deadline that ``airflow dags test`` and ``dag.test()`` can run to the end.

    Airflow up to 3.3.2 breaks off there with a traceback once such a run has succeeded
    (https://github.com/apache/airflow/issues/73428). Everything else sees the deadline.
    """

    def test(self, *args: Any, **kwargs: Any) -> Any:
        """Run once in this process; see :meth:`airflow.sdk.DAG.test`."""
        deadline, self.deadline = self.deadline, None
        try:
            return super().test(*args, **kwargs)
        finally:
            self.deadline = deadline


def nightly_deadline(interval: timedelta) -> DeadlineAlert:
    """A DAG's deadline: a scheduled run that has not succeeded so long after it was queued is told of.

    Airflow sets it for runs of every type; :func:`tell_missed_deadline` is silent for all but scheduled ones. The
    logical date would be no measure: every backfilled run is late by it.
    """
    # Where Airflow 3.1 has them, too.
    from airflow.sdk.definitions.deadline import (  # type: ignore[attr-defined]
        AsyncCallback,
        DeadlineAlert,
        DeadlineReference,
    )

    return DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=_as_airflow_clears_it(interval),  # type: ignore[arg-type]
        callback=AsyncCallback(tell_missed_deadline),
    )


def _as_airflow_clears_it(interval: timedelta) -> timedelta | float:
    """Seconds, where Airflow can not clear a run whose deadline was given as a timedelta.

    3.3.0 to 3.3.2 read it back as it is stored, and break off with a TypeError; a number they take everywhere
    (https://github.com/apache/airflow/issues/70368).
    """
    from airflow import __version__

    release = tuple(int(piece) for piece in __version__.split(".")[:3] if piece.isdigit())
    return interval.total_seconds() if (3, 3) <= release <= (3, 3, 2) else interval


async def tell_missed_deadline(context: Mapping[str, Any] | None = None) -> str:
    """Tell that a scheduled run is late; what the triggerer calls. Never raises. Returns what it has done.

    Parameters
    ----------
    context
        Airflow's simple context: ``dag_run`` as its REST API shows it, and ``deadline``.
    """
    from asgiref.sync import sync_to_async

    try:
        run, deadline = (context or {})["dag_run"], (context or {})["deadline"]
        if run["run_type"] != "scheduled":
            return f"silent: {run['dag_run_id']} is a {run['run_type']} run"
        # A thread that may ask for connections: the triggerer's own loop must not wait.
        await sync_to_async(tell)(_alert(run, deadline))
    except Exception:
        log.warning("a missed deadline could not be told of", exc_info=True)
        return "failed: see the triggerer's log"
    return f"told of {run['dag_run_id']}"


def _alert(run: Mapping[str, Any], deadline: Mapping[str, Any]) -> Alert:
    from airflow.providers.common.compat.sdk import conf

    base = conf.get("api", "base_url", fallback=None) or "http://localhost:8080"
    state, due = str(run["state"]), deadline["deadline_time"]
    due = due.isoformat(timespec="seconds") if isinstance(due, datetime) else due
    return Alert(
        event="deadline-missed",
        title="a nightly run is late",
        dag_id=run["dag_id"],
        run_id=run["dag_run_id"],
        run_type=run["run_type"],
        period=_period(run),
        error=f"It has not succeeded by {due}; its state is {state}.",
        log_url=f"{base.rstrip('/')}/dags/{run['dag_id']}/runs/{quote(run['dag_run_id'])}",
        next_step=_STATES.get(state, "Look at the run."),
    )


def _period(run: Mapping[str, Any]) -> str | None:
    conf = run.get("conf") or {}
    try:
        dates = RunDates(
            run["run_type"],
            _instant(run.get("run_after")),
            _instant(run.get("logical_date")),
            _instant(run.get("data_interval_start")),
            _instant(run.get("data_interval_end")),
        )
        # An alert names what a run would be for, whether it may run or not.
        return choose_period(dates, conf.get("period_start"), conf.get("period_end"), allow_unfinished=True).label
    except PeriodError:
        return None


def _instant(text: str | datetime | None) -> datetime | None:
    return datetime.fromisoformat(text) if isinstance(text, str) else text
