"""Part functions of tests, importable by worker processes: most do what parts should not."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from nightcast.errors import NightcastError


class TwoArgumentsError(Exception):
    """Can be pickled, but not unpickled."""

    def __init__(self, name: str, number: int) -> None:
        super().__init__(f"{name} {number}")


def square(number: int) -> int:
    return number * number


def process_of(_: int) -> int:
    return os.getpid()


def has_imported(name: str) -> bool:
    return name in sys.modules


def blas_threads(_: int) -> list[int]:
    import numpy as np
    from threadpoolctl import threadpool_info

    np.ones((2, 2)) @ np.ones((2, 2))
    return [library["num_threads"] for library in threadpool_info()]


def refuse(number: int) -> int:
    if number == 2:
        raise NightcastError(f"part {number} is refused")
    return number


def raise_what_can_not_travel(number: int) -> int:
    raise TwoArgumentsError("part", number)


def die(_: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_once(item: tuple[int, str]) -> int:
    """Square a number; number 3 kills its process the first time."""
    number, flag = item
    if number == 3 and not Path(flag).exists():
        Path(flag).touch()
        die(number)
    return number * number


def wait_in(folder: str) -> None:
    """Tell the process by a file that is there for as long as this waits."""
    mark = Path(folder) / str(os.getpid())
    mark.touch()
    try:
        time.sleep(60)
    finally:
        mark.unlink()


def wait_once(item: tuple[int, str]) -> int:
    """Square a number; number 3 tells its process by a file and waits, the first time."""
    number, folder = item
    mark = Path(folder) / "started"
    if number == 3 and not mark.exists():
        (Path(folder) / "writing").write_text(str(os.getpid()))
        (Path(folder) / "writing").rename(mark)
        time.sleep(60)
    return number * number


def add_in_place(number: int) -> object:
    import numpy as np

    return np.arange(100_000, dtype=np.float64) * number
