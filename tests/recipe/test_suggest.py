from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nightcast.datasource.insights import Insights, compute_insights
from nightcast.datasource.parts import ByteSource, Datasource
from nightcast.datasource.schema import Attribute, AttributeType, Schema
from nightcast.errors import RecipeError
from nightcast.recipe import suggest
from nightcast.recipe.grammar import parse_recipe
from nightcast.recipe.suggest import BIN_COUNTS, bin_count, suggest_recipe


def test_shape(schema: Schema, insights: Insights) -> None:
    assert json.loads(suggest_recipe(schema, insights)) == {
        "groups": {"NUMERIC_VARS_QB_10": "group('price','seats')"},
        "assignments": {},
        "outputs": ["ALL_BINARY", "ALL_CATEGORICAL", "quantile_bin(NUMERIC_VARS_QB_10,10)", "ALL_TEXT"],
    }


def test_keys_stand_in_amazons_order(schema: Schema, insights: Insights) -> None:
    text = suggest_recipe(schema, insights)
    assert text.index('"groups"') < text.index('"assignments"') < text.index('"outputs"')
    assert parse_recipe(text, schema).columns == ("promo", "genre", "price", "seats", "title")


def test_groups_without_members_are_left_out(insights: Insights) -> None:
    schema = Schema(
        (Attribute("price", AttributeType.NUMERIC), Attribute("sold", AttributeType.NUMERIC)), target="sold"
    )
    assert json.loads(suggest_recipe(schema, insights))["outputs"] == ["quantile_bin(NUMERIC_VARS_QB_10,10)"]


def test_names_are_quoted_so_that_they_are_read_again(write: Callable[..., Datasource], files: ByteSource) -> None:
    names = ["it's", "back\\slash", "1st, (x)"]
    schema = Schema(tuple(Attribute(name, AttributeType.NUMERIC) for name in names))
    written = write(pa.table({name: [1.0, 2.0] for name in names}))
    found = compute_insights(Datasource(schema, written.parts), files)
    assert list(parse_recipe(suggest_recipe(schema, found), schema).columns) == names


def test_nothing_to_learn_from(insights: Insights) -> None:
    schema = Schema((Attribute("sold", AttributeType.NUMERIC),), target="sold")
    with pytest.raises(RecipeError, match="no attribute to learn from"):
        suggest_recipe(schema, insights)


def test_the_order_of_records_does_not_matter(
    schema: Schema, write: Callable[..., Datasource], files: ByteSource, table: pa.Table
) -> None:
    rng = np.random.default_rng(5)
    many = table.take(rng.integers(0, 6, 5000)).set_column(1, "price", pa.array(rng.gamma(2, 10, 5000)))
    recipes = {
        suggest_recipe(schema, compute_insights(write(many.take(rng.permutation(5000)), size), files))
        for size in (5000, 777)
    }
    assert len(recipes) == 1
    assert "'price'" in recipes.pop()


SHUFFLED = Schema(
    (
        Attribute("day", AttributeType.TEXT),
        Attribute("x", AttributeType.NUMERIC),
        Attribute("y", AttributeType.NUMERIC),
        Attribute("sold", AttributeType.NUMERIC),
    ),
    target="sold",
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32), st.integers(2, 3000), st.sampled_from([0.5, 3.0]), st.integers(1, 2000))
def test_no_order_of_any_records_matters(
    write: Callable[..., Datasource], files: ByteSource, seed: int, records: int, tail: float, size: int
) -> None:
    rng = np.random.default_rng(seed)
    x = np.exp(rng.normal(0, tail, records))
    table = pa.table(
        {
            "day": [
                str(np.datetime64("2008-02-27") + np.timedelta64(int(day), "D"))
                for day in rng.integers(0, 400, records)
            ],
            "x": x,
            "y": pa.array(np.where(rng.random(records) < 0.1, np.nan, rng.integers(0, 70, records)), from_pandas=True),
            "sold": np.log(x) + rng.normal(0, 1, records),
        }
    )

    def suggested(data: pa.Table, part: int) -> str:
        found = compute_insights(Datasource(SHUFFLED, write(data, part).parts), files)
        return suggest_recipe(SHUFFLED, found, extensions=True)

    size = max(size, records // 5)
    assert suggested(table.take(rng.permutation(records)), size) == suggested(table, records)


DATED = Schema(
    (
        Attribute("day", AttributeType.CATEGORICAL),
        Attribute("at (UTC)", AttributeType.TEXT),
        Attribute("same", AttributeType.CATEGORICAL),
        Attribute("shop", AttributeType.CATEGORICAL),
        Attribute("sold", AttributeType.NUMERIC),
    ),
    target="sold",
)


def test_dates_are_offered_as_extensions(write: Callable[..., Datasource], files: ByteSource) -> None:
    days = [str(np.datetime64("2008-02-27") + np.timedelta64(day, "D")) for day in range(300)]
    table = pa.table(
        {
            "day": days,
            "at (UTC)": [f"{day}T10:00:00Z" for day in days],
            "same": ["2008-12-31"] * 300,
            "shop": ["a", "b", "c"] * 100,
            "sold": np.arange(300.0),
        }
    )
    insights = compute_insights(Datasource(DATED, write(table).parts), files)
    plain = json.loads(suggest_recipe(DATED, insights, extensions=False))
    assert plain["outputs"] == ["ALL_CATEGORICAL", "ALL_TEXT"]
    text = suggest_recipe(DATED, insights, extensions=True)
    assert json.loads(text)["outputs"] == [
        *plain["outputs"],
        *("weekday(day)", "month(day)", "quantile_bin(days_since(day,'2008-02-27'),20)"),
        *("weekday('at (UTC)')", "month('at (UTC)')", "quantile_bin(days_since('at (UTC)','2008-02-27'),20)"),
    ]
    assert len(parse_recipe(text, DATED).outputs) == 10
    with pytest.raises(RecipeError, match="'weekday' is an extension"):
        parse_recipe(text, DATED, strict=True)


def test_without_dates_extensions_change_nothing(schema: Schema, insights: Insights) -> None:
    assert suggest_recipe(schema, insights) == suggest_recipe(schema, insights, extensions=False)
    parse_recipe(suggest_recipe(schema, insights), schema, strict=True)


EVEN = (np.arange(1001) / 1000).tolist()
TAILED = np.expm1(np.arange(1001) / 1000 * 8).tolist()


def test_bin_counts_grow_with_records_correlation_and_tails() -> None:
    for quantiles in (EVEN, TAILED):
        for correlation in (None, 0.3, -0.9):
            counts = [bin_count(10**power, quantiles, correlation) for power in range(1, 10)]
            assert counts == sorted(counts)
            assert set(counts) <= set(BIN_COUNTS)
            assert counts[0] == 10
    assert bin_count(5_000, EVEN, 0.1) < bin_count(5_000, EVEN, 0.95) == bin_count(5_000, TAILED, 0.6)
    assert bin_count(30_000, EVEN, -0.8) == bin_count(30_000, EVEN, 0.8)


def test_a_bin_has_seven_values_or_more() -> None:
    for values in (1, 50, 139, 140, 350, 699, 700, 1_400, 3_500, 10**6):
        assert bin_count(values, TAILED, 0.9) * 7 <= max(values, 70)
    assert [bin_count(values, TAILED, 0.9) for values in (139, 140, 700, 3_500)] == [10, 20, 100, 500]


def test_many_numbers_share_the_bins(write: Callable[..., Datasource], files: ByteSource) -> None:
    x = np.random.default_rng(2).normal(size=4000)
    everything = [f"x{number}" for number in range(300)]
    whole = Schema(tuple(Attribute(name, AttributeType.NUMERIC) for name in (*everything, "sold")), target="sold")
    written = write(pa.table(dict.fromkeys((*everything, "sold"), x)))
    insights = compute_insights(Datasource(whole, written.parts), files)
    for numbers, bins in ((1, 500), (4, 500), (5, 200), (40, 50), (150, 10), (300, 10)):
        names = [f"x{number}" for number in range(numbers)]
        schema = Schema(tuple(Attribute(name, AttributeType.NUMERIC) for name in (*names, "sold")), target="sold")
        found = json.loads(suggest_recipe(schema, insights, extensions=False))
        assert list(found["groups"]) == [f"NUMERIC_VARS_QB_{bins}"]


def test_a_long_tail_gets_a_line_beside_its_bins(write: Callable[..., Datasource], files: ByteSource) -> None:
    rng = np.random.default_rng(7)
    price, seats = np.exp(rng.normal(0, 1.5, 4000)), rng.random(4000)
    schema = Schema(tuple(Attribute(name, AttributeType.NUMERIC) for name in ("price", "seats", "sold")), target="sold")
    table = pa.table({"price": price, "seats": seats, "sold": 2 * price + seats + rng.normal(0, 5, 4000)})
    insights = compute_insights(Datasource(schema, write(table).parts), files)
    found = json.loads(suggest_recipe(schema, insights))
    # Within the range of the training records.
    assert found["outputs"][-1] == f"normalize(clip(price,{float(price.min())!r},{float(price.max())!r}))"
    assert "seats" not in "".join(found["outputs"])
    parse_recipe(json.dumps(found), schema)
    assert "normalize" not in suggest_recipe(schema, insights, extensions=False)


def test_coarse_bins_of_few_records_have_a_line_beside_them(
    write: Callable[..., Datasource], files: ByteSource
) -> None:
    rng = np.random.default_rng(7)
    schema = Schema(tuple(Attribute(name, AttributeType.NUMERIC) for name in ("price", "kind", "sold")), target="sold")
    table = pa.table({"price": rng.random(200), "kind": rng.integers(0, 3, 200), "sold": rng.normal(0, 1, 200)})
    insights = compute_insights(Datasource(schema, write(table).parts), files)
    lines = [text for text in json.loads(suggest_recipe(schema, insights))["outputs"] if text.startswith("normalize")]
    # A number of few values has a bin for each.
    assert [line.split(",")[0] for line in lines] == ["normalize(clip(price"]


@pytest.mark.parametrize(("least", "low"), [(-3.0, -6.5), (1.0, 0.0)], ids=["negative", "positive"])
def test_a_line_that_explains_nearly_all_goes_on_beyond_the_training_records(
    write: Callable[..., Datasource], files: ByteSource, least: float, low: float
) -> None:
    rng = np.random.default_rng(7)
    price = np.append(rng.uniform(least, least + 7, 298), [least, least + 7])
    schema = Schema(tuple(Attribute(name, AttributeType.NUMERIC) for name in ("price", "sold")), target="sold")
    for noise, ends in ((0.1, f"{low},{least + 10.5}"), (3.0, f"{least},{least + 7}")):
        table = pa.table({"price": price, "sold": price + rng.normal(0, noise, 300)})
        insights = compute_insights(Datasource(schema, write(table).parts), files)
        assert json.loads(suggest_recipe(schema, insights))["outputs"][-1] == f"normalize(clip(price,{ends}))"


def test_no_more_bins_than_values() -> None:
    for distinct, bins in ((1, 10), (2, 10), (9, 10), (12, 20), (40, 50)):
        values = np.quantile(np.repeat(np.arange(distinct), 1000), EVEN).tolist()
        assert bin_count(10**9, values, 1.0) == bins


def test_the_choice_has_the_least_cost() -> None:
    # For even quantiles b bins leave 1 / b**2 of the variance within.
    for values in (5_000, 30_000, 3_000_000):
        for r2 in (0.05, 0.3, 0.9):
            told = max(r2, 0.25)
            cost = {bins: told / bins**2 + (1 - told) * bins / values / 1000 for bins in BIN_COUNTS}
            assert bin_count(values, EVEN, r2**0.5) == min(cost, key=lambda bins: cost[bins])


def test_lines_that_tell_least_give_way_to_the_limit_of_recipes(
    write: Callable[..., Datasource], files: ByteSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(7)
    numbers = [f"number {place:02}" for place in range(40)]
    schema = Schema(tuple(Attribute(name, AttributeType.NUMERIC) for name in [*numbers, "sold"]), target="sold")
    columns = {name: rng.lognormal(0, 1, 300) for name in numbers}
    table = pa.table({**columns, "sold": 3 * columns["number 07"] + rng.normal(0, 1, 300)})
    insights = compute_insights(Datasource(schema, write(table).parts), files)
    whole = suggest_recipe(schema, insights)
    assert whole.count("normalize") == 40
    monkeypatch.setattr(suggest, "MAX_RECIPE_CHARACTERS", len(whole) - 1_000)
    shorter = suggest_recipe(schema, insights)
    assert len(shorter) <= len(whole) - 1_000
    assert 10 < shorter.count("normalize") < 40
    assert "clip(number 07" in shorter
    assert all(f"'{name}'" in shorter for name in numbers)
