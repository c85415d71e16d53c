"""What part functions run on: this process, local processes, or a Dask cluster.

A mapper has the form of the builtin ``map`` with one iterable: results come in the order of the
items, whatever order they were computed in. Merging them in that order makes every outcome the
same to the bit on one worker or on many.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from nightcast.compute.local_pool import Mapper, early_workers, process_pool
from nightcast.compute.part_task import keep_freed_memory
from nightcast.errors import SettingsError

__all__ = [
    "Mapper",
    "available_cpus",
    "checked_compute",
    "compute_setting",
    "early_workers",
    "local_compute",
    "local_processes",
    "mapper_for",
    "process_pool",
]

VARIABLE = "NIGHTCAST_COMPUTE"
# Below this a pool costs more than it saves: a worker takes about two seconds to import numpy and pyarrow.
_RECORDS_WORTH_A_POOL = 1_000_000
_RESULTS_BYTES = 1_000_000_000
_PROCESSES = re.compile(r"processes:([1-9][0-9]{0,3})")


def available_cpus() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def compute_setting() -> str | None:
    """What the environment variable ``NIGHTCAST_COMPUTE`` asks for; None where it is unset or empty.

    Raises
    ------
    SettingsError
        If it has none of the forms of `checked_compute`.
    """
    value = os.environ.get(VARIABLE, "").strip()
    return checked_compute(value, f"the environment variable {VARIABLE}") if value else None


def checked_compute(compute: str, source: str = "compute") -> str:
    """The same text, if it is ``processes:N``, ``tcp://host:port`` or ``tls://host:port``.

    Parameters
    ----------
    compute
        ``processes:N``: at most N local processes, N from 1 to 9999; 1 computes in this process.
        ``tcp://`` and ``tls://``: address of the scheduler of a Dask cluster.
    source
        Where the text was found, for the message.

    Raises
    ------
    SettingsError
        If it is anything else.

    Examples
    --------
    >>> checked_compute("tcp://scheduler.example:8786")
    'tcp://scheduler.example:8786'
    """
    if _PROCESSES.fullmatch(compute) or _is_dask_address(compute):
        return compute
    raise SettingsError(
        f"{source} is {compute!r}; write processes:N for at most N local processes, or the address of a Dask "
        "scheduler as tcp://host:port or tls://host:port."
    )


def local_compute(compute: str | None) -> str | None:
    """The setting for a stage that local files tie to this machine: a cluster's address is left out."""
    return compute if compute and _PROCESSES.fullmatch(compute) else None


@contextmanager
def mapper_for(
    parts: int, records: int, workers: int | None = None, *, result_bytes: int = 0, compute: str | None = None
) -> Iterator[Mapper]:
    """Give the mapper that suits a datasource: this process for a small one, workers for a large one.

    Parameters
    ----------
    parts, records
        Size of the datasource. One part can not be shared out; fewer than a million records are not worth it.
    workers
        Local processes at most; what `compute` says, or the machine's processors, when not given.
    result_bytes
        Size of one part's result at most. There are only so many local processes as keep all results that exist
        at once (one being made, one pickled and one waiting for each) within 1 GB.
    compute
        See `checked_compute`. A Dask cluster has the workers that it has.

    Raises
    ------
    SettingsError
        If `compute` has none of the known forms.
    ComputeError
        If the workers can not be had, or are lost.
    """
    if compute is not None:
        checked_compute(compute)
    keep_freed_memory()
    if parts < 2 or records < _RECORDS_WORTH_A_POOL:
        yield map
        return
    if compute is not None and _is_dask_address(compute):
        from nightcast.compute.dask_cluster import dask_mapper

        with dask_mapper(compute) as mapper:
            yield mapper
        return
    count = local_processes(parts, workers, compute)
    if result_bytes:
        count = min(count, max(1, _RESULTS_BYTES // (3 * result_bytes)))
    if count < 2:
        yield map
        return
    with process_pool(count, spare=1 if result_bytes else count) as mapper:
        yield mapper


def local_processes(parts: int, workers: int | None, compute: str | None) -> int:
    """Local processes for so many parts; the arguments are those of `mapper_for`."""
    asked = _PROCESSES.fullmatch(compute or "")
    return min(parts, workers or (int(asked[1]) if asked else available_cpus()))


def _is_dask_address(compute: str) -> bool:
    try:
        pieces = urlsplit(compute)
        whole = pieces.scheme in ("tcp", "tls") and bool(pieces.hostname) and bool(pieces.port)
    except ValueError:  # a port that is no number, or too high
        return False
    return whole and not (pieces.path or pieces.query or pieces.fragment or pieces.username)
