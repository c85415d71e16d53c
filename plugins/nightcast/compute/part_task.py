"""One part function applied to one part, in whatever process does it: what all kinds of workers share."""

from __future__ import annotations

import os
import pickle
import traceback
from contextlib import suppress
from functools import cache
from typing import Any

from nightcast.errors import ComputeError

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
_KEPT_BYTES = 64 << 20
_LARGEST_KEPT_BYTES = 32 << 20


def attempt(function: bytes, item: Any) -> tuple[Any, bytes | None]:
    """Result of a pickled part function, and None; or None, and the pickled error that it raised.

    Every part is given a copy of the function of its own, so threads of one worker share nothing. An error travels
    as a value, so what a part function raises is told from what befell its worker.
    """
    try:
        return pickle.loads(function)(item), None  # noqa: S301 - from the process that this worker serves
    except Exception as error:
        return None, _portable(error)


def settled(result: Any, error: bytes | None) -> Any:
    """The result that `attempt` returned; or its error, raised."""
    if error is None:
        return result
    raise pickle.loads(error)  # noqa: S301 - from a worker of this process


def _portable(error: Exception) -> bytes:
    """The error, pickled with its traceback as a note; what can not be unpickled becomes a ComputeError."""
    error.add_note("In a worker process:\n" + "".join(traceback.format_exception(error)).rstrip())
    with suppress(Exception):
        data = pickle.dumps(error)
        pickle.loads(data)  # noqa: S301 - made in the line above
        return data
    known = ComputeError(f"a part function raised {type(error).__name__}: {error}")
    known.__notes__ = error.__notes__
    return pickle.dumps(known)


def limit_blas_threads() -> None:
    """Let libraries that are loaded from now on use one thread for linear algebra."""
    # BLAS threads beside workers made statistics 2.8 times slower where it was measured.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"


@cache
def keep_freed_memory() -> None:
    """Let this process keep up to 64 MB of freed memory for its next allocation, where it has glibc's malloc.

    Otherwise glibc gives the arrays of each batch back to the system, and fetching them page by page again takes a
    quarter of the time of a pass. Both thresholds are needed: either alone switches off glibc's own adaptation.
    """
    import ctypes

    with suppress(AttributeError, OSError, TypeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, _LARGEST_KEPT_BYTES)
        libc.mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
