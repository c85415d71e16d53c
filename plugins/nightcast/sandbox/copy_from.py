"""COPY: files on S3 into a table."""

# ruff: noqa: S608 - SQL made of SQL is the work of this module; names are quoted, values bound or literals.

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nightcast.sandbox.catalog import TableColumn
from nightcast.sandbox.copy_conversion import Conversion, conversion
from nightcast.sandbox.copy_files import SourceFile, source_files
from nightcast.sandbox.copy_options import CopyOptions
from nightcast.sandbox.copy_text import LineError, read_cells
from nightcast.sandbox.errors import RedshiftError
from nightcast.sandbox.redshift_types import RedshiftType
from nightcast.sandbox.s3_access import S3Access


@dataclass(frozen=True)
class LoadError:
    """One cell or record that COPY could not load, as sys_load_error_detail keeps it."""

    table: str
    file: str
    line: int | None
    column: str
    type: str
    length: str
    raw: str
    code: int
    reason: str


class LoadFailedError(RedshiftError):
    """A COPY that met a bad record; ``detail`` is for the system table."""

    def __init__(self, detail: LoadError) -> None:
        where = f"file {detail.file}, line {detail.line if detail.line is not None else '?'}"
        if detail.column:
            where += f", column {detail.column}, type {detail.type}"
        super().__init__(
            f"Load into table '{detail.table}' failed. Check 'sys_load_error_detail' system table for details."
            f" [{detail.reason}: {where}, value '{detail.raw[:100]}']"
        )
        self.detail = detail


class Copy:
    """One COPY statement's run."""

    def __init__(
        self,
        options: CopyOptions,
        columns: list[TableColumn],
        connection: duckdb.DuckDBPyConnection,
        s3: S3Access,
        check: Callable[[], None],
    ) -> None:
        self._options = options
        self._columns = _chosen(options, columns)
        self._connection = connection
        self._s3 = s3
        self._check = check

    def run(self) -> int:
        """Load all files; the number of records loaded.

        Raises
        ------
        LoadFailedError
            For the first bad record, with file, line and column.
        RedshiftError
            When files are missing, or do not fit the table.
        """
        rows = 0
        with tempfile.TemporaryDirectory(prefix="nightcast-copy-") as directory:
            for source in source_files(self._options, self._s3):
                self._check()
                path = Path(directory) / "file"
                with path.open("wb") as file:
                    self._s3.download(source.bucket, source.key, file)
                load = self._load_parquet if self._options.format == "PARQUET" else self._load_text
                rows += load(source, path)
        return rows

    def _insert(self, batch: pa.RecordBatch, values: list[str]) -> None:
        table = f'"{self._options.table}"'
        if self._options.schema:
            table = f'"{self._options.schema}".{table}'
        names = ", ".join(f'"{column.name}"' for column in self._columns)
        self._connection.register("nightcast_copy", batch)
        try:
            self._connection.execute(f"INSERT INTO {table} ({names}) SELECT {', '.join(values)} FROM nightcast_copy")
        finally:
            # In a transaction that failed, DuckDB refuses this too, and would hide why it failed.
            with contextlib.suppress(duckdb.Error):
                self._connection.unregister("nightcast_copy")

    def _load_text(self, source: SourceFile, path: Path) -> int:
        conversions = [conversion(f"c{i}", column.type, self._options) for i, column in enumerate(self._columns)]
        rows = 0
        try:
            for batch in read_cells(path, len(self._columns), self._options):
                self._check()
                self._refuse_bad_cells(batch, conversions, source, rows)
                self._insert(batch, [one.value for one in conversions])
                rows += batch.num_rows
        except LineError as error:
            line = None if error.record is None else error.record
            raise LoadFailedError(self._error(source, line, None, error.text, 1202, str(error))) from error
        return rows

    def _refuse_bad_cells(
        self, batch: pa.RecordBatch, conversions: list[Conversion], source: SourceFile, rows_before: int
    ) -> None:
        """Find the first cell of a batch that is no value of its column; lines count from 1, header included."""
        tests = []
        for column, one in zip(self._columns, conversions, strict=True):
            wrong = one.too_long
            if not column.type.is_text and not self._accepts_anything(column.type):
                wrong = f"({one.text}) IS NOT NULL AND ({one.value}) IS NULL"
            missing = "false" if column.nullable else f"({one.value}) IS NULL"
            tests.append(f"min(CASE WHEN {wrong} OR {missing} THEN row_number END)")
        numbered = batch.append_column("row_number", pa.array(np.arange(batch.num_rows)))
        self._connection.register("nightcast_cells", numbered)
        try:
            found = self._connection.execute(f"SELECT {', '.join(tests)} FROM nightcast_cells").fetchall()[0]
        finally:
            self._connection.unregister("nightcast_cells")
        bad = [(row, number) for number, row in enumerate(found) if row is not None]
        if not bad:
            return
        row, number = min(bad)
        raw = batch.column(number)[row].as_py()
        column = self._columns[number]
        empty = raw in (self._options.null_as, "")
        reason = "Missing data for not-null field" if empty and not column.nullable else conversions[number].reason
        code = 1213 if reason.startswith("Missing") else conversions[number].code
        line = rows_before + row + 1 + self._options.ignore_header
        raise LoadFailedError(self._error(source, line, column, raw, code, reason))

    def _accepts_anything(self, kind: RedshiftType) -> bool:
        return self._options.accept_any_date and kind.base.startswith(("date", "timestamp"))

    def _error(
        self, source: SourceFile, line: int | None, column: TableColumn | None, raw: str, code: int, reason: str
    ) -> LoadError:
        kind = column.type if column is not None else None
        length = str(kind.length or "") if kind else ""
        return LoadError(
            self._options.table,
            source.url,
            line,
            column.name if column else "",
            str(kind or ""),
            length,
            raw,
            code,
            reason,
        )

    def _load_parquet(self, source: SourceFile, path: Path) -> int:
        rows = 0
        for batch in self._parquet_batches(source, path):
            self._check()
            try:
                values = [f"CAST(c{i} AS {column.type.duckdb})" for i, column in enumerate(self._columns)]
                self._insert(batch, values)
            except duckdb.ConversionException as error:
                raise RedshiftError(f"Spectrum Scan Error: {source.url} has a value out of range: {error}") from error
            rows += batch.num_rows
        return rows

    def _parquet_batches(self, source: SourceFile, path: Path) -> Iterator[pa.RecordBatch]:
        try:
            file = pq.ParquetFile(path)
        except (pa.ArrowInvalid, OSError) as error:
            raise RedshiftError(f"Spectrum Scan Error: {source.url} is not a Parquet file ({error})") from error
        with file:
            schema = file.schema_arrow
            if len(schema) != len(self._columns):
                raise RedshiftError(
                    "Spectrum Scan Error: Unmatched number of columns between table and file. Table columns:"
                    f" {len(self._columns)}, Data columns: {len(schema)}, File name: {source.url}"
                )
            for column, stored in zip(self._columns, schema, strict=True):
                if not _compatible(column.type, stored.type):
                    raise RedshiftError(
                        f"Spectrum Scan Error: File '{source.url}' has an incompatible Parquet schema for column"
                        f" '{column.name}'. Column type: {str(column.type).upper()}, Parquet schema: {stored.type}"
                    )
            names = [f"c{number}" for number in range(len(schema))]
            for batch in file.iter_batches(batch_size=65_536):
                yield pa.RecordBatch.from_arrays(batch.columns, names=names)


def _chosen(options: CopyOptions, columns: list[TableColumn]) -> list[TableColumn]:
    """The columns that the files fill, in the files' order."""
    if not options.columns:
        return [column for column in columns if column.identity is None or options.explicit_ids]
    by_name = {column.name: column for column in columns}
    for name in options.columns:
        if name not in by_name:
            raise RedshiftError(f'column "{name}" of relation "{options.table}" does not exist')
        if by_name[name].identity is not None and not options.explicit_ids:
            raise RedshiftError("cannot set an identity column to a value; use EXPLICIT_IDS")
    return [by_name[name] for name in options.columns]


def _compatible(kind: RedshiftType, stored: pa.DataType) -> bool:
    types = pa.types
    tests: dict[str, Callable[[pa.DataType], bool]] = {
        "smallint": types.is_integer, "integer": types.is_integer, "bigint": types.is_integer,
        "numeric": types.is_decimal, "real": types.is_floating, "double precision": types.is_floating,
        "boolean": types.is_boolean, "date": types.is_date,
        "timestamp without time zone": types.is_timestamp, "timestamp with time zone": types.is_timestamp,
        "time without time zone": types.is_time,
    }  # fmt: skip
    if types.is_dictionary(stored):
        stored = stored.value_type
    if kind.is_text:
        return bool(types.is_string(stored) or types.is_large_string(stored))
    return bool(tests[kind.base](stored))
