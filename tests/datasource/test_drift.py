from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nightcast.datasource.drift import AttributeDrift, DriftLevel, compare_insights
from nightcast.datasource.insights import Insights, compute_insights
from nightcast.datasource.parts import Datasource
from nightcast.datasource.schema import Attribute, AttributeType, Schema
from nightcast.datasource.stability import share_below, stability_index

Compute = Callable[..., Insights]


@pytest.fixture
def compute(write_parts: Callable[..., Datasource], files: Any) -> Compute:
    """Insights of columns; the types of their attributes by name."""

    def compute(types: dict[str, str], **columns: Any) -> Insights:
        schema = Schema(tuple(Attribute(name, AttributeType(types[name])) for name in columns))
        return compute_insights(write_parts(schema, pa.table(columns)), files)

    return compute


def only(reference: Insights, current: Insights) -> AttributeDrift:
    [found] = compare_insights(reference, current).attributes
    return found


counts = st.lists(st.integers(0, 1000), min_size=2, max_size=12).filter(any)


def test_the_index_is_the_one_computed_by_hand() -> None:
    expected = 0.3 * math.log(0.5 / 0.2) + (0.3 - 0.5) * math.log(0.3 / 0.5) + (0.2 - 0.3) * math.log(0.2 / 0.3)

    assert stability_index([20, 50, 30], [500, 300, 200]) == pytest.approx(expected)


def test_an_empty_bin_counts_half_a_record_and_one_that_is_empty_on_both_sides_nothing() -> None:
    expected = (0.5 / 10 - 0.5) * math.log((0.5 / 10) / 0.5) + (1 - 0.5) * math.log(1 / 0.5)

    assert stability_index([5, 5], [0, 10]) == pytest.approx(expected)
    assert stability_index([5, 0, 5], [0, 0, 10]) == pytest.approx(expected)
    assert stability_index([0, 0], [1, 1]) is None


@settings(max_examples=60)
@given(counts, st.data())
def test_the_index_is_symmetric_and_not_negative(first: list[int], data: st.DataObject) -> None:
    second = data.draw(st.lists(st.integers(0, 1000), min_size=len(first), max_size=len(first)).filter(any))
    index = stability_index(first, second)

    assert index == pytest.approx(stability_index(second, first))
    assert index is not None and index >= 0
    assert stability_index(first, first) == 0


def test_identical_insights_have_not_drifted(some_insights: Insights) -> None:
    drift = compare_insights(some_insights, some_insights)

    assert drift.level is DriftLevel.STABLE
    assert {found.attribute: found.psi for found in drift.attributes} == {
        "price": 0.0, "venue": 0.0, "day": 0.0, "note": 0.0, "promo": 0.0,
    }  # fmt: skip
    assert all(not found.new_values and not found.vanished_values for found in drift.attributes)
    assert [(found.below, found.above) for found in drift.attributes if found.below is not None] == [(0, 0), (0, 0)]


@pytest.mark.parametrize(
    ("psi", "level"), [(None, "stable"), (0.0999, "stable"), (0.1, "moderate"), (0.25, "moderate"), (0.2501, "major")]
)
def test_levels_are_the_usual_ones(psi: float | None, level: str) -> None:
    assert DriftLevel.of(psi) == level


def test_a_growing_shift_gives_a_growing_index(compute: Compute) -> None:
    values = np.random.default_rng(3).normal(100, 10, 20_000)
    reference = compute({"x": "NUMERIC"}, x=values)
    found = [only(reference, compute({"x": "NUMERIC"}, x=values + shift)) for shift in (0, 1, 2, 4, 8, 16, 64)]
    indices = [one.psi for one in found]

    assert indices == sorted(indices)
    assert len(set(indices)) == len(indices)
    assert [found[place].level for place in (0, 1, 4, 6)] == ["stable", "stable", "major", "major"]


def test_numbers_are_compared_in_the_tenths_of_the_reference(compute: Compute) -> None:
    reference = compute({"x": "NUMERIC"}, x=np.arange(10_000.0))
    current = compute({"x": "NUMERIC"}, x=np.arange(5_000.0))
    found = only(reference, current)

    # Five tenths get twice their share, five get nothing: half a record.
    none = 0.5 / 5000
    expected = 5 * (0.2 - 0.1) * math.log(2) + 5 * (none - 0.1) * math.log(none / 0.1)
    assert found.psi == pytest.approx(expected, rel=0.01)
    assert found.noise == pytest.approx(9 * (1 / 10_000 + 1 / 5_000))


def test_missing_and_invalid_cells_are_a_bin(compute: Compute) -> None:
    values = np.arange(1000.0)
    reference = compute({"x": "NUMERIC"}, x=pa.array(values, mask=values < 100))
    current = compute({"x": "NUMERIC"}, x=pa.array(values, mask=np.arange(1000) % 2 == 0))
    found = only(reference, current)

    assert (found.missing_reference, found.missing_current) == (0.1, 0.5)
    assert found.psi is not None and found.psi > 0.4 * math.log(5)


@pytest.mark.parametrize("moved", [-1.0, 1.0, 1e-9])
def test_a_constant_that_becomes_another_has_drifted(compute: Compute, moved: float) -> None:
    reference = compute({"x": "NUMERIC"}, x=np.full(500, 7.0))

    assert only(reference, compute({"x": "NUMERIC"}, x=np.full(500, 7.0))).psi == 0
    assert only(reference, compute({"x": "NUMERIC"}, x=np.full(500, 7.0 + moved))).level == "major"


def test_zeros_that_vanish_are_seen_between_other_values(compute: Compute) -> None:
    others = np.random.default_rng(1).normal(0, 5, 3000)
    reference = compute({"x": "NUMERIC"}, x=np.concatenate((np.zeros(1000), others)))

    assert only(reference, compute({"x": "NUMERIC"}, x=others)).level == "major"


def test_a_column_without_values_has_only_the_bin_of_missing_cells(compute: Compute) -> None:
    empty = compute({"x": "NUMERIC"}, x=pa.nulls(100, pa.float64()))
    full = compute({"x": "NUMERIC"}, x=np.arange(100.0))

    assert only(empty, empty).psi == 0
    assert only(empty, full).level == only(full, empty).level == "major"
    assert (only(empty, full).below, only(full, empty).above) == (None, None)


def test_values_beyond_the_range_are_told(compute: Compute) -> None:
    reference = compute({"x": "NUMERIC"}, x=np.arange(1000.0))
    found = only(reference, compute({"x": "NUMERIC"}, x=np.arange(-100.0, 1100.0)))

    assert found.below == pytest.approx(100 / 1200, abs=0.002)
    assert found.above == pytest.approx(100 / 1200, abs=0.002)
    inside = only(reference, compute({"x": "NUMERIC"}, x=np.arange(10.0, 1000.0)))
    assert (inside.below, inside.above) == (0, 0)


def test_the_ends_of_float64_give_no_warning(compute: Compute) -> None:
    extreme = compute({"x": "NUMERIC"}, x=np.array([-1.7976931348623157e308, 5e-324, 0.0, 1.7976931348623157e308] * 20))

    assert only(extreme, extreme).psi == 0


def test_categories_are_compared_by_value(compute: Compute) -> None:
    reference = compute({"x": "CATEGORICAL"}, x=["a"] * 60 + ["b"] * 30 + [None] * 10)
    current = compute({"x": "CATEGORICAL"}, x=["a"] * 30 + ["b"] * 40 + ["c"] * 20 + [None] * 10)
    found = only(reference, current)

    expected = -0.3 * math.log(0.5) + 0.1 * math.log(4 / 3) + (0.2 - 0.005) * math.log(0.2 / 0.005)
    assert found.psi == pytest.approx(expected)
    assert (found.new_values, found.vanished_values) == (("c",), ())
    assert only(current, reference).vanished_values == ("c",)


def test_values_beyond_the_fifty_most_frequent_are_one_bin(compute: Compute) -> None:
    codes = np.repeat(np.arange(100), np.arange(200, 100, -1))
    reference = compute({"x": "CATEGORICAL"}, x=[f"v{code:02}" for code in codes])
    rare = compute({"x": "CATEGORICAL"}, x=[f"v{code:02}" if code < 50 else "other" for code in codes])
    found = only(reference, rare)

    assert found.psi == 0
    assert found.new_values == ("other",)
    assert found.vanished_values == tuple(f"v{code:02}" for code in range(50, 60))


def test_flags_are_compared_by_their_two_values(compute: Compute) -> None:
    reference = compute({"x": "BINARY"}, x=[True] * 50 + [False] * 50)
    current = compute({"x": "BINARY"}, x=[True] * 70 + [False] * 30)

    assert only(reference, current).psi == pytest.approx(0.1695, abs=1e-4)


def test_texts_are_compared_by_their_tokens(compute: Compute) -> None:
    reference = compute({"x": "TEXT"}, x=["big show"] * 500 + ["show"] * 500)
    current = compute({"x": "TEXT"}, x=["big gala"] * 500 + ["gala"] * 500)
    found = only(reference, current)

    # "big" stays, "show" goes, "gala" comes; half a record stands for nobody.
    gone = 2 * (1 - 0.0005) * math.log(1 / 0.0005)
    assert found.psi == pytest.approx((0 + gone + gone) / 3)
    assert found.level == "major"
    assert found.psi == pytest.approx(only(current, reference).psi or 0)


@pytest.mark.parametrize("kind", ["CATEGORICAL", "TEXT"])
def test_dates_move_on_without_a_drift(compute: Compute, kind: str) -> None:
    reference = compute({"x": kind}, x=[f"2008-11-{day % 30 + 1:02}" for day in range(300)])
    current = compute({"x": kind}, x=[f"2008-12-{day % 30 + 1:02}" for day in range(300)])
    found = only(reference, current)

    assert (found.psi, found.level) == (0.0, "stable")
    assert (found.below, found.above) == (0.0, 1.0)


@pytest.mark.parametrize("kind", ["CATEGORICAL", "TEXT"])
@pytest.mark.parametrize("left", [0, 30])
def test_dates_that_went_have_drifted(compute: Compute, kind: str, left: int) -> None:
    days = [f"2008-11-{day % 30 + 1:02}" for day in range(300)]
    reference = compute({"x": kind}, x=days)
    found = only(reference, compute({"x": kind}, x=pa.array(days[:left] + [None] * (300 - left), pa.string())))

    assert (found.level, found.missing_current) == ("major", 1 - left / 300)


def test_texts_that_went_have_drifted_however_many_words_they_had(compute: Compute) -> None:
    texts = [f"w{n % 97} v{n % 89}" for n in range(1000)]
    reference = compute({"x": "TEXT"}, x=texts)
    found = only(reference, compute({"x": "TEXT"}, x=texts[:600] + [None] * 400))

    assert found.psi == pytest.approx(stability_index([1000, 0], [600, 400]))
    assert found.level == "major"


def test_two_halves_of_one_source_are_stable(compute: Compute) -> None:
    rng = np.random.default_rng(5)
    size = 2000
    columns = {
        "x": rng.gamma(2, 3, size),
        "whole": rng.poisson(2, size).astype(np.float64),
        "flag": rng.random(size) < 0.02,
        "venue": [f"v{int(number)}" for number in rng.zipf(1.6, size).clip(0, 200)],
        "note": [" ".join(f"w{int(word)}" for word in rng.zipf(1.7, 5).clip(0, 99)) for _ in range(size)],
    }
    types = {"x": "NUMERIC", "whole": "NUMERIC", "flag": "BINARY", "venue": "CATEGORICAL", "note": "TEXT"}
    halves = [compute(types, **{name: column[side] for name, column in columns.items()})
              for side in (slice(0, size // 2), slice(size // 2, size))]  # fmt: skip
    drift = compare_insights(*halves)

    assert drift.level is DriftLevel.STABLE
    for found in drift.attributes:
        assert found.psi is not None and found.noise is not None
        assert 0 < found.psi < min(0.1, 4 * found.noise), found


def test_few_records_do_not_seem_to_drift(compute: Compute) -> None:
    levels = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        halves = [compute({"x": "NUMERIC"}, x=rng.normal(0, 1, 100)) for _ in range(2)]
        levels.append(only(*halves).level)

    assert "major" not in levels
    assert levels.count("stable") >= 15


def test_a_schema_that_changed_is_major_unless_an_attribute_only_came(compute: Compute) -> None:
    types = {"a": "NUMERIC", "b": "CATEGORICAL", "c": "NUMERIC"}
    reference = compute(types, a=[1.0, 2.0], b=["1", "2"])
    more = compare_insights(reference, compute(types, a=[1.0, 2.0], b=["1", "2"], c=[1.0, 2.0]))
    less = compare_insights(reference, compute(types, a=[1.0, 2.0]))
    other = compare_insights(reference, compute({**types, "b": "NUMERIC"}, a=[1.0, 2.0], b=[1.0, 2.0]))

    assert (more.added, more.level) == (("c",), "stable")
    assert (less.removed, less.level) == (("b",), "major")
    assert (other.retyped, other.level) == (("b",), "major")
    assert [found.attribute for found in other.attributes] == ["a"]


def test_ignored_attributes_are_not_compared(some_insights: Insights) -> None:
    without = replace(some_insights, attributes={"price": some_insights.attributes["price"]})
    drift = compare_insights(some_insights, without, ignored=("venue", "day", "note", "promo"))

    assert [found.attribute for found in drift.attributes] == ["price"]
    assert drift.removed == ()


def test_the_document_is_deterministic(compute: Compute) -> None:
    types = {"x": "NUMERIC", "b": "CATEGORICAL"}
    pair = compute(types, x=[1.0, 2.0], b=["u", "v"]), compute(types, x=[2.0, 9.0], b=["v", "w"])
    text = compare_insights(*pair).to_json()
    document = json.loads(text)

    assert text == compare_insights(*pair).to_json()
    assert (document["format"], document["version"], document["level"]) == ("nightcast-drift", 1, "stable")
    assert set(document) == {"format", "version", "level", "attributes", "added", "removed", "retyped"}
    assert document["attributes"][1] == {
        "attribute": "b", "psi": document["attributes"][1]["psi"], "noise": 2.0, "level": "stable",
        "missing_reference": 0.0, "missing_current": 0.0, "below": None, "above": None, "new_values": ["w"],
        "vanished_values": ["u"],
    }  # fmt: skip


@settings(max_examples=60)
@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=50), st.lists(st.floats(-2e6, 2e6), min_size=1, max_size=9))
@example([0.0, 5.081146826566236e-304], [92.0])
def test_the_share_below_rises_from_none_to_all(values: list[float], points: list[float]) -> None:
    table = [float(value) for value in np.quantile(values, np.arange(1001) / 1000)]
    table = [float(value) for value in np.maximum.accumulate(np.array(table))]
    shares = share_below(table, np.array(sorted(points)))

    assert (np.diff(shares) >= 0).all()
    assert share_below(table, np.array([table[0], np.nextafter(table[-1], np.inf)])).tolist() == [0.0, 1.0]
