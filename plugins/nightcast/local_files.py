"""Files on disk as `nightcast.storage` needs them: never half written, and errors that name them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nightcast.errors import MissingObjectError, StorageError


def facts_of(path: Path) -> os.stat_result | None:
    """Size and times of a file; None of anything else, and of one that vanishes while it is looked at."""
    try:
        return path.stat() if path.is_file() else None
    except FileNotFoundError:
        return None


def files_below(folder: Path) -> dict[Path, os.stat_result]:
    """Absolute paths of all files below a folder, sorted, with their sizes and times."""
    paths = sorted(folder.absolute().rglob("*"), key=Path.as_posix)
    return {path: facts for path in paths if (facts := facts_of(path)) is not None}


def replace(target: Path, write: Callable[[Path], object]) -> None:
    """Write a file in the place of another, or of none.

    Parameters
    ----------
    write
        Writes the content to the path that it is given.
    """
    with _beside(target) as temporary:
        write(temporary)
        temporary.chmod(0o644)
        temporary.replace(target)


def create(target: Path, data: bytes) -> bool:
    """Write a file unless there is one; False where there is one."""
    with _beside(target) as temporary:
        temporary.write_bytes(data)
        temporary.chmod(0o644)
        try:
            # Fails where there is a target, as O_EXCL does, and shows the file with its content at once.
            os.link(temporary, target)
        except FileExistsError:
            return False
    return True


@contextmanager
def explained(verb: str, name: str) -> Iterator[None]:
    """Turn what the disk raises while it is read into a StorageError that names the file.

    Parameters
    ----------
    verb
        What is done, for the message: ``read``, ``list``.
    name
        The file as the user calls it.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise MissingObjectError(f"{name} does not exist.") from error
    except OSError as error:
        raise StorageError(f"can not {verb} {name}: {error.strerror or error}.") from error


@contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """An empty file beside the target, gone at the end."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}.", delete=False) as stream:
            temporary = Path(stream.name)
        try:
            yield temporary
        finally:
            with suppress(OSError):
                temporary.unlink()
    except OSError as error:
        raise StorageError(f"can not write {target}: {error.strerror or error}.") from error
