"""A progress bar on standard error, while parts are processed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from rich.progress import Progress

    from nightcast.datasource.parts import Mapper

S = TypeVar("S")
T = TypeVar("T")


@contextmanager
def shown(mapper: Mapper, doing: str) -> Iterator[Mapper]:
    """The mapper, with a bar of its finished items; it is gone at the end.

    Parameters
    ----------
    mapper
        Applies the part function.
    doing
        What is going on, such as ``insights``.

    Yields
    ------
    Mapper
        The same mapper when standard error is no terminal.
    """
    if not sys.stderr.isatty():
        yield mapper
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("parts {task.fields[rate]}"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=False,
    ) as progress:
        yield _counting(mapper, doing, progress)


def _counting(mapper: Mapper, doing: str, progress: Progress) -> Mapper:
    def counted(function: Callable[[S], T], items: Iterable[S]) -> Iterator[T]:
        listed = list(items)
        task = progress.add_task(doing, total=len(listed), rate="")
        done = 0
        # Results come in the order of the items.
        for item, result in zip(listed, mapper(function, listed), strict=True):
            done += _records_of(item)
            elapsed = progress.tasks[task].elapsed
            rate = f"{done / elapsed:,.0f} records/s" if done and elapsed else ""
            progress.update(task, advance=1, rate=rate)
            yield result

    return counted


def _records_of(item: object) -> int:
    """Records of a numbered part, or of a task that begins with one; 0 where they are not known."""
    first = item[0] if isinstance(item, tuple) else item
    return int(getattr(getattr(first, "part", None), "records", 0))
