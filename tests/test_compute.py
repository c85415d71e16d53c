from __future__ import annotations

import os

import pytest

from nightcast.compute import available_cpus, mapper_for, process_pool

# Workers are fresh processes that can not import this file, so they are given the builtin eval.
PROCESS = "__import__('os').getpid()"
BLAS_THREADS = "__import__('os').environ['OPENBLAS_NUM_THREADS']"


def test_a_small_datasource_stays_in_this_process():
    with mapper_for(parts=8, records=1000) as mapper:
        assert mapper is map


def test_one_part_stays_in_this_process():
    with mapper_for(parts=1, records=10**9) as mapper:
        assert mapper is map


def test_a_pool_gives_results_in_order_from_other_processes_with_one_blas_thread():
    with process_pool(2) as mapper:
        assert list(mapper(eval, [f"{number} ** 2" for number in range(50)])) == [n * n for n in range(50)]
        assert os.getpid() not in set(mapper(eval, [PROCESS] * 20))
        assert set(mapper(eval, [BLAS_THREADS] * 20)) == {"1"}


def test_a_large_datasource_gets_a_pool():
    with mapper_for(parts=4, records=10**7, workers=2) as mapper:
        assert mapper is not map
        assert list(mapper(eval, ["3 * 3", "4 * 4"])) == [9, 16]


def test_large_results_keep_workers_few():
    with mapper_for(parts=8, records=10**7, workers=8, result_bytes=400_000_000) as mapper:
        assert mapper is map


def test_an_error_in_a_worker_reaches_the_caller():
    with pytest.raises(ZeroDivisionError), process_pool(2) as mapper:
        list(mapper(eval, ["1", "1 / 0", "3"]))


def test_cpus_are_counted():
    assert 1 <= available_cpus() <= (os.cpu_count() or 1)
