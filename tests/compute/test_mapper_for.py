from __future__ import annotations

import os

import pytest

from nightcast.compute import available_cpus, checked_compute, compute_setting, local_compute, mapper_for
from nightcast.errors import SettingsError
from part_functions import square


def test_a_small_datasource_stays_in_this_process():
    with mapper_for(parts=8, records=1000) as mapper:
        assert mapper is map


def test_one_part_stays_in_this_process():
    with mapper_for(parts=1, records=10**9) as mapper:
        assert mapper is map


def test_a_large_datasource_gets_a_pool():
    with mapper_for(parts=4, records=10**7, workers=2) as mapper:
        assert mapper is not map
        assert list(mapper(square, [3, 4])) == [9, 16]


def test_large_results_keep_workers_few():
    with mapper_for(parts=8, records=10**7, workers=8, result_bytes=400_000_000) as mapper:
        assert mapper is map


def test_one_process_is_this_process():
    with mapper_for(parts=8, records=10**7, compute="processes:1") as mapper:
        assert mapper is map


def test_a_number_of_processes_is_a_pool_of_so_many(monkeypatch: pytest.MonkeyPatch):
    asked = []
    monkeypatch.setattr("nightcast.compute.process_pool", lambda count, spare: asked.append(count) or _Nothing())
    with mapper_for(parts=8, records=10**7, compute="processes:3"):
        pass
    assert asked == [3]


def test_cpus_are_counted():
    assert 1 <= available_cpus() <= (os.cpu_count() or 1)


@pytest.mark.parametrize(
    "compute", ["processes:1", "processes:16", "tcp://127.0.0.1:8786", "tls://scheduler.example:1", "tcp://[::1]:8786"]
)
def test_known_forms_of_compute_are_kept(compute: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NIGHTCAST_COMPUTE", f" {compute} ")
    assert compute_setting() == checked_compute(compute) == compute


@pytest.mark.parametrize(
    "compute",
    [
        "threads", "processes", "processes:0", "processes:-2", "processes:2 ", "127.0.0.1:8786", "tcp://host", "tcp://:1",
        "http://host:8786", "tcp://host:port", "tcp://host:99999", "tcp://user@host:1", "tcp://host:1/path", "tls://[::1",
    ],
)  # fmt: skip
def test_other_forms_of_compute_are_refused_with_the_known_ones(compute: str):
    with pytest.raises(SettingsError) as caught:
        checked_compute(compute, "the connection")
    assert repr(compute) in str(caught.value)
    assert "processes:N" in str(caught.value) and "tcp://host:port" in str(caught.value)
    with pytest.raises(SettingsError), mapper_for(parts=1, records=1, compute=compute):
        pass


@pytest.mark.parametrize("value", [None, "", "  "])
def test_without_the_variable_nothing_is_asked_for(value: str | None, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("NIGHTCAST_COMPUTE", raising=False)
    if value is not None:
        monkeypatch.setenv("NIGHTCAST_COMPUTE", value)
    assert compute_setting() is None


def test_a_wrong_variable_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NIGHTCAST_COMPUTE", "many")
    with pytest.raises(SettingsError, match="environment variable NIGHTCAST_COMPUTE is 'many'"):
        compute_setting()


def test_local_stages_leave_the_cluster_out():
    assert [local_compute(compute) for compute in ("tcp://host:1", "processes:4", None)] == [None, "processes:4", None]


class _Nothing:
    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None
