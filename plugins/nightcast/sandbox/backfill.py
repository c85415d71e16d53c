"""A backfill on the local stack: created by Airflow's own command, followed to its end, taken up again after a kill."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import urlencode

from nightcast.sandbox.processes import StackError
from nightcast.sandbox.stack import Stack, say

_POLL_SECONDS, _QUIET_SECONDS = 2.0, 60.0
_STATES = ("success", "failed", "running", "queued")


@dataclass(frozen=True)
class BackfillRequest:
    """What to backfill: the periods whose first days lie between ``first`` and ``last``, both inclusive, UTC.

    Parameters
    ----------
    conf
        Params of all runs.
    runs
        How many run at once.
    """

    dag_id: str
    first: date
    last: date
    conf: dict[str, Any] = field(default_factory=dict)
    runs: int = 4

    def __post_init__(self) -> None:
        if self.first > self.last:
            raise StackError(f"FROM={self.first} comes after TO={self.last}.")
        if self.runs < 1:
            raise StackError(f"RUNS={self.runs}: at least one run must go at once.")

    @property
    def instants(self) -> tuple[str, str]:
        """First and last instant of the logical dates, inclusive."""
        return f"{self.first}T00:00:00Z", f"{self.last}T23:59:59Z"


@dataclass
class Progress:
    """How far a backfill has come: ``success`` and ``failed`` of ``total`` runs."""

    total: int
    success: int
    failed: int
    _now: int = 0

    def ended(self, day: str, state: str, seconds: float) -> str:
        """The line for a run that has ended, so many seconds after the start."""
        self.success += state == "success"
        self.failed += state == "failed"
        self._now += 1
        rate, left = self._now / seconds * 60, self.total - self.success - self.failed
        failed = f", {self.failed} failed" if self.failed else ""
        pace = f"  {rate:.1f} a minute, {left / rate:.0f} min left" if left else ""
        return f"{self._begin(seconds)}  {day}  {state}{failed}{pace}"

    def waiting(self, days: list[str], seconds: float) -> str:
        """The line for a time in which none has ended."""
        return f"{self._begin(seconds)}  running: {', '.join(days) or 'none; is the DAG, or its backfill, paused?'}"

    def _begin(self, seconds: float) -> str:
        width = len(str(self.total))
        return f"  {seconds:7.1f} s  [{self.success + self.failed:>{width}}/{self.total}]"


class Backfill:
    """A request's backfill on a running stack."""

    def __init__(self, stack: Stack, request: BackfillRequest) -> None:
        self._stack = stack
        self._request = request
        self._of_dag = f"/dags/{request.dag_id}/dagRuns"

    def start(self) -> bool:
        """Have Airflow run what has not succeeded; False where there is nothing left to run.

        A backfill that is still active is one that a kill has interrupted: it goes on if it is the one that is asked
        for, and is cancelled if not. Runs that have succeeded are left as they are.
        """
        under_way = bool(self._count("running", "queued"))
        if not under_way and not self._missing():
            return False
        if not self._goes_on(under_way):
            missing = self._missing()
            if missing:
                say(f"{len(missing)} periods to run, {self._request.runs} at once")
                self._create()
        return True

    def follow(self, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep) -> bool:
        """Print a line for each run that ends, until all have; whether all have succeeded."""
        begun, told, running = clock(), clock(), self._running()
        progress = Progress(self._count(*_STATES), self._count("success"), self._count("failed"))
        while True:
            self._stack.processes.check()
            now_running = self._running()
            for run_id in sorted(running.keys() - now_running.keys()):
                state = self._stack.api.get(f"{self._of_dag}/{run_id}")["state"]
                say(progress.ended(running[run_id], state, clock() - begun))
                if state == "failed":
                    say(self._why(run_id))
                told = clock()
            running = now_running
            if not running and not self._count("running", "queued"):
                return self._tell_the_end()
            if clock() - told >= _QUIET_SECONDS:
                say(progress.waiting(sorted(running.values()), clock() - begun))
                told = clock()
            sleep(_POLL_SECONDS)

    def _goes_on(self, under_way: bool) -> bool:
        """Whether the backfill that is asked for is active; any other is cancelled, and one that has run to its end."""
        listed = self._stack.api.get(f"/backfills?{urlencode({'dag_id': self._request.dag_id})}")["backfills"]
        for active in [one for one in listed if one["completed_at"] is None]:
            if under_way and self._is_this(active):
                if active["is_paused"]:
                    self._stack.api.call("PUT", f"/backfills/{active['id']}/unpause")
                say("going on with the backfill that was interrupted")
                return True
            if under_way:
                say("cancelling an interrupted backfill of other dates or Params")
            self._stack.api.call("PUT", f"/backfills/{active['id']}/cancel")
        return False

    def _is_this(self, active: dict[str, Any]) -> bool:
        dates = tuple(datetime.fromisoformat(active[name]).astimezone(UTC) for name in ("from_date", "to_date"))
        asked = tuple(datetime.fromisoformat(instant) for instant in self._request.instants)
        same = (active["dag_run_conf"] or {}, active["max_active_runs"]) == (self._request.conf, self._request.runs)
        return same and dates == asked

    def _missing(self) -> list[dict[str, Any]]:
        """The periods that have no run, or one that has failed."""
        first, last = self._request.instants
        body = {"dag_id": self._request.dag_id, "from_date": first, "to_date": last, "reprocess_behavior": "failed"}
        return list(self._stack.api.post("/backfills/dry_run", body)["backfills"])

    def _create(self) -> None:
        request, (first, last) = self._request, self._request.instants
        self._stack.processes.run(
            "backfill",
            self._stack.airflow(
                *("backfill", "create", "--dag-id", request.dag_id, "--from-date", first, "--to-date", last),
                *("--max-active-runs", str(request.runs), "--reprocess-behavior", "failed"),
                *("--dag-run-conf", json.dumps(request.conf)),
            ),
            self._stack.environment,
        )

    def _runs(self, *states: str, limit: int = 100) -> dict[str, Any]:
        first, last = self._request.instants
        wanted = {"dag_ids": [self._request.dag_id], "states": states, "page_limit": limit}
        # Of all DAGs, for of one Airflow would read that DAG at each call.
        path = "/dags/~/dagRuns/list"
        return self._stack.api.post(path, {**wanted, "logical_date_gte": first, "logical_date_lte": last})

    def _count(self, *states: str) -> int:
        return int(self._runs(*states, limit=1)["total_entries"])

    def _running(self) -> dict[str, str]:
        """Days of the running runs by run id."""
        return {run["dag_run_id"]: run["logical_date"][:10] for run in self._runs("running")["dag_runs"]}

    def _why(self, run_id: str) -> str:
        """Last lines of the logs of a run's failed tasks."""
        tasks = self._stack.api.get(f"{self._of_dag}/{run_id}/taskInstances?limit=100")["task_instances"]
        failed = [task["task_id"] for task in tasks if task["state"] == "failed"]
        tails = [
            f"{task_id} failed:\n{self._stack.log_tail(self._request.dag_id, run_id, task_id)}" for task_id in failed
        ]
        return "\n".join(tails) or "(no task has failed: the run was cancelled, or took too long)"

    def _tell_the_end(self) -> bool:
        counts = {state: self._count(state) for state in _STATES}
        total = sum(counts.values())
        say(f"{counts['success']} of {total} runs succeeded")
        if counts["failed"]:
            days = [run["logical_date"][:10] for run in self._runs("failed")["dag_runs"]]
            say(f"failed: {', '.join(sorted(days))}. Mend the cause, then give the same command again.")
        return counts["success"] == total
