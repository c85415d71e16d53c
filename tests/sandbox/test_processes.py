from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from nightcast.sandbox.processes import Processes, StackError, free_port

# A child that starts a grandchild in a session of its own and ignores SIGTERM, as a hung worker does.
STUBBORN = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(300)"],
                 start_new_session=True)
print("ready", flush=True)
time.sleep(300)
"""


@pytest.fixture
def processes(tmp_path):
    processes = Processes(tmp_path / "logs")
    yield processes
    processes.stop()


def environment() -> dict[str, str]:
    return dict(os.environ)


def started(processes: Processes, name: str, code: str) -> None:
    processes.start(name, [sys.executable, "-c", code], environment())


def marked(folder) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("NIGHTCAST_STACK") == str(folder.resolve()):
                found.append(process)
        except psutil.Error:
            continue
    return found


def test_output_goes_to_a_log_and_success_is_waited_for(processes):
    processes.run("hello", [sys.executable, "-c", "print('hello')"], environment())
    assert processes.tail("hello") == "hello"


def test_a_failure_shows_the_end_of_the_log(processes):
    with pytest.raises(StackError, match=r"(?s)broken failed with exit code 1.*ValueError: no"):
        processes.run("broken", [sys.executable, "-c", "raise ValueError('no')"], environment())


def test_waiting_ends_when_a_process_has_died(processes):
    started(processes, "short", "raise SystemExit(3)")
    with pytest.raises(StackError, match="short has ended with exit code 3"):
        processes.until("never", lambda: False, seconds=20)


def test_waiting_ends_at_its_time(processes):
    with pytest.raises(StackError, match="the moon was not ready within 0 seconds"):
        processes.until("the moon", lambda: False, seconds=0.3)


def test_stop_ends_grandchildren_that_hid_in_a_session_of_their_own(processes, tmp_path, monkeypatch):
    monkeypatch.setattr("nightcast.sandbox.processes._TERM_SECONDS", 1.0)
    started(processes, "stubborn", STUBBORN)
    processes.until("the child", lambda: "ready" in processes.tail("stubborn"), 20)
    assert len(marked(tmp_path / "logs")) >= 2
    processes.stop()
    assert marked(tmp_path / "logs") == []


def test_what_a_killed_launcher_left_is_ended_by_the_next_one(tmp_path, monkeypatch):
    monkeypatch.setattr("nightcast.sandbox.processes._TERM_SECONDS", 1.0)
    folder = tmp_path / "logs"
    launcher = f"""
import os, sys, time
from pathlib import Path
from nightcast.sandbox.processes import Processes
processes = Processes(Path({str(folder)!r}))
processes.start("stubborn", [sys.executable, "-c", {STUBBORN!r}], dict(os.environ))
processes.until("the child", lambda: "ready" in processes.tail("stubborn"), 20)
print("up", flush=True)
time.sleep(300)
"""
    process = subprocess.Popen([sys.executable, "-c", launcher], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    time.sleep(0.2)
    assert marked(folder), "the grandchild ignores SIGTERM, so it must still be there"
    Processes(folder).end_leftovers()
    assert marked(folder) == []


def test_processes_of_others_are_left_alone(processes, tmp_path):
    other = Processes(tmp_path / "other")
    started(other, "other", "import time; time.sleep(300)")
    try:
        processes.end_leftovers()
        other.check()
        assert len(marked(tmp_path / "other")) == 1
    finally:
        other.stop()


def test_free_ports_can_be_listened_on():
    import socket

    with socket.create_server(("127.0.0.1", free_port())) as server:
        assert server.getsockname()[0] == "127.0.0.1"
