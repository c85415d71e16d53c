"""Datasources written from Arrow tables and from the text of CSV files."""

from __future__ import annotations

import gzip
import itertools
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nightcast.datasource.parts import Datasource, Part
from nightcast.datasource.schema import Schema


@pytest.fixture
def write_parts(tmp_path: Path) -> Callable[..., Datasource]:
    """Writes a table as Parquet parts that are cut before the given record numbers."""

    def write(schema: Schema, table: pa.Table, cuts: Sequence[int] = (), *, row_group: int = 1 << 20) -> Datasource:
        folder = tmp_path / f"parts-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        bounds = [0, *cuts, table.num_rows]
        parts = []
        for number, (first, last) in enumerate(itertools.pairwise(bounds)):
            path = folder / f"{number:04d}_part_00.parquet"
            pq.write_table(table.slice(first, last - first), path, row_group_size=row_group)
            parts.append(Part(str(path), last - first, path.stat().st_size, "PARQUET"))
        return Datasource(schema, tuple(parts))

    return write


@pytest.fixture
def write_csv(tmp_path: Path) -> Callable[..., Datasource]:
    """Writes the text of CSV parts; `records` are what the manifest says."""

    def write(
        schema: Schema,
        *texts: str | bytes,
        records: Sequence[int],
        header: bool = False,
        null_as: str = "",
        gzipped: bool = False,
    ) -> Datasource:
        parts = []
        for number, text in enumerate(texts):
            path = tmp_path / f"{number:04d}_part_00{'.gz' if gzipped else ''}"
            content = text.encode() if isinstance(text, str) else text
            path.write_bytes(gzip.compress(content) if gzipped else content)
            parts.append(Part(str(path), records[number], path.stat().st_size, "CSV", header, null_as))
        return Datasource(schema, tuple(parts))

    return write
