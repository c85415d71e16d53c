"""Functions that Amazon ML does not have."""

from __future__ import annotations

import json
import math
import pickle
from collections import Counter
from collections.abc import Callable
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nightcast.datasource.insights import compute_insights
from nightcast.datasource.parts import Batch, ByteSource, Datasource, Part, read_batches
from nightcast.datasource.rearrangement import Rearrangement
from nightcast.datasource.schema import Attribute, AttributeType, Schema
from nightcast.errors import RecipeError
from nightcast.recipe.expressions import FUNCTIONS, Call, ValueType, Variable
from nightcast.recipe.featurizer import Featurizer, build_featurizer
from nightcast.recipe.grammar import parse_recipe
from nightcast.recipe.number_functions import date_part
from nightcast.recipe.vocabulary import count_vocabularies
from nightcast.storage import Storage

SCHEMA = Schema(
    (
        Attribute("price", AttributeType.NUMERIC),
        Attribute("day", AttributeType.CATEGORICAL),
        Attribute("time", AttributeType.TEXT),
        Attribute("genre", AttributeType.CATEGORICAL),
    )
)
DAYS = ["2008-12-28", "2008-12-29", "2010-01-03", "2010-01-04", None, "2008-02-29"]


Built = tuple[Featurizer, Batch]


@pytest.fixture(scope="session")
def dated() -> pa.Table:
    return pa.table(
        {
            "price": [0.0, 1.5, -1.0, None, 99.0, -0.5],
            "day": DAYS,
            "time": [None if day is None else f"{day} 23:59:59" for day in DAYS],
            "genre": ["opera", "rock", "rock", "opera", "rock", None],
        }
    )


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory, dated: pa.Table) -> Callable[..., Built]:
    """Makes the featurizer of outputs, and the batch that it was made for."""
    path = tmp_path_factory.mktemp("dated") / "all.parquet"
    pq.write_table(dated, path)
    datasource = Datasource(SCHEMA, (Part(str(path), len(dated), path.stat().st_size, "PARQUET"),))
    files = Storage()
    insights = compute_insights(datasource, files)
    [batch] = read_batches(datasource.numbered()[0], files)

    def build(*outputs: str) -> Built:
        recipe = parse_recipe(json.dumps({"outputs": outputs}), SCHEMA)
        vocabularies = count_vocabularies(datasource, Rearrangement(), recipe, insights, files)
        return build_featurizer(recipe, SCHEMA, insights, vocabularies), batch

    return build


def column(made: Built, name: str) -> list[float]:
    featurizer, batch = made
    at = featurizer.feature_names.index(name)
    return [float(value) for value in featurizer.transform(batch).toarray()[:, at]]


def codes(made: Built, expression: str) -> list[str]:
    """The value of each record's indicator, empty where none is set."""
    featurizer, batch = made
    matrix = featurizer.transform(batch).toarray()
    names = [name for name in featurizer.feature_names if name.startswith(f"{expression}=")]
    places = [featurizer.feature_names.index(name) for name in names]
    return [next((names[at].split("=")[1] for at in np.flatnonzero(row)), "") for row in matrix[:, places]]


@pytest.mark.parametrize("attribute", ["day", "time"])
def test_parts_of_dates(build: Callable[..., Built], attribute: str) -> None:
    functions = ["month", "weekday", "week"]
    made = build(*[f"{function}({attribute})" for function in functions])
    assert made[0].feature_names == [
        f"{function}({attribute})={value}"
        for function, count in (("month", 12), ("weekday", 7), ("week", 53))
        for value in range(1, count + 1)
    ]
    assert codes(made, f"month({attribute})") == ["12", "12", "1", "1", "", "2"]
    assert codes(made, f"weekday({attribute})") == ["7", "1", "7", "1", "", "5"]
    # The week of 2010-01-03 belongs to 2009, and that of 2008-12-29 to 2009.
    assert codes(made, f"week({attribute})") == ["52", "1", "53", "1", "", "9"]


def test_numbers_of_dates(build: Callable[..., Built]) -> None:
    made = build("year(day)", "days_since(time,'2008-12-28')")
    assert made[0].feature_names == [
        *("year(day)", "day=missing"),
        *("days_since(time,'2008-12-28')", "time=missing"),
    ]
    assert column(made, "year(day)") == [2008, 2008, 2010, 2010, 0, 2008]
    assert column(made, "day=missing") == column(made, "time=missing") == [0, 0, 0, 0, 1, 0]
    assert column(made, "days_since(time,'2008-12-28')") == [0, 1, 371, 372, 0, -303]
    assert made[0].centers[0] == pytest.approx(2008.8, abs=0.5)


@given(st.dates())
def test_calendar_is_that_of_the_standard_library(day: date) -> None:
    days = np.array([day.toordinal() - date(1970, 1, 1).toordinal()])
    variable = (Variable("d", ValueType.TEXT),)
    found = {name: int(date_part(Call(name, variable), days)[0]) for name in ("year", "month", "week", "weekday")}
    assert found == {
        "year": day.year,
        "month": day.month,
        "week": day.isocalendar().week,
        "weekday": day.isoweekday(),
    }
    since = date_part(Call("days_since", variable, ("2000-02-29",)), days)
    assert int(since[0]) == (day - date(2000, 2, 29)).days


def test_cells_that_are_no_date_are_missing(
    write: Callable[..., Datasource], files: ByteSource, dated: pa.Table
) -> None:
    many = pa.concat_tables([dated] * 100)
    days = [*many["day"].to_pylist()[:-3], "2008-02-30", "soon", ""]
    datasource = Datasource(SCHEMA, write(many.set_column(1, "day", pa.array(days))).parts)
    recipe = parse_recipe('{"outputs": ["month(day)", "year(day)"]}', SCHEMA)
    made = build_featurizer(recipe, SCHEMA, compute_insights(datasource, files))
    [batch] = read_batches(datasource.numbered()[0], files)
    assert codes((made, batch), "month(day)")[-4:] == ["1", "", "", ""]
    assert column((made, batch), "day=missing")[-4:] == [0, 1, 1, 1]


def test_log(build: Callable[..., Built]) -> None:
    made = build("price", "log(price)", "log(clip(price,0,10))")
    assert made[0].feature_names == [
        *("price", "price=missing"),
        *("log(price)", "log(price)=missing"),
        *("log(clip(price,0,10))", "log(clip(price,0,10))=missing"),
    ]
    assert column(made, "log(price)") == [
        0,
        pytest.approx(math.log(2.5)),
        0,
        0,
        pytest.approx(math.log(100)),
        -math.log(2),
    ]
    # 1 + -1 has no logarithm.
    assert column(made, "log(price)=missing") == [0, 0, 1, 1, 0, 0]
    assert column(made, "price=missing") == column(made, "log(clip(price,0,10))=missing") == [0, 0, 0, 1, 0, 0]


def test_clip(build: Callable[..., Built]) -> None:
    made = build("clip(price,-0.75e0,1.25)", "normalize(clip(price,0,1))")
    assert made[0].feature_names == ["clip(price,-0.75,1.25)", "price=missing", "normalize(clip(price,0,1))"]
    assert column(made, "clip(price,-0.75,1.25)") == [0, 1.25, -0.75, 0, 1.25, -0.5]
    # Clipped values 0, 0, 0, 1, 1: mean and deviation are those of their quantiles, missing ones are at the mean.
    normal = column(made, "normalize(clip(price,0,1))")
    assert normal[3] == 0
    assert normal[0] == normal[2] == normal[5] < 0 < normal[1] == normal[4]
    assert normal[1] - normal[0] == pytest.approx(1 / np.std([0, 0, 0, 1, 1]), rel=0.15)


def test_impute(build: Callable[..., Built]) -> None:
    made = build("impute(price,-2.5)", "quantile_bin(impute(price,1000),2)", "impute(year(day),2009)")
    assert made[0].feature_names == [
        "impute(price,-2.5)",
        "quantile_bin(impute(price,1000),2)=1",
        "quantile_bin(impute(price,1000),2)=2",
        "impute(year(day),2009)",
    ]
    assert column(made, "impute(price,-2.5)") == [0, 1.5, -1, -2.5, 99, -0.5]
    assert codes(made, "quantile_bin(impute(price,1000),2)")[2:5] == ["1", "2", "2"]
    assert column(made, "impute(year(day),2009)")[4] == 2009


def test_bucket_is_closed_on_the_left(build: Callable[..., Built]) -> None:
    made = build("bucket(price,-0.5,0,1.5)", "bucket(log(price),0,4)", "bucket(days_since(day,'2008-12-29'),0)")
    assert made[0].feature_names[:5] == [*(f"bucket(price,-0.5,0,1.5)={bin}" for bin in range(1, 5)), "price=missing"]
    assert codes(made, "bucket(price,-0.5,0,1.5)") == ["3", "4", "1", "", "4", "2"]
    assert codes(made, "bucket(log(price),0,4)") == ["2", "2", "", "", "3", "1"]
    assert codes(made, "bucket(days_since(day,'2008-12-29'),0)") == ["1", "2", "2", "2", "", "1"]
    assert column(made, "price=missing") == [0, 0, 0, 1, 0, 0]


def test_products(build: Callable[..., Built]) -> None:
    made = build("cartesian(month(day),genre)", "cartesian(bucket(price,0),weekday(time),genre)")
    assert codes(made, "cartesian(month(day),genre)") == ["12_opera", "12_rock", "1_rock", "1_opera", "", ""]
    assert codes(made, "cartesian(bucket(price,0),weekday(time),genre)") == [
        "2_7_opera",
        "2_1_rock",
        "1_7_rock",
    ] + 3 * [""]


def test_bins_of_days(build: Callable[..., Built]) -> None:
    expression = "quantile_bin(days_since(day,'2008-01-01'),2)"
    made = build(expression)
    assert codes(made, expression) == ["1", "2", "2", "2", "", "1"]
    assert made[0].feature_names[-1] == "day=missing"


@pytest.mark.parametrize(("days", "bins"), [(5, 5), (10, 10), (10, 5), (365, 50), (3, 7)])
def test_bins_of_days_are_of_equal_frequency(
    write: Callable[..., Datasource], files: ByteSource, days: int, bins: int
) -> None:
    table = pa.table({"day": [str(date.fromordinal(733000 + number % days)) for number in range(3650)]})
    schema = Schema((Attribute("day", AttributeType.TEXT),))
    insights = compute_insights(Datasource(schema, write(table).parts), files)
    recipe = parse_recipe(f'{{"outputs": ["quantile_bin(days_since(day,\'2008-01-01\'),{bins})"]}}', schema)
    [edges] = build_featurizer(recipe, schema, insights).edges.values()
    first = 733000 - date(2008, 1, 1).toordinal()
    sizes = np.diff([first, *edges, first + days])
    assert len(sizes) == min(days, bins)
    assert np.abs(sizes - days / len(sizes)).max() <= 0.015 * days


EXTENDED = [
    "log(price)",
    "normalize(log(price))",
    "quantile_bin(log(price),3)",
    "clip(price,-1e-07,1e+22)",
    "impute(price,-0.125)",
    "bucket(impute(log(price),0),0.5,2)",
    "year(day)",
    "month(day)",
    "week(time)",
    "weekday(time)",
    "normalize(days_since(day,'2008-01-01'))",
    "cartesian(month(day),quantile_bin(days_since(time,'2008-01-01'),2),genre)",
]


def test_json_and_pickle_keep_extensions(build: Callable[..., Built]) -> None:
    featurizer, batch = build(*EXTENDED)
    expected = featurizer.transform(batch)
    for copy in (Featurizer.from_json(featurizer.to_json()), pickle.loads(pickle.dumps(featurizer))):
        assert copy.feature_names == featurizer.feature_names
        assert (copy.transform(batch) != expected).nnz == 0
        assert copy.to_json() == featurizer.to_json()
    assert [str(block.expression) for block in featurizer.blocks] == EXTENDED
    assert len(set(featurizer.feature_names)) == featurizer.n_features


@pytest.mark.parametrize("size", [300, 77, 1])
def test_vocabularies_of_parts_are_those_of_the_whole(
    write: Callable[..., Datasource], files: ByteSource, dated: pa.Table, size: int
) -> None:
    many = dated.take(np.random.default_rng(8).integers(0, 6, 40 if size == 1 else 300))
    datasource = Datasource(SCHEMA, write(many, size).parts)
    recipe = parse_recipe(
        '{"outputs": ["cartesian(month(day),genre)", "cartesian(bucket(price,0,50),weekday(time))"]}', SCHEMA
    )
    found = count_vocabularies(datasource, Rearrangement(), recipe, compute_insights(datasource, files), files)
    expected: list[Counter[str]] = [Counter(), Counter()]
    for record in many.to_pylist():
        if record["day"] is None:
            continue
        day = date.fromisoformat(record["day"])
        if record["genre"] is not None:
            expected[0][f"{day.month}_{record['genre']}"] += 1
        if record["price"] is not None:
            bucket = 1 + (record["price"] >= 0) + (record["price"] >= 50)
            expected[1][f"{bucket}_{day.isoweekday()}"] += 1
    assert [dict(pairs) for pairs in found.values()] == [dict(counts) for counts in expected]


@pytest.mark.parametrize("output", EXTENDED)
def test_a_strict_recipe_has_no_extensions(output: str) -> None:
    text = json.dumps({"outputs": [output]})
    assert str(parse_recipe(text, SCHEMA).outputs[0]) == output
    with pytest.raises(RecipeError, match="is an extension, which Amazon ML does not have") as caught:
        parse_recipe(text, SCHEMA, strict=True)
    places = {output.find(f"{name}(") for name, one in FUNCTIONS.items() if one.extension}
    assert f"column {15 + min(place for place in places if place >= 0)}:" in str(caught.value)


def test_a_strict_recipe_in_amazons_grammar_is_the_same() -> None:
    text = '{"outputs": ["ALL_INPUTS", "quantile_bin(price,50)", "cartesian(genre,lowercase(time))"]}'
    assert parse_recipe(text, SCHEMA, strict=True) == parse_recipe(text, SCHEMA)
    with pytest.raises(RecipeError, match="check its spelling"):
        parse_recipe('{"outputs": ["weekdays(day)"]}', SCHEMA, strict=True)
    with pytest.raises(RecipeError, match="did you mean 'weekday'"):
        parse_recipe('{"outputs": ["weekdays(day)"]}', SCHEMA)


@pytest.mark.parametrize(
    ("output", "column", "words"),
    [
        ("weekday(price)", 23, "weekday takes CATEGORICAL or TEXT, and price is NUMERIC"),
        ("month(lowercase(time))", 21, "takes an attribute of dates, and lowercase.time. is none"),
        ("month(month(day))", 21, "takes an attribute of dates"),
        ("month(day,2)", 15, "takes 1 argument"),
        ("days_since(day)", 15, "takes an expression and 1 day.s. after it, not 0"),
        ("days_since(day,2008-01-01)", 30, "in single quotes"),
        ("days_since(day,'2008-02-30')", 30, "a day that exists"),
        ("days_since(day,'20080101')", 30, "a day that exists"),
        ("days_since(day,day)", 30, "a day that exists"),
        ("days_since(day,7)", 30, "a day that exists"),
        ("log(genre)", 19, "log takes NUMERIC, and genre is CATEGORICAL"),
        ("log(price,2)", 15, "takes 1 argument"),
        ("log(normalize(price))", 19, "put normalize around log instead"),
        ("clip(price,1)", 15, "2 number.s. after it, not 1"),
        ("clip(price,1,1)", 28, "must ascend, and 1 is not above 1"),
        ("clip(price,0,high)", 28, "a number is expected here"),
        ("clip(price,0,1e400)", 28, "too large"),
        ("clip(price,0,1.)", 28, "does not start with a letter"),
        ("impute(price)", 15, "1 number.s. after it, not 0"),
        ("impute(genre,0)", 22, "impute takes NUMERIC"),
        ("bucket(price)", 15, "1 to 999 number"),
        ("bucket(price,3,2)", 30, "must ascend, and 2 is not above 3"),
        ("1.5", 15, "the number 1.5 is no attribute"),
        ("quantile_bin(price,2.5)", 34, "whole number from 2 to 1000"),
    ],
)
def test_faults_are_placed(output: str, column: int, words: str) -> None:
    with pytest.raises(RecipeError, match=words) as caught:
        parse_recipe(json.dumps({"outputs": [output]}), SCHEMA)
    assert f"line 1, column {column}:" in str(caught.value)


@pytest.mark.parametrize("output", ["quantile_bin(days_since(genre,'2008-01-01'),5)", "month(genre)", "weekday(genre)"])
def test_parts_of_what_is_no_date_are_refused(output: str, build: Callable[..., Built]) -> None:
    with pytest.raises(RecipeError, match="'genre' holds no ISO dates"):
        build(output)


_NUMBER = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**15), 10**15)


def _numbers() -> st.SearchStrategy[Call | Variable]:
    dates = st.sampled_from([Variable("day", ValueType.CATEGORICAL), Variable("time", ValueType.TEXT)])
    days = st.dates().map(date.isoformat)
    leaves = (
        st.just(Variable("price", ValueType.NUMERIC))
        | st.builds(lambda x: Call("year", (x,)), dates)
        | st.builds(lambda x, day: Call("days_since", (x,), (day,)), dates, days)
    )
    bounds = st.lists(_NUMBER, min_size=2, max_size=2, unique=True).map(sorted).map(tuple)
    return st.recursive(
        leaves,
        lambda inner: (
            st.builds(lambda x: Call("log", (x,)), inner)
            | st.builds(lambda x, ends: Call("clip", (x,), ends), inner, bounds)
            | st.builds(lambda x, value: Call("impute", (x,), (value,)), inner, _NUMBER)
        ),
        max_leaves=4,
    )


@settings(max_examples=150, deadline=None)
@given(_numbers(), st.lists(_NUMBER, min_size=1, max_size=4, unique=True).map(sorted), st.integers(2, 1000))
def test_what_is_written_is_read_again(number: Call | Variable, edges: list[float], bins: int) -> None:
    wanted = [
        number,
        Call("normalize", (number,)),
        Call("bucket", (number,), tuple(edges)),
        Call("quantile_bin", (Call("normalize", (number,)),), (bins,)),
    ]
    recipe = parse_recipe(json.dumps({"outputs": [str(one) for one in wanted]}), SCHEMA)
    assert list(recipe.outputs) == wanted
    again = parse_recipe(json.dumps({"outputs": [str(one) for one in recipe.outputs]}), SCHEMA)
    assert [str(one) for one in again.outputs] == [str(one) for one in recipe.outputs]


_PIECES = ["price", "day", "genre", ",", "(", ")", "'2008-01-01'", "1", "-2.5", "1e9", "1e999", " ", *FUNCTIONS]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(_PIECES), max_size=12).map("".join), st.sampled_from([*FUNCTIONS]), st.booleans())
def test_nothing_but_recipe_errors(text: str, function: str, strict: bool) -> None:
    for output in (text, f"{function}({text})", f"{function}(price,{text})", f"{function}(day,{text})"):
        try:
            recipe = parse_recipe(json.dumps({"outputs": [output]}), SCHEMA, strict=strict)
        except RecipeError:
            continue
        assert recipe.outputs


@settings(max_examples=40, deadline=None)
@given(st.lists(_numbers(), min_size=1, max_size=4, unique=True))
def test_all_numbers_become_finite_features(build: Callable[..., Built], numbers: list[Call | Variable]) -> None:
    outputs = [str(one) for one in numbers] + [f"normalize({one})" for one in numbers]
    outputs += [f"quantile_bin({one},{bins})" for one in numbers for bins in (2, 50)]
    featurizer, batch = build(*outputs)
    matrix = featurizer.transform(batch)
    assert np.isfinite(matrix.data).all()
    assert Featurizer.from_json(featurizer.to_json()).to_json() == featurizer.to_json()
