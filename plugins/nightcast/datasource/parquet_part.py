"""Parquet parts: typed columns, decoded by Arrow."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from nightcast.datasource.arrow_arrays import Array, Bools
from nightcast.datasource.cells import fits, typed_cells
from nightcast.datasource.decoded import BATCH_RECORDS, Decoded, WantedPart
from nightcast.datasource.schema import AttributeType
from nightcast.errors import DatasourceError

_BATCH_BYTES = 64 << 20
_BUFFER_BYTES = 64 << 10
_TEXTS = (AttributeType.CATEGORICAL, AttributeType.TEXT, AttributeType.BINARY)


def read_parquet(path: Path, wanted: WantedPart) -> Iterator[Decoded]:
    """Stream a Parquet file; see `nightcast.datasource.decoded.Reader`."""
    found = pq.read_schema(path)
    _check_columns(found, wanted)
    metadata = pq.read_metadata(path)
    coded = _coded_columns(metadata, found, wanted)
    # Arrow holds all bytes of a row group unless it reads through buffers, and it does not while it reads ahead.
    with pq.ParquetFile(
        path, read_dictionary=coded, metadata=metadata, buffer_size=_BUFFER_BYTES, pre_buffer=False
    ) as file:
        if file.metadata.num_rows != wanted.records:
            # Said before the first record, so that nothing is computed from wrongly numbered ones.
            raise DatasourceError(
                f"{wanted.where} holds {file.metadata.num_rows:,} records and its manifest says {wanted.records:,}; "
                "the file was changed after the manifest was written: unload again"
            )
        names, seen = [attribute.name for attribute in wanted.attributes], 0
        for batch in file.iter_batches(batch_size=_batch_records(file), columns=names, use_threads=False):
            decoded = _decoded(batch, wanted, seen)
            seen += batch.num_rows
            del batch
            yield decoded
            # Not kept while the next one is decoded; nor do `read_batches` and training, which needs most memory.
            del decoded


def _batch_records(file: pq.ParquetFile) -> int:
    """Fewer records a batch where they are long, so that a batch of long texts fits in memory too."""
    metadata = file.metadata
    size = sum(metadata.row_group(group).total_byte_size for group in range(metadata.num_row_groups))
    return max(1, min(BATCH_RECORDS, _BATCH_BYTES * metadata.num_rows // max(size, 1)))


def _coded_columns(metadata: pq.FileMetaData, found: pa.Schema, wanted: WantedPart) -> list[str]:
    """Strings that are read as dictionary codes, so that each distinct one of a batch is looked at once.

    Not those that hardly repeat, such as ids: to build their dictionaries takes ten times as long as to read them. Less
    than four bytes a value is what only a dictionary can reach: the length of a plain string alone has four.
    """
    sizes = dict.fromkeys((attribute.name for attribute in wanted.attributes if attribute.type in _TEXTS), 0)
    for group in range(metadata.num_row_groups):
        row_group = metadata.row_group(group)
        for place in range(row_group.num_columns):
            chunk = row_group.column(place)
            if chunk.path_in_schema in sizes:
                sizes[chunk.path_in_schema] += chunk.total_uncompressed_size
    return [name for name, size in sizes.items() if _is_string(found.field(name).type) and size < 4 * metadata.num_rows]


def _is_string(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _check_columns(found: pa.Schema, wanted: WantedPart) -> None:
    for attribute in (*wanted.attributes, *wanted.checked):
        places = found.get_all_field_indices(attribute.name)
        if not places:
            alike = [name for name in found.names if name.lower() == attribute.name.lower()]
            raise DatasourceError(
                f"{wanted.where} has no column {attribute.name!r}; it has {', '.join((alike or found.names)[:20])}: "
                "name the attribute as the file does, or select the column in the SQL"
            )
        if len(places) > 1:
            raise DatasourceError(f"{wanted.where} has {len(places)} columns {attribute.name!r}; rename one in the SQL")
        kind = found.field(places[0]).type
        if not fits(kind, attribute.type):
            raise DatasourceError(
                f"{wanted.where}: column {attribute.name!r} holds {kind}, which can not be read as {attribute.type}; "
                "give the attribute another type in the schema, or cast the column in the SQL"
            )


def _decoded(batch: pa.RecordBatch, wanted: WantedPart, seen: int) -> Decoded:
    columns: dict[str, Array] = {}
    invalid: dict[str, Bools] = {}
    for attribute in wanted.attributes:
        array = batch.column(attribute.name)
        if attribute.type in _TEXTS:
            # Parquet does not promise UTF-8, and Arrow does not look.
            try:
                array.validate(full=True)
            except pa.ArrowInvalid as fault:
                record = seen + _first_no_utf8(array)
                raise DatasourceError(
                    f"{wanted.where}: record {record:,} (counted from 0) has a value of column {attribute.name!r} that "
                    "is no UTF-8; mend the value, or write the column as UTF-8"
                ) from fault
        columns[attribute.name], mask = typed_cells(array, attribute.type)
        if mask is not None:
            invalid[attribute.name] = mask
    return Decoded(batch.num_rows, columns, invalid)


def _first_no_utf8(strings: Array) -> int:
    """Place of the first value that is no UTF-8, in an array of which Arrow says that it holds one."""
    if pa.types.is_dictionary(strings.type):
        strings = strings.dictionary_decode()
    for place, value in enumerate(strings.cast(pa.large_binary()).to_pylist()):
        try:
            (value or b"").decode()
        except UnicodeDecodeError:
            return place
    raise DatasourceError("Arrow refuses strings that are UTF-8; the file is damaged: write it again")
