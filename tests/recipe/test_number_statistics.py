from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest

from nightcast.datasource.insights import Insights, compute_insights
from nightcast.datasource.parts import ByteSource, Datasource
from nightcast.datasource.schema import Attribute, AttributeType, Schema
from nightcast.errors import RecipeError
from nightcast.recipe.expressions import unscaled
from nightcast.recipe.grammar import parse_recipe
from nightcast.recipe.number_statistics import Distribution, distribution

SCHEMA = Schema((Attribute("x", AttributeType.NUMERIC), Attribute("day", AttributeType.TEXT)))
RNG = np.random.default_rng(11)
VALUES = np.where(RNG.random(4000) < 0.2, np.nan, RNG.gamma(2, 20, 4000) - 5)


@pytest.fixture
def insights(write: Callable[..., Datasource], files: ByteSource) -> Insights:
    days = [
        str(np.datetime64("2008-01-01") + np.timedelta64(int(number), "D")) for number in RNG.integers(0, 700, 4000)
    ]
    table = pa.table({"x": pa.array(VALUES, from_pandas=True), "day": days})
    return compute_insights(Datasource(SCHEMA, write(table).parts), files)


def found(expression: str, insights: Insights) -> Distribution:
    [output] = parse_recipe(json.dumps({"outputs": [expression]}), SCHEMA).outputs
    return distribution(unscaled(output), insights)


def logarithms() -> np.ndarray:
    return np.log1p(np.where(VALUES > -1, VALUES, np.nan))


@pytest.mark.parametrize(
    ("expression", "values"),
    [
        ("x", VALUES),
        ("normalize(x)", VALUES),
        ("log(x)", logarithms()),
        ("clip(x,0,60.5)", np.clip(VALUES, 0, 60.5)),
        ("impute(x,30)", np.where(np.isnan(VALUES), 30, VALUES)),
        ("impute(log(x),-1)", np.where(np.isnan(logarithms()), -1, logarithms())),
        ("log(clip(impute(x,2),0,40))", np.log1p(np.clip(np.where(np.isnan(VALUES), 2, VALUES), 0, 40))),
    ],
)
def test_estimates_are_near_those_of_the_values(insights: Insights, expression: str, values: np.ndarray) -> None:
    there = values[~np.isnan(values)]
    estimate = found(expression, insights)
    assert estimate.missing == pytest.approx(1 - len(there) / len(values), abs=0.002)
    assert estimate.mean == pytest.approx(there.mean(), abs=0.01 * there.std())
    # The logarithm of -1 is not finite, and permilles near it are interpolated.
    assert estimate.std == pytest.approx(there.std(), rel=0.03 if "log(x)" in expression else 0.01)
    assert len(estimate.quantiles) == 1001
    assert list(estimate.quantiles) == sorted(estimate.quantiles)
    assert estimate.quantiles[-1] == pytest.approx(there.max())
    # As ranks: that of a value many records have is a range.
    ordered = np.sort(there)
    for permille in range(50, 1000, 50):
        value = estimate.quantiles[permille]
        low, high = np.searchsorted(ordered, [value - 1e-3 * there.std(), value + 1e-3 * there.std()]) / len(ordered)
        assert low - 0.005 <= permille / 1000 <= high + 0.005


def test_dates_are_known_to_the_percent(insights: Insights) -> None:
    estimate = found("days_since(day,'2008-01-01')", insights)
    assert estimate.quantiles[0] == 0
    assert estimate.quantiles[-1] == 699
    assert estimate.quantiles[500] == pytest.approx(350, abs=15)
    assert estimate.mean == pytest.approx(350, abs=15)
    assert estimate.missing == 0
    assert set(found("year(day)", insights).quantiles) == {2008, 2009}


def test_nothing_is_left_of_it(write: Callable[..., Datasource], files: ByteSource) -> None:
    table = pa.table({"x": [-5.0, -2.0, None], "day": ["soon", "later", "2008-01-01"]})
    insights = compute_insights(Datasource(SCHEMA, write(table).parts), files)
    assert found("log(x)", insights) == Distribution((), 1.0, 0.0, 0.0)
    assert found("impute(log(x),3)", insights) == Distribution((3.0,) * 1001, 0.0, 3.0, 0.0)
    with pytest.raises(RecipeError, match=r"year\(day\) can not be computed.*holds no ISO dates"):
        found("year(day)", insights)


def test_the_largest_numbers_do_not_overflow(write: Callable[..., Datasource], files: ByteSource) -> None:
    table = pa.table({"x": [-1.7e308, 1.7e308, 1.0], "day": ["a", "b", "c"]})
    insights = compute_insights(Datasource(SCHEMA, write(table).parts), files)
    estimate = found("clip(x,-1e308,1e308)", insights)
    assert np.isfinite([estimate.mean, estimate.std]).all()
    assert estimate.std > 1e307


def test_a_clip_that_cuts_nothing_keeps_exact_moments(write: Callable[..., Datasource], files: ByteSource) -> None:
    values = np.append(np.random.default_rng(0).normal(size=2000), 1e4)
    table = pa.table({"x": values, "day": ["a"] * 2001})
    insights = compute_insights(Datasource(SCHEMA, write(table).parts), files)
    whole = found("x", insights)
    assert found(f"clip(x,{float(values.min())!r},{float(values.max())!r})", insights) == whole
    assert whole.std == pytest.approx(values.std(), rel=1e-3)
    assert found("clip(x,-1,1)", insights) != whole
