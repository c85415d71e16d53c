from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest

import part_functions
from nightcast.compute import dask_cluster, mapper_for, process_pool
from nightcast.compute.dask_cluster import dask_mapper, refuse_other_versions, versions
from nightcast.datasource.insights import compute_insights
from nightcast.datasource.parts import Datasource
from nightcast.datasource.rearrangement import Rearrangement
from nightcast.errors import ComputeError, NightcastError
from nightcast.mlmodel.linear_predictor import LinearPredictor
from nightcast.mlmodel.train import train
from nightcast.storage import Storage

RECIPE = '{"outputs": ["quantile_bin(price,20)", "day", "ALL_CATEGORICAL", "ngram(lowercase(title),2)"]}'


def test_results_come_in_order_from_the_workers(cluster):
    with mapper_for(parts=4, records=10**7, compute=cluster.address) as mapper:
        assert list(mapper(part_functions.square, range(20))) == [n * n for n in range(20)]
        assert set(mapper(part_functions.process_of, range(20))) <= {worker.pid for worker in cluster.workers}
        assert {n for found in mapper(part_functions.blas_threads, range(6)) for n in found} == {1}


def test_the_cluster_listens_on_the_loopback_interface_only(cluster):
    with dask_mapper(cluster.address) as mapper:
        list(mapper(part_functions.square, range(4)))
    sockets = [
        socket.laddr.ip
        for process in (cluster.scheduler, *cluster.workers)
        for socket in psutil.Process(process.pid).net_connections("inet")
        if socket.status == psutil.CONN_LISTEN
    ]
    assert len(sockets) >= 3 and set(sockets) == {"127.0.0.1"}
    assert cluster.address.startswith("tcp://127.0.0.1:")


def test_where_parts_are_computed_changes_no_bit(cluster, datasource: Datasource):
    storage, taken, found = Storage(), Rearrangement(0, 70, strategy="random"), []
    with process_pool(2) as pool, dask_mapper(cluster.address) as dask:
        for mapper in (map, pool, dask):
            insights = compute_insights(datasource, storage, mapper, rearrangement=taken)
            model = train(datasource, insights, RECIPE, taken, storage, mapper, learner="linear")
            predictor = model.predictor
            assert isinstance(predictor, LinearPredictor)
            bits = predictor.weights.tobytes(), predictor.intercepts.tobytes(), model.training, model.intervals
            found.append((insights.to_json(), *bits))
    assert found[0] == found[1] == found[2]


def test_results_can_be_merged_in_place(cluster):
    with dask_mapper(cluster.address) as mapper:
        first, *others = mapper(part_functions.add_in_place, [1, 2, 3])
        for other in others:
            first += other
    assert np.array_equal(first, np.arange(100_000) * 6.0)


def test_few_parts_are_taken_ahead_of_the_results(cluster):
    taken = []
    with dask_mapper(cluster.address) as mapper:
        results = mapper(part_functions.square, (taken.append(n) or n for n in range(100)))
        assert [next(results) for _ in range(3)] == [0, 1, 4]
        assert len(taken) <= 2 * 4 + 2  # two for each thread, and one for each result


def test_an_error_of_a_part_reaches_the_caller_as_it_is(cluster):
    with dask_mapper(cluster.address) as mapper:
        with pytest.raises(NightcastError, match="part 2 is refused"):
            list(mapper(part_functions.refuse, range(9)))
        assert list(mapper(part_functions.square, [3])) == [9]


def test_a_part_function_that_workers_can_not_import_is_explained(cluster):
    with dask_mapper(cluster.address) as mapper, pytest.raises(ModuleNotFoundError) as caught:
        list(mapper(_here_only, [1]))
    assert "In a worker process" in caught.value.__notes__[0]


def test_a_worker_killed_in_the_middle_changes_nothing(cluster, tmp_path: Path):
    started = tmp_path / "started"

    def kill() -> None:
        while not started.exists():
            time.sleep(0.01)
        os.kill(int(started.read_text()), signal.SIGKILL)

    threading.Thread(target=kill, daemon=True).start()
    with dask_mapper(cluster.address) as mapper:
        results = list(mapper(part_functions.wait_once, [(n, str(tmp_path)) for n in range(12)]))
    assert results == [n * n for n in range(12)]
    assert int(started.read_text()) in {worker.pid for worker in cluster.workers}


def test_an_address_where_nothing_listens_is_refused_soon(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(dask_cluster, "_CONNECT_SECONDS", 1)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{unused.getsockname()[1]}"
        begun = time.monotonic()
        with (
            pytest.raises(ComputeError, match=f"the Dask scheduler {address} can not be reached"),
            dask_mapper(address),
        ):
            pass
    assert time.monotonic() - begun < 5


def test_a_cluster_without_workers_or_scheduler_is_told_soon(empty_cluster, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(dask_cluster, "_WORKERLESS_SECONDS", 0.5)
    with dask_mapper(empty_cluster.address) as mapper, pytest.raises(ComputeError, match="has had no worker"):
        list(mapper(part_functions.square, range(3)))
    monkeypatch.setattr(dask_cluster, "_WORKERLESS_SECONDS", 60)
    monkeypatch.setattr(dask_cluster, "_CONNECT_SECONDS", 2)
    threading.Timer(1.5, empty_cluster.scheduler.kill).start()
    begun = time.monotonic()
    with pytest.raises(ComputeError, match=f"the Dask scheduler {empty_cluster.address} was lost"):
        run_all(empty_cluster.address, part_functions.square)
    assert time.monotonic() - begun < 8


@pytest.mark.parametrize(
    ("name", "version"), [("nightcast", "0.0.1"), ("numpy", "1.26.4"), ("Python", "3.9.1"), ("pyarrow", "none")]
)
def test_other_versions_are_refused_with_both(name: str, version: str):
    with pytest.raises(ComputeError, match=f"{name} {versions()[name]} there and {version} here"):
        refuse_other_versions(versions() | {name: version})


def test_other_minor_versions_of_libraries_are_taken():
    refuse_other_versions(versions() | {"numpy": versions()["numpy"].split(".")[0] + ".999"})


def test_workers_of_another_version_are_refused_at_the_start(cluster, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(dask_cluster, "versions", lambda: versions() | {"nightcast": "9.9"})
    with pytest.raises(ComputeError, match=r"there and 9\.9 here"), dask_mapper(cluster.address):
        pass


def run_all(address: str, function: Callable[[int], int]) -> list[int]:
    with dask_mapper(address) as mapper:
        return list(mapper(function, range(3)))


def _here_only(number: int) -> int:
    return number
