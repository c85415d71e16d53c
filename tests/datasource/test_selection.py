from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nightcast.datasource.parts import Batch, ByteSource, Datasource, Part
from nightcast.datasource.rearrangement import Rearrangement
from nightcast.datasource.schema import Attribute, AttributeType, Schema
from nightcast.datasource.selection import filtered, selected_batches, selected_records


@pytest.fixture
def table() -> pa.Table:
    return pa.table({"id": ["a", "b", "c", "d", "e", "f"], "sold": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]})


@pytest.fixture
def write(write_parts: Callable[..., Datasource]) -> Callable[..., Datasource]:
    """Writes a table in parts of the given size."""
    schema = Schema((Attribute("id", AttributeType.CATEGORICAL), Attribute("sold", AttributeType.NUMERIC)), row_id="id")
    return lambda table, size: write_parts(schema, table, list(range(size, table.num_rows, size)))


@pytest.mark.parametrize("strategy", ["sequential", "random"])
@pytest.mark.parametrize("size", [6, 4, 1])
def test_both_sides_have_all_records(
    write: Callable[..., Datasource], files: ByteSource, table: pa.Table, strategy: str, size: int
) -> None:
    datasource = write(table, size)
    inside = Rearrangement(0, 50, strategy=strategy)
    found = []
    for side in (inside, inside.complemented()):
        batches = [b for part in datasource.numbered() for b in selected_batches(part, side, ("sold",), files)]
        assert all(len(batch) for batch in batches)
        found.append([value for batch in batches for value in batch.columns["sold"].to_pylist()])
    assert sorted(found[0] + found[1]) == [1, 2, 3, 4, 5, 6]
    if strategy == "sequential":
        assert found == [[1, 2, 3], [4, 5, 6]]


@pytest.mark.parametrize("strategy", ["sequential", "random"])
@pytest.mark.parametrize("size", [6, 4, 1])
def test_records_keep_their_numbers(
    write: Callable[..., Datasource], files: ByteSource, table: pa.Table, strategy: str, size: int
) -> None:
    taken = Rearrangement(30, 90, strategy=strategy, complement=True)
    for part in write(table, size).numbered():
        for batch, numbers in selected_records(part, taken, ("sold",), files):
            assert batch.columns["sold"].to_pylist() == (numbers + 1).tolist()


def test_a_part_outside_the_range_is_not_opened(
    write: Callable[..., Datasource], files: ByteSource, table: pa.Table
) -> None:
    kept = write(table, 3)
    gone = Part("/nowhere/gone.parquet", 3, 1, "PARQUET")
    first, second = Datasource(kept.schema, (kept.parts[0], gone)).numbered()
    assert [len(batch) for batch in selected_batches(first, Rearrangement(0, 50), ("sold",), files)] == [3]
    assert list(selected_batches(second, Rearrangement(0, 50), ("sold",), files)) == []


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=20))
def test_filtered_keeps_columns_and_masks(flags: list[tuple[bool, bool]]) -> None:
    taken = np.array([flag for flag, _ in flags], dtype=np.bool_)
    invalid = np.array([flag for _, flag in flags], dtype=np.bool_)
    batch = Batch(5, {"x": pa.array(range(len(flags)), pa.float64())}, {"x": invalid}, len(flags))
    kept = filtered(batch, taken)
    assert kept.columns["x"].to_pylist() == np.flatnonzero(taken).tolist()
    assert len(kept) == taken.sum()
    if invalid[taken].any():
        assert kept.invalid["x"].tolist() == invalid[taken].tolist()
    else:
        assert kept.invalid == {}
