"""Part functions in local processes."""

from __future__ import annotations

import logging
import multiprocessing
import os
import pickle
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from multiprocessing.connection import Connection
from types import FrameType
from typing import Any

from nightcast.compute.part_task import (
    attempt,
    keep_freed_memory,
    limit_blas_threads,
    release_freed_memory,
    settled,
)
from nightcast.errors import ComputeError

Mapper = Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]

log = logging.getLogger(__name__)
# What a worker gets to delete its temporary files when it is told to leave.
_GRACE_SECONDS = 3.0
# In a worker: whether it is at work on a part.
_busy = False
# In the driver: workers that were started ahead.
_early: _Pool | None = None


@contextmanager
def process_pool(workers: int, *, spare: int | None = None) -> Iterator[Mapper]:
    """Give a mapper over fresh processes, each with a single BLAS thread; none of them outlives this process.

    Parameters
    ----------
    workers
        Processes.
    spare
        Parts that are handed out beyond one for each worker, so that none idles behind a slow one; their results
        wait in this process. As many as workers when not given.

    Raises
    ------
    ComputeError
        From the mapper, when workers die twice. After the first time the unfinished parts are computed
        once more, by half as many workers, for the usual cause is a lack of memory.
    """
    window = workers + (workers if spare is None else spare)
    if _early is not None and _early.asked == workers:
        yield partial(_early.map, window)
        return
    with _closing(_Pool(workers)) as pool:
        yield partial(pool.map, window)


@contextmanager
def early_workers(workers: int, modules: Sequence[str]) -> Iterator[None]:
    """Start processes before it is known what for: each `process_pool` of as many takes them, inside this block.

    Parameters
    ----------
    workers
        Processes.
    modules
        What they import while they wait.
    """
    global _early
    with _closing(_Pool(workers, modules)) as pool:
        _early = pool
        try:
            yield
        finally:
            _early = None


@contextmanager
def _closing(pool: _Pool) -> Iterator[_Pool]:
    try:
        yield pool
    except BaseException:
        pool.leave()
        raise
    pool.close()


@dataclass
class _Task:
    """An item on its way through an executor."""

    item: Any
    executor: ProcessPoolExecutor
    future: Future[tuple[Any, bytes | None]]

    @property
    def lost(self) -> bool:
        """Whether there will be no result, once the executor is broken."""
        return not self.future.done() or self.future.cancelled() or self.future.exception() is not None


class _Pool:
    """An executor that is replaced once when its workers die."""

    def __init__(self, workers: int, modules: Sequence[str] = ()) -> None:
        self.asked = self._workers = workers
        self._modules = modules
        self._replaced = False
        self._start()

    def _start(self) -> None:
        # spawn: a fork of a process whose libraries already run threads may hang.
        context = multiprocessing.get_context("spawn")
        self._lifeline, self._held = context.Pipe(duplex=False)
        self._executor = ProcessPoolExecutor(
            self._workers, mp_context=context, initializer=_begin_worker, initargs=(self._lifeline, self._modules)
        )
        if self._modules:
            # Each task starts a process while none is idle.
            for _ in range(self._workers):
                self._executor.submit(os.getpid)

    def close(self) -> None:
        """End the workers when they are done."""
        self._executor.shutdown(cancel_futures=True)
        self._held.close()
        self._lifeline.close()

    def leave(self) -> None:
        """End the workers in the middle of what they do."""
        self._held.close()
        self.close()

    def map(self, window: int, function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        """Results in the items' order, with a bounded number of parts handed out."""
        # What lies between two passes, such as a look at the data, is done: workers need the room.
        release_freed_memory()
        sealed = pickle.dumps(function)
        pending: deque[_Task] = deque()
        try:
            for item in items:
                pending.append(self._submit(sealed, item))
                if len(pending) >= window:
                    yield self._first(sealed, pending)
            while pending:
                yield self._first(sealed, pending)
            self._release()
        except GeneratorExit:
            # Not after an error, which mostly ends the workers: in Python 3.11 the executor's thread can not bear to
            # tell the futures of what they have left undone, if these are cancelled.
            for task in pending:
                task.future.cancel()
            raise

    def _release(self) -> None:
        """Let workers give back what they have freed: what follows a pass may need the room in this process."""
        with suppress(BrokenProcessPool):
            for _ in range(self._workers):
                self._executor.submit(release_freed_memory)

    def _submit(self, sealed: bytes, item: Any) -> _Task:
        while True:
            executor = self._executor
            try:
                return _Task(item, executor, executor.submit(_attempt, sealed, item))
            except BrokenProcessPool as fault:
                self._replace(executor, fault)

    def _first(self, sealed: bytes, pending: deque[_Task]) -> Any:
        """Take the first result; where workers died, hand out all that is unfinished once more."""
        while True:
            try:
                outcome = pending[0].future.result()
            except BrokenProcessPool as fault:
                self._replace(pending[0].executor, fault)
                for place, task in enumerate(pending):
                    if task.executor is not self._executor and task.lost:
                        pending[place] = self._submit(sealed, task.item)
            else:
                pending.popleft()
                return settled(*outcome)

    def _replace(self, broken: ProcessPoolExecutor, fault: BrokenProcessPool) -> None:
        if broken is not self._executor:
            return
        if self._replaced:
            raise ComputeError(
                f"worker processes died twice in the middle of a part, the second time with {self._workers} at work. "
                "Linux kills processes when memory runs out: give the machine or container more memory, set "
                "NIGHTCAST_COMPUTE=processes:N with a smaller N, or unload smaller parts."
            ) from fault
        self._replaced = True
        self.leave()
        self._workers = max(1, self._workers // 2)
        log.warning(
            "a worker process died, perhaps for lack of memory; unfinished parts are computed again by %s processes",
            self._workers,
        )
        self._start()


def _begin_worker(lifeline: Connection, modules: Sequence[str]) -> None:
    """Set up a fresh worker before numpy is loaded."""
    # Ctrl-C reaches all processes of a terminal; the driver hears it and tells its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _leave)
    threading.Thread(target=_watch, args=(lifeline,), daemon=True).start()
    limit_blas_threads()
    keep_freed_memory()
    for module in modules:
        import_module(module)


def _watch(lifeline: Connection) -> None:
    """Leave when the driver lets go of its end of the pipe, even by being killed."""
    lifeline.poll(None)
    main = threading.main_thread().ident
    if main is not None:
        signal.pthread_kill(main, signal.SIGTERM)
    _exit_soon()


def _leave(_signal: int, _frame: FrameType | None) -> None:
    """Unwind the part function, so that its temporary files are deleted; with none, leave at once."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if not _busy:
        os._exit(1)
    _exit_soon()
    raise SystemExit(1)


def _attempt(sealed: bytes, item: Any) -> tuple[Any, bytes | None]:
    global _busy
    try:
        _busy = True
        return attempt(sealed, item)
    except SystemExit:
        os._exit(1)  # or the executor would go on to the next part
    finally:
        _busy = False


def _exit_soon() -> None:
    timer = threading.Timer(_GRACE_SECONDS, os._exit, (1,))
    timer.daemon = True
    timer.start()
