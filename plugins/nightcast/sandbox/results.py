"""Result sets on disk: written while the query runs, read page by page."""

from __future__ import annotations

import base64
import binascii
import datetime
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa

from nightcast.sandbox.errors import RedshiftError
from nightcast.sandbox.redshift_types import RedshiftType

MAXIMUM_BYTES = 500 * 1024 * 1024


@dataclass(frozen=True)
class ResultSet:
    """One finished query's records in an Arrow file, with the columns as Redshift names them."""

    path: Path
    columns: tuple[tuple[str, RedshiftType], ...]
    rows: int
    bytes: int

    def page(self, first: int, limit: int) -> list[tuple[Any, ...]]:
        """Records [first, first + limit) as Python values."""
        found: list[tuple[Any, ...]] = []
        for batch in self._batches(first, limit):
            found += zip(*(column.to_pylist() for column in batch.columns), strict=True)
        return found

    def _batches(self, first: int, limit: int) -> Iterator[pa.RecordBatch]:
        with pa.OSFile(str(self.path), "rb") as file, pa.ipc.open_stream(file) as reader:
            start = 0
            for batch in reader:
                low, high = max(first - start, 0), min(first + limit - start, batch.num_rows)
                if low < high:
                    yield batch.slice(low, high - low)
                start += batch.num_rows
                if start >= first + limit:
                    return


def write_result(
    batches: Iterable[pa.RecordBatch],
    schema: pa.Schema,
    columns: Iterable[tuple[str, RedshiftType]],
    directory: Path,
    check: Callable[[], None],
) -> ResultSet:
    """Store a result set while it is produced.

    Parameters
    ----------
    batches
        The records, of ``schema``.
    directory
        Where the file goes; exists.
    check
        Called for each batch; raises to stop.

    Raises
    ------
    RedshiftError
        When the result is larger than the 500 MB that the Data API keeps.
    """
    path = directory / f"{uuid.uuid4().hex}.arrows"
    rows = size = 0
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, schema) as writer:
        for batch in batches:
            check()
            writer.write_batch(batch)
            rows, size = rows + batch.num_rows, size + batch.nbytes
            if size > MAXIMUM_BYTES:
                raise RedshiftError("The result is larger than the Data API's limit of 500 MB; UNLOAD it to S3 instead")
    return ResultSet(path, tuple(columns), rows, size)


def field(value: Any) -> dict[str, Any]:
    """One value as the Data API shows it: exactly one of its typed members."""
    if value is None:
        return {"isNull": True}
    if isinstance(value, bool):
        return {"booleanValue": value}
    if isinstance(value, int):
        return {"longValue": value}
    if isinstance(value, float):
        return {"doubleValue": value}
    return {"stringValue": as_text(value)}


def as_text(value: Any) -> str:
    """A value as Redshift prints it."""
    if isinstance(value, bool):
        return "t" if value else "f"
    if isinstance(value, datetime.datetime):
        text = value.replace(tzinfo=None).isoformat(" ", "microseconds")
        text = text.rstrip("0").rstrip(".") if not text.endswith(".000000") else text[:-7]
        return text + "+00" if value.tzinfo is not None else text
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def column_metadata(name: str, kind: RedshiftType, nullable: bool = True) -> dict[str, Any]:
    """One column as GetStatementResult and DescribeTable show it."""
    numeric = kind.base == "numeric"
    return {
        "isCaseSensitive": kind.is_text,
        "isCurrency": False,
        "isSigned": kind.base in ("smallint", "integer", "bigint", "numeric", "real", "double precision"),
        "label": name,
        "name": name,
        "nullable": int(nullable),
        "precision": kind.precision if numeric else (kind.length or 0),
        "scale": kind.scale if numeric else 0,
        "schemaName": "",
        "tableName": "",
        "typeName": kind.data_api_name,
        "length": kind.length or 0,
    }


def page_token(first: int) -> str:
    """An opaque NextToken for the page that begins at ``first``."""
    return base64.urlsafe_b64encode(f"next:{first}".encode()).decode()


def read_page_token(token: str) -> int:
    """Where the page of a NextToken begins.

    Raises
    ------
    ValueError
        When the token was not made by `page_token`.
    """
    try:
        word, _, number = base64.urlsafe_b64decode(token.encode()).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise ValueError("not a token") from error
    if word != "next" or not number.isdigit():
        raise ValueError("not a token")
    return int(number)
