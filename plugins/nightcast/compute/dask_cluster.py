"""Part functions on a Dask cluster (https://distributed.dask.org), the optional extra ``dask``."""

from __future__ import annotations

import pickle
import sys
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from nightcast import __version__
from nightcast.compute.local_pool import Mapper
from nightcast.compute.part_task import attempt, keep_freed_memory, limit_blas_threads, settled
from nightcast.errors import ComputeError, NightcastError

if TYPE_CHECKING:
    from distributed import Client, Future

_CONNECT_SECONDS = 10
_ANSWER_SECONDS = 30
_POLL_SECONDS = 1.0
# A nanny starts a worker again in seconds, an autoscaler needs a minute for a new machine.
_WORKERLESS_SECONDS = 120.0
_LARGE_FUNCTION = {"distributed.admin.large-graph-warning-threshold": "1 GB"}
_SAME_IMAGE = f"Run scheduler and workers from the image of this process, with nightcast {__version__}"


@contextmanager
def dask_mapper(address: str) -> Iterator[Mapper]:
    """Give a mapper over the workers of a Dask cluster.

    Parameters
    ----------
    address
        Of its scheduler: ``tcp://host:port``, or ``tls://host:port`` with the certificates that Dask's own
        configuration names.

    Raises
    ------
    ComputeError
        If the scheduler can not be reached, or its workers run other versions; from the mapper, if scheduler
        or workers are lost, or a part has killed several workers. What a part function raises comes as it is.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise ComputeError(
            f"the Dask cluster {address} can not be used without the package distributed; "
            "install it with: pip install 'nightcast[dask]'."
        ) from error
    try:
        client = Client(address, timeout=_CONNECT_SECONDS, set_as_default=False)
    except Exception as fault:
        raise ComputeError(
            f"the Dask scheduler {address} can not be reached: {fault or type(fault).__name__}. Check that it runs, "
            "and that the connection nightcast_compute or NIGHTCAST_COMPUTE has its address; without both, local "
            "processes compute."
        ) from fault
    try:
        cluster = _Cluster(client, address)
        cluster.refuse_other_versions()
        yield cluster.map
    finally:
        with suppress(Exception):
            client.close(timeout=_CONNECT_SECONDS)


class _Cluster:
    """A connected cluster."""

    def __init__(self, client: Client, address: str) -> None:
        self._client = client
        self._address = address

    def refuse_other_versions(self) -> None:
        """Look at the workers that are there; those that come later look at themselves."""
        with self._explained():
            found = self._client.run(refuse_other_versions, versions(), on_error="return")
        for worker, fault in found.items():
            if isinstance(fault, NightcastError):
                raise fault
            if isinstance(fault, Exception):
                raise ComputeError(
                    f"the worker {worker} of the Dask cluster {self._address} can not run part functions: "
                    f"{type(fault).__name__}: {fault}. {_SAME_IMAGE}."
                ) from fault

    def map(self, function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        """Results in the items' order, with a bounded number of them waiting on the workers."""
        import dask

        name = getattr(getattr(function, "func", function), "__name__", "part")
        pending: deque[Future[Any]] = deque()
        # A task of its own makes the function cross to each worker once; lost with a worker, it is made again.
        with self._explained(), dask.config.set(_LARGE_FUNCTION):
            sealed = self._client.submit(bytes, pickle.dumps(function), key=f"function-{uuid.uuid4()}")
        try:
            for item in items:
                with self._explained():
                    # Keys of their own: two passes over one part must not be taken for the same.
                    pending.append(
                        self._client.submit(
                            run_part, sealed, pickle.dumps(item), versions(), key=f"{name}-{uuid.uuid4()}"
                        )
                    )
                    window = 2 * self._threads()
                if len(pending) >= window:
                    yield self._first(pending)
            while pending:
                yield self._first(pending)
        finally:
            with suppress(Exception):
                self._client.cancel([*pending, sealed], force=True)

    def _first(self, pending: deque[Future[Any]]) -> Any:
        with self._explained():
            self._wait(pending[0])
            # Bytes, for Dask's own arrays come back read-only, and states are merged in place.
            result, error = pending.popleft().result()
        return settled(result, error)

    def _wait(self, future: Future[Any]) -> None:
        """Wait for a result for as long as there are workers."""
        last_seen = time.monotonic()
        while True:
            with suppress(TimeoutError):
                future.exception(timeout=_POLL_SECONDS)
                return
            if self._threads():
                last_seen = time.monotonic()
            elif time.monotonic() - last_seen > _WORKERLESS_SECONDS:
                raise ComputeError(
                    f"the Dask cluster {self._address} has had no worker for {_WORKERLESS_SECONDS:.0f} seconds. "
                    "Their logs say why they stopped, mostly for lack of memory; start workers and run again."
                )

    def _threads(self) -> int:
        """Threads of all workers; a scheduler that does not answer is an error and no wait without end."""
        scheduler: Any = self._client.scheduler
        return sum(self._client.sync(scheduler.ncores, callback_timeout=_ANSWER_SECONDS).values())

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn what Dask raises into a ComputeError that names the cluster and a remedy."""
        from distributed import KilledWorker
        from distributed.client import FutureCancelledError

        try:
            yield
        except NightcastError:
            raise
        except KilledWorker as fault:
            raise ComputeError(
                f"a part killed {fault.allowed_failures + 1} workers of the Dask cluster {self._address}, the last one "
                f"{fault.last_worker.address}, mostly for lack of memory. Give workers more memory or fewer threads, "
                "or unload smaller parts."
            ) from fault
        except (OSError, FutureCancelledError) as fault:
            raise ComputeError(
                f"the Dask scheduler {self._address} was lost: {fault or type(fault).__name__}. Its log says why; "
                "run again when it is back."
            ) from fault
        except Exception as fault:
            raise ComputeError(
                f"the Dask cluster {self._address} can not run a part: {type(fault).__name__}: {fault}. {_SAME_IMAGE}."
            ) from fault


def run_part(function: bytes, item: bytes, expected: dict[str, str]) -> tuple[bytes | None, bytes | None]:
    """What a worker does with one part: the pickled result and None, or None and the pickled error."""
    refuse_other_versions(expected)
    _prepare_process()
    return attempt(function, pickle.loads(item))  # noqa: S301 - from the client that this worker serves


def refuse_other_versions(expected: dict[str, str]) -> None:
    """Raise a ComputeError where this process would not compute what the other one does.

    Nightcast and Python's minor version must be the same, the libraries' major versions as well.
    """
    found = versions()
    differ = [name for name, theirs in expected.items() if _decisive(name, theirs) != _decisive(name, found[name])]
    if differ:
        told = ", ".join(f"{name} {found[name]} there and {expected[name]} here" for name in differ)
        raise ComputeError(f"a worker of the Dask cluster has other versions: {told}. {_SAME_IMAGE}.")


@cache
def versions() -> dict[str, str]:
    """Versions of what part functions are made of, in this process."""
    found = {"nightcast": __version__, "Python": ".".join(map(str, sys.version_info[:3]))}
    for name in ("numpy", "pyarrow", "scipy", "pandas", "scikit-learn"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "none"
    return found


def _decisive(name: str, found: str) -> str:
    pieces = {"nightcast": None, "Python": 2}.get(name, 1)
    return ".".join(found.split(".")[:pieces])


@cache
def _prepare_process() -> None:
    """Give all threads of this worker one BLAS thread, for good: to give it back would disturb the others."""
    from threadpoolctl import threadpool_limits

    limit_blas_threads()
    threadpool_limits(1)  # for the libraries that are loaded already
    keep_freed_memory()
