from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest

from nightcast.datasource.insights import compute_insights
from nightcast.datasource.parts import Batch, ByteSource, Datasource
from nightcast.datasource.schema import Attribute, AttributeType, Schema
from nightcast.evaluation.segments import ErrorSums, keys_of, segment_attributes, week_attribute, weeks_of


def test_attributes_of_few_values_are_segments(datasource: Datasource, files: ByteSource) -> None:
    insights = compute_insights(datasource, files)
    assert segment_attributes(datasource.schema, insights) == ("venue", "promo")
    by_promo = Schema(datasource.schema.attributes, target="promo", excluded=("venue",))
    assert segment_attributes(by_promo, insights) == ()


def test_dates_of_more_than_a_week_tell_the_weeks(write_parts: Callable[..., Datasource], files: ByteSource) -> None:
    kinds = {"short": "CATEGORICAL", "long": "CATEGORICAL", "x": "NUMERIC", "y": "NUMERIC"}
    schema = Schema(
        tuple(Attribute(name, AttributeType(kind)) for name, kind in kinds.items()), target="y", excluded=("long",)
    )
    table = pa.table(
        {
            "short": [f"2024-01-{day:02}" for day in range(1, 8)],
            "long": [f"2024-01-{day:02}" for day in range(2, 16, 2)],
            "x": np.arange(7.0),
            "y": np.arange(7.0),
        }
    )
    insights = compute_insights(write_parts(schema, table), files)
    assert week_attribute(schema, insights) == "long"
    without = Schema(tuple(one for one in schema.attributes if one.name != "long"), target="y")
    assert week_attribute(without, insights) is None


@pytest.mark.parametrize("coded", [False, True])
def test_keys_and_weeks(coded: bool) -> None:
    texts = pa.array(["2024-02-29", None, "2024-03-04 10:00", "", "soon", "2024-02-26"])
    batch = Batch(
        0,
        {
            "day": texts.dictionary_encode() if coded else texts,
            "flag": pa.array([True, None, False, True, None, False]),
        },
        {},
        6,
    )
    keys, codes = keys_of(batch, "flag")
    assert [keys[code] for code in codes] == ["1", "", "0", "1", "", "0"]
    keys, codes = keys_of(batch, "day")
    assert [keys[code] for code in codes] == ["2024-02-29", "", "2024-03-04 10:00", "", "soon", "2024-02-26"]
    keys, codes = weeks_of(batch, "day")
    assert [keys[code] for code in codes] == ["2024-02-26", "", "2024-03-04", "", "", "2024-02-26"]


def test_sums_of_parts_are_those_of_the_whole() -> None:
    rng = np.random.default_rng(1)
    keys = [f"k{number}" for number in range(60)]
    codes, residuals = rng.integers(0, 60, 5000), np.round(rng.normal(0, 8, 5000)) / 8
    whole, parts = ErrorSums(), ErrorSums()
    whole.add(keys, codes, residuals)
    for chosen in np.array_split(np.arange(5000), 6):
        part = ErrorSums()
        part.add(keys, codes[chosen], residuals[chosen])
        parts.merge(part)
    assert whole.facts() == parts.facts()
    assert len(whole.facts()) == 50
    assert [one["value"] for one in whole.facts(by_key=True)] == sorted(keys)
    first = whole.facts()[0]
    assert first["records"] == np.bincount(codes).max()
    assert first["meanResidual"] == residuals[codes == int(first["value"][1:])].mean()


def test_a_merge_does_not_change_what_was_merged() -> None:
    one, other = ErrorSums(), ErrorSums()
    other.add(["a"], np.array([0]), np.array([2.0]))
    one.merge(other)
    one.merge(other)
    assert other.facts()[0]["records"] == 1
    assert one.facts()[0]["records"] == 2
