"""Child processes that never outlive their parent, and free loopback ports."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import psutil

_TERM_SECONDS = 20.0
_MARK = "NIGHTCAST_STACK"


class StackError(RuntimeError):
    """The local stack can not be started, or a part of it has ended."""


def free_port() -> int:
    """A loopback port that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Processes:
    """The processes of one stack.

    Each carries a mark in its environment, which its own children inherit. So whatever an earlier, killed
    stack of the same folder left behind is found and ended, however deep it stands in the process tree.

    Parameters
    ----------
    folder
        Where the logs go; also the mark.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._mark = str(folder.resolve())
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._logs: list[IO[bytes]] = []
        folder.mkdir(parents=True, exist_ok=True)

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start a process in a group of its own; its output goes to ``<name>.log``."""
        log = (self._folder / f"{name}.log").open("wb")
        self._logs.append(log)
        self._running[name] = subprocess.Popen(  # noqa: S603 -- the launcher's own commands
            list(command),
            env={**environment, _MARK: self._mark},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,
        )

    def run(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start a process and wait for its success."""
        self.start(name, command, environment)
        self.wait(name)

    def wait(self, name: str) -> None:
        """Wait for the success of a started process."""
        process = self._running.pop(name)
        if process.wait() != 0:
            raise StackError(f"{name} failed with exit code {process.returncode}:\n{self.tail(name)}")

    def check(self) -> None:
        """Raise if one of the processes has ended."""
        for name, process in self._running.items():
            if process.poll() is not None:
                raise StackError(f"{name} has ended with exit code {process.returncode}:\n{self.tail(name)}")

    def pids(self) -> dict[str, int]:
        """Ids of the running processes by name."""
        return {name: process.pid for name, process in self._running.items()}

    def tail(self, name: str, lines: int = 25) -> str:
        """Last lines of a process's log."""
        text = (self._folder / f"{name}.log").read_text(errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    def until(self, what: str, ready: Callable[[], Any], seconds: float, pause: float = 0.2) -> Any:
        """Wait until ``ready`` gives something true, while all processes live."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.check()
            if result := ready():
                return result
            time.sleep(pause)
        raise StackError(f"{what} was not ready within {seconds:.0f} seconds; the logs are in {self._folder}.")

    def stop(self) -> None:
        """End all processes at once, each in its own orderly way, then whatever they have left."""
        for process in self._running.values():
            process.terminate()
        for process in self._running.values():
            try:
                process.wait(_TERM_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            # The workers of a scheduler that was killed outlive it, and their title has overwritten the mark.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        self._running.clear()
        self.end_leftovers()
        for log in self._logs:
            log.close()
        self._logs.clear()

    def end_leftovers(self) -> None:
        """End every process that carries this stack's mark."""
        marked = [process for process in psutil.process_iter() if self._is_ours(process)]
        for process in marked:
            with suppress(psutil.NoSuchProcess):
                process.terminate()
        _, alive = psutil.wait_procs(marked, timeout=_TERM_SECONDS)
        for process in alive:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(alive, timeout=_TERM_SECONDS)

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            return bool(process.pid != os.getpid() and process.environ().get(_MARK) == self._mark)
        except (psutil.Error, OSError):
            return False


def _die_with_parent() -> None:
    """Have Linux end this process when the launcher is killed and can not end it itself."""
    import ctypes

    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)
    if os.getppid() == 1:
        os._exit(1)
