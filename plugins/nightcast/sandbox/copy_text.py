"""Delimited text and CSV files of a COPY, read in batches of text cells."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.csv as csv

from nightcast.sandbox.copy_options import CopyOptions
from nightcast.sandbox.errors import RedshiftError

_BLOCK_BYTES = 8 << 20


class LineError(RedshiftError):
    """A record that can not be cut into the table's columns; ``record`` counts from 1, headers not included."""

    def __init__(self, message: str, record: int | None, text: str) -> None:
        super().__init__(message)
        self.record = record
        self.text = text


class _CheckedLines(io.RawIOBase):
    """A stream that notices what the parser lets pass: blank lines, and a quotation that never ends."""

    def __init__(self, stream: pa.NativeFile, columns: int, options: CopyOptions) -> None:
        super().__init__()
        self._stream = stream
        self._quote = options.quote.encode() if options.format == "CSV" else b""
        can_hold_line_feeds = bool(self._quote) or options.escape or options.remove_quotes
        self._blank_is_wrong = columns > 1 and not can_hold_line_feeds and not options.ignore_blank_lines
        self._lines = self._quotes = 0
        self._last = b"\n"

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = bytes(self._stream.read(size if size >= 0 else None))
        if self._blank_is_wrong:
            self._refuse_blank_line(data)
        if self._quote:
            self._quotes += data.count(self._quote)
            if not data and self._quotes % 2:
                raise LineError("Invalid quote formatting for CSV: a quotation does not end", None, "")
        self._last = data[-1:] or self._last
        return data

    def _refuse_blank_line(self, data: bytes) -> None:
        seen = self._last + data
        place = min((found for found in (seen.find(b"\n\n"), seen.find(b"\n\r\n")) if found >= 0), default=-1)
        if place >= 0:
            line = self._lines + seen[1 : place + 1].count(b"\n") + 1
            raise LineError("Delimiter not found: the line is blank", line, "")
        self._lines += data.count(b"\n")


def read_cells(path: Path, columns: int, options: CopyOptions) -> Iterator[pa.RecordBatch]:
    """Cut a file into records of ``columns`` text cells; none of them is NULL yet.

    Raises
    ------
    LineError
        For a record with too few or too many cells, or a quotation that does not end.
    RedshiftError
        For a file that is not compressed as the statement says, or is not UTF-8.
    """
    names = [f"c{number}" for number in range(columns)]
    broken: list[csv.InvalidRow] = []

    def refuse(row: csv.InvalidRow) -> Literal["error"]:
        broken.append(row)
        return "error"

    try:
        with pa.OSFile(str(path), "rb") as raw:
            stream = raw if options.compression is None else pa.CompressedInputStream(raw, options.compression)
            checked: Any = pa.PythonFile(_CheckedLines(stream, columns, options), mode="r")
            reader = csv.open_csv(
                checked, _read_options(names, options), _parse_options(options, refuse), _convert_options(names)
            )
            for batch in reader:
                if batch.num_rows:
                    yield batch
    except (pa.ArrowInvalid, OSError, UnicodeDecodeError) as error:
        if "Empty CSV file" in str(error):
            return
        if broken:
            raise _wrong_width(broken[0]) from error
        raise _unreadable(error, options) from error


def _read_options(names: list[str], options: CopyOptions) -> csv.ReadOptions:
    return csv.ReadOptions(
        column_names=names, skip_rows=options.ignore_header, block_size=_BLOCK_BYTES, use_threads=False, encoding="utf8"
    )


def _parse_options(
    options: CopyOptions, refuse: Callable[[csv.InvalidRow], Literal["skip", "error"]]
) -> csv.ParseOptions:
    is_csv = options.format == "CSV"
    quotes = is_csv or options.remove_quotes
    return csv.ParseOptions(
        delimiter=options.delimiter,
        quote_char=(options.quote if is_csv else '"') if quotes else False,
        double_quote=is_csv,
        escape_char="\\" if options.escape else False,
        newlines_in_values=quotes or options.escape,
        ignore_empty_lines=options.ignore_blank_lines,
        invalid_row_handler=refuse,
    )


def _convert_options(names: list[str]) -> csv.ConvertOptions:
    return csv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False, quoted_strings_can_be_null=False
    )


def _wrong_width(row: csv.InvalidRow) -> LineError:
    few = row.actual_columns < row.expected_columns
    reason = "Delimiter not found" if few else "Extra column(s) found"
    return LineError(
        f"{reason}: {row.actual_columns} columns where the table takes {row.expected_columns}", row.number, row.text
    )


def _unreadable(error: Exception, options: CopyOptions) -> RedshiftError:
    text = str(error)
    if "UTF8" in text or "utf-8" in text.lower():
        return LineError("String contains invalid or unsupported UTF-8 codepoints", None, "")
    if options.compression is not None:
        return RedshiftError(f"The file is not in {options.compression.upper()} format, or is damaged ({text})")
    return LineError(f"Invalid quote formatting for CSV ({text})", None, "")
