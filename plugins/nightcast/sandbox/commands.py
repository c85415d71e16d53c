"""What ``make run``, ``make up`` and ``make backfill`` do."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from nightcast.errors import NightcastError
from nightcast.period import PeriodLength
from nightcast.report.accuracy_files import accuracy_table, read_rows
from nightcast.report.summary import copy_run, run_summary
from nightcast.sandbox.processes import StackError
from nightcast.sandbox.stack import BUCKET, Stack, say
from nightcast.storage import Storage

DAG = "sales_forecast"
TICKIT_YEAR_END = date(2008, 12, 31)
_ENDED = ("success", "failed")
_STOPS = (signal.SIGINT, signal.SIGTERM)


def main(arguments: list[str] | None = None) -> int:
    """Run one of the commands; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m nightcast.sandbox.commands", description=__doc__)
    parser.add_argument("--project", type=Path, default=Path.cwd(), help="folder with dags/ and plugins/")
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("run", help="one sales period through a real scheduler, then stop")
    one.add_argument(
        "day", nargs="?", type=date.fromisoformat, help=f"a day of the period (default: {TICKIT_YEAR_END})"
    )
    commands.add_parser("up", help="keep everything running, until interrupted")
    backfill = commands.add_parser("backfill", help="historical sales periods, then stop")
    backfill.add_argument("first", type=date.fromisoformat, help="first day, YYYY-MM-DD")
    backfill.add_argument("last", type=date.fromisoformat, help="last day, inclusive")
    for command in (one, backfill):
        command.add_argument("--dag", default=DAG, help=f"the pipeline (default: {DAG})")
    options = parser.parse_args(arguments)
    # A plain SIGTERM would skip the clean-up that keeps processes from staying behind, and a shell
    # that starts this in the background leaves SIGINT ignored.
    for number in _STOPS:
        signal.signal(number, _interrupt)
    project = options.project.resolve()
    try:
        if options.command == "run":
            return run(project, options.dag, options.day)
        if options.command == "up":
            return up(project)
        return backfill_periods(project, options.first, options.last, options.dag)
    except (StackError, NightcastError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        say("\nstopped")
        return 0 if options.command == "up" else 130


def run(project: Path, dag: str = DAG, day: date | None = None) -> int:
    """Take one period from Redshift SQL to predictions: the one that the day lies in."""
    if day is None and dag != DAG:
        raise StackError(f"which period of {dag}? Give a day of it: make run DAG={dag} DAY=YYYY-MM-DD.")
    with Stack(project, _home(project, "run"), year_end=TICKIT_YEAR_END, scheduled=False, keep=False, dag=dag) as stack:
        period = _length(stack).holding(day or TICKIT_YEAR_END)
        conf = {"period_start": period.start.isoformat(), "period_end": period.end.isoformat()}
        say(f"running {dag} for the sales period {period.label}")
        started = stack.api.post(f"/dags/{dag}/dagRuns", {"logical_date": None, "conf": conf})
        ok = _follow(stack, [started["dag_run_id"]])
        say("")
        if ok:
            _show(stack, _runs_published(stack))
    return 0 if ok else 1


def _length(stack: Stack) -> PeriodLength:
    """How long the periods of the pipeline are, as its DAG says."""
    param = stack.api.get(f"/dags/{stack.dag}/details")["params"].get("period_length", {})
    return PeriodLength(param.get("value", "daily"))


def up(project: Path) -> int:
    """Keep the whole system running on sales that end yesterday, with its nightly schedule on."""
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    with Stack(project, _home(project, "up"), year_end=yesterday, scheduled=True, keep=True) as stack:
        say("")
        say(f"Airflow   {stack.api.url}   user: admin   password: {stack.password}")
        say(f"AWS       {stack.endpoint_url}   bucket: {BUCKET}   (S3 and the Redshift Data API)")
        say("The nightly run of the last period starts by itself. Ctrl-C stops everything; data are kept.")
        while True:
            stack.processes.check()
            time.sleep(1)


def backfill_periods(project: Path, first: date, last: date, dag: str = DAG) -> int:
    """Make one run for each period that begins in ``[first, last]``, by `airflow backfill create`."""
    if first > last:
        raise StackError(f"FROM={first} comes after TO={last}.")
    with Stack(
        project, _home(project, "backfill"), year_end=TICKIT_YEAR_END, scheduled=False, keep=False, dag=dag
    ) as stack:
        wanted = len(_starts(_length(stack), first, last))
        if not wanted:
            raise StackError(f"no period of {dag} begins from FROM={first} to TO={last}: choose days further apart.")
        say(f"backfilling {dag} from {first} to {last}")
        command = ("--from-date", first.isoformat(), "--to-date", f"{last.isoformat()}T23:59:59")
        stack.processes.run(
            "backfill",
            stack.airflow("backfill", "create", "--dag-id", dag, *command, "--max-active-runs", "2"),
            stack.environment,
        )
        runs = stack.processes.until("the backfill's runs", lambda: _runs_created(stack, wanted), 60)
        ok = _follow(stack, runs)
        say("")
        _show(stack, _runs_published(stack))
        rows = read_rows(_storage(stack), f"s3://{BUCKET}/forecasts/{stack.dag}")
        if rows:
            say("accuracy of the predictions, by the period that they were made for")
            say(accuracy_table(rows))
    return 0 if ok else 1


def _starts(length: PeriodLength, first: date, last: date) -> list[date]:
    """First days of the periods that begin in ``[first, last]``."""
    days = (first + timedelta(days=number) for number in range((last - first).days + 1))
    return [day for day in days if length.holding(day).start == day]


def _runs_created(stack: Stack, wanted: int) -> list[str]:
    found: list[str] = []
    while True:  # the API gives at most 100 at once
        page = stack.api.get(f"/dags/{stack.dag}/dagRuns?limit=100&offset={len(found)}&order_by=id")
        found += [run["dag_run_id"] for run in page["dag_runs"]]
        if not page["dag_runs"] or len(found) >= page["total_entries"]:
            return found if len(found) >= wanted else []


def _follow(stack: Stack, run_ids: list[str]) -> bool:
    """Print each task's end until all runs have ended; returns whether all succeeded."""
    begun, seen, states = time.monotonic(), set[tuple[str, str]](), dict.fromkeys(run_ids, "queued")
    several = len(run_ids) > 1
    while not all(state in _ENDED for state in states.values()):
        stack.processes.check()
        for run_id in [name for name, state in states.items() if state not in _ENDED]:
            states[run_id] = stack.api.get(f"/dags/{stack.dag}/dagRuns/{run_id}")["state"]
            for task in _ended_tasks(stack, run_id):
                if (run_id, task["task_id"]) in seen:
                    continue
                seen.add((run_id, task["task_id"]))
                name = f"{run_id[:26]}  {task['task_id']}" if several else task["task_id"]
                say(
                    f"  {time.monotonic() - begun:6.1f} s  {name:<34} {task['state']}{_stage_time(stack, run_id, task)}"
                )
                if task["state"] == "failed":
                    say(_log_tail(stack, run_id, task["task_id"]))
        time.sleep(0.5)
    say(f"{sum(s == 'success' for s in states.values())} of {len(states)} runs succeeded")
    return all(state == "success" for state in states.values())


def _ended_tasks(stack: Stack, run_id: str) -> list[dict[str, Any]]:
    tasks = stack.api.get(f"/dags/{stack.dag}/dagRuns/{run_id}/taskInstances?limit=100")["task_instances"]
    ended = [task for task in tasks if task["state"] in (*_ENDED, "skipped", "upstream_failed")]
    return sorted(ended, key=lambda task: str(task["end_date"]))


def _stage_time(stack: Stack, run_id: str, task: dict[str, Any]) -> str:
    path = f"/dags/{stack.dag}/dagRuns/{run_id}/taskInstances/{task['task_id']}/xcomEntries/stage_seconds"
    if task["state"] != "success" or not stack.api.exists(path):
        return ""
    return f"   (stage {float(stack.api.get(path)['value']):.2f} s)"


def _log_tail(stack: Stack, run_id: str, task_id: str) -> str:
    logs = sorted((stack.home / "airflow" / "logs").glob(f"dag_id={stack.dag}/run_id={run_id}/task_id={task_id}/*.log"))
    return "\n".join(logs[-1].read_text(errors="replace").splitlines()[-8:]) if logs else "(no log)"


def _runs_published(stack: Stack) -> list[str]:
    uris = _storage(stack).names_below(f"s3://{BUCKET}/forecasts/{stack.dag}/")
    return [uri for uri in uris if uri.endswith("/run.json")]


def _show(stack: Stack, runs: list[str]) -> None:
    storage = _storage(stack)
    for uri in runs:
        say(run_summary(storage, uri))
        copied = copy_run(storage, uri, stack.home / "output")
        say(f"\nOn this disk   {copied / 'report.html'}\n               {copied / 'predictions'}\n")


def _storage(stack: Stack) -> Storage:
    return Storage().with_client(stack.client("s3"))


def _home(project: Path, name: str) -> Path:
    return project / ".nightcast" / name


def _interrupt(*_: Any) -> None:
    for number in _STOPS:
        signal.signal(number, signal.SIG_IGN)  # the clean-up is not to be interrupted
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
