"""Parquet files of an UNLOAD, with Redshift's column types."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from nightcast.sandbox.redshift_types import RedshiftType
from nightcast.sandbox.unload_options import UnloadOptions


def parquet_select(columns: list[tuple[str, RedshiftType]], names: list[str]) -> list[str]:
    """DuckDB's expressions that give the columns the types that UNLOAD writes.

    A time stamp with time zone loses the zone, as Redshift documents; the instant is written in UTC.
    """
    chosen = []
    for name, (_, kind) in zip(names, columns, strict=True):
        target = "TIMESTAMP" if kind.base == "timestamp with time zone" else kind.duckdb
        chosen.append(f"CAST({name} AS {target})")
    return chosen


class ParquetFile:
    """One Parquet file of an UNLOAD; full when its row groups reach the limit, about."""

    def __init__(self, path: Path, schema: pa.Schema, options: UnloadOptions) -> None:
        self.path = path
        self.records = 0
        self._schema = schema
        self._group_bytes = min(options.row_group_bytes, options.max_file_bytes)
        self._limit = options.max_file_bytes
        self._waiting: list[pa.RecordBatch] = []
        self._waiting_bytes = 0
        self._file = path.open("wb")
        self._writer = pq.ParquetWriter(self._file, schema, version="1.0", compression="snappy", store_schema=False)

    def write(self, batch: pa.RecordBatch) -> bool:
        """Take a batch; False when the file is full and the next batch needs another."""
        self._waiting.append(batch)
        self._waiting_bytes += batch.nbytes
        self.records += batch.num_rows
        if self._waiting_bytes >= self._group_bytes:
            self._flush()
        return self._file.tell() + self._waiting_bytes < self._limit

    def _flush(self) -> None:
        if self._waiting:
            self._writer.write_table(pa.Table.from_batches(self._waiting, self._schema), row_group_size=1 << 30)
            self._waiting, self._waiting_bytes = [], 0

    def close(self) -> None:
        self._flush()
        self._writer.close()
        self._file.close()

    def abandon(self) -> None:
        """Close without a care for what was written."""
        self._waiting = []
        with contextlib.suppress(OSError, pa.ArrowException):
            self.close()
