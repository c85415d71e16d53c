"""Sales with a known structure, as tables and as parts."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nightcast.datasource.parts import Datasource, Part
from nightcast.datasource.schema import Attribute, AttributeType, Schema


@dataclass(frozen=True)
class Files:
    """Local files as they are."""

    @contextlib.contextmanager
    def local_copy(self, uri: str) -> Iterator[Path]:
        yield Path(uri)


@pytest.fixture
def files() -> Files:
    return Files()


@pytest.fixture(scope="session")
def schema() -> Schema:
    kinds = {
        "id": AttributeType.NUMERIC,
        "price": AttributeType.NUMERIC,
        "day": AttributeType.NUMERIC,
        "venue": AttributeType.CATEGORICAL,
        "title": AttributeType.TEXT,
        "promo": AttributeType.BINARY,
        "sold": AttributeType.NUMERIC,
    }
    return Schema(tuple(Attribute(name, kind) for name, kind in kinds.items()), target="sold", row_id="id")


@pytest.fixture(scope="session")
def sales() -> pa.Table:
    rng = np.random.default_rng(11)
    size = 3000
    price, day, venue = rng.gamma(3, 20, size), rng.integers(0, 365, size), rng.integers(0, 40, size)
    words = np.array(["gala", "Night", "final", "premiere", "the"])
    titles = [" ".join(words[rng.integers(0, 5, rng.integers(0, 4))]) for _ in range(size)]
    sold = 20 - price / 10 + 4 * np.sin(day / 30) + venue % 7 + rng.normal(0, 1, size)
    return pa.table(
        {
            "id": np.arange(size),
            "price": pa.array(price, mask=rng.random(size) < 0.03),
            "day": day,
            "venue": pa.array([f"v{number}" for number in venue], mask=rng.random(size) < 0.02),
            "title": titles,
            "promo": rng.random(size) < 0.2,
            "sold": pa.array(sold, mask=rng.random(size) < 0.01),
        }
    )


@pytest.fixture
def write(tmp_path: Path, schema: Schema) -> Callable[..., Datasource]:
    """Writes a table in parts of the given size."""

    def write(table: pa.Table, size: int = 1 << 30, schema: Schema = schema) -> Datasource:
        folder = tmp_path / f"parts-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        parts = []
        for number, first in enumerate(range(0, max(table.num_rows, 1), size)):
            path = folder / f"sales_{number:04d}_part_00.parquet"
            piece = table.slice(first, size)
            pq.write_table(piece, path)
            parts.append(Part(str(path), piece.num_rows, path.stat().st_size, "PARQUET"))
        return Datasource(schema, tuple(parts))

    return write


@pytest.fixture
def datasource(write: Callable[..., Datasource], sales: pa.Table) -> Datasource:
    return write(sales, 1100)
