"""CSV parts, plain or gzipped."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, Literal, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.csv as pv

from nightcast.datasource.arrow_arrays import Array, Bools
from nightcast.datasource.cells import binary_cells, finite_cells, numeric_cells
from nightcast.datasource.csv_bytes import chunks
from nightcast.datasource.csv_lines import (
    Lines,
    cells_of,
    faulty_lines,
    first_unreadable,
    header_text,
    may_be_unreadable,
    shown_lines,
    whole_lines,
    without_lines,
)
from nightcast.datasource.decoded import BATCH_RECORDS, Decoded, RejectedLine, WantedPart
from nightcast.datasource.schema import AttributeType
from nightcast.errors import DatasourceError

_CODED = pa.dictionary(pa.int32(), pa.string())
_LEAST_TO_JUDGE = 1024


def read_csv(path: Path, wanted: WantedPart) -> Iterator[Decoded]:
    """Stream a CSV file; see `nightcast.datasource.decoded.Reader`.

    A record is a line that ends by LF or CR LF; the last one may have no end. Cells are separated by commas and quoted
    as in RFC 4180. An unquoted cell that equals `null_as` is missing, a quoted one is that text. Rejected alone are
    lines of more than 100 KB, those that are no UTF-8, and those with another number of cells than the schema has
    attributes. A CR elsewhere, and a quote that is not closed on its line, make the file unreadable, for nobody knows
    what is a record then. Which records are rejected does not depend on the attributes that are read.
    """
    blocks = whole_lines(chunks(path, wanted.where), BATCH_RECORDS)
    first = next(blocks, None)
    if first is None:
        return
    names, first = _names(first, wanted)
    reader = _BlockReader(wanted, names)
    for lines in chain([first] if len(first) else [], blocks):
        yield reader.read(lines)


def _names(lines: Lines, wanted: WantedPart) -> tuple[tuple[str, ...], Lines]:
    """Names of the file's columns, and the records of its first lines."""
    end = int(lines.ends[0])
    line = lines.data[:end].removesuffix(b"\r")
    if b"\r" in line:
        raise DatasourceError(
            f"{wanted.where} ends its lines by CR alone, or has a CR within the first line, which can not be read; "
            "write the file with LF or CR LF"
        )
    found = cells_of(header_text(line, wanted.where) if wanted.header else line.decode(errors="replace")) or []
    same = sorted(found) == sorted(wanted.names)
    if wanted.header and not same:
        raise DatasourceError(
            f"{wanted.where} has the header {_listed(found)}, and the schema has the attributes "
            f"{_listed(wanted.names)}; the header of each file must name each attribute once and nothing else: mend "
            "the header or the schema"
        )
    if same and not wanted.header:
        raise DatasourceError(
            f"{wanted.where} begins with a header ({_listed(found)}), and dataFileContainsHeader is false in the "
            "schema; set it to true, or write the files without header"
        )
    if not wanted.header:
        return wanted.names, lines
    return tuple(found), Lines(lines.data[end + 1 :], lines.ends[1:] - end - 1)


def _listed(names: Collection[str]) -> str:
    shown = ", ".join(name[:64] for name in list(names)[:20])
    return shown + ", ..." if len(names) > 20 else shown


class _BlockReader:
    """Reads the blocks of one file, one after the other."""

    def __init__(self, wanted: WantedPart, names: tuple[str, ...]) -> None:
        self.wanted = wanted
        self.names = names
        self.seen = 0
        self.kinds = {attribute.name: attribute.type for attribute in wanted.attributes}
        # Arrow reads clean numbers and strings that repeat fastest as such; what is neither shows in the first blocks.
        self.types: dict[str, pa.DataType] = {
            name: pa.float64() if kind is AttributeType.NUMERIC else _CODED for name, kind in self.kinds.items()
        } or {names[0]: pa.string()}

    def read(self, lines: Lines) -> Decoded:
        """Decode the next lines."""
        size = len(lines)
        rejected = faulty_lines(lines, len(self.names))
        data = without_lines(lines, rejected) if rejected else lines.data
        if may_be_unreadable(data):
            self._refuse(lines.data, rejected)
        batch, widths = self._parsed(data)
        if batch is None or batch.num_rows + len(widths) != size - len(rejected):
            self._refuse(lines.data, rejected)
        rejected |= _wrong_widths(widths, size, rejected, len(self.names))
        rejects: tuple[RejectedLine, ...] = ()
        if rejected:
            batch = batch.take(_places(size, rejected))
            places = sorted(rejected)
            shown = zip(places, shown_lines(lines, places), strict=True)
            rejects = tuple(RejectedLine(self.seen + place, rejected[place], line) for place, line in shown)
        columns, invalid = self._cells(batch)
        self.seen += size
        return Decoded(size, columns, invalid, rejects)

    def _refuse(self, data: bytes, left_out: Collection[int]) -> NoReturn:
        place, fault = first_unreadable(data, left_out) or (0, "")
        record = f"{self.wanted.where}: record {self.seen + place:,} (counted from 0)"
        if fault == "\r":
            raise DatasourceError(
                f"{record} has a CR within a value, or ends by CR alone; end lines by LF or CR LF, and replace a CR in "
                "the SQL, for instance by REPLACE(column, CHR(13), ' ')"
            )
        if fault == '"':
            raise DatasourceError(
                f"{record} has a line end within a value, or a quote that is never closed; replace line ends in the "
                "SQL, for instance by REPLACE(column, CHR(10), ' ')"
            )
        raise DatasourceError(f"{record} or one after it is no CSV; write the file again")

    def _parsed(self, data: bytes) -> tuple[pa.RecordBatch | None, dict[int, int]]:
        """The rows of the right width, or None where there is no telling rows, and the widths of the others."""
        try:
            batch, widths = self._parsed_as(data, self.types)
        except pa.ArrowInvalid:
            # A number that Arrow does not take, most likely: nothing else is left to fail but a quote.
            texts = {name: pa.string() if kind == pa.float64() else kind for name, kind in self.types.items()}
            try:
                batch, widths = self._parsed_as(data, texts)
            except pa.ArrowInvalid:
                return None, {}
            for name, kind in self.types.items():
                if kind == pa.float64() and not _all_numbers(batch.column(name)):
                    self.types[name] = pa.string()
        for name, kind in self.types.items():
            strings: Array = batch.column(name)
            if kind == _CODED and len(batch) >= _LEAST_TO_JUDGE and 2 * len(strings.dictionary) > len(batch):
                self.types[name] = pa.string()
        return batch, widths

    def _parsed_as(self, data: bytes, types: dict[str, pa.DataType]) -> tuple[pa.RecordBatch, dict[int, int]]:
        widths: dict[int, int] = {}

        def skipped(row: pv.InvalidRow) -> Literal["skip"]:
            # Arrow counts rows from 1, and does not only when it reads with several threads.
            widths[(row.number or 0) - 1] = row.actual_columns
            return "skip"

        if not data:
            return _no_rows(types), widths
        # The stubs know no Arrow stream.
        stream: Any = pa.BufferReader(data)
        table = pv.read_csv(
            stream,
            read_options=pv.ReadOptions(use_threads=False, block_size=len(data) + 1, column_names=list(self.names)),
            parse_options=pv.ParseOptions(ignore_empty_lines=False, invalid_row_handler=skipped),
            convert_options=pv.ConvertOptions(
                check_utf8=False,
                column_types=types,
                include_columns=list(types),
                null_values=[self.wanted.null_as],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )
        return (table.combine_chunks().to_batches() or [_no_rows(types)])[0], widths

    def _cells(self, batch: pa.RecordBatch) -> tuple[dict[str, Array], dict[str, Bools]]:
        columns: dict[str, Array] = {}
        invalid: dict[str, Bools] = {}
        for name, kind in self.kinds.items():
            array, mask = batch.column(name), None
            if kind is AttributeType.NUMERIC:
                array, mask = finite_cells(array) if array.type == pa.float64() else numeric_cells(array)
            elif kind is AttributeType.BINARY:
                array, mask = binary_cells(array if array.type == _CODED else array.dictionary_encode())
            columns[name] = array
            if mask is not None:
                invalid[name] = mask
        return columns, invalid


def _no_rows(types: dict[str, pa.DataType]) -> pa.RecordBatch:
    nulls: Any = pa.nulls
    return pa.RecordBatch.from_arrays([nulls(0, kind) for kind in types.values()], list(types))


def _all_numbers(strings: Array) -> bool:
    try:
        strings.cast(pa.float64())
    except pa.ArrowInvalid:
        return False
    return True


def _wrong_widths(widths: dict[int, int], size: int, left_out: Collection[int], right: int) -> dict[int, str]:
    """Rejected lines, from the rows of the wrong width among the lines that were parsed."""
    if not widths:
        return {}
    lines = np.delete(np.arange(size), list(left_out))
    return {int(lines[row]): f"the number of cells is {width:,}, not {right:,}" for row, width in widths.items()}


def _places(size: int, rejected: Collection[int]) -> Array:
    """Which row stands on each line; null for a rejected line."""
    parsed = np.ones(size, dtype=np.bool_)
    parsed[list(rejected)] = False
    rows: Any = np.maximum(np.cumsum(parsed) - 1, 0)
    validity: Any = np.packbits(parsed, bitorder="little")
    return pa.Array.from_buffers(pa.int64(), size, [pa.py_buffer(validity), pa.py_buffer(rows)])
