"""What ``make run``, ``make up`` and ``make backfill`` do."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from nightcast.cadence import Cadence
from nightcast.errors import NightcastError
from nightcast.period import PeriodLength
from nightcast.report.accuracy_files import read_rows, summary_table
from nightcast.report.summary import copy_run, run_summary
from nightcast.sandbox.account import BUCKET
from nightcast.sandbox.backfill import Backfill, BackfillRequest
from nightcast.sandbox.processes import StackError
from nightcast.sandbox.stack import Stack, say
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
    backfill.add_argument("--runs", type=int, default=4, help="runs at once (default: 4)")
    backfill.add_argument("--conf", type=json.loads, default={}, metavar="JSON", help="Params of all runs")
    backfill.add_argument("--retrain", choices=[*Cadence], help="which runs train; goes before what --conf says")
    backfill.add_argument("--anew", action="store_true", help="forget the runs of earlier calls")
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
        conf = {**options.conf, **({"retrain": str(options.retrain)} if options.retrain else {})}
        request = BackfillRequest(options.dag, options.first, options.last, conf, options.runs)
        return backfill_periods(project, request, anew=options.anew)
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
        ok = _follow(stack, started["dag_run_id"])
        say("")
        if ok:
            _show(stack, _runs_published(stack, {period.label}))
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


def backfill_periods(project: Path, request: BackfillRequest, *, anew: bool) -> int:
    """Make one run for each period, by `airflow backfill create`; go on where an earlier call has stopped."""
    with Stack(
        project,
        _home(project, "backfill"),
        year_end=TICKIT_YEAR_END,
        scheduled=False,
        keep=not anew,
        idle_seconds=0.5,
        dag=request.dag_id,
    ) as stack:
        labels = _labels(_length(stack), request)
        if not labels:
            raise StackError(
                f"no period of {request.dag_id} begins from FROM={request.first} to TO={request.last}: choose days "
                "further apart."
            )
        say(f"backfilling {request.dag_id} from {request.first} to {request.last}")
        backfill = Backfill(stack, request)
        if not backfill.start():
            say("all of these periods have succeeded before; nothing is left to run")
        ok = backfill.follow()
        say("")
        _show(stack, _runs_published(stack, labels)[-1:])
        rows = [row for row in read_rows(_storage(stack), _place(stack)) if row.period in labels]
        if rows:
            say("accuracy of the predictions, by the period that they were made for")
            say(summary_table(rows))
    return 0 if ok else 1


def _labels(length: PeriodLength, request: BackfillRequest) -> set[str]:
    """Labels of the periods that begin in the request's days."""
    days = (request.first + timedelta(days=number) for number in range((request.last - request.first).days + 1))
    return {length.holding(day).label for day in days if length.holding(day).start == day}


def _follow(stack: Stack, run_id: str) -> bool:
    """Print each task's end until the run has ended; returns whether it succeeded."""
    begun, seen, state = time.monotonic(), set[str](), "queued"
    while state not in _ENDED:
        stack.processes.check()
        state = stack.api.get(f"/dags/{stack.dag}/dagRuns/{run_id}")["state"]
        for task in _ended_tasks(stack, run_id):
            name = task["task_id"]
            if name in seen:
                continue
            seen.add(name)
            took = _stage_time(stack, run_id, task)
            say(f"  {time.monotonic() - begun:6.1f} s  {name:<34} {task['state']}{took}")
            if task["state"] == "failed":
                say(stack.log_tail(stack.dag, run_id, name))
        time.sleep(0.5)
    succeeded = state == "success"
    say("the run succeeded" if succeeded else "the run failed")
    return succeeded


def _ended_tasks(stack: Stack, run_id: str) -> list[dict[str, Any]]:
    tasks = stack.api.get(f"/dags/{stack.dag}/dagRuns/{run_id}/taskInstances?limit=100")["task_instances"]
    ended = [task for task in tasks if task["state"] in (*_ENDED, "skipped", "upstream_failed")]
    return sorted(ended, key=lambda task: str(task["end_date"]))


def _stage_time(stack: Stack, run_id: str, task: dict[str, Any]) -> str:
    path = f"/dags/{stack.dag}/dagRuns/{run_id}/taskInstances/{task['task_id']}/xcomEntries/stage_seconds"
    if task["state"] != "success" or not stack.api.exists(path):
        return ""
    return f"   (stage {float(stack.api.get(path)['value']):.2f} s)"


def _runs_published(stack: Stack, labels: set[str]) -> list[str]:
    """``run.json`` of each published run of some periods, by period."""
    uris = _storage(stack).names_below(f"{_place(stack)}/period=")
    committed = [uri for uri in uris if uri.endswith("/run.json")]
    return [uri for uri in committed if uri.rpartition("/period=")[2].partition("/")[0] in labels]


def _place(stack: Stack) -> str:
    return f"s3://{BUCKET}/forecasts/{stack.dag}"


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
