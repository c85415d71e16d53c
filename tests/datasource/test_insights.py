from __future__ import annotations

import gzip
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nightcast.datasource.categorical_state import CategoricalState, RowIdState
from nightcast.datasource.column_state import BinaryState
from nightcast.datasource.insights import (
    BinaryInsights,
    CategoricalInsights,
    Insights,
    InsightsPlan,
    NumericInsights,
    TextInsights,
    compute_insights,
    part_insights,
)
from nightcast.datasource.numeric_state import NumericState
from nightcast.datasource.parts import Datasource, Part
from nightcast.datasource.schema import Attribute, AttributeType, Schema
from nightcast.datasource.string_counts import TableLimits
from nightcast.datasource.target_cells import Beside
from nightcast.datasource.text_state import TextState
from nightcast.datasource.value_keys import record_weights
from nightcast.errors import DatasourceError

Write = Callable[..., Datasource]
RECORDS = 30_000
GOLDEN = Path(__file__).parent / "golden" / "insights.json"
JOURNEY = Path(__file__).resolve().parents[3] / "shared" / "data" / "completejourney" / "transactions_pipe.txt.gz"


def schema_of(target: str | None = None, row_id: str | None = None, **types: str) -> Schema:
    return Schema(tuple(Attribute(name, AttributeType(kind)) for name, kind in types.items()), target, row_id)


SALES = schema_of(
    "sold", "id", id="CATEGORICAL", price="NUMERIC", seats="NUMERIC", promo="BINARY", venue="CATEGORICAL",
    note="TEXT", sold="NUMERIC",
)  # fmt: skip


@pytest.fixture(scope="module")
def sales() -> pd.DataFrame:
    random = np.random.default_rng(42)
    venue = random.integers(0, 40, RECORDS)
    seats = random.integers(0, 300, RECORDS).astype(float)
    price = random.gamma(3.0, 20.0, RECORDS)
    sold = 10 + venue / 4 + price / 50 + random.normal(0, 2, RECORDS)
    frame = pd.DataFrame(
        {
            "id": [f"sale-{n}" for n in range(RECORDS)],
            "price": np.where(random.random(RECORDS) < 0.03, np.nan, price),
            "seats": seats,
            "promo": pd.Series(random.random(RECORDS) < 0.2).astype("boolean").mask(random.random(RECORDS) < 0.05),
            "venue": pd.Series([f"venue {n}" for n in venue], dtype=object).mask(random.random(RECORDS) < 0.02, None),
            "note": random.choice(["Great show!", "a Show, a great  show", "", " - ", "Ünique"], RECORDS),
            "sold": np.where(random.random(RECORDS) < 0.01, np.nan, sold),
        }
    )
    return frame


def table_of(frame: pd.DataFrame) -> pa.Table:
    return pa.Table.from_pandas(frame, preserve_index=False)


@pytest.fixture
def found(sales: pd.DataFrame, write_parts: Write, files: Any) -> Insights:
    return compute_insights(write_parts(SALES, table_of(sales), [7000, 7001], row_group=5000), files)


def test_the_datasource_is_summed_up(found: Insights) -> None:
    assert (found.records, found.bad_records, found.target) == (RECORDS, 0, "sold")
    assert list(found.attributes) == ["id", "price", "seats", "promo", "venue", "note", "sold"]


@pytest.mark.parametrize("name", ["price", "seats", "sold"])
def test_numbers_equal_what_pandas_says(name: str, found: Insights, sales: pd.DataFrame) -> None:
    column, numeric = sales[name], found.attributes[name]
    assert isinstance(numeric, NumericInsights)

    assert numeric.missing == column.isna().sum() and numeric.invalid == 0
    assert (numeric.min, numeric.max, numeric.zeros) == (column.min(), column.max(), (column == 0).sum())
    assert numeric.mean == pytest.approx(column.mean(), rel=1e-12)
    assert numeric.std == pytest.approx(column.std(), rel=1e-12)
    exact = column.quantile(np.arange(1001) / 1000).to_numpy()
    tolerance = 1e-12 if name == "seats" else 0.00025
    np.testing.assert_allclose(numeric.quantiles, exact, rtol=tolerance)
    assert numeric.quantiles_exact == (name == "seats")
    assert numeric.median == numeric.quantiles[500]
    assert numeric.histogram is not None and sum(numeric.histogram.counts) == column.count()
    if name == "seats":
        assert (numeric.distinct, numeric.distinct_exact) == (300, True)
    else:
        assert not numeric.distinct_exact and abs(numeric.distinct / column.nunique() - 1) < 0.03


def test_correlations_equal_what_pandas_says(found: Insights, sales: pd.DataFrame) -> None:
    for name in ("price", "seats"):
        expected = sales[name].corr(sales["sold"])
        assert found.attributes[name].correlation == pytest.approx(expected, rel=1e-9)
    promo = sales["promo"].astype("Float64").astype(float)
    assert found.attributes["promo"].correlation == pytest.approx(promo.corr(sales["sold"]), rel=1e-9)
    assert found.attributes["sold"].correlation is None


def test_categories_have_the_adjusted_correlation_ratio(found: Insights, sales: pd.DataFrame) -> None:
    both = sales[["venue", "sold"]].dropna()
    groups = both.groupby("venue")["sold"]
    within = (groups.var(ddof=0) * groups.count()).sum()
    total = both["sold"].var(ddof=0) * len(both)
    epsilon = math.sqrt(1 - within / (len(both) - groups.ngroups) * (len(both) - 1) / total)

    assert found.attributes["venue"].correlation == pytest.approx(epsilon, rel=1e-9)
    assert found.attributes["id"].correlation is None


def test_categories_are_counted(found: Insights, sales: pd.DataFrame) -> None:
    counts, venue = sales["venue"].value_counts(), found.attributes["venue"]
    assert isinstance(venue, CategoricalInsights)

    assert dict(venue.values) == counts.to_dict()
    assert (venue.missing, venue.other, venue.count_error) == (sales["venue"].isna().sum(), 0, 0)
    assert (venue.distinct, venue.distinct_exact) == (40, True)
    assert venue.most_frequent == venue.values[0]
    assert venue.least_frequent is not None and venue.least_frequent[1] == counts.min()


def test_of_row_ids_the_number_and_a_sample_are_known(found: Insights) -> None:
    ids = found.attributes["id"]
    assert isinstance(ids, CategoricalInsights)

    assert abs(ids.distinct / RECORDS - 1) < 0.045 and not ids.distinct_exact
    assert ids.values == [(f"sale-{n}", 1) for n in range(10)]
    assert ids.other == ids.count_error == RECORDS - 10
    assert (ids.correlation, ids.mutual_information, ids.least_frequent) == (None, None, None)


def test_flags_are_counted(found: Insights, sales: pd.DataFrame) -> None:
    promo = sales["promo"]

    counts = (int((promo == True).sum()), int((promo == False).sum()), int(promo.isna().sum()))  # noqa: E712
    binary = found.attributes["promo"]
    assert isinstance(binary, BinaryInsights)

    assert (binary.true, binary.false, binary.missing, binary.invalid) == (*counts, 0)


def test_texts_are_counted_by_word_and_by_token(found: Insights, sales: pd.DataFrame) -> None:
    note, rows = found.attributes["note"], sales["note"].value_counts()
    assert isinstance(note, TextInsights)

    assert note.words == 2 * rows["Great show!"] + 5 * rows["a Show, a great  show"] + rows["Ünique"]
    assert (note.unique_words, note.words_per_row, note.word_length) == (4, (0, 5), (1, 6))
    assert dict(note.tokens) == {
        "Great": rows["Great show!"], "show!": rows["Great show!"], "a": rows["a Show, a great  show"],
        "Show,": rows["a Show, a great  show"], "great": rows["a Show, a great  show"],
        "show": rows["a Show, a great  show"], "-": rows[" - "], "Ünique": rows["Ünique"],
    }  # fmt: skip
    assert (note.unique_tokens, note.missing) == (8, 0)


def test_words_are_counted_as_the_developer_guide_does(write_parts: Write, files: Any) -> None:
    # Four rows, one of them empty: 12 words, 10 of them unique, 0 to 6 words a row, of 2 to 11 characters.
    texts = ["Show starts, doors at 8pm: welcome!", "welcome everybody", "", "show: unforgetting music here"]
    found = compute_insights(write_parts(schema_of(t="TEXT"), pa.table({"t": texts})), files).attributes["t"]
    assert isinstance(found, TextInsights)

    assert (found.words, found.unique_words, found.words_per_row) == (12, 10, (0, 6))
    assert found.word_length == (2, 12)


def test_the_cut_into_parts_changes_no_more_than_rounding(
    found: Insights, sales: pd.DataFrame, write_parts: Write, files: Any
) -> None:
    whole = compute_insights(write_parts(SALES, table_of(sales)), files)

    for name, left in found.attributes.items():
        for field, value in vars(left).items():
            other = getattr(whole.attributes[name], field)
            if field in ("mutual_information", "prominent") or (name, field) == ("note", "correlation"):
                # The classes of a NUMERIC target are chosen from the first records of each part.
                continue
            if field in ("mean", "std", "correlation") and other is not None:
                assert value == pytest.approx(other, rel=1e-11), (name, field)
            else:
                assert value == other, (name, field)


def test_any_mapper_gives_the_same_bytes(sales: pd.DataFrame, write_parts: Write, files: Any) -> None:
    datasource = write_parts(SALES, table_of(sales), [5000, 12_000, 20_000])
    alone = compute_insights(datasource, files).to_json()

    with ProcessPoolExecutor(2) as pool:
        assert compute_insights(datasource, files, pool.map).to_json() == alone
    assert compute_insights(datasource, files).to_json() == alone


def test_csv_and_parquet_give_the_same_bytes(
    sales: pd.DataFrame, write_parts: Write, write_csv: Write, files: Any
) -> None:
    frame = sales.head(2000)
    text = frame.to_csv(index=False, header=False, na_rep="\\N", quoting=0)
    from_csv = compute_insights(write_csv(SALES, text, records=[2000], null_as="\\N", gzipped=True), files)

    assert from_csv.to_json() == compute_insights(write_parts(SALES, table_of(frame)), files).to_json()


def test_invalid_cells_are_counted_apart_from_missing_ones(write_csv: Write, files: Any) -> None:
    schema = schema_of("y", x="NUMERIC", b="BINARY", y="NUMERIC")
    datasource = write_csv(schema, "1,y,1\nnan,maybe,2\n,,3\n3,0,bad\n5,N,5\n", records=[5])
    attributes = compute_insights(datasource, files).attributes
    x, b, y = attributes["x"], attributes["b"], attributes["y"]
    assert isinstance(x, NumericInsights) and isinstance(y, NumericInsights)

    assert (x.missing, x.invalid, x.mean, x.distinct) == (1, 1, 3.0, 3)
    assert (y.missing, y.invalid) == (0, 1)
    # Only the first and the last record have both.
    assert x.correlation == pytest.approx(1.0)
    assert isinstance(b, BinaryInsights)
    assert (b.true, b.false, b.missing, b.invalid, b.correlation) == (1, 2, 1, 1, pytest.approx(-1.0))


@pytest.mark.parametrize(
    ("kind", "array"),
    [
        ("NUMERIC", pa.array([None, None], pa.float64())),
        ("NUMERIC", pa.array([float("nan"), None])),
        ("NUMERIC", pa.array([1e308, -1e308])),
        ("NUMERIC", pa.array([7.0, 7.0])),
        ("BINARY", pa.array([None, None], pa.bool_())),
        ("CATEGORICAL", pa.array([None, None], pa.string())),
        ("TEXT", pa.array([None, None], pa.string())),
        ("TEXT", pa.array(["", "  "])),
    ],
)
@pytest.mark.parametrize("target", ["NUMERIC", "BINARY", "CATEGORICAL", None])
def test_columns_without_statistics_give_null_and_no_nan(
    kind: str, array: pa.Array, target: str | None, write_parts: Write, files: Any
) -> None:
    schema = schema_of(target and "y", x=kind, y=target or "TEXT")
    table = pa.table({"x": array, "y": pa.array(["a", "b"]) if target in ("CATEGORICAL", None) else pa.array([0, 1])})
    found = compute_insights(write_parts(schema, table), files)

    assert found.attributes["x"].correlation in (None, 0.0) or kind == "NUMERIC"
    assert Insights.from_json(found.to_json()) == found
    assert "NaN" not in found.to_json() and "Infinity" not in found.to_json()


def test_both_zeros_are_one_value(write_parts: Write, files: Any) -> None:
    table = pa.table({"x": [-0.0, 0.0, 0.5, -0.0]})
    found = compute_insights(write_parts(schema_of(x="NUMERIC"), table), files).attributes["x"]
    assert isinstance(found, NumericInsights)

    assert (found.distinct, found.zeros, str(found.min)) == (2, 3, "0.0")


def test_a_binary_target_correlates_as_zero_and_one(sales: pd.DataFrame, write_parts: Write, files: Any) -> None:
    schema = schema_of("promo", price="NUMERIC", promo="BINARY")
    found = compute_insights(write_parts(schema, table_of(sales[["price", "promo"]])), files)
    promo = sales["promo"].astype("Float64").astype(float)

    assert found.attributes["price"].correlation == pytest.approx(sales["price"].corr(promo), rel=1e-9)


def test_states_of_different_types_are_not_merged() -> None:
    limits = TableLimits()
    states = [NumericState(), BinaryState(), CategoricalState.of(limits), RowIdState(), TextState.of(limits)]

    for left in states:
        for right in states:
            if left is not right:
                with pytest.raises(TypeError, match="states of one attribute"):
                    left.merge(right)


def test_texts_of_a_dictionary_that_no_record_has_do_not_count() -> None:
    array = pa.DictionaryArray.from_arrays(pa.array([1, 1], pa.int32()), pa.array(["many more words", "one"]))
    state = TextState.of(TableLimits())
    state.add(array, None, Beside(record_weights(0, 2), None))
    state.finish()

    assert (state.insights().words, state.insights().words_per_row) == (2, (1, 1))
    assert state.insights().tokens == [("one", 2)]


def test_a_batch_of_missing_targets_says_nothing(write_parts: Write, files: Any) -> None:
    table = pa.table({"x": [1.0, 2.0], "c": ["a", None], "y": pa.array([None, None], pa.float64())})
    found = compute_insights(write_parts(schema_of("y", x="NUMERIC", c="CATEGORICAL", y="NUMERIC"), table), files)

    assert (found.attributes["x"].correlation, found.attributes["c"].correlation) == (None, None)


def test_no_records_are_refused(write_parts: Write, files: Any) -> None:
    datasource = write_parts(schema_of(x="NUMERIC"), pa.table({"x": pa.array([], pa.float64())}))

    with pytest.raises(DatasourceError, match="no records in 1 parts"):
        compute_insights(datasource, files)


@pytest.mark.parametrize("seed", [0, 2])
def test_no_more_values_are_estimated_than_there_are_records(seed: int, write_parts: Write, files: Any) -> None:
    size = 70_000
    names = pa.array([f"{seed} {n}" for n in range(size)])
    table = pa.table({"id": names, "name": names, "price": np.arange(size) + 100_000.0 * seed})
    schema = schema_of(row_id="id", id="CATEGORICAL", name="CATEGORICAL", price="NUMERIC")
    found = compute_insights(write_parts(schema, table), files).attributes

    for name in ("id", "name", "price"):
        distinct = found[name].distinct  # type: ignore[union-attr]
        assert 0.95 * size < distinct <= size, name


def test_many_distinct_strings_stay_in_bounds(write_parts: Write, files: Any) -> None:
    total = 150_000
    table = pa.table(
        {
            "c": [f"c{n}" if n % 3 else "often" for n in range(total)],
            "t": [f"w{n} common" for n in range(total)],
            "y": np.arange(float(total)),
        }
    )
    schema = schema_of("y", c="CATEGORICAL", t="TEXT", y="NUMERIC")
    found = compute_insights(write_parts(schema, table, [70_000]), files).attributes
    c, t = found["c"], found["t"]
    assert isinstance(c, CategoricalInsights) and isinstance(t, TextInsights)

    assert c.most_frequent == ("often", 50_000) and c.count_error > 0 and c.correlation is None
    assert c.other + sum(count for _, count in c.values) == total
    assert not c.distinct_exact and abs(c.distinct / 100_001 - 1) < 0.03
    assert t.tokens[0] == ("common", total)
    assert not t.unique_words_exact and abs(t.unique_words / (total + 1) - 1) < 0.03


def test_the_document_is_the_documented_one(write_parts: Write, files: Any) -> None:
    table = pa.table(
        {
            "price": [1.5, None, 2.5],
            "promo": [True, False, None],
            "city": ["Köln", "", None],
            "note": ["a b", None, "B!"],
            "day": ["2008-12-31", "2009-01-02", "2008-12-31"],
            "sold": [3, 4, 8],
        }
    )
    schema = schema_of(
        "sold", price="NUMERIC", promo="BINARY", city="CATEGORICAL", note="TEXT", day="CATEGORICAL", sold="NUMERIC"
    )
    text = compute_insights(write_parts(schema, table), files).to_json()

    assert json.loads(text) == json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert text == json.dumps(json.loads(text), sort_keys=True, ensure_ascii=False, separators=(",", ":")) + "\n"


def test_insights_survive_the_round_trip(found: Insights) -> None:
    again = Insights.from_json(found.to_json())

    assert again == found
    assert again.to_json() == found.to_json()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no JSON"),
        ("{}", "format None version None"),
        ('{"format": "nightcast-insights", "version": 1}', "version 1"),
        ('{"format": "nightcast-insights", "version": 2}', "damaged"),
    ],
)
def test_what_are_no_insights_is_refused(text: str, message: str) -> None:
    with pytest.raises(DatasourceError, match=message):
        Insights.from_json(text)


@pytest.mark.parametrize("value", [[1, 2], "abc", None, [True] * 1001, ["1"] * 1001, [0.0] * 1000])
def test_quantiles_of_a_wrong_form_are_refused(value: Any) -> None:
    document = json.loads(GOLDEN.read_text(encoding="utf-8"))
    document["attributes"]["price"]["quantiles"] = value

    with pytest.raises(DatasourceError, match=r"the insights are damaged .*quantiles"):
        Insights.from_json(json.dumps(document))


@pytest.mark.parametrize(
    "value",
    [
        {"edges": [1, 2], "counts": [1, 2]}, {"edges": "ab", "counts": [1]}, {"edges": [0.0, 1.0], "counts": ["1"]},
        {"edges": [0.0, 1.0]}, [1, 2], "abc",
    ],
)  # fmt: skip
def test_histograms_of_a_wrong_form_are_refused(value: Any) -> None:
    document = json.loads(GOLDEN.read_text(encoding="utf-8"))
    document["attributes"]["price"]["histogram"] = value

    with pytest.raises(DatasourceError, match="the insights are damaged"):
        Insights.from_json(json.dumps(document))


@pytest.mark.parametrize("percentiles", [["2008-01-01"], ["soon"] * 101, [1] * 101, "abc", None])
def test_percentiles_of_a_wrong_form_are_refused(percentiles: Any) -> None:
    dates = {"first": "2008-01-01", "last": "2008-01-01", "values": 1, "percentiles": ["2008-01-01"] * 101}
    document = json.loads(GOLDEN.read_text(encoding="utf-8"))
    document["attributes"]["city"]["dates"] = dates
    assert Insights.from_json(json.dumps(document)).attributes["city"].dates is not None  # type: ignore[union-attr]

    dates["percentiles"] = percentiles
    with pytest.raises(DatasourceError, match="the insights are damaged"):
        Insights.from_json(json.dumps(document))


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(["records", "target", "attributes", "price", "city", "note", "type", "values"]), _json)
def test_nothing_but_a_datasource_error_escapes(key: str, value: Any) -> None:
    document = json.loads(GOLDEN.read_text(encoding="utf-8"))
    place = document
    if key in ("price", "city", "note"):
        place = document["attributes"]
    elif key in ("type", "values"):
        place = document["attributes"]["city"]
    place[key] = value
    try:
        assert isinstance(Insights.from_json(json.dumps(document)), Insights)
    except DatasourceError:
        return


def test_pandas_and_sklearn_are_not_imported(tmp_path: Path, sales: pd.DataFrame, write_parts: Write) -> None:
    # Their import takes longer than the insights of 30,000 records.
    datasource = write_parts(SALES, table_of(sales.head(500)))
    text = sales.head(500).drop(columns="note").assign(note=1).to_csv(index=False)
    (tmp_path / "a.csv").write_text(text.replace(",1\n", ",x\n"))
    program = """
import sys
from nightcast.datasource.insights import compute_insights
from nightcast.datasource.numeric_state import NumericState
from nightcast.datasource.parts import Datasource, Part
from nightcast.datasource.rearrangement import Rearrangement
from nightcast.datasource.parts import read_batches
from nightcast.datasource.schema import Schema
import contextlib, pathlib

class Files:
    @contextlib.contextmanager
    def local_copy(self, uri):
        yield pathlib.Path(uri)

schema = Schema.from_json(sys.argv[1])
for part in (Part(sys.argv[2], 500, 1, "PARQUET"), Part(sys.argv[3], 500, 1, "CSV", header=True)):
    datasource = Datasource(schema, (part,))
    compute_insights(datasource, Files()).to_json()
    for batch in read_batches(datasource.numbered()[0], Files()):
        Rearrangement(0, 70, strategy="random").mask(batch, 500, "id")
print(sorted({"pandas", "sklearn", "scipy", "airflow", "boto3"} & set(sys.modules)))
"""
    arguments = [SALES.to_json(), datasource.parts[0].uri, str(tmp_path / "a.csv")]
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], check=True, capture_output=True, text=True, env=os.environ
    )

    assert done.stdout.strip() == "[]"


def test_part_functions_give_small_states(sales: pd.DataFrame, write_parts: Write, files: Any) -> None:
    import pickle

    datasource = write_parts(SALES, table_of(sales))
    state = part_insights(datasource.numbered()[0], files, InsightsPlan())

    assert len(pickle.dumps(state)) < 5_000_000


@pytest.mark.skipif(not JOURNEY.is_file(), reason="needs ../shared/data/completejourney")
def test_real_sales_give_the_figures_of_pandas(tmp_path: Path, files: Any) -> None:
    frame = pd.read_csv(JOURNEY, sep="|")
    kinds = {
        "household_id": "CATEGORICAL", "store_id": "CATEGORICAL", "basket_id": "CATEGORICAL",
        "product_id": "CATEGORICAL", "quantity": "NUMERIC", "sales_value": "NUMERIC", "retail_disc": "NUMERIC",
        "coupon_disc": "NUMERIC", "coupon_match_disc": "NUMERIC", "week": "CATEGORICAL",
        "transaction_timestamp": "TEXT",
    }  # fmt: skip
    assert list(frame.columns) == list(kinds)
    parts = []
    for number, piece in enumerate(np.array_split(np.arange(len(frame)), 3)):
        path = tmp_path / f"{number}.csv.gz"
        path.write_bytes(gzip.compress(frame.iloc[piece].to_csv(index=False).encode()))
        parts.append(Part(str(path), len(piece), path.stat().st_size, "CSV", header=True))
    found = compute_insights(Datasource(schema_of("sales_value", **kinds), tuple(parts)), files)

    assert found.records == len(frame)
    for name, kind in kinds.items():
        statistics, column = found.attributes[name], frame[name]
        if isinstance(statistics, NumericInsights):
            described = column.describe()
            assert (statistics.min, statistics.max) == (described["min"], described["max"])
            assert statistics.mean == pytest.approx(described["mean"], rel=1e-12)
            assert statistics.std == pytest.approx(described["std"], rel=1e-11)
            assert (statistics.distinct, statistics.zeros) == (column.nunique(), (column == 0).sum())
            assert statistics.quantiles_exact
            exact = column.quantile(np.arange(1001) / 1000)
            np.testing.assert_allclose(statistics.quantiles, exact, rtol=1e-12, atol=1e-12)
            if name != "sales_value":
                assert statistics.correlation == pytest.approx(column.corr(frame["sales_value"]), rel=1e-8)
        elif isinstance(statistics, CategoricalInsights):
            counts = column.astype(str).value_counts()
            assert (statistics.distinct, statistics.distinct_exact) == (len(counts), True)
            assert dict(statistics.values) == counts.loc[[value for value, _ in statistics.values]].to_dict()
            assert statistics.values[-1][1] >= counts.iloc[min(len(counts), 10_000) - 1]
        else:
            assert kind == "TEXT" and isinstance(statistics, TextInsights)
            assert statistics.words == 2 * len(frame)
