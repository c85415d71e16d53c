"""The first records of some parts, as strings, for a look before there is a schema."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nightcast.datasource.arrow_arrays import Array, int_array
from nightcast.datasource.cells import as_text, fits
from nightcast.datasource.csv_bytes import chunks
from nightcast.datasource.csv_lines import cells_of
from nightcast.datasource.csv_part import read_csv
from nightcast.datasource.decoded import WantedPart
from nightcast.datasource.parts import ByteSource, Part, local_part
from nightcast.datasource.schema import Attribute, AttributeType
from nightcast.errors import DatasourceError, SchemaWarning

SAMPLE_PARTS = 8
SAMPLE_RECORDS = 50_000
FIRST_ROWS = 200
_FIRST_BYTES = 1 << 20


@dataclass(frozen=True)
class SampledColumn:
    """One column of a sample.

    Parameters
    ----------
    type
        Of a Parquet column; None in CSV.
    strings
        Its cells as text, null where NULL: string array of shape (records of the sample,).
    """

    name: str
    type: pa.DataType | None
    strings: Array

    @property
    def holds_strings(self) -> bool:
        """Whether Parquet itself says that the values are strings, which can not be read as numbers."""
        return self.type is not None and not fits(self.type, AttributeType.NUMERIC)


@dataclass(frozen=True)
class FirstRows:
    """How a CSV file begins.

    Parameters
    ----------
    rows
        Cells of up to 200 lines, without empty and unreadable ones.
    sentinel
        Whether a cell is ``\\N`` without quotes, which stands for NULL in Redshift's files.
    line
        The first line as it is, without its end.
    """

    rows: tuple[tuple[str, ...], ...]
    sentinel: bool
    line: bytes = b""


def first_rows(part: Part, source: ByteSource) -> FirstRows:
    """The first lines of a CSV part, its header among them.

    Raises
    ------
    DatasourceError
        When the part is missing or damaged, UTF-16, or its lines end by CR alone.
    """
    where = f"part {part.uri}"
    with local_part(part.uri, where, source) as path:
        head = next(chunks(path, where), b"")
    lines = [line.removesuffix(b"\r") for line in head[:_FIRST_BYTES].split(b"\n")]
    if len(lines) > 1:
        # The last is empty, or cut off; one alone may be the whole file.
        lines.pop()
    if b"\r" in lines[0]:
        raise DatasourceError(
            f"{where} ends its lines by CR alone, or has a CR within the first line, which can not be read; "
            "write the file with LF or CR LF"
        )
    texts = [line.decode(errors="replace") for line in lines[:FIRST_ROWS] if line]
    rows = tuple(tuple(cells) for cells in map(cells_of, texts) if cells is not None)
    return FirstRows(rows, any(r"\N" in text.split(",") for text in texts), lines[0])


def sample_columns(parts: Sequence[Part], source: ByteSource, names: Sequence[str]) -> list[SampledColumn]:
    """A sample of the records by column; see `infer_attributes`."""
    count = min(SAMPLE_PARTS, len(parts))
    chosen = [parts[place * len(parts) // count] for place in range(count)]
    columns: dict[str, list[SampledColumn]] = {}
    for part in chosen:
        where = f"part {part.uri}"
        with local_part(part.uri, where, source) as path:
            read = _parquet_columns if part.format == "PARQUET" else _csv_columns
            for column in read(path, part, where, names, SAMPLE_RECORDS // count):
                columns.setdefault(column.name, []).append(column)
    return [
        SampledColumn(name, found[0].type, _joined([one.strings for one in found])) for name, found in columns.items()
    ]


def _csv_columns(path: Path, part: Part, where: str, names: Sequence[str], most: int) -> list[SampledColumn]:
    attributes = tuple(Attribute(name, AttributeType.CATEGORICAL) for name in names)
    wanted = WantedPart(where, attributes, tuple(names), -1, part.header, part.null_as)
    first = next(read_csv(path, wanted), None)
    if first is None:
        return [SampledColumn(name, None, pa.nulls(0, pa.string())) for name in names]
    kept = np.ones(first.size, dtype=np.bool_)
    # The cells of rejected records are null, and no missing values.
    kept[[line.place for line in first.rejects]] = False
    places = int_array(np.flatnonzero(kept)[:most])
    return [SampledColumn(name, None, first.columns[name].take(places).cast(pa.string())) for name in names]


def _parquet_columns(path: Path, part: Part, where: str, names: Sequence[str], most: int) -> list[SampledColumn]:
    try:
        with pq.ParquetFile(path) as file:
            kinds = _readable(file.schema_arrow, where)
            strings: dict[str, list[Array]] = {name: [] for name in kinds}
            seen = 0
            for batch in file.iter_batches(batch_size=most, columns=list(kinds), use_threads=False):
                for name, kind in kinds.items():
                    strings[name].append(_as_strings(batch.column(name).slice(0, most - seen), kind))
                seen += batch.num_rows
                if seen >= most:
                    break
    except (OSError, pa.ArrowException) as fault:
        raise DatasourceError(f"{where} is damaged or no PARQUET file: {fault}; write it again") from fault
    return [SampledColumn(name, kind, _joined(strings[name])) for name, kind in kinds.items()]


def _readable(found: pa.Schema, where: str) -> dict[str, pa.DataType]:
    """The columns that an attribute can hold; a warning for each of the others."""
    kinds: dict[str, pa.DataType] = {}
    for name, kind in zip(found.names, found.types, strict=True):
        if any(fits(kind, attribute) for attribute in AttributeType):
            if name in kinds:
                raise DatasourceError(f"{where} has {found.names.count(name)} columns {name!r}; rename one in the SQL")
            kinds[name] = kind
        else:
            warnings.warn(f"{where}: column {name!r} holds {kind}, and is left out", SchemaWarning, stacklevel=2)
    if not kinds:
        raise DatasourceError(f"{where} has no column of numbers, strings, booleans or dates; write such columns")
    return kinds


def _as_strings(array: Array, kind: pa.DataType) -> Array:
    if pa.types.is_dictionary(kind):
        array, kind = array.dictionary_decode(), kind.value_type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        array.validate(full=True)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_floating(kind):
        return array.cast(pa.string())
    return as_text(array).cast(pa.string())


def _joined(strings: Sequence[Array]) -> Array:
    return pa.concat_arrays(strings) if strings else pa.nulls(0, pa.string())
