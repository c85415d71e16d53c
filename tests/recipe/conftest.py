"""Batches and insights of a small schema with every type of attribute."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nightcast.datasource.insights import Insights, compute_insights
from nightcast.datasource.parts import Batch, ByteSource, Datasource, Part, read_batches
from nightcast.datasource.schema import Attribute, AttributeType, Schema


@pytest.fixture(scope="session")
def schema() -> Schema:
    kinds = {
        "id": AttributeType.CATEGORICAL,
        "price": AttributeType.NUMERIC,
        "seats": AttributeType.NUMERIC,
        "genre": AttributeType.CATEGORICAL,
        "title": AttributeType.TEXT,
        "promo": AttributeType.BINARY,
        "secret": AttributeType.NUMERIC,
        "sold": AttributeType.NUMERIC,
    }
    return Schema(
        tuple(Attribute(name, kind) for name, kind in kinds.items()), target="sold", row_id="id", excluded=("secret",)
    )


@pytest.fixture(scope="session")
def table() -> pa.Table:
    return pa.table(
        {
            "id": ["a", "b", "c", "d", "e", "f"],
            "price": [10.0, 20.0, 30.0, 40.0, None, 50.0],
            "seats": [100, 100, 200, 200, 300, 300],
            "genre": ["opera", "rock", "rock", None, "", "rock"],
            "title": ["Big, big Show", "the Show", "", None, "Opera!", "big"],
            "promo": [True, False, None, True, True, False],
            "secret": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
            "sold": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
        }
    )


@pytest.fixture
def write(tmp_path: Path, schema: Schema) -> Callable[..., Datasource]:
    """Writes a table in parts of the given size."""

    def write(table: pa.Table, size: int = 1 << 30) -> Datasource:
        parts = []
        for number, first in enumerate(range(0, table.num_rows, size)):
            path = tmp_path / f"{number}-{len(list(tmp_path.iterdir()))}.parquet"
            piece = table.slice(first, size)
            pq.write_table(piece, path)
            parts.append(Part(str(path), piece.num_rows, path.stat().st_size, "PARQUET"))
        return Datasource(schema, tuple(parts))

    return write


@pytest.fixture
def datasource(write: Callable[..., Datasource], table: pa.Table) -> Datasource:
    return write(table)


@pytest.fixture
def batch(datasource: Datasource, files: ByteSource) -> Batch:
    [batch] = [batch for part in datasource.numbered() for batch in read_batches(part, files)]
    return batch


@pytest.fixture
def insights(datasource: Datasource, files: ByteSource) -> Insights:
    return compute_insights(datasource, files)
