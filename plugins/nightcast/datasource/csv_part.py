"""CSV parts, plain or gzipped."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pv

from nightcast.datasource.arrow_arrays import Array, Bools, string_spans
from nightcast.datasource.cells import binary_cells, numeric_cells
from nightcast.datasource.decoded import BATCH_RECORDS, Decoded, WantedPart
from nightcast.datasource.schema import Attribute, AttributeType
from nightcast.errors import DatasourceError

_BLOCK_BYTES = 8 << 20
_HEAD_BYTES = 1 << 16
_WRONG_WIDTH = re.compile(r"Row #(\d+): Expected (\d+) columns, got (\d+): (.*)", re.DOTALL)
_GZIP = b"\x1f\x8b"
_CODED = pa.dictionary(pa.int32(), pa.string())


def read_csv(path: Path, wanted: WantedPart) -> Iterator[Decoded]:
    """Stream a CSV file; see `nightcast.datasource.decoded.Reader`.

    Cells are separated by commas and quoted as in RFC 4180; a line end within a value is refused. An unquoted cell that
    equals `null_as` is missing, a quoted one is that text.
    """
    head = _head(path)
    _check_line_ends(head, wanted)
    if not head:
        return
    try:
        with _bytes_of(path) as stream, _opened(stream, wanted) as reader:
            _check_header(reader.schema.names, wanted)
            record = 0
            for batch in reader:
                for start in range(0, batch.num_rows, BATCH_RECORDS):
                    piece = batch.slice(start, BATCH_RECORDS)
                    yield _decoded(piece, wanted, record)
                    record += piece.num_rows
    except pa.ArrowInvalid as fault:
        raise _explained(str(fault), wanted) from fault


def _explained(fault: str, wanted: WantedPart) -> DatasourceError:
    """Arrow's message with the record in our count and what to do."""
    width = _WRONG_WIDTH.search(fault)
    if width:
        # Arrow counts lines from 1, the header among them.
        record = int(width[1]) - (2 if wanted.header else 1)
        return DatasourceError(
            f"{wanted.where}: record {record:,} (counted from 0) has {width[3]} cells and the file {width[2]} columns: "
            f"{width[4][:200]!r}; quote values with commas, and replace any line end within a value"
        )
    if "invalid UTF8" in fault:
        return DatasourceError(f"{wanted.where} holds bytes that are no UTF-8 ({fault}); write the file as UTF-8")
    if "out of sync with chunker" in fault:
        return DatasourceError(
            f"{wanted.where} has a line end within a value, or a quote that is never closed; "
            "replace line ends in the SQL, for instance by REPLACE(column, CHR(10), ' ')"
        )
    return DatasourceError(f"{wanted.where} is damaged or no CSV file: {fault}; write it again")


def _bytes_of(path: Path) -> Any:
    with path.open("rb") as file:
        gzipped = file.read(2) == _GZIP
    # The stubs know neither None nor a stream as the file of open_csv.
    compression: Any = "gzip" if gzipped else None
    return pa.input_stream(str(path), compression=compression)


def _head(path: Path) -> bytes:
    with _bytes_of(path) as stream:
        return bytes(stream.read(_HEAD_BYTES))


def _check_line_ends(head: bytes, wanted: WantedPart) -> None:
    if b"\r" in head and b"\n" not in head:
        raise DatasourceError(
            f"{wanted.where} ends its lines by CR alone, which can not be read; write the file with LF or CR LF"
        )


def _opened(stream: Any, wanted: WantedPart) -> pv.CSVStreamingReader:
    names = [attribute.name for attribute in wanted.attributes] or [wanted.names[0]]
    kinds = {attribute.name: attribute.type for attribute in wanted.attributes}
    return pv.open_csv(
        stream,
        read_options=pv.ReadOptions(
            use_threads=False, block_size=_BLOCK_BYTES, column_names=None if wanted.header else list(wanted.names)
        ),
        # An empty line is a record of one empty cell where the schema has one attribute.
        parse_options=pv.ParseOptions(ignore_empty_lines=False),
        convert_options=pv.ConvertOptions(
            column_types={
                name: pa.string() if kinds.get(name) is AttributeType.NUMERIC else _CODED for name in wanted.names
            },
            include_columns=None if wanted.header else names,
            null_values=[wanted.null_as],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )


def _check_header(found: list[str], wanted: WantedPart) -> None:
    if not wanted.header:
        return
    for attribute in wanted.attributes:
        if found.count(attribute.name) != 1:
            raise DatasourceError(
                f"{wanted.where} names the column {attribute.name!r} {found.count(attribute.name)} times in its header "
                f"({', '.join(found[:20])}); once is right: mend the header or the schema"
            )


def _decoded(batch: pa.RecordBatch, wanted: WantedPart, record: int) -> Decoded:
    columns: dict[str, Array] = {}
    invalid: dict[str, Bools] = {}
    for attribute in wanted.attributes:
        array = batch.column(attribute.name)
        _refuse_line_ends(array, attribute, wanted, record)
        mask = None
        if attribute.type is AttributeType.NUMERIC:
            array, mask = numeric_cells(array)
        elif attribute.type is AttributeType.BINARY:
            array, mask = binary_cells(array)
        columns[attribute.name] = array
        if mask is not None:
            invalid[attribute.name] = mask
    return Decoded(batch.num_rows, columns, invalid)


def _refuse_line_ends(array: Array, attribute: Attribute, wanted: WantedPart, record: int) -> None:
    strings = array.dictionary if pa.types.is_dictionary(array.type) else array
    data, offsets = string_spans(strings)
    used = data[offsets[0] : offsets[-1]]
    if not ((used == 10) | (used == 13)).any():
        return
    place = _first_with_line_end(array)
    raise DatasourceError(
        f"{wanted.where}: record {record + place:,} (counted from 0) has a line end within attribute "
        f"{attribute.name!r}; "
        "replace it in the SQL, for instance by REPLACE(column, CHR(10), ' ')"
    )


def _first_with_line_end(array: Array) -> int:
    values = array.cast(pa.string()) if pa.types.is_dictionary(array.type) else array
    for place, value in enumerate(values.to_pylist()):
        if value is not None and ("\n" in value or "\r" in value):
            return place
    return 0
