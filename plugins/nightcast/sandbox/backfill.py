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
        going_on = self._take_up()
        missing = self._missing()
        if missing and not going_on:
            say(f"{len(missing)} periods to run, {self._request.runs} at once")
            self._create()
        return bool(missing) or going_on

    def follow(self, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep) -> bool:
        """Print a line for each run that ends, until all have; whether all have succeeded."""
        begun, told = clock(), clock()
        ended_before, running = self._ended(), self._running()
        while True:
            self._stack.processes.check()
            now_running = self._running()
            ended = self._ended()
            for run_id in sorted(running.keys() - now_running.keys()):
                self._tell(run_id, running[run_id], clock() - begun, ended, ended_before)
                told = clock()
            running = now_running
            if not running and not self._count("queued") and not self._running():
                return self._tell_the_end()
            if clock() - told >= _QUIET_SECONDS:
                days = ", ".join(sorted(running.values())) or "nothing: is the DAG, or its backfill, paused?"
                say(f"  {clock() - begun:7.1f} s  {self._share(ended)}  running: {days}")
                told = clock()
            sleep(_POLL_SECONDS)

    def _take_up(self) -> bool:
        listed = self._stack.api.get(f"/backfills?{urlencode({'dag_id': self._request.dag_id})}")["backfills"]
        for active in [one for one in listed if one["completed_at"] is None]:
            if self._is_this(active):
                if active["is_paused"]:
                    self._stack.api.call("PUT", f"/backfills/{active['id']}/unpause")
                say("going on with the backfill that was interrupted")
                return True
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

    def _runs(self, limit: int, **filters: str) -> dict[str, Any]:
        first, last = self._request.instants
        query = {"logical_date_gte": first, "logical_date_lte": last, "limit": limit, **filters}
        return self._stack.api.get(f"{self._of_dag}?{urlencode(query)}")

    def _count(self, state: str) -> int:
        return int(self._runs(1, state=state)["total_entries"])

    def _ended(self) -> dict[str, int]:
        return {state: self._count(state) for state in ("success", "failed")}

    def _running(self) -> dict[str, str]:
        """Days of the running runs by run id."""
        return {run["dag_run_id"]: run["logical_date"][:10] for run in self._runs(100, state="running")["dag_runs"]}

    def _share(self, ended: dict[str, int]) -> str:
        total = int(self._runs(1)["total_entries"])
        return f"[{sum(ended.values()):>{len(str(total))}}/{total}]"

    def _tell(self, run_id: str, day: str, seconds: float, ended: dict[str, int], before: dict[str, int]) -> None:
        state = self._stack.api.get(f"{self._of_dag}/{run_id}")["state"]
        rate = (sum(ended.values()) - sum(before.values())) / seconds * 60
        left = int(self._runs(1)["total_entries"]) - sum(ended.values())
        pace = f"{rate:.1f} a minute, {left / rate:.0f} min left" if rate and left else ""
        failed = f", {ended['failed']} failed" if ended["failed"] else ""
        say(f"  {seconds:7.1f} s  {self._share(ended)}  {day}  {state:<8}{failed}  {pace}".rstrip())
        if state == "failed":
            say(self._why(run_id))

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
            days = [run["logical_date"][:10] for run in self._runs(100, state="failed")["dag_runs"]]
            say(f"failed: {', '.join(sorted(days))}. Mend the cause, then give the same command again.")
        return counts["success"] == total
