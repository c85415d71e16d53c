"""What part functions run on.

A mapper has the form of the builtin ``map`` with one iterable: results come in the order of the
items, whatever order they were computed in. Merging them in that order makes every outcome the
same to the bit on one worker or on many.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")
Mapper = Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]

# Below this a pool costs more than it saves: a worker takes about two seconds to import numpy and pyarrow.
_RECORDS_WORTH_A_POOL = 1_000_000
_RESULTS_BYTES = 1_000_000_000


def available_cpus() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def mapper_for(parts: int, records: int, workers: int | None = None, *, result_bytes: int = 0) -> Iterator[Mapper]:
    """Give the mapper that suits a datasource: this process for a small one, a process pool for a large one.

    Parameters
    ----------
    parts, records
        Size of the datasource. One part can not be shared out.
    workers
        Processes at most; the machine's processors when not given.
    result_bytes
        Size of one part's result at most. There are only so many workers as keep all results that exist at
        once (one being made, one pickled and one waiting for each worker) within 1 GB.
    """
    count = min(parts, workers or available_cpus())
    if result_bytes:
        count = min(count, max(1, _RESULTS_BYTES // (3 * result_bytes)))
    if count < 2 or records < _RECORDS_WORTH_A_POOL:
        yield map
        return
    with process_pool(count) as mapper:
        yield mapper


@contextmanager
def process_pool(workers: int) -> Iterator[Mapper]:
    """Give a mapper over ``workers`` fresh processes, each with a single BLAS thread."""
    # spawn: a fork of a process whose libraries already run threads may hang.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_limit_threads) as pool:
        try:
            yield lambda function, items: _in_order(pool, function, items, window=workers)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _in_order(pool: ProcessPoolExecutor, function: Callable[[T], R], items: Iterable[T], window: int) -> Iterator[R]:
    """Results in the items' order, with a bounded number of them waiting to be merged."""
    pending: list[Any] = []
    for item in items:
        pending.append(pool.submit(function, item))
        if len(pending) >= window:
            yield pending.pop(0).result()
    while pending:
        yield pending.pop(0).result()


def _limit_threads() -> None:
    # BLAS threads beside pool workers made statistics 2.8 times slower where it was measured.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
