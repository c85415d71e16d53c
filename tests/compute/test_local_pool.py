from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import part_functions
from dask_processes import until
from nightcast.compute import early_workers, process_pool
from nightcast.errors import ComputeError, NightcastError

DRIVER = """
import signal
import sys
from part_functions import wait_in
from nightcast.compute import process_pool
if __name__ == "__main__":
    # A shell that runs the tests in the background has it ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with process_pool(2) as mapper:
        list(mapper(wait_in, [sys.argv[1]] * 4))
"""


def test_results_come_in_order_from_other_processes_with_one_blas_thread():
    with process_pool(2) as mapper:
        assert list(mapper(part_functions.square, range(50))) == [n * n for n in range(50)]
        assert os.getpid() not in set(mapper(part_functions.process_of, range(20)))
        assert {n for found in mapper(part_functions.blas_threads, range(4)) for n in found} == {1}


def test_few_parts_are_taken_ahead_of_the_results():
    taken = []
    with process_pool(2) as mapper:
        results = mapper(part_functions.square, (taken.append(n) or n for n in range(100)))
        assert [next(results) for _ in range(3)] == [0, 1, 4]
        assert len(taken) == 6


def test_workers_that_were_started_early_serve_each_pool_of_as_many():
    with early_workers(1, ["decimal"]):
        with process_pool(1) as mapper:
            [worker] = set(mapper(part_functions.process_of, range(5)))
            assert list(mapper(part_functions.has_imported, ["decimal"])) == [True]
        with process_pool(1) as mapper:
            assert set(mapper(part_functions.process_of, range(5))) == {worker}
        with process_pool(2) as mapper:
            assert worker not in set(mapper(part_functions.process_of, range(5)))
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)
    with process_pool(1) as mapper:
        assert set(mapper(part_functions.process_of, range(5))) != {worker}


def test_an_error_of_a_part_reaches_the_caller_as_it_is():
    with pytest.raises(NightcastError, match="part 2 is refused"), process_pool(2) as mapper:
        list(mapper(part_functions.refuse, range(9)))


def test_an_error_that_can_not_be_unpickled_is_told_in_another():
    with pytest.raises(ComputeError, match="raised TwoArgumentsError: part 5"), process_pool(1) as mapper:
        list(mapper(part_functions.raise_what_can_not_travel, [5]))


def test_one_killed_worker_changes_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    items = [(n, str(tmp_path / "killed")) for n in range(12)]
    with caplog.at_level(logging.WARNING), process_pool(2) as mapper:
        assert list(mapper(part_functions.die_once, items)) == [n * n for n in range(12)]
        assert list(mapper(part_functions.square, range(5))) == [0, 1, 4, 9, 16]
    assert "computed again by 1 processes" in caplog.text


def test_workers_that_die_again_are_an_error_that_speaks_of_memory():
    with pytest.raises(ComputeError, match="Linux kills processes when memory runs out"), process_pool(2) as mapper:
        list(mapper(part_functions.die, range(5)))


@pytest.mark.parametrize("stopped_by", [signal.SIGINT, signal.SIGKILL])
def test_workers_clean_up_and_end_with_their_driver(stopped_by: signal.Signals, tmp_path: Path, project: Path):
    script = tmp_path / "driver.py"
    script.write_text(DRIVER)
    marks = tmp_path / "marks"
    marks.mkdir()
    path = os.pathsep.join([str(project / "plugins"), str(project / "tests")])
    driver = subprocess.Popen(
        [sys.executable, str(script), str(marks)], env=os.environ | {"PYTHONPATH": path}, stderr=subprocess.PIPE
    )
    until(lambda: len(list(marks.iterdir())) == 2)
    workers = [int(mark.name) for mark in marks.iterdir()]
    driver.send_signal(stopped_by)
    _, told = driver.communicate(timeout=10)
    until(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers), seconds=10)
    assert list(marks.iterdir()) == []
    assert driver.returncode == -stopped_by
    assert told.count(b"Traceback") == (stopped_by == signal.SIGINT)
