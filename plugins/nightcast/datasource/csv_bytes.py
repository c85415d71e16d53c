"""Bytes of a CSV file, unzipped where they are zipped."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from isal import igzip, isal_zlib

from nightcast.errors import DatasourceError

BLOCK_BYTES = 8 << 20
"""How many bytes are read at a time."""

# The stubs of isal know neither what its functions take nor that its error is one.
_igzip: Any = igzip
_FAULTS: Any = (EOFError, OSError, isal_zlib.error)
_GZIP = b"\x1f\x8b"
_UTF8_MARK = b"\xef\xbb\xbf"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_HEAD_BYTES = 1024


def is_gzip(path: Path) -> bool:
    """Whether a file begins as gzip does; its name does not matter."""
    with path.open("rb") as file:
        return file.read(2) == _GZIP


def open_bytes(path: Path) -> BinaryIO:
    """Open a file for reading, unzipped where it is gzip.

    ``read`` raises EOFError, OSError or ``isal_zlib.error`` where gzip is truncated or damaged; several gzip members
    are read as one file.
    """
    stream: BinaryIO = _igzip.open(path, "rb") if is_gzip(path) else path.open("rb")
    return stream


def chunks(path: Path, where: str) -> Iterator[bytes]:
    """Stream a file of UTF-8 text, without its byte order mark, in chunks of at most `BLOCK_BYTES`.

    Parameters
    ----------
    where
        How error messages call the file.

    Raises
    ------
    DatasourceError
        When gzip is truncated or damaged, or the file is UTF-16.
    """
    with open_bytes(path) as stream:
        head = _without_mark(_read(stream, _HEAD_BYTES, where), where)
        while len(head) > BLOCK_BYTES:
            yield head[:BLOCK_BYTES]
            head = head[BLOCK_BYTES:]
        chunk = head + _read(stream, BLOCK_BYTES - len(head), where)
        while chunk:
            yield chunk
            chunk = _read(stream, BLOCK_BYTES, where)


def _read(stream: BinaryIO, size: int, where: str) -> bytes:
    try:
        return stream.read(size)
    except _FAULTS as fault:
        raise DatasourceError(f"{where} is truncated or damaged: {fault}; write it again") from fault


def _without_mark(head: bytes, where: str) -> bytes:
    # ASCII in UTF-16 has a NUL in every second byte, with or without a mark.
    if head.startswith(_UTF16_MARKS) or head.count(0) * 4 > len(head):
        raise DatasourceError(f"{where} is UTF-16, or no text at all; write it as UTF-8")
    return head.removeprefix(_UTF8_MARK)
