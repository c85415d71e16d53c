"""UNLOAD: the result of a query as files on S3, with Redshift's names, limits and manifest."""

# ruff: noqa: S608 - SQL made of SQL is the work of this module; names are quoted, values bound or literals.

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from sqlglot import exp

from nightcast.sandbox import dialect
from nightcast.sandbox.errors import RedshiftError
from nightcast.sandbox.redshift_types import RedshiftType
from nightcast.sandbox.s3_access import S3Access
from nightcast.sandbox.unload_options import UnloadOptions
from nightcast.sandbox.unload_parquet import ParquetFile, parquet_select
from nightcast.sandbox.unload_text import TextFile, header_line, line_bytes, line_expression

_BATCH_ROWS = 65_536


@dataclass(frozen=True)
class BoundQuery:
    """A query that DuckDB has accepted: its text, and its columns with Redshift's types."""

    sql: str
    columns: list[tuple[str, RedshiftType]]


def parse_unload_query(text: str) -> exp.Expr:
    """The SELECT inside an UNLOAD.

    Raises
    ------
    RedshiftError
        When it is no query, or has LIMIT (or TOP, or OFFSET) in its outermost SELECT.
    """
    tree = dialect.parse(text)
    outer = tree
    while isinstance(outer, exp.Subquery):
        outer = outer.this
    if not isinstance(outer, exp.Query):
        raise RedshiftError("UNLOAD takes a SELECT query only")
    if any(node.args.get(part) is not None for node in (tree, outer) for part in ("limit", "offset")):
        raise RedshiftError("Limit clause is not supported; put the LIMIT into a sub-select of the UNLOAD's query")
    return tree


class Unload:
    """One UNLOAD statement's run."""

    def __init__(
        self,
        options: UnloadOptions,
        query: BoundQuery,
        connection: duckdb.DuckDBPyConnection,
        s3: S3Access,
        slices: int,
        check: Callable[[], None],
    ) -> None:
        self._options = options
        self._query = query
        self._connection = connection
        self._s3 = s3
        self._slices = slices if options.parallel else 1
        self._check = check
        self._entries: dict[tuple[int, int], dict[str, Any]] = {}
        # The file that each slice is writing, and how many it has finished.
        self._files: dict[int, Any] = {}
        self._parts = [0] * self._slices

    def run(self) -> int:
        """Write the files, then the manifest; the number of records unloaded.

        A query without records writes no file at all, not even a manifest, as Redshift does.

        Raises
        ------
        RedshiftError
            When files are in the way, or S3 refuses. Files written until then are left where they are.
        """
        self._prepare_target()
        with tempfile.TemporaryDirectory(prefix="nightcast-unload-") as directory:
            write = self._write_parquet if self._options.format == "PARQUET" else self._write_text
            try:
                rows = write(Path(directory))
                for slice_number in sorted(self._files):
                    self._store(slice_number)
            finally:
                for file in self._files.values():
                    file.abandon()
        if self._options.manifest and self._entries:
            body = json.dumps(self._manifest(), indent=2).encode() + b"\n"
            key = f"{self._options.prefix}manifest"
            self._s3.put(body, self._options.bucket, key, self._options.encryption)
        return rows

    def _prepare_target(self) -> None:
        options = self._options
        self._s3.check_region(options.bucket, options.region)
        if options.clean_path:
            self._s3.delete(options.bucket, [key for key, _ in self._s3.keys(options.bucket, options.prefix)])
        elif not options.allow_overwrite and any(True for _ in self._s3.keys(options.bucket, options.prefix)):
            raise RedshiftError(
                "Specified unload destination on S3 is not empty. Consider using a different bucket / prefix,"
                " manually removing the target files in S3, or using the ALLOWOVERWRITE option."
                f" (s3://{options.bucket}/{options.prefix})"
            )

    def _batches(self, select: str) -> Iterator[pa.RecordBatch]:
        names = ", ".join(self._names())
        sql = f"SELECT {select} FROM ({self._query.sql}) AS unloaded({names})"
        with self._connection.sql(sql).to_arrow_reader(_BATCH_ROWS) as reader:
            for batch in reader:
                self._check()
                yield batch

    def _names(self) -> list[str]:
        # By position, as two columns of a result may have the same name.
        return [f"c{number}" for number in range(len(self._query.columns))]

    def _file_key(self, slice_number: int, part: int) -> str:
        number = f"{slice_number:04d}_part_{part:02d}" if self._options.parallel else f"{part:03d}"
        return f"{self._options.prefix}{number}{self._options.suffix}"

    def _store(self, slice_number: int) -> None:
        """Finish a slice's file, and put it on S3."""
        file = self._files[slice_number]
        file.close()
        part = self._parts[slice_number]
        key = self._file_key(slice_number, part)
        self._check()
        self._s3.upload(file.path, self._options.bucket, key, self._options.encryption)
        meta = {"content_length": file.path.stat().st_size, "record_count": file.records}
        self._entries[slice_number, part] = {"url": f"s3://{self._options.bucket}/{key}", "meta": meta}
        file.path.unlink()
        del self._files[slice_number]
        self._parts[slice_number] += 1

    def _write_text(self, directory: Path) -> int:
        header = header_line(self._query.columns, self._options) if self._options.header else None
        rows = 0
        for batch in self._batches(line_expression(self._query.columns, self._names(), self._options) + " AS line"):
            for slice_number, lines in self._distribute(batch.column(0), rows):
                view, offsets = line_bytes(lines)
                written = 0
                while written < len(lines):
                    if slice_number not in self._files:
                        self._files[slice_number] = TextFile(directory / f"{slice_number}", header, self._options)
                    written = self._files[slice_number].write(view, offsets, written)
                    if written < len(lines):
                        self._store(slice_number)
            rows += batch.num_rows
        return rows

    def _write_parquet(self, directory: Path) -> int:
        names = [name for name, _ in self._query.columns]
        rows = 0
        for batch in self._batches(", ".join(parquet_select(self._query.columns, self._names()))):
            renamed = pa.RecordBatch.from_arrays(batch.columns, names=names)
            for slice_number, share in self._distribute(renamed, rows):
                if slice_number not in self._files:
                    file = ParquetFile(directory / f"{slice_number}", renamed.schema, self._options)
                    self._files[slice_number] = file
                if not self._files[slice_number].write(share):
                    self._store(slice_number)
            rows += batch.num_rows
        return rows

    def _distribute(self, data: Any, rows_before: int) -> Iterator[tuple[int, Any]]:
        """Deal the records out to the slices in turn, so that each slice keeps their order."""
        if self._slices == 1:
            yield 0, data
            return
        for slice_number in range(self._slices):
            first = (slice_number - rows_before) % self._slices
            indices = np.arange(first, len(data), self._slices)
            if len(indices):
                yield slice_number, data.take(pa.array(indices))

    def _manifest(self) -> dict[str, Any]:
        entries = [self._entries[place] for place in sorted(self._entries)]
        if not self._options.verbose:
            # COPY from Parquet wants the length of each file, so UNLOAD tells it.
            keep_meta = self._options.format == "PARQUET"
            lengths = [{"content_length": entry["meta"]["content_length"]} for entry in entries]
            return {
                "entries": [
                    {"url": entry["url"], **({"meta": meta} if keep_meta else {})}
                    for entry, meta in zip(entries, lengths, strict=True)
                ]
            }
        total = {name: sum(entry["meta"][name] for entry in entries) for name in ("content_length", "record_count")}
        elements = [{"name": name, "type": kind.manifest_entry()} for name, kind in self._query.columns]
        return {
            "entries": entries,
            "schema": {"elements": elements},
            "meta": total,
            "author": {"name": "Amazon Redshift", "version": "1.0.0"},
        }
