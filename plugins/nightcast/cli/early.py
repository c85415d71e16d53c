"""Worker processes that start while the command itself still starts."""

from __future__ import annotations

import argparse
import os
from contextlib import AbstractContextManager, nullcontext

# From here on a folder's files hold so many records that they are shared out.
_LARGE = 24_000_000
# What each pass over data needs.
_MODULES = ("nightcast.datasource.insights",)


def workers_for(options: argparse.Namespace) -> AbstractContextManager[None]:
    """Processes for a command that will want them, as far as can be told without a look into the data.

    To import numpy and pyarrow takes a worker as long as this process; what waits for both could wait for one.
    """
    from nightcast.compute import compute_setting, early_workers, local_compute, local_processes

    sizes = _sizes(getattr(options, "data", None))
    if sum(sizes) < _LARGE:
        return nullcontext()
    setting = compute_setting()
    count = local_processes(len(sizes), getattr(options, "workers", None), setting)
    if count < 2 or local_compute(setting) != setting:
        return nullcontext()
    return early_workers(count, _MODULES)


def _sizes(data: str | None) -> list[int]:
    """Bytes of the files in a folder; none if it is something else."""
    if data is None or not os.path.isdir(data):
        return []
    with os.scandir(data) as entries:
        return [entry.stat().st_size for entry in entries if entry.is_file()]
