"""A backfill of many daily periods on the local stack: wall time, processor time and who used it, memory.

    python benchmarks/backfill.py [--periods 365] [--runs 4] [--retrain weekly] [--home FOLDER]

Runs the last periods of the sample year through a real scheduler, as `make backfill` does, in a folder of its own.
Processor time is that of the kernel's books, with ended children: of the scheduler, of its workers (each supervises one
task at a time), of the tasks' processes, of the API server, of the DAG processor, of the local AWS, and of the
launcher. A stage's share is what the operators log of themselves (`telling_time`); all other time of the tasks'
processes, and that of all Airflow processes, is "Airflow itself". Memory is the resident size (RSS) of each process
that lives on: the median of the first tenth of the time beside that of the last. Forked workers share most of theirs
with the scheduler, so the proportional size (PSS) stands beside it. The local AWS holds all that the runs have written.
"""

from __future__ import annotations

import argparse
import re
import statistics
import sys
import tempfile
import threading
import time
from collections import defaultdict
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path

import psutil

from nightcast.sandbox.backfill import Backfill, BackfillRequest
from nightcast.sandbox.stack import Stack

LAST = date(2008, 12, 31)
TOOK = re.compile(r"took ([0-9.]+) s, ([0-9.]+) s of processor time")
SAMPLE_SECONDS = 5.0
WALL_LIMIT, GROWTH_LIMIT = 2400.0, 0.2


def processors(stack: Stack) -> dict[str, float]:
    """Processor seconds so far, by what they were used for."""
    used = {}
    for name, pid in stack.processes.pids().items():
        process = psutil.Process(pid)
        times = process.cpu_times()
        used[name] = times.user + times.system
        # Children that have ended; those of the scheduler are its workers, which live on.
        if name == "scheduler":
            workers = [worker.cpu_times() for worker in process.children()]
            used["workers"] = sum(worker.user + worker.system for worker in workers)
            used["tasks"] = sum(worker.children_user + worker.children_system for worker in workers)
        else:
            used[name] += times.children_user + times.children_system
    own = psutil.Process().cpu_times()
    used["launcher"] = own.user + own.system + own.children_user + own.children_system
    return used


class Memory(threading.Thread):
    """Samples the sizes of all processes that live on: seconds since the start, RSS and PSS in bytes."""

    def __init__(self, stack: Stack) -> None:
        super().__init__(daemon=True)
        self._stack = stack
        self._over = threading.Event()
        self._samples: dict[str, list[tuple[float, int, int]]] = defaultdict(list)

    def run(self) -> None:
        begun = time.monotonic()
        while not self._over.wait(SAMPLE_SECONDS):
            for name, process in self._processes():
                with suppress(psutil.Error):
                    sizes = process.memory_full_info()
                    self._samples[name].append((time.monotonic() - begun, sizes.rss, sizes.pss))

    def _processes(self) -> list[tuple[str, psutil.Process]]:
        found = {name: psutil.Process(pid) for name, pid in self._stack.processes.pids().items()}
        workers = found["scheduler"].children() if "scheduler" in found else []
        return [*found.items(), *((f"worker {number}", worker) for number, worker in enumerate(workers, 1))]

    def tenths(self) -> dict[str, tuple[float, float, float]]:
        """Median RSS of the first and of the last tenth of the time, and PSS of the last, of what lived to the end."""
        self._over.set()
        self.join()
        end = max(samples[-1][0] for samples in self._samples.values())
        found = {}
        for name, samples in self._samples.items():
            first = [rss for at, rss, _ in samples if at <= end / 10]
            last = [(rss, pss) for at, rss, pss in samples if at >= end * 9 / 10]
            if first and last:
                found[name] = statistics.median(first), *(statistics.median(sizes) for sizes in zip(*last, strict=True))
        return found


def stage_seconds(home: Path) -> tuple[int, float]:
    """How many stages have told of themselves in the tasks' logs, and their processor seconds."""
    found = [
        float(match[2])
        for log in (home / "airflow" / "logs").glob("dag_id=*/run_id=*/task_id=*/*.log")
        for match in TOOK.finditer(log.read_text(errors="replace"))
    ]
    return len(found), sum(found)


def tell(used: dict[str, float], stages: tuple[int, float], periods: int, wall: float, runs: int) -> None:
    total = sum(used.values())
    parts = {
        "stages (in the tasks' processes)": stages[1],
        "local AWS: Redshift and S3": used["sandbox"],
        "Airflow: tasks' processes besides": used["tasks"] - stages[1],
        "Airflow: workers": used["workers"],
        "Airflow: scheduler": used["scheduler"],
        "Airflow: API server": used["api-server"],
        "Airflow: DAG processor": used["dag-processor"],
        "Airflow: the command": used["launcher"],
    }
    print(f"\n{periods} periods, {runs} runs at once, {stages[0]} stages")
    print(f"wall time          {wall:8.1f} s of {WALL_LIMIT:.0f} s for 365;  {wall / periods:.2f} s a period")
    print(f"processor time     {total:8.1f} s;  {total / periods:.2f} s a period, {total / wall:.2f} processors busy")
    for name, seconds in parts.items():
        print(f"  {name:<34}{seconds:8.1f} s  {100 * seconds / total:5.1f} %  {seconds / periods:6.2f} s a period")
    airflow = sum(seconds for name, seconds in parts.items() if name.startswith("Airflow"))
    print(f"  {'Airflow itself':<34}{airflow:8.1f} s  {100 * airflow / total:5.1f} %")


def tell_memory(tenths: dict[str, tuple[float, float, float]]) -> bool:
    print("memory             first tenth   last tenth   growth        PSS")
    for name, (first, last, pss) in tenths.items():
        growth = 100 * (last / first - 1)
        print(f"  {name:<16} {first / 1e6:8.0f} MB  {last / 1e6:8.0f} MB  {growth:+6.1f} %  {pss / 1e6:6.0f} MB")
    return all(last <= (1 + GROWTH_LIMIT) * first for first, last, _ in tenths.values())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--periods", type=int, default=365)
    parser.add_argument("--runs", type=int, default=4, help="at once")
    parser.add_argument("--retrain", default="weekly", choices=("every_run", "weekly", "monthly"))
    parser.add_argument("--home", type=Path, help="of the stack; by default a temporary folder")
    options = parser.parse_args()
    project = Path(__file__).resolve().parents[1]
    request = BackfillRequest(
        "sales_forecast",
        LAST - timedelta(days=options.periods - 1),
        LAST,
        {"retrain": options.retrain},
        options.runs,
    )
    with tempfile.TemporaryDirectory(prefix="nightcast-backfill-") as folder:
        home = options.home or Path(folder)
        with Stack(project, home, year_end=LAST, scheduled=False, keep=False, idle_seconds=0.5) as stack:
            before, begun, memory = processors(stack), time.monotonic(), Memory(stack)
            memory.start()
            backfill = Backfill(stack, request)
            backfill.start()
            ok = backfill.follow()
            wall, after, tenths = time.monotonic() - begun, processors(stack), memory.tenths()
            used = {name: seconds - before.get(name, 0.0) for name, seconds in after.items()}
            tell(used, stage_seconds(home), options.periods, wall, options.runs)
            grown = tell_memory(tenths)
    print(f"\nall succeeded: {ok};  no process grew by more than {100 * GROWTH_LIMIT:.0f} %: {grown}")
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
