"""Physical lines of a CSV file: where they end, and what is wrong with them.

A record is a line, and nothing else: a line end within a value, quoted or not, makes the file unreadable. That is what
keeps the number of a record known whatever else the line holds, and what lets a line be rejected alone.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from nightcast.datasource.arrow_arrays import Ints
from nightcast.errors import DatasourceError

LINE_BYTES = 102_400
"""A longer line is rejected: Amazon ML's limit of one observation."""

_LF, _CR = 10, 13
# The inner loop is possessive: a doubled quote must not be taken for a closing one and a stray one.
_CELL = re.compile(r'"((?:[^"]|"")*+)"([^,]*)|(?!")[^,]*')
_SHOWN_CHARACTERS = 1000


@dataclass(frozen=True)
class Lines:
    """Complete lines that follow each other.

    Parameters
    ----------
    data
        Their bytes, line ends among them.
    ends
        Where in `data` their line feeds are, ascending.
    """

    data: bytes
    ends: Ints

    @classmethod
    def of(cls, data: bytes) -> Lines:
        """Find the line ends."""
        return cls(data, np.flatnonzero(_octets(data) == _LF))

    def __len__(self) -> int:
        return len(self.ends)

    def bounds(self) -> list[int]:
        """Where the lines begin, and where the last one ends."""
        return [0, *(self.ends + 1).tolist()]

    def at_most(self, most: int) -> Iterator[Lines]:
        """The lines in pieces of at most so many."""
        for first in range(0, len(self), most):
            ends = self.ends[first : first + most]
            start = int(self.ends[first - 1]) + 1 if first else 0
            yield self if len(self) <= most else Lines(self.data[start : ends[-1] + 1], ends - start)


def header_text(line: bytes, where: str) -> str:
    """A header line as text.

    Raises
    ------
    DatasourceError
        When it is no UTF-8; names with replaced characters would be names of nothing.
    """
    try:
        return line.decode()
    except UnicodeDecodeError as fault:
        raise DatasourceError(
            f"the header of {where} is no UTF-8 at byte {fault.start:,} (counted from 0); write the file as UTF-8"
        ) from fault


def whole_lines(chunks: Iterable[bytes], most: int) -> Iterator[Lines]:
    """Cut bytes after line ends.

    Parameters
    ----------
    chunks
        The file.
    most
        Number of lines in a block at most.

    Yields
    ------
    Lines
        At least one line. A line end is added to a last line that has none; a line of more than ``LINE_BYTES`` bytes
        loses what is behind the first ``LINE_BYTES + 2`` when it is longer than a chunk, so that memory is bounded.
    """
    begun = b""
    for chunk in chunks:
        last = chunk.rfind(b"\n") + 1
        if not last:
            begun = _extended(begun, chunk)
            continue
        if len(begun) > LINE_BYTES + 1:
            chunk, last = chunk[chunk.index(b"\n") :], last - chunk.index(b"\n")
        yield from Lines.of(begun + chunk[:last]).at_most(most)
        begun = _extended(b"", chunk[last:])
    if begun:
        # A last CR is no line end, and must not become one.
        lone = begun.endswith(b"\r") and len(begun) <= LINE_BYTES + 1
        yield Lines.of(begun + (b"\r\n" if lone else b"\n"))


def _extended(begun: bytes, chunk: bytes) -> bytes:
    return begun + chunk[: max(0, LINE_BYTES + 2 - len(begun))]


def count_lines(data: bytes) -> int:
    """Number of line ends."""
    return int(np.count_nonzero(_octets(data) == _LF))


def cells_of(line: str) -> list[str] | None:
    """Cells of one line, as RFC 4180 has them; None when a quoted one is not closed.

    A quote is special only where a cell begins: elsewhere, and behind a closed quote, it is a character like others.

    Examples
    --------
    >>> cells_of('1,"a, b",5" pipe,')
    ['1', 'a, b', '5" pipe', '']
    >>> cells_of('1,"a') is None
    True
    """
    cells, place = [], 0
    while True:
        match = _CELL.match(line, place)
        if match is None:
            return None
        quoted = match[1] is not None
        cells.append(match[1].replace('""', '"') + match[2] if quoted else match[0])
        place = match.end() + 1
        if place > len(line):
            return cells


def faulty_lines(lines: Lines, width: int) -> dict[int, str]:
    """Lines that are rejected before they are parsed.

    Parameters
    ----------
    width
        Number of attributes; where it is 1 an empty line is a record.

    Returns
    -------
    dict
        Number of the line in `lines`, from 0 -> reason.
    """
    found: dict[int, str] = {}
    if width > 1:
        found |= dict.fromkeys(_empty_lines(lines), "an empty line")
    if not _is_utf8(lines.data):
        found |= _lines_of_other_bytes(lines.data)
    for place, text in _long_lines(lines.data):
        if b"\r" in text:
            # That is no line, and stays for those who refuse it.
            found.pop(place, None)
        else:
            found[place] = f"longer than {LINE_BYTES:,} bytes"
    return found


def without_lines(lines: Lines, left_out: Iterable[int]) -> bytes:
    """The bytes of lines without some of them."""
    data, bounds = lines.data, lines.bounds()
    pieces, start = [], 0
    for place in sorted(left_out):
        pieces.append(data[start : bounds[place]])
        start = bounds[place + 1]
    pieces.append(data[start:])
    return b"".join(pieces)


def shown_lines(lines: Lines, places: Iterable[int]) -> Iterator[str]:
    """The first 1,000 characters of some lines; bytes that are no UTF-8 are replaced by U+FFFD."""
    data, bounds = lines.data, lines.bounds()
    for place in places:
        start, end = bounds[place], bounds[place + 1]
        # A character has four bytes at most.
        head = data[start : min(end, start + min(4 * _SHOWN_CHARACTERS, LINE_BYTES))]
        yield head.removesuffix(b"\n").removesuffix(b"\r").decode(errors="replace")[:_SHOWN_CHARACTERS]


def may_be_unreadable(data: bytes) -> bool:
    """Whether a CR ends no line, or the last line has a quoted cell that is not closed.

    A quoted cell of another line that is not closed takes the next line end with it: it shows in the number of rows.
    """
    if b"\r" in data:
        octets = _octets(data)
        returns = octets == _CR
        if (returns[:-1] & (octets[1:] != _LF)).any():
            return True
    last = data[data.rfind(b"\n", 0, -1) + 1 : -1]
    return b'"' in last and cells_of(last.decode()) is None


def first_unreadable(data: bytes, left_out: Container[int]) -> tuple[int, str] | None:
    """The first line that makes the file unreadable, and why: ``"\\r"`` or ``'"'``, the byte at fault.

    Parameters
    ----------
    left_out
        Numbers of lines that do not count.
    """
    for place, line in enumerate(data[:-1].split(b"\n")):
        if place in left_out:
            continue
        line = line.removesuffix(b"\r")
        if b"\r" in line:
            return place, "\r"
        if b'"' in line and cells_of(line.decode()) is None:
            return place, '"'
    return None


def _octets(data: bytes) -> npt.NDArray[np.uint8]:
    return np.frombuffer(data, dtype=np.uint8)


def _empty_lines(lines: Lines) -> list[int]:
    sizes = np.diff(lines.ends, prepend=-1)
    empty = sizes == 1
    blank = sizes == 2
    if blank.any():
        empty[blank] = _octets(lines.data)[lines.ends[blank] - 1] == _CR
    found: list[int] = np.flatnonzero(empty).tolist()
    return found


def _long_lines(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Numbers and first bytes of the long lines; no more bytes, for the others may have been let go."""
    start = 0
    while start < len(data):
        # All lines that end in this window are short enough.
        last = data.rfind(b"\n", start, start + LINE_BYTES + 1)
        if last < 0:
            last = data.index(b"\n", start)
            if last - start > LINE_BYTES + 1 or data[last - 1] != _CR:
                yield data.count(b"\n", 0, start), data[start : start + LINE_BYTES]
        start = last + 1


def _is_utf8(data: bytes) -> bool:
    if data.isascii():
        return True
    spans: Any = np.array([0, len(data)], dtype=np.int64)
    whole = pa.Array.from_buffers(pa.large_string(), 1, [None, pa.py_buffer(spans), pa.py_buffer(data)])
    try:
        whole.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _lines_of_other_bytes(data: bytes) -> dict[int, str]:
    found = {}
    for place, line in enumerate(data.split(b"\n")):
        if not line.isascii():
            try:
                line.decode()
            except UnicodeDecodeError as fault:
                found[place] = f"bytes that are no UTF-8 at byte {fault.start + 1:,}"
    return found
