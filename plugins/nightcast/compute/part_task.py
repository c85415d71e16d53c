"""One part function applied to one part, in whatever process does it: what all kinds of workers share."""

from __future__ import annotations

import hashlib
import os
import pickle
import sys
import time
import traceback
from contextlib import suppress
from functools import cache
from typing import Any

from nightcast.errors import ComputeError

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
_KEPT_BYTES = 64 << 20
_LARGEST_KEPT_BYTES = 32 << 20
# Seconds of a part beside which it does not count to fetch memory anew for the next one.
_WORTH_A_RELEASE = 0.5
# In a worker: the digest of the part function that it ran last.
_last: bytes | None = None


def attempt(function: bytes, item: Any) -> tuple[bytes | None, bytes | None]:
    """Pickled result of a pickled part function, and None; or None, and the pickled error that it raised.

    Every part is given a copy of the function of its own, so threads of one worker share nothing. An error travels
    as a value, so what a part function raises is told from what befell its worker. A result travels packed, so that
    it takes little memory while it waits to be merged.
    """
    _release_if_new(function)
    started = time.monotonic()
    try:
        result = pickle.loads(function)(item)  # noqa: S301 - from the process that this worker serves
        packed = pickle.dumps(result, pickle.HIGHEST_PROTOCOL)
        del result
        return packed, None
    except Exception as error:
        return None, _portable(error)
    finally:
        if time.monotonic() - started > _WORTH_A_RELEASE:
            release_freed_memory()


def settled(result: bytes | None, error: bytes | None) -> Any:
    """The result that `attempt` packed; or its error, raised."""
    if error is not None:
        raise pickle.loads(error)  # noqa: S301 - from a worker of this process
    return pickle.loads(result or b"")  # noqa: S301 - from a worker of this process


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


def release_freed_memory() -> None:
    """Give what this process has freed back to the system, where it has glibc's malloc."""
    if "pyarrow" in sys.modules:
        sys.modules["pyarrow"].default_memory_pool().release_unused()
    with suppress(AttributeError, OSError, TypeError):
        _libc().malloc_trim(0)


def _release_if_new(function: bytes) -> None:
    """Another pass needs other memory: what the last one has freed would only be added to it."""
    global _last
    digest = hashlib.sha256(function).digest()
    if _last is not None and _last != digest:
        release_freed_memory()
    _last = digest


@cache
def keep_freed_memory() -> None:
    """Let this process keep up to 64 MB of freed memory for its next allocation, where it has glibc's malloc.

    Otherwise glibc gives the arrays of each batch back to the system, and fetching them page by page again takes a
    quarter of the time of a pass. Both thresholds are needed: either alone switches off glibc's own adaptation.
    """
    # Arrow's own pools keep what the last pass has freed to themselves: 100 MB of a process that trains.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    if "pyarrow" in sys.modules:
        arrow = sys.modules["pyarrow"]
        arrow.set_memory_pool(arrow.system_memory_pool())
    with suppress(AttributeError, OSError, TypeError):
        _libc().mallopt(_M_MMAP_THRESHOLD, _LARGEST_KEPT_BYTES)
        _libc().mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)


@cache
def _libc() -> Any:
    import ctypes

    return ctypes.CDLL(None)
