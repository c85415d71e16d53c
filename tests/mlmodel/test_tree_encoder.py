from __future__ import annotations

import json
import pickle
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from nightcast.datasource.insights import compute_insights
from nightcast.datasource.insights_format import (
    BinaryInsights,
    CategoricalInsights,
    DateInsights,
    Insights,
    NumericInsights,
    TextInsights,
)
from nightcast.datasource.parts import Batch, ByteSource, Datasource, read_batches
from nightcast.errors import ModelError
from nightcast.mlmodel.tree_columns import MOST_CODES, CodeColumn, DateColumns, MeanColumn, NumberColumn, TokenColumns
from nightcast.mlmodel.tree_encoder import MOST_TOKENS, TreeEncoder, build_encoder

NAN = float("nan")


def batch(**columns: Any) -> Batch:
    return Batch(0, {name: pa.array(values) for name, values in columns.items()})


def categories(values: list[tuple[str, int]], other: int = 0, dates: DateInsights | None = None) -> CategoricalInsights:
    return CategoricalInsights(
        missing=0,
        distinct=len(values),
        distinct_exact=True,
        values=values,
        other=other,
        count_error=0,
        most_frequent=None,
        least_frequent=None,
        correlation=None,
        mutual_information=None,
        dates=dates,
        fingerprint="0" * 16,
    )


def insights_of(**attributes: Any) -> Insights:
    return Insights(records=100, bad_records=0, target=None, attributes=attributes)


def test_numbers_and_truths_stay_as_they_are_and_missing_ones_are_nan() -> None:
    encoder = TreeEncoder((NumberColumn("price"), NumberColumn("promo")))
    found = encoder.encode(batch(price=[1.5, None, 2**53 + 2.0], promo=[True, False, None]))
    np.testing.assert_array_equal(found, [[1.5, 1.0], [NAN, 0.0], [2**53 + 2.0, NAN]])


@pytest.mark.parametrize(("other", "expected"), [(True, 2.0), (False, NAN)])
def test_a_value_that_is_not_listed_is_one_of_the_others_or_missing(other: bool, expected: float) -> None:
    column = CodeColumn("genre", ("opera", ""), other)
    plain = batch(genre=["opera", "", "jazz", None])
    coded = Batch(0, {"genre": plain.columns["genre"].dictionary_encode()})
    for one in (plain, coded):
        np.testing.assert_array_equal(column.encode(one)[:, 0], [0.0, 1.0, expected, NAN])


def test_a_mean_column_holds_numbers_of_values_until_it_is_filled() -> None:
    cells = batch(store=["b", "a", "new", None])
    encoder = TreeEncoder((MeanColumn("store", ("a", "b")),))
    np.testing.assert_array_equal(encoder.encode(cells)[:, 0], [1.0, 0.0, 2.0, NAN])
    filled = encoder.with_means({"store": (np.array([7.0, 8.5]), 5.0)})
    np.testing.assert_array_equal(filled.encode(cells)[:, 0], [8.5, 7.0, 5.0, NAN])


def test_dates_are_days_months_and_weekdays() -> None:
    column = DateColumns("day", "2008-12-31")
    found = column.encode(batch(day=["2008-12-31", "2009-02-01 10:00:00", "soon", None, "1969-12-28"]))
    np.testing.assert_array_equal(found[:2], [[0, 12, 2], [32, 2, 6]])
    assert np.isnan(found[2:4]).all()
    np.testing.assert_array_equal(found[4, 1:], [12, 6])


def test_a_text_is_its_number_of_words_and_the_tokens_that_it_holds() -> None:
    column = TokenColumns("title", ("gala", "night,"))
    found = column.encode(batch(title=["gala gala", " Night night, ", "", None]))
    np.testing.assert_array_equal(found, [[2, 1, 0], [2, 0, 1], [0, 0, 0], [NAN, NAN, NAN]])


def test_columns_of_categories_come_first_and_the_rest_follows_the_recipe() -> None:
    many = [(f"v{number}", 300 - number) for number in range(300)]
    text = TextInsights(
        **dict.fromkeys(("missing", "words", "unique_words", "unique_tokens", "count_error"), 0),
        unique_words_exact=True,
        unique_tokens_exact=True,
        words_per_row=None,
        word_length=None,
        tokens=[("the", 9)],
        correlation=None,
        mutual_information=None,
        prominent=[(f"t{number}", 5, 0.5) for number in range(100)],
        dates=None,
        fingerprint="0" * 16,
    )
    dates = DateInsights("2008-01-01", "2008-12-31", 100, ["2008-01-01"] * 101)
    found = insights_of(title=text, few=categories([("a", 1)]), day=categories([], dates=dates), many=categories(many))
    encoder = build_encoder(("title", "few", "day", "many"), found, means=True)
    assert [type(column).__name__ for column in encoder.columns] == [
        "CodeColumn",
        "CodeColumn",
        "TokenColumns",
        "DateColumns",
        "MeanColumn",
    ]
    assert encoder.categorical == 2
    assert encoder.attributes == ("few", "many", "title", "day")
    few, codes, tokens, _, means = encoder.columns
    assert few == CodeColumn("few", ("a",), other=False)
    assert isinstance(codes, CodeColumn)
    assert codes.other
    assert len(codes.values) == MOST_CODES
    assert isinstance(tokens, TokenColumns)
    assert tokens.tokens == tuple(f"t{number}" for number in range(MOST_TOKENS))
    assert isinstance(means, MeanColumn)
    assert len(means.values) == 300
    assert len(encoder.titles) == len(encoder.owners) == 2 + 1 + MOST_TOKENS + 3 + 1
    without = build_encoder(("many",), found, means=False)
    assert [type(column) for column in without.columns] == [CodeColumn]


def test_an_attribute_that_the_insights_do_not_know_is_named() -> None:
    with pytest.raises(ModelError, match="no attribute 'price'"):
        build_encoder(("price",), insights_of(), means=True)


def test_the_document_and_the_pickle_give_the_same_matrix(datasource: Datasource, files: ByteSource) -> None:
    insights = compute_insights(datasource, files)
    assert isinstance(insights.attributes["price"], NumericInsights)
    assert isinstance(insights.attributes["promo"], BinaryInsights)
    encoder = build_encoder(("price", "venue", "title", "promo"), insights, means=True)
    document = encoder.to_json()
    again = TreeEncoder.from_json(document)
    assert again == encoder
    assert again.to_json() == document
    for one in read_batches(datasource.numbered()[0], files):
        expected = encoder.encode(one)
        assert expected.shape == (len(one), len(encoder.titles))
        np.testing.assert_array_equal(again.encode(one), expected)
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(encoder)).encode(one), expected)


@pytest.mark.parametrize(
    "column",
    [
        {"kind": "unknown", "name": "a"},
        {"kind": "number"},
        {"kind": "number", "name": 5},
        {"kind": "code", "name": "a", "values": [1], "other": True},
        {"kind": "code", "name": "a", "values": ["x"] * 300, "other": True},
        {"kind": "mean", "name": "a", "values": ["x"], "means": [1.0, 2.0], "mean": 0.0},
        {"kind": "mean", "name": "a", "values": ["x"], "means": ["1"], "mean": 0.0},
        {"kind": "date", "name": "a", "first": "soon"},
        {"kind": "tokens", "name": "a", "tokens": [None]},
        5,
    ],
)
def test_a_damaged_document_is_refused(column: Any) -> None:
    document = {"format": "nightcast-tree-encoder", "version": 1, "columns": [column]}
    with pytest.raises(ModelError, match="damaged"):
        TreeEncoder.from_json(json.dumps(document))


def test_a_document_of_another_version_is_refused() -> None:
    with pytest.raises(ModelError, match="version 2"):
        TreeEncoder.from_json(json.dumps({"format": "nightcast-tree-encoder", "version": 2, "columns": []}))
