"""Insights that tell of the target, of dates and of equal columns, against figures computed by others."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.metrics import mutual_info_score

from nightcast.datasource.insights import (
    AttributeInsights,
    CategoricalInsights,
    Histogram,
    Insights,
    NumericInsights,
    TextInsights,
    compute_insights,
)
from nightcast.datasource.iso_dates import days_of
from nightcast.datasource.parts import Datasource
from nightcast.datasource.schema import Attribute, AttributeType, Schema
from nightcast.datasource.string_column import StringColumn
from nightcast.datasource.string_counts import StringCounts
from nightcast.datasource.target_cells import Beside
from nightcast.datasource.value_keys import record_weights

Write = Callable[..., Datasource]
RECORDS = 12_000
JOURNEY = Path(__file__).resolve().parents[3] / "shared" / "data" / "completejourney" / "transactions_pipe.txt.gz"


def schema_of(target: str | None = None, row_id: str | None = None, **types: str) -> Schema:
    return Schema(tuple(Attribute(name, AttributeType(kind)) for name, kind in types.items()), target, row_id)


KINDS = {
    "id": "CATEGORICAL", "price": "NUMERIC", "promo": "BINARY", "venue": "CATEGORICAL", "note": "TEXT",
    "sold": "NUMERIC", "full": "BINARY", "genre": "CATEGORICAL",
}  # fmt: skip


@pytest.fixture(scope="module")
def sales() -> pd.DataFrame:
    random = np.random.default_rng(8)
    price = random.gamma(3.0, 20.0, RECORDS)
    venue = random.integers(0, 25, RECORDS)
    sold = np.round(price / 30 + venue / 5 + random.normal(0, 1, RECORDS), 3)
    full = sold + random.normal(0, 1, RECORDS) > 5
    genre = np.minimum(venue // 6, random.integers(0, 4, RECORDS))
    words = np.array(["opera", "rock", "jazz", "talk"])[genre]
    return pd.DataFrame(
        {
            "id": [f"s{n}" for n in range(RECORDS)],
            "price": np.where(random.random(RECORDS) < 0.05, np.nan, price),
            "promo": pd.Series(random.random(RECORDS) < 0.3 + 0.3 * full).astype("boolean").mask(venue == 3),
            "venue": pd.Series([f"venue {n}" for n in venue], dtype=object).mask(venue == 7, None),
            "note": [
                f"a night of {word}{' at last' if late else ''}"
                for word, late in zip(words, random.random(RECORDS) < 0.5, strict=True)
            ],
            "sold": sold,
            "full": full,
            "genre": pd.Series(words, dtype=object).mask(random.random(RECORDS) < 0.01, None),
        }
    )


def insights_of(
    sales: pd.DataFrame, target: str | None, write: Write, files: Any, cuts: tuple[int, ...] = (5000, 5001)
) -> Insights:
    return compute_insights(
        write(schema_of(target, "id", **KINDS), pa.Table.from_pandas(sales, preserve_index=False), list(cuts)), files
    )


def bits(left: pd.Series, right: pd.Series) -> float:
    """scikit-learn's estimate in bits, less the bias, over the records that have both."""
    both = left.notna() & right.notna()
    left, right = left[both].astype(str), right[both].astype(str)
    bias = (left.nunique() - 1) * (right.nunique() - 1) / (2 * len(left))
    return max(0.0, mutual_info_score(left, right) - bias) / math.log(2)


def linfoot(information: float) -> float:
    return math.sqrt(1 - math.exp(-2 * information * math.log(2)))


def kelley(values: pd.Series, groups: pd.Series) -> float:
    both = values.notna() & groups.notna()
    values, grouped = values[both], values[both].groupby(groups[both])
    within = (grouped.var(ddof=0) * grouped.count()).sum() / (len(values) - grouped.ngroups)
    return math.sqrt(max(0.0, 1 - within / values.var(ddof=1)))


@pytest.mark.parametrize("target", ["full", "genre"])
def test_information_on_a_class_is_that_of_scikit_learn(
    target: str, sales: pd.DataFrame, write_parts: Write, files: Any
) -> None:
    found = insights_of(sales, target, write_parts, files).attributes

    for name in {"promo", "venue", "genre", "full"} - {target}:
        expected = bits(sales[name], sales[target])
        assert expected > 0.001
        assert found[name].mutual_information == pytest.approx(expected, rel=1e-9)
    assert found[target].mutual_information is None and found["id"].mutual_information is None


def test_a_class_correlates_by_the_measure_of_its_types(sales: pd.DataFrame, write_parts: Write, files: Any) -> None:
    binary = insights_of(sales, "full", write_parts, files).attributes
    named = insights_of(sales, "genre", write_parts, files).attributes
    flags = {name: sales[name].astype("Float64").astype(float) for name in ("promo", "full")}

    assert binary["price"].correlation == pytest.approx(sales["price"].corr(flags["full"]), rel=1e-9)
    assert binary["promo"].correlation == pytest.approx(flags["promo"].corr(flags["full"]), rel=1e-9)
    assert binary["venue"].correlation == pytest.approx(linfoot(bits(sales["venue"], sales["full"])), rel=1e-9)
    assert named["price"].correlation == pytest.approx(kelley(sales["price"], sales["genre"]), rel=1e-8)
    assert named["sold"].correlation == pytest.approx(kelley(sales["sold"], sales["genre"]), rel=1e-8)
    assert named["promo"].correlation == pytest.approx(linfoot(bits(sales["promo"], sales["genre"])), rel=1e-9)
    assert named["venue"].correlation == pytest.approx(linfoot(bits(sales["venue"], sales["genre"])), rel=1e-9)


def test_information_on_a_number_is_that_on_its_deciles(sales: pd.DataFrame, write_parts: Write, files: Any) -> None:
    found = insights_of(sales, "sold", write_parts, files, cuts=()).attributes["venue"]
    ordered = np.sort(sales["sold"].to_numpy())
    classes = np.searchsorted(ordered[np.arange(1, 10) * RECORDS // 10], sales["sold"], side="right")

    assert found.mutual_information == pytest.approx(bits(sales["venue"], pd.Series(classes)), rel=1e-9)
    assert found.correlation == pytest.approx(kelley(sales["sold"], sales["venue"]), rel=1e-8)


@pytest.mark.parametrize("target", ["full", "genre"])
def test_a_text_tells_what_its_most_telling_token_tells(
    target: str, sales: pd.DataFrame, write_parts: Write, files: Any
) -> None:
    note = insights_of(sales, target, write_parts, files).attributes["note"]
    assert isinstance(note, TextInsights)
    expected = {
        token: bits(sales["note"].str.split().map(lambda tokens, token=token: token in tokens), sales[target])
        for token in ("a", "night", "of", "at", "last", "opera", "rock", "jazz", "talk")
    }
    told = {token: prominence for token, _, prominence in note.prominent}

    assert told == pytest.approx(expected, rel=1e-8, abs=1e-12)
    assert note.mutual_information == max(told.values()) == note.prominent[0][2]
    assert note.correlation == pytest.approx(linfoot(note.mutual_information))
    assert {token: records for token, records, _ in note.prominent} == dict(note.tokens)


def test_without_a_target_tokens_of_half_the_records_stand_out(
    sales: pd.DataFrame, write_parts: Write, files: Any
) -> None:
    note = insights_of(sales, None, write_parts, files).attributes["note"]
    assert isinstance(note, TextInsights)
    share = sales["note"].str.contains("at last").mean()
    entropy = -(share * math.log2(share) + (1 - share) * math.log2(1 - share))

    assert [token for token, _, _ in note.prominent[:2]] == ["at", "last"]
    assert note.prominent[0][2] == pytest.approx(entropy, rel=1e-9)
    assert {token: told for token, _, told in note.prominent}["a"] == 0.0
    assert (note.mutual_information, note.correlation) == (None, None)


def test_an_id_tells_nothing(write_parts: Write, files: Any) -> None:
    random = np.random.default_rng(0)
    table = pa.table({"code": [f"c{n}" for n in range(5000)], "hit": random.random(5000) < 0.5})
    found = compute_insights(write_parts(schema_of("hit", code="CATEGORICAL", hit="BINARY"), table), files)

    assert (found.attributes["code"].mutual_information, found.attributes["code"].correlation) == (0.0, 0.0)


def test_more_codes_than_fit_are_never_said_to_tell_more_than_they_do(write_parts: Write, files: Any) -> None:
    random = np.random.default_rng(1)
    hit = random.random(150_000) < 0.5
    code = [f"c{n}" if n % 2 else f"often {int(y)}" for n, y in enumerate(hit)]
    table = pa.table({"code": code, "hit": hit})
    found = compute_insights(write_parts(schema_of("hit", code="CATEGORICAL", hit="BINARY"), table, [80_000]), files)
    code_insights = found.attributes["code"]
    assert isinstance(code_insights, CategoricalInsights)

    assert code_insights.count_error > 0
    # Half of the records give their class away, the others tell nothing.
    assert code_insights.mutual_information == pytest.approx(0.5, abs=0.005)


def test_tokens_of_texts_that_hardly_repeat_tell_the_same(write_parts: Write, files: Any) -> None:
    # Too many texts and classes for a table of both: pairs that occur are counted instead.
    random = np.random.default_rng(3)
    kind = random.integers(0, 60, 30_000)
    often = kind < np.where(random.random(30_000) < 0.8, 30, 60)
    text = [f"no{n} {'low low' if low else 'high'} common" for n, low in enumerate(often)]
    table = pa.table({"note": text, "kind": [f"k{n}" for n in kind]})
    found = compute_insights(write_parts(schema_of("kind", note="TEXT", kind="CATEGORICAL"), table, [14_000]), files)
    note = found.attributes["note"]
    assert isinstance(note, TextInsights)
    told = {token: prominence for token, _, prominence in note.prominent}
    expected = bits(pd.Series(often), pd.Series(kind))

    assert told["low"] == pytest.approx(expected, rel=1e-9) == told["high"] == note.mutual_information
    assert note.prominent[:2] == [("low", int(often.sum()), told["low"]), ("high", int((~often).sum()), told["high"])]
    assert told.get("common", 0.0) == 0.0


@pytest.mark.parametrize("strings", [["a", "b", "c"], ["b", "a", "b"], [], ["d"], ["c", "é", "a"]])
def test_batches_with_other_dictionaries_are_counted_together(strings: list[str]) -> None:
    column, table = StringColumn(), StringCounts()
    # The second dictionary may hold a string twice, and strings that no record has.
    second = pa.DictionaryArray.from_arrays(
        pa.array([len(strings) - 1] * bool(strings), pa.int32()), pa.array(strings, pa.string())
    )
    for array in (pa.array(["b", "a", None, "b"]).dictionary_encode(), second):
        for tally in column.add(array, Beside(record_weights(0, len(array)), None)):
            table.add(tally)
    for tally in column.rest():
        table.add(tally)

    assert dict(table.listed()) == pd.Series(["b", "a", "b", *strings[-1:]]).value_counts().to_dict()
    assert (column.missing, column.present) == (1, 3 + bool(strings))


@pytest.mark.parametrize("coded", [False, True])
def test_dates_have_exact_percentiles(coded: bool, write_parts: Write, files: Any) -> None:
    random = np.random.default_rng(5)
    days = pd.Series(np.datetime64("2008-01-01") + random.integers(0, 400, 9000).astype("timedelta64[D]"))
    text = days.dt.strftime("%Y-%m-%d").mask(random.random(9000) < 0.02, None)
    text.iloc[:40] = "unknown"
    column = pa.array(text, pa.string(), from_pandas=True)
    table = pa.table({"day": column.dictionary_encode() if coded else column})
    found = compute_insights(write_parts(schema_of(day="CATEGORICAL"), table, [100, 3000]), files).attributes["day"]
    assert isinstance(found, CategoricalInsights) and found.dates is not None
    ordered = np.sort(text[text.notna() & (text != "unknown")].to_numpy())

    assert found.dates.values == len(ordered)
    assert (found.dates.first, found.dates.last) == (ordered[0], ordered[-1])
    assert found.dates.percentiles == [ordered[p * (len(ordered) - 1) // 100] for p in range(101)]


def test_less_than_99_percent_of_dates_are_none(write_parts: Write, files: Any) -> None:
    table = pa.table({"day": ["2008-12-31"] * 98 + ["soon"] * 2, "note": ["2008-12-31 10:00:00"] * 99 + ["-"]})
    found = compute_insights(write_parts(schema_of(day="CATEGORICAL", note="TEXT"), table), files).attributes

    assert found["day"].dates is None
    assert found["note"].dates is not None and found["note"].dates.values == 99


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("1970-01-01", 0), ("2000-02-29", 11016), ("0001-01-01", -719162), ("9999-12-31", 2932896),
        ("2008-12-31 23:59:59", 14244), ("2008-12-31T10:00:00.123+00", 14244), ("2008-12-31T10:00:00Z", 14244),
        ("2001-02-29", None), ("2008-13-01", None), ("2008-00-10", None), ("2008-1-1", None), ("20081231  ", None),
        ("2008-12-31 10:00", 14244), ("2008-12-31T10:00Z", 14244),
        ("2008-12-31 10:00+01", 14244), ("2008-12-31 10:00-0130", 14244), ("2008-12-31T10:00+01:30", 14244),
        ("2008-12-31 10:0", None), ("2008-12-31 10:00:", None), ("2008-12-31 10:00:0", None),
        ("2008-12-31 10:00 1", None), ("2008-12-31 10:00+1", None), ("2008-12-31 10:00+0x", None),
        ("2008-12-31 10:70", None), ("2008-12-31x10:00", None), ("2008-12-31 10.00", None),
        ("2008-12-31x10:00:00", None), ("2008-12-31 10:00:00 or so", None),
        ("0000-01-01", None), ("", None), ("12-31-2008", None), ("2008-12-32", None),
    ],
)  # fmt: skip
def test_days_are_read_from_iso_dates_alone(text: str, day: int | None) -> None:
    days, is_date = days_of(pa.array(["x", text, "2008-12-31"]).slice(1))

    assert (days[0] if is_date[0] else None) == day
    assert is_date[1]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.dates().map(str) | st.text(max_size=22), max_size=20))
def test_every_day_of_the_calendar_is_read(texts: list[str]) -> None:
    days, is_date = days_of(pa.array(texts, pa.string()))

    for text, day, found in zip(texts, days, is_date, strict=True):
        if found:
            assert str(np.datetime64(int(day), "D")) == text[:10]
        else:
            assert pd.isna(pd.to_datetime(text, errors="coerce", format="%Y-%m-%d")) or len(text) != 10


def test_equal_columns_have_equal_fingerprints_and_others_do_not(write_parts: Write, files: Any) -> None:
    random = np.random.default_rng(2)
    names = [None if n % 11 == 0 else f"name {n % 300}" for n in range(4000)]
    price = np.where(random.random(4000) < 0.1, np.nan, random.integers(0, 50, 4000))
    moved = price.copy()
    moved[[10, 3999]] = moved[[3999, 10]] + 1
    table = pa.table(
        {
            "a": names, "b": pa.array(names).dictionary_encode(), "c": names[1:] + names[:1],
            "x": price, "y": price, "z": moved, "p": price > 10, "q": price > 10, "r": price > 11,
        }
    )  # fmt: skip
    schema = schema_of(
        a="CATEGORICAL", b="TEXT", c="CATEGORICAL", x="NUMERIC", y="NUMERIC", z="NUMERIC", p="BINARY", q="BINARY",
        r="BINARY",
    )  # fmt: skip
    found = compute_insights(write_parts(schema, table, [1, 700, 3000]), files).attributes
    prints = {name: attribute.fingerprint for name, attribute in found.items()}

    assert prints["a"] == prints["b"] and prints["x"] == prints["y"] and prints["p"] == prints["q"]
    assert len(set(prints.values())) == 6
    assert all(len(digits) == 16 and int(digits, 16) for digits in prints.values())


def test_a_missing_value_is_not_taken_for_a_zero_or_an_empty_string(write_parts: Write, files: Any) -> None:
    table = pa.table({"x": [0.0, None], "y": [None, 0.0], "a": ["", None], "b": [None, ""]})
    schema = schema_of(x="NUMERIC", y="NUMERIC", a="CATEGORICAL", b="CATEGORICAL")
    found = compute_insights(write_parts(schema, table), files).attributes

    assert len({attribute.fingerprint for attribute in found.values()}) == 4


COUNTED = ("missing", "invalid", "min", "max", "median", "zeros", "distinct", "quantiles", "histogram", "values",
           "other", "count_error", "words", "tokens", "dates", "fingerprint", "true", "false")  # fmt: skip


def _same(left: AttributeInsights, right: AttributeInsights) -> None:
    for field, value in vars(left).items():
        other = getattr(right, field)
        if field in COUNTED or value is None or other is None:
            assert value == other, field
        elif field in ("mean", "std", "correlation", "mutual_information"):
            assert value == pytest.approx(other, rel=1e-9, abs=1e-12), field


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(0, 3000), max_size=4), target=st.sampled_from(["full", "promo", None]))
def test_any_part_layout_gives_the_same_figures(
    cuts: list[int], target: str | None, sales: pd.DataFrame, write_parts: Write, files: Any
) -> None:
    few = sales.head(3000)
    whole = insights_of(few, target, write_parts, files, cuts=())
    parted = insights_of(few, target, write_parts, files, cuts=tuple(sorted(cuts)))

    assert parted.records == whole.records == 3000
    for name, found in whole.attributes.items():
        _same(parted.attributes[name], found)


def test_any_mapper_gives_the_same_bytes_for_a_named_target(
    sales: pd.DataFrame, write_parts: Write, files: Any
) -> None:
    table = pa.Table.from_pandas(sales, preserve_index=False)
    datasource = write_parts(schema_of("genre", "id", **KINDS), table, [4000, 9000])
    alone = compute_insights(datasource, files).to_json()

    with ProcessPoolExecutor(2) as pool:
        assert compute_insights(datasource, files, pool.map).to_json() == alone


def test_the_target_has_a_distribution(sales: pd.DataFrame, write_parts: Write, files: Any) -> None:
    by = {target: insights_of(sales, target, write_parts, files) for target in ("sold", "full", "genre", None)}
    sold = by["sold"].attributes["sold"]
    assert isinstance(sold, NumericInsights)

    assert by["sold"].target_distribution() == sold.histogram and isinstance(sold.histogram, Histogram)
    full = int(sales["full"].sum())
    assert by["full"].target_distribution() == {"0": RECORDS - full, "1": full}
    assert by["genre"].target_distribution() == sales["genre"].value_counts().to_dict()
    assert by[None].target_distribution() is None


@pytest.mark.skipif(not JOURNEY.is_file(), reason="needs ../shared/data/completejourney")
def test_real_sales_tell_of_a_discount_what_scikit_learn_says(write_parts: Write, files: Any) -> None:
    frame = pd.read_csv(JOURNEY, sep="|", dtype=dict.fromkeys(("household_id", "store_id", "week"), str))
    frame["discount"] = frame["retail_disc"] > 0
    columns = ["store_id", "week", "quantity", "sales_value", "transaction_timestamp", "discount"]
    kinds = dict(zip(columns, ("CATEGORICAL", "CATEGORICAL", "NUMERIC", "NUMERIC", "TEXT", "BINARY"), strict=True))
    table = pa.Table.from_pandas(frame[columns], preserve_index=False)
    found = compute_insights(write_parts(schema_of("discount", **kinds), table, [20_000, 50_000]), files).attributes
    times = found["transaction_timestamp"]
    assert isinstance(times, TextInsights) and times.dates is not None
    days = np.sort(frame["transaction_timestamp"].str[:10].to_numpy())

    assert times.dates.percentiles == [days[p * (len(days) - 1) // 100] for p in range(101)]
    for name in ("quantity", "sales_value"):
        expected = frame[name].corr(frame["discount"].astype(float))
        assert found[name].correlation == pytest.approx(expected, rel=1e-8)
    for name in ("store_id", "week"):
        often = frame.groupby(name)[name].transform("size") >= 5
        expected = bits(frame[name].where(often, "rare"), frame["discount"])
        assert found[name].mutual_information == pytest.approx(expected, rel=1e-8, abs=1e-12)
