"""Folders that appear when they are complete, or not at all."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from nightcast.errors import StorageError

if TYPE_CHECKING:
    from nightcast.storage import Storage


@contextmanager
def published(storage: Storage, folder: str, names: Sequence[str]) -> Iterator[Path]:
    """Give an empty folder on disk; the folders `names` in it are moved below `folder` when all went well.

    On disk they are renamed into place. To S3 they are uploaded in the order of `names`, hidden files last, so that a
    ``.schema`` says that its folder is complete.

    Raises
    ------
    StorageError
        If one of the folders is there already, or can not be written.
    """
    from nightcast.storage import is_s3, local_path

    base = folder.rstrip("/")
    _refuse_existing(storage, base, names)
    if is_s3(base):
        with tempfile.TemporaryDirectory(prefix="nightcast-") as temporary:
            yield Path(temporary)
            _upload(storage, Path(temporary), base, names)
        return
    target = local_path(base)
    with _beside(target) as made:
        yield made
        target.mkdir(exist_ok=True)
        for name in names:
            (made / name).rename(target / name)


@contextmanager
def laid(storage: Storage, folder: str, last: Sequence[str]) -> Iterator[Path]:
    """Give an empty folder on disk; its files are put below `folder` when all went well.

    Files of the same names are replaced, others stay.

    Parameters
    ----------
    last
        Files that say that the others are complete, below `folder`: those of an earlier time are deleted first, and the
        new ones come at the end, in this order.

    Raises
    ------
    StorageError
        If the folder can not be written.
    """
    from nightcast.artifacts import BYTES
    from nightcast.storage import is_s3, local_path

    base = folder.rstrip("/")
    if is_s3(base):
        with tempfile.TemporaryDirectory(prefix="nightcast-") as temporary:
            yield Path(temporary)
            names = _names_in(Path(temporary), last)
            storage.delete([f"{base}/{name}" for name in last])
            for name in names:
                storage.upload(Path(temporary) / name, f"{base}/{name}", BYTES)
        return
    target = local_path(base)
    if target.exists() and not target.is_dir():
        raise StorageError(f"{folder} is a file; name a folder.")
    with _beside(target) as made:
        yield made
        names = _names_in(made, last)
        for name in last:
            (target / name).unlink(missing_ok=True)
        for name in names:
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (made / name).replace(target / name)


def refuse_within(folder: str, data: str) -> None:
    """Refuse to write to a folder of data, or below it, where what is written would be read as data the next time.

    Raises
    ------
    StorageError
        If `folder` lies there.
    """
    if lies_within(folder, data):
        raise StorageError(f"{folder} lies in the data ({data}), and would be read with them; name another folder.")


def lies_within(folder: str, data: str) -> bool:
    """Whether `folder` is the folder `data` or lies below it; nothing lies within a file."""
    from nightcast.storage import is_s3, local_path

    if is_s3(folder) or is_s3(data):
        return data.endswith("/") and f"{folder.rstrip('/')}/".startswith(data)
    place = local_path(data)
    return place.is_dir() and local_path(folder).resolve().is_relative_to(place.resolve())


def _names_in(made: Path, last: Sequence[str]) -> list[str]:
    found = {path.relative_to(made).as_posix() for path in made.rglob("*") if path.is_file()}
    return [*sorted(found.difference(last)), *(name for name in last if name in found)]


def _refuse_existing(storage: Storage, base: str, names: Sequence[str]) -> None:
    for name in names:
        if storage.names_below(f"{base}/{name}/"):
            raise StorageError(f"{base}/{name} holds files already; delete it, or name another folder.")


@contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """A folder in the same file system, so that to rename is all that is left to do."""
    made = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        yield made
    except OSError as fault:
        raise StorageError(f"can not write {target}: {fault.strerror or fault}.") from fault
    finally:
        if made is not None:
            shutil.rmtree(made, ignore_errors=True)


def _upload(storage: Storage, made: Path, base: str, names: Sequence[str]) -> None:
    from nightcast.artifacts import BYTES

    for name in names:
        for path in sorted((made / name).rglob("*"), key=lambda one: (one.name.startswith("."), one)):
            if path.is_file():
                storage.upload(path, f"{base}/{path.relative_to(made).as_posix()}", BYTES)
