"""Parts of a datasource, read as batches of numbered records.

A record is known by its number over all parts in manifest order, beginning with 0. A part function gets one
`NumberedPart`, so that the number of its first record is known without a look at the other parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
import pyarrow as pa

from nightcast.datasource.arrow_arrays import Array, Bools
from nightcast.datasource.csv_part import read_csv
from nightcast.datasource.decoded import Decoded, Reader, WantedPart
from nightcast.datasource.parquet_part import read_parquet
from nightcast.datasource.schema import Attribute, AttributeType, Schema
from nightcast.errors import DatasourceError, MissingObjectError

S = TypeVar("S")
T = TypeVar("T")


class ByteSource(Protocol):
    """Where the bytes of parts come from. Picklable, for it travels to other processes."""

    def local_copy(self, uri: str) -> AbstractContextManager[Path]:
        """A file with the bytes of `uri` for as long as the context lasts: ``s3://``, ``file://`` or a path."""
        ...


class Mapper(Protocol):
    """Applies a part function to items, perhaps in other processes; results come in the order of the items."""

    def __call__(self, function: Callable[[S], T], items: Iterable[S], /) -> Iterator[T]: ...


@dataclass(frozen=True)
class Part:
    """One file of a datasource.

    Parameters
    ----------
    uri
        ``s3://``, ``file://`` or a path.
    records
        Number of records, rejected ones among them, the header line not; -1 until `counted_parts` has counted them.
    bytes
        Size of the file.
    format
        ``"PARQUET"`` or ``"CSV"``; that a CSV file is gzipped is seen from its first bytes.
    header
        CSV only: whether the first line holds the names.
    null_as
        CSV only: what an unquoted cell holds that is NULL; quoted, it is that text.
    """

    uri: str
    records: int
    bytes: int
    format: str
    header: bool = False
    null_as: str = ""

    @property
    def may_reject(self) -> bool:
        """Whether a single record of it can be malformed: lines of text can, rows of Parquet stand or fall together."""
        return self.format != "PARQUET"


@dataclass(frozen=True)
class NumberedPart:
    """A part with what its part function needs to know of the rest of the datasource.

    Parameters
    ----------
    first_record
        Number of the part's first record over all parts, from 0.
    total
        Number of records of the whole datasource.
    row
        Which entry of the manifest the part is, from 1.
    manifest
        Whether there is one.
    """

    part: Part
    first_record: int
    schema: Schema
    total: int
    row: int = 1
    manifest: bool = True

    @property
    def where(self) -> str:
        """How error messages call the part."""
        return f"part {self.part.uri}" + (f" (entry {self.row} of the manifest)" if self.manifest else "")


@dataclass(frozen=True)
class Datasource:
    """Records of one schema in part files, in manifest order.

    Parameters
    ----------
    manifest
        Whether a manifest names the parts; for messages.
    """

    schema: Schema
    parts: tuple[Part, ...]
    manifest: bool = True

    @property
    def records(self) -> int:
        """Number of records of all parts."""
        return sum(part.records for part in self.parts)

    def numbered(self) -> list[NumberedPart]:
        """The parts, each with the number of its first record."""
        found, first, total = [], 0, self.records
        for row, part in enumerate(self.parts, start=1):
            found.append(NumberedPart(part, first, self.schema, total, row, self.manifest))
            first += part.records
        return found


@dataclass(frozen=True)
class Reject:
    """A record that could not be read.

    Parameters
    ----------
    record
        Its number over all parts, from 0.
    uri
        The part that it stands in.
    reason
        What is wrong with it.
    line
        Its first 1,000 characters; bytes that are no UTF-8 are replaced by U+FFFD.
    """

    record: int
    uri: str
    reason: str
    line: str


@dataclass(frozen=True)
class Batch:
    """Up to 131,072 records that follow each other in one part.

    Parameters
    ----------
    first_record
        Number of the first record over all parts in manifest order, from 0.
    columns
        Attribute name -> Arrow array of ``len(batch)`` cells. NUMERIC: float64, BINARY: bool, both null where the cell
        is missing or invalid. CATEGORICAL and TEXT: string or dictionary<int32, string>, null where missing; an
        empty string stays one. The row id is always delivered as text, whatever its type, since it is a name and no
        quantity: a whole number above 2**53 would not survive as float64.
    invalid
        Attribute name -> bool mask of shape (len(batch),), only for attributes with an invalid cell in this batch.
    size
        Number of records, for a batch without columns; by default that of the columns.
    rejects
        Records of this batch that could not be read, in record order. They keep their place, so that every other record
        keeps its number; their cells are null, and whoever learns from records leaves them out.
    """

    first_record: int
    columns: dict[str, Array]
    invalid: dict[str, Bools] = field(default_factory=dict)
    size: int = -1
    rejects: tuple[Reject, ...] = ()

    def __len__(self) -> int:
        if self.size >= 0:
            return self.size
        return len(next(iter(self.columns.values()))) if self.columns else 0

    @property
    def rejected(self) -> Bools | None:
        """Which records could not be read: bool of shape (len(batch),), or None when all could."""
        if not self.rejects:
            return None
        mask = np.zeros(len(self), dtype=np.bool_)
        mask[[reject.record - self.first_record for reject in self.rejects]] = True
        return mask


_READERS: dict[str, Reader] = {"PARQUET": read_parquet, "CSV": read_csv}


def read_batches(numbered: NumberedPart, source: ByteSource, columns: Sequence[str] | None = None) -> Iterator[Batch]:
    """Stream the records of one part.

    Parameters
    ----------
    numbered
        The part, from `Datasource.numbered`.
    source
        Gives the file.
    columns
        Names of the attributes to read, each once; all of the schema by default. None at all gives batches that
        only count; that a Parquet file has all attributes, and of types that can be read, is checked nevertheless.

    Yields
    ------
    Batch
        In record order. Records that can not be read keep their place: see `Batch.rejects`. There is no limit to them.

    Raises
    ------
    DatasourceError
        When the part is missing or damaged, holds another number of records than its manifest entry says, lacks a
        column, has a column whose type does not fit the attribute, or a line end within a value. The message names
        part, record and attribute.
    SchemaError
        When `columns` names an attribute that the schema lacks.
    """
    part = numbered.part
    reader = _READERS.get(part.format)
    if reader is None:
        known = " and ".join(_READERS)
        raise DatasourceError(f"{numbered.where} has the format {part.format!r}; {known} can be read")
    wanted = _wanted(numbered, columns)
    seen = 0
    with ExitStack() as stack:
        path = stack.enter_context(local_part(part.uri, numbered.where, source))
        for decoded in _guarded(reader(path, wanted), numbered):
            _check_count(numbered, seen + decoded.size, complete=False)
            rejects = tuple(
                Reject(numbered.first_record + line.place, part.uri, line.reason, line.line) for line in decoded.rejects
            )
            batch = Batch(numbered.first_record + seen, decoded.columns, decoded.invalid, decoded.size, rejects)
            seen += decoded.size
            del decoded
            yield batch
            del batch
        _check_count(numbered, seen, complete=True)


def _wanted(numbered: NumberedPart, columns: Sequence[str] | None) -> WantedPart:
    schema, part = numbered.schema, numbered.part
    read = _delivered(schema, schema.names if columns is None else columns)
    checked = () if read else _delivered(schema, schema.names)
    return WantedPart(numbered.where, read, schema.names, part.records, part.header, part.null_as, checked)


def _delivered(schema: Schema, names: Sequence[str]) -> tuple[Attribute, ...]:
    """Attributes as batches have them: the row id is text."""
    kinds = {name: AttributeType.CATEGORICAL if name == schema.row_id else schema.type_of(name) for name in names}
    return tuple(Attribute(name, kind) for name, kind in kinds.items())


@contextmanager
def local_part(uri: str, where: str, source: ByteSource) -> Iterator[Path]:
    """A file with the bytes of a part for as long as the context lasts.

    Parameters
    ----------
    where
        How error messages call the part.

    Raises
    ------
    DatasourceError
        When the source does not have it.
    """
    advice = "unload again, or restore the file"
    with ExitStack() as stack:
        try:
            path = stack.enter_context(source.local_copy(uri))
        except (OSError, MissingObjectError) as fault:
            raise DatasourceError(f"{where} can not be read: {fault}; {advice}") from fault
        if not path.is_file():
            raise DatasourceError(f"{where} is missing; {advice}")
        yield path


def _guarded(batches: Iterator[Decoded], numbered: NumberedPart) -> Iterator[Decoded]:
    try:
        yield from batches
    except (OSError, EOFError, pa.ArrowException) as fault:
        # ArrowInvalid for damaged files, OSError for truncated gzip and for the disk.
        raise DatasourceError(
            f"{numbered.where} is damaged or no {numbered.part.format} file: {fault}; unload it again"
        ) from fault


def _check_count(numbered: NumberedPart, seen: int, *, complete: bool) -> None:
    expected = numbered.part.records
    if seen > expected or (complete and seen < expected):
        found = f"{seen:,}" if complete else f"at least {seen:,}"
        raise DatasourceError(
            f"{numbered.where} holds {found} records and its manifest says {expected:,}; "
            "the file was changed after the manifest was written: unload again"
        )
