"""Numbers of records of parts, and whether all parts hold the same types."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import pyarrow as pa
import pyarrow.parquet as pq

from nightcast.datasource.csv_bytes import chunks
from nightcast.datasource.csv_lines import count_lines
from nightcast.datasource.parts import ByteSource, Mapper, Part, local_part
from nightcast.errors import DatasourceError


@dataclass(frozen=True)
class PartFacts:
    """What a look at one part tells without reading its records.

    Parameters
    ----------
    records
        Their number, rejected ones among them, the header line not.
    types
        Parquet only: name and type of each column, in column order.
    """

    records: int
    types: tuple[tuple[str, pa.DataType], ...] = ()


def counted_parts(parts: Sequence[Part], source: ByteSource, mapper: Mapper = map) -> tuple[Part, ...]:
    """The parts with the numbers of their records.

    CSV files are read for it, but not parsed; of Parquet files only the metadata.

    Parameters
    ----------
    parts
        ``records`` is -1, or what a manifest says.

    Raises
    ------
    DatasourceError
        When a part is missing or damaged, or holds another number of records than its manifest says, or a column has
        different types in two Parquet parts: the values would not be the same text, or not of the same attribute type.
        Whole numbers and floating point numbers of any width go together, and so do the two widths of strings; a column
        of nulls goes with all.
    """
    facts = list(mapper(partial(part_facts, source=source), parts))
    _check_types(parts, facts)
    for part, fact in zip(parts, facts, strict=True):
        if part.records not in (-1, fact.records):
            raise DatasourceError(
                f"part {part.uri} holds {fact.records:,} records and its manifest says {part.records:,}; "
                "the file was changed after the manifest was written: unload again"
            )
    return tuple(replace(part, records=fact.records) for part, fact in zip(parts, facts, strict=True))


def count_records(part: Part, source: ByteSource) -> int:
    """Number of records of one part; see `counted_parts`."""
    return part_facts(part, source).records


def part_facts(part: Part, source: ByteSource) -> PartFacts:
    """The part function of `counted_parts`."""
    where = f"part {part.uri}"
    if part.format not in ("CSV", "PARQUET"):
        raise DatasourceError(f"{where} has the format {part.format!r}; PARQUET and CSV can be read")
    with local_part(part.uri, where, source) as path:
        if part.format == "CSV":
            lines, ended = 0, True
            for chunk in chunks(path, where):
                lines += count_lines(chunk)
                ended = chunk.endswith(b"\n")
            # A last line without line end is a record too.
            return PartFacts(max(0, lines + (not ended) - part.header))
        try:
            metadata = pq.read_metadata(path)
            found = metadata.schema.to_arrow_schema()
        except (OSError, pa.ArrowException) as fault:
            raise DatasourceError(f"{where} is damaged or no PARQUET file: {fault}; write it again") from fault
        return PartFacts(metadata.num_rows, tuple(zip(found.names, found.types, strict=True)))


def _check_types(parts: Sequence[Part], facts: Sequence[PartFacts]) -> None:
    first: dict[str, tuple[str, pa.DataType]] = {}
    for part, fact in zip(parts, facts, strict=True):
        for name, kind in fact.types:
            if pa.types.is_null(kind):
                continue
            uri, other = first.setdefault(name, (part.uri, kind))
            if _family(kind) != _family(other):
                raise DatasourceError(
                    f"column {name!r} holds {other} in part {uri} and {kind} in part {part.uri}; write all parts with "
                    "the same types"
                )


def _family(kind: pa.DataType) -> str:
    types = pa.types
    if types.is_dictionary(kind):
        kind = kind.value_type
    if types.is_integer(kind) or types.is_floating(kind):
        return "number"
    if types.is_string(kind) or types.is_large_string(kind):
        return "string"
    if types.is_decimal(kind):
        # 1.5 and 1.50 are different text.
        return f"decimal of scale {kind.scale}"
    if types.is_timestamp(kind):
        return "timestamp" if kind.tz is None else "timestamp with time zone"
    return str(kind)
