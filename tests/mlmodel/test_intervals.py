from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from nightcast.datasource.insights import compute_insights
from nightcast.datasource.parts import Datasource
from nightcast.datasource.rearrangement import Rearrangement
from nightcast.datasource.schema import Attribute, AttributeType, Schema
from nightcast.errors import ModelError
from nightcast.mlmodel.intervals import Intervals, intervals_of
from nightcast.mlmodel.learners import TrainingTask
from nightcast.mlmodel.targets import Target
from nightcast.recipe.grammar import parse_recipe

SCHEMA = Schema((Attribute("x", AttributeType.NUMERIC), Attribute("y", AttributeType.NUMERIC)), target="y")


def sales(records: int, seed: int = 0) -> pa.Table:
    """Sales whose noise is skewed, and grows with their size."""
    random = np.random.default_rng(seed)
    x = random.uniform(1, 20, records)
    return pa.table({"x": x, "y": np.maximum(2 * x + (random.exponential(1.0, records) - 1) * 0.3 * x, 0.0)})


@pytest.fixture
def made(write_parts: Callable[..., Datasource], files: Any) -> Callable[[pa.Table], Intervals | None]:
    def made(table: pa.Table) -> Intervals | None:
        datasource = write_parts(SCHEMA, table, [table.num_rows // 3])
        insights = compute_insights(datasource, files)
        task = TrainingTask(
            datasource,
            insights,
            parse_recipe('{"groups":{},"assignments":{},"outputs":["ALL_NUMERIC"]}', SCHEMA),
            Target.of(SCHEMA, insights),
            Rearrangement(),
            files,
        )
        x, y = (np.array(table[name].to_pylist()) for name in ("x", "y"))
        return intervals_of(task, 2 * x, y - 2 * x)

    return made


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9, 0.98])
def test_new_records_are_covered_at_every_size(made: Callable[..., Intervals | None], level: float) -> None:
    found = made(sales(6_000))
    assert found is not None
    new = sales(20_000, seed=1)
    x, y = (np.array(new[name].to_pylist()) for name in ("x", "y"))
    lower, upper = found.bounds(2 * x, level)
    inside = (lower <= y) & (y <= upper)
    assert inside.mean() == pytest.approx(level, abs=0.02)
    for low, high in ((1, 5), (5, 10), (15, 20)):
        chosen = (x >= low) & (x < high)
        assert inside[chosen].mean() == pytest.approx(level, abs=0.04)
    # Large sales are missed by more.
    widths = upper - lower
    assert widths[x > 15].mean() > 2 * widths[x < 5].mean()
    # The long tail of the noise lies on the upper side.
    assert level < 0.8 or (upper - 2 * x).mean() > (2 * x - lower).mean()


def test_few_records_give_one_bin_and_too_few_none(made: Callable[..., Intervals | None]) -> None:
    some = made(sales(900))
    assert some is not None
    assert (len(some.edges), len(some.counts)) == (0, 1)
    assert made(sales(39)) is None


def test_no_interval_begins_below_zero_when_no_sale_did(made: Callable[..., Intervals | None]) -> None:
    found = made(sales(5_000))
    assert found is not None
    assert found.floor == 0.0
    lower, _ = found.bounds(np.array([0.0, -3.0]), 0.9)
    assert lower.min() >= 0.0


def test_their_residuals_are_the_permilles_of_numpy(made: Callable[..., Intervals | None]) -> None:
    table = sales(900)
    some = made(table)
    assert some is not None
    x, y = (np.array(table[name].to_pylist()) for name in ("x", "y"))
    np.testing.assert_array_equal(some.residuals[0], np.quantile(y - 2 * x, np.arange(1001) / 1000))


def test_they_travel_as_a_document(made: Callable[..., Intervals | None]) -> None:
    found = made(sales(5_000))
    assert found is not None
    assert Intervals.from_document(found.to_document()) == found
    damaged = found.to_document() | {"counts": [1, 2, 3, 4, 5, 6, 7]}
    with pytest.raises(ModelError, match="damaged"):
        Intervals.from_document(damaged)


@pytest.mark.parametrize("level", [0.0, 1.0, -0.5, float("nan")])
def test_levels_out_of_range_are_refused(level: float) -> None:
    found = Intervals((), (tuple(float(n) for n in range(1001)),), (100,))
    with pytest.raises(ModelError, match="between 0 and 1"):
        found.bounds(np.zeros(1), level)
