from __future__ import annotations

import json
import pickle
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest

from nightcast.datasource.insights import Insights, compute_insights
from nightcast.datasource.parts import Batch, ByteSource, Datasource, read_batches
from nightcast.datasource.rearrangement import Rearrangement
from nightcast.datasource.schema import Schema
from nightcast.errors import RecipeError
from nightcast.recipe.featurizer import Featurizer, build_featurizer
from nightcast.recipe.grammar import parse_recipe
from nightcast.recipe.vocabulary import count_vocabularies

ALL = json.dumps(
    {
        "outputs": [
            "ALL_BINARY",
            "ALL_CATEGORICAL",
            "price",
            "quantile_bin(seats,2)",
            "normalize(price)",
            "quantile_bin(price,2)",
            "ALL_TEXT",
            "osb(lowercase(no_punct(title)),2)",
            "cartesian(genre,quantile_bin(seats,2))",
        ]
    }
)


@pytest.fixture
def featurizer(schema: Schema, insights: Insights, datasource: Datasource, files: ByteSource) -> Featurizer:
    recipe = parse_recipe(ALL, schema)
    vocabularies = count_vocabularies(datasource, Rearrangement(), recipe, insights, files)
    return build_featurizer(recipe, schema, insights, vocabularies)


def rows(featurizer: Featurizer, batch: Batch) -> list[dict[str, float]]:
    """Each record's features by name, without zeros."""
    matrix = featurizer.transform(batch)
    assert matrix.shape == (len(batch), featurizer.n_features)
    assert matrix.dtype == np.float64
    assert matrix.has_canonical_format
    names = featurizer.feature_names
    return [{names[at]: float(row[at]) for at in np.flatnonzero(row)} for row in matrix.toarray()]


def test_names_and_their_order(featurizer: Featurizer) -> None:
    assert featurizer.feature_names == [
        "promo",
        *("genre=rock", "genre=", "genre=opera"),
        *("price", "price=missing"),
        *("quantile_bin(seats,2)=1", "quantile_bin(seats,2)=2", "seats=missing"),
        "normalize(price)",
        *("quantile_bin(price,2)=1", "quantile_bin(price,2)=2"),
        *("title=Show", "title=big", "title=Big,", "title=Opera!", "title=the"),
        "osb(lowercase(no_punct(title)),2)=big_big",
        "osb(lowercase(no_punct(title)),2)=big_show",
        "osb(lowercase(no_punct(title)),2)=the_show",
        *(f"cartesian(genre,quantile_bin(seats,2))={token}" for token in ("rock_2", "_2", "opera_1", "rock_1")),
    ]
    assert len(set(featurizer.feature_names)) == featurizer.n_features
    assert set(featurizer.columns) == {"promo", "genre", "price", "seats", "title"}


def test_values(featurizer: Featurizer, batch: Batch) -> None:
    first, _, third, fourth, fifth, _ = rows(featurizer, batch)
    std = np.std([10, 20, 30, 40, 50], ddof=1)
    assert first == {
        "promo": 1,
        "genre=opera": 1,
        "price": 10,
        "quantile_bin(seats,2)=1": 1,
        "normalize(price)": pytest.approx(-20 / std),
        "quantile_bin(price,2)=1": 1,
        "title=Big,": 1,
        "title=big": 1,
        "title=Show": 1,
        "osb(lowercase(no_punct(title)),2)=big_big": 1,
        "osb(lowercase(no_punct(title)),2)=big_show": 1,
        "cartesian(genre,quantile_bin(seats,2))=opera_1": 1,
    }
    # Missing promo, empty title; normalize gives 0 at the mean.
    assert third == {
        "genre=rock": 1,
        "price": 30,
        "quantile_bin(seats,2)=2": 1,
        "quantile_bin(price,2)=2": 1,
        "cartesian(genre,quantile_bin(seats,2))=rock_2": 1,
    }
    # Missing genre and title.
    assert fourth.keys() == {"promo", "price", "quantile_bin(seats,2)=2", "normalize(price)", "quantile_bin(price,2)=2"}
    # A missing price sets one indicator, whatever is made of it; the empty genre is a value.
    assert fifth == {
        "promo": 1,
        "genre=": 1,
        "price=missing": 1,
        "quantile_bin(seats,2)=2": 1,
        "title=Opera!": 1,
        "cartesian(genre,quantile_bin(seats,2))=_2": 1,
    }


def test_what_was_not_seen_adds_nothing(
    featurizer: Featurizer, write: Callable[..., Datasource], files: ByteSource, table: pa.Table
) -> None:
    strange = {"price": [-1e9, 1e9], "seats": [None, None], "genre": ["polka", "Rock"], "title": ["BIG nothing", "x"]}
    rest = {"promo": [False, False], "id": ["", None], "secret": [None, None], "sold": [None, None]}
    types = {name: table.schema.field(name).type for name in table.column_names}
    new = pa.table({name: pa.array({**strange, **rest}[name], types[name]) for name in table.column_names})
    [batch] = read_batches(write(new).numbered()[0], files)
    low, high = rows(featurizer, batch)
    std = np.std([10, 20, 30, 40, 50], ddof=1)
    scaled = {"normalize(price)": pytest.approx((-1e9 - 30) / std)}
    assert low == {"price": -1e9, "quantile_bin(price,2)=1": 1, "seats=missing": 1, **scaled}
    assert high.keys() == {"price", "quantile_bin(price,2)=2", "seats=missing", "normalize(price)"}


def test_dictionaries_and_plain_strings_are_the_same(featurizer: Featurizer, batch: Batch) -> None:
    def plain(array: pa.Array) -> pa.Array:
        return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array

    def coded(array: pa.Array) -> pa.Array:
        return plain(array).dictionary_encode() if pa.types.is_string(plain(array).type) else array

    for change in (plain, coded):
        changed = Batch(0, {name: change(array) for name, array in batch.columns.items()})
        assert (featurizer.transform(changed) != featurizer.transform(batch)).nnz == 0
    sliced = Batch(2, {name: array.slice(2, 3) for name, array in batch.columns.items()})
    assert (featurizer.transform(sliced).toarray() == featurizer.transform(batch).toarray()[2:5]).all()


def test_json_and_pickle_keep_everything(featurizer: Featurizer, batch: Batch) -> None:
    expected = featurizer.transform(batch)
    for copy in (Featurizer.from_json(featurizer.to_json()), pickle.loads(pickle.dumps(featurizer))):
        assert copy.feature_names == featurizer.feature_names
        assert (copy.transform(batch) != expected).nnz == 0
        assert copy.to_json() == featurizer.to_json()
        assert (copy.centers == featurizer.centers).all()


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text[:-5],
        lambda text: text.replace('"version": 1', '"version": 2'),
        lambda text: text.replace("nightcast-featurizer", "x"),
        lambda text: text.replace('"vocabulary"', '"vocabular"'),
        lambda text: text.replace("quantile_bin(price,2)", "quantile_bin(price,3)", 1),
        lambda text: text.replace('"NUMERIC"', '"NUMBER"'),
    ],
)
def test_damage_is_refused(featurizer: Featurizer, change: Callable[[str], str]) -> None:
    with pytest.raises(RecipeError):
        Featurizer.from_json(change(featurizer.to_json()))


def test_rare_values_are_left_out_beyond_the_limit(schema: Schema, insights: Insights, batch: Batch) -> None:
    recipe = parse_recipe('{"outputs": ["genre", "promo", "title"]}', schema)
    whole = build_featurizer(recipe, schema, insights)
    trimmed = build_featurizer(recipe, schema, insights, max_features=4)
    # rock (3 records), Show and big (2 each) are the most frequent; promo has no vocabulary.
    assert trimmed.feature_names == ["genre=rock", "promo", "title=Show", "title=big"]
    assert trimmed.trimmed == whole.n_features - 4
    assert build_featurizer(recipe, schema, insights, max_features=0).feature_names == ["promo"]
    expected = whole.transform(batch).toarray()[:, [whole.feature_names.index(name) for name in trimmed.feature_names]]
    assert (trimmed.transform(batch).toarray() == expected).all()


def test_tokens_that_nobody_counted(schema: Schema, insights: Insights) -> None:
    with pytest.raises(RecipeError, match="were not counted"):
        build_featurizer(parse_recipe('{"outputs": ["ngram(title,2)"]}', schema), schema, insights)


def test_insights_of_another_datasource(schema: Schema, insights: Insights) -> None:
    other = Insights(0, 0, None, dict.fromkeys(schema.names, insights.attributes["title"]))
    with pytest.raises(RecipeError, match="know no NUMERIC attribute 'price'"):
        build_featurizer(parse_recipe('{"outputs": ["price"]}', schema), schema, other)


def test_a_constant_and_an_empty_column(
    schema: Schema, write: Callable[..., Datasource], files: ByteSource, table: pa.Table
) -> None:
    changed = table.set_column(1, "price", pa.array([7.0] * 6)).set_column(2, "seats", pa.nulls(6, pa.float64()))
    datasource = write(changed)
    insights = compute_insights(datasource, files)
    recipe = parse_recipe(
        '{"outputs": ["normalize(price)", "quantile_bin(price,10)", "quantile_bin(seats,2)"]}', schema
    )
    featurizer = build_featurizer(recipe, schema, insights)
    [batch] = read_batches(datasource.numbered()[0], files)
    assert rows(featurizer, batch) == [{"quantile_bin(price,10)=1": 1, "seats=missing": 1}] * 6
