"""Delimited text and CSV files of an UNLOAD: lines are made by DuckDB, and written as they come."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from nightcast.sandbox.redshift_types import RedshiftType
from nightcast.sandbox.unload_options import UnloadOptions

# How far the compressor may lag behind what was given to it, for keeping below MAXFILESIZE.
_COMPRESSOR_LAG = 256 * 1024
_STEP_BYTES = 1024 * 1024


def line_expression(columns: list[tuple[str, RedshiftType]], names: list[str], options: UnloadOptions) -> str:
    """DuckDB's expression for one record's line, line feed included.

    Parameters
    ----------
    columns
        The result's columns with their Redshift types.
    names
        What the columns are called in the query that the expression is put on.
    """
    pieces = [_cell(name, kind, options) for name, (_, kind) in zip(names, columns, strict=True)]
    delimiter = _literal(options.delimiter)
    return f" || {delimiter} || ".join(pieces) + " || chr(10)"


def header_line(columns: list[tuple[str, RedshiftType]], options: UnloadOptions) -> bytes:
    """The line of column names, quoted and escaped as data would be."""
    cells = [_plain_cell(name, options) for name, _ in columns]
    return (options.delimiter.join(cells) + "\n").encode()


def _cell(name: str, kind: RedshiftType, options: UnloadOptions) -> str:
    text = _text_of(name, kind)
    if options.format == "CSV":
        special = _literal(
            "[" + "".join(f"\\x{ord(c):02x}" for c in sorted({options.delimiter, '"', "\n", "\r"})) + "]"
        )
        quoted = f"'\"' || replace({text}, '\"', '\"\"') || '\"'"
        text = f"CASE WHEN regexp_matches({text}, {special}) THEN {quoted} ELSE {text} END" if kind.is_text else text
    else:
        if options.escape and kind.is_text:
            characters = {"\n", "\r", "\\", options.delimiter} | ({'"', "'"} if options.add_quotes else set())
            group = "([" + "".join(f"\\x{ord(c):02x}" for c in sorted(characters)) + "])"
            text = f"regexp_replace({text}, {_literal(group)}, {_literal(chr(92) * 2 + chr(92) + '1')}, 'g')"
        text = f"'\"' || {text} || '\"'" if options.add_quotes else text
    # The NULL string is written as it stands, never quoted: that is what tells it from equal text.
    return f"coalesce({text}, {_literal(options.null_as)})"


def _plain_cell(text: str, options: UnloadOptions) -> str:
    if options.format == "CSV":
        return '"' + text.replace('"', '""') + '"' if set(text) & {options.delimiter, '"', "\n", "\r"} else text
    if options.escape:
        for character in ("\\", "\n", "\r", options.delimiter, *(('"', "'") if options.add_quotes else ())):
            text = text.replace(character, "\\" + character)
    return f'"{text}"' if options.add_quotes else text


def _text_of(name: str, kind: RedshiftType) -> str:
    """A value as Redshift writes it: booleans t and f, floats with 15 (or 6) significant digits."""
    if kind.base == "boolean":
        return f"CASE WHEN {name} THEN 't' WHEN NOT {name} THEN 'f' END"
    if kind.base in ("double precision", "real"):
        digits = 15 if kind.base == "double precision" else 6
        shown = f"printf('%.{digits}g', CAST({name} AS DOUBLE))"
        special = f"CASE WHEN {name} > 0 THEN 'Infinity' ELSE '-Infinity' END"
        return f"CASE WHEN isnan({name}) THEN 'NaN' WHEN isinf({name}) THEN {special} ELSE {shown} END"
    return f"CAST({name} AS VARCHAR)"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def line_bytes(lines: pa.Array[Any]) -> tuple[memoryview, np.ndarray]:
    """The bytes of an array of lines, and where each begins and the last ends, without a copy."""
    wide = pa.types.is_large_string(lines.type)
    _, offset_buffer, data = lines.buffers()
    offsets = np.frombuffer(memoryview(offset_buffer or b""), np.int64 if wide else np.int32)
    offsets = offsets[lines.offset : lines.offset + len(lines) + 1]
    view = memoryview(data) if data is not None else memoryview(b"")
    return view[int(offsets[0]) : int(offsets[-1])], offsets - offsets[0]


class TextFile:
    """One file of an UNLOAD to text, with its header; full when another line could pass its limit."""

    def __init__(self, path: Path, header: bytes | None, options: UnloadOptions) -> None:
        self.path = path
        self.records = 0
        self._limit = options.max_file_bytes
        self._raw = path.open("wb")
        self._sink: Any = self._compressor(options.compression, self._raw)
        self._lag = 0 if options.compression is None else _COMPRESSOR_LAG
        if header is not None:
            self._sink.write(header)
            # Redshift counts header lines as records of the file.
            self.records = 1

    @staticmethod
    def _compressor(name: str | None, raw: io.BufferedWriter) -> Any:
        if name == "GZIP":
            return gzip.GzipFile(filename="", mode="wb", compresslevel=1, fileobj=raw, mtime=0)
        if name == "BZIP2":
            return bz2.BZ2File(raw, "wb")
        return pa.CompressedOutputStream(pa.PythonFile(raw, mode="w"), "zstd") if name == "ZSTD" else raw

    def write(self, view: memoryview, offsets: np.ndarray, first: int) -> int:
        """Write lines from ``first`` on; the number of the first line that found no room."""
        total = len(offsets) - 1
        while first < total:
            room = self._limit - self._raw.tell() - self._lag
            step = min(room, _STEP_BYTES)
            last = int(np.searchsorted(offsets, int(offsets[first]) + step, side="right")) - 1
            if last <= first:
                if room >= _STEP_BYTES or self.records == 0:
                    last = first + 1
                else:
                    return first
            self._sink.write(view[int(offsets[first]) : int(offsets[last])])
            self.records += last - first
            first = last
        return first

    def close(self) -> None:
        if self._sink is not self._raw:
            self._sink.close()
        self._raw.close()

    def abandon(self) -> None:
        """Close without a care for what was written."""
        with contextlib.suppress(OSError, ValueError):
            self.close()
