"""A real Dask cluster of processes, on this machine's loopback interface only."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
LOOPBACK = ("--host", "127.0.0.1", "--dashboard-address", "127.0.0.1:0", "--no-dashboard")


class Cluster:
    """A scheduler, and workers of two threads each, stopped by process id."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.workers: list[subprocess.Popen[bytes]] = []
        self._all: list[subprocess.Popen[bytes]] = []
        facts = folder / "scheduler.json"
        self.scheduler = self._start("dask_scheduler", "--port", "0", "--scheduler-file", str(facts))
        self._facts = facts
        self.address = ""

    def await_scheduler(self) -> str:
        until(lambda: self._facts.exists() and self._facts.stat().st_size > 0)
        self.address = json.loads(self._facts.read_text())["address"]
        return self.address

    def hold(self, workers: int) -> None:
        """See to it that so many workers are at work."""
        self.workers = [worker for worker in self.workers if worker.poll() is None]
        for _ in range(workers - len(self.workers)):
            options = ("--no-nanny", "--nthreads", "2", "--memory-limit", "0", "--local-directory", str(self.folder))
            self.workers.append(self._start("dask_worker", self.address, *options))

    def _start(self, module: str, *options: str) -> subprocess.Popen[bytes]:
        threads = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        environment = {name: value for name, value in os.environ.items() if name not in threads}
        environment["PYTHONPATH"] = os.pathsep.join([str(TESTS.parent / "plugins"), str(TESTS)])
        with (self.folder / f"{len(self._all)}-{module}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.{module}", *options, *LOOPBACK],
                cwd=self.folder, env=environment, stdout=log, stderr=log,
            )  # fmt: skip
        self._all.append(process)
        return process

    def stop(self) -> None:
        for process in self._all:
            process.kill()
        for process in self._all:
            process.wait()


def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Wait for a condition; fail when it does not come."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"nothing came within {seconds} seconds")
        time.sleep(0.02)


@contextmanager
def running_cluster(folder: Path) -> Iterator[Cluster]:
    with ExitStack() as stack:
        cluster = Cluster(folder)
        stack.callback(cluster.stop)
        cluster.await_scheduler()
        yield cluster
