from __future__ import annotations

import copy
import pickle

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nightcast.datasource import string_counts
from nightcast.datasource.number_counts import EXACT_VALUES, NumberCounts, histogram, quantiles
from nightcast.datasource.sketches import SMALLEST_HASHES, Comoments, DistinctHashes, Moments
from nightcast.datasource.string_column import StringColumn
from nightcast.datasource.string_counts import StringCounts, TableLimits
from nightcast.datasource.target_cells import Beside, TargetCells
from nightcast.datasource.value_keys import float_keys, record_weights

PERMILLES = np.arange(1001) / 1000
numbers = st.floats(-1e9, 1e9, allow_subnormal=False)
arrays = hnp.arrays(np.float64, st.integers(1, 60), elements=numbers)


def counted(values: np.ndarray) -> NumberCounts:
    counts = NumberCounts()
    if len(values):
        counts.add(values, float(values.min()), float(values.max()))
    return counts


def permilles(counts: NumberCounts, values: np.ndarray) -> np.ndarray:
    low, high = float(values.min()), float(values.max())
    return np.array(quantiles(*counts.points(low, high), low, high))


@settings(max_examples=60, deadline=None)
@given(arrays, arrays)
def test_merged_moments_are_those_of_the_whole(left: np.ndarray, right: np.ndarray) -> None:
    merged, whole = Moments.of(left), np.concatenate((left, right))
    merged.merge(Moments.of(right))

    assert merged.count == len(whole)
    assert merged.mean == pytest.approx(whole.mean(), rel=1e-12, abs=1e-6)
    assert merged.deviation == pytest.approx(whole.std(ddof=1), rel=1e-9, abs=1e-6)


def test_moments_of_nothing_change_nothing() -> None:
    moments = Moments.of(np.array([1.0, 3.0]))
    moments.merge(Moments())
    empty = Moments()
    empty.merge(moments)

    assert moments == empty == Moments(2, 2.0, 2.0)
    assert (Moments().average, Moments().deviation, Moments(1, 5.0, 0.0).deviation) == (None, None, None)


def test_moments_far_from_zero_keep_their_digits() -> None:
    values = 1e9 + np.random.default_rng(0).normal(size=100_000)
    merged = Moments()
    for piece in np.array_split(values, 7):
        merged.merge(Moments.of(piece))

    assert merged.deviation == pytest.approx(values.std(ddof=1), rel=1e-9)


def test_merged_correlation_is_that_of_the_whole() -> None:
    random = np.random.default_rng(3)
    first = random.normal(5, 2, 10_000)
    second = first + random.normal(100, 3, 10_000)
    merged = Comoments()
    for place in np.array_split(np.arange(10_000), 9):
        merged.merge(Comoments.of(first[place], second[place]))

    assert merged.correlation == pytest.approx(np.corrcoef(first, second)[0, 1], rel=1e-12)


@pytest.mark.parametrize("constant", [0.0, 0.1, 1e300])
def test_a_constant_correlates_with_nothing(constant: float) -> None:
    values = np.full(1000, constant)
    pairs = Comoments()
    with np.errstate(over="ignore", invalid="ignore"):
        for place in np.array_split(np.arange(1000.0), 3):
            pairs.merge(Comoments.of(values[: len(place)], place))

    assert pairs.correlation is None
    assert Comoments().correlation is None


def test_distinct_values_are_counted_up_to_the_cap() -> None:
    hashes = DistinctHashes()
    values = float_keys(np.arange(float(SMALLEST_HASHES - 1)))
    hashes.add(np.concatenate((values, values[::-1])))
    hashes.add(values[:7])

    assert (hashes.count, hashes.exact) == (SMALLEST_HASHES - 1, True)


@pytest.mark.parametrize("distinct", [20_000, 150_000, 2_000_000])
def test_more_distinct_values_are_estimated_within_four_standard_errors(distinct: int) -> None:
    hashes = DistinctHashes()
    for piece in np.array_split(float_keys(np.arange(float(distinct))), 10):
        hashes.add(piece)
        hashes.add(piece[::3])

    assert not hashes.exact
    assert abs(hashes.count / distinct - 1) < 4 / np.sqrt(SMALLEST_HASHES)


@pytest.mark.parametrize("batch", [1000, 70_000, 131_072])
def test_the_smallest_hashes_do_not_depend_on_batches(batch: int) -> None:
    # Few distinct values among many: the short cut for large batches must not lose any.
    for distinct in (20_000, 100_000):
        values = float_keys(np.random.default_rng(1).integers(0, distinct, 300_000).astype(float))
        hashes = DistinctHashes()
        for start in range(0, len(values), batch):
            hashes.add(values[start : start + batch])

        assert (hashes.smallest == np.unique(values)[:SMALLEST_HASHES]).all()


@settings(max_examples=80, deadline=None)
@given(arrays, arrays)
def test_quantiles_of_few_values_are_exact(left: np.ndarray, right: np.ndarray) -> None:
    whole = np.concatenate((left, right))
    counts = counted(left)
    counts.merge(counted(right))

    assert counts.exact and counts.distinct == (len(np.unique(whole)), True)
    # numpy rounds the rank itself, we do not.
    slack = 1e-13 * len(whole) * (float(np.ptp(whole)) + 1)
    np.testing.assert_allclose(permilles(counts, whole), np.quantile(whole, PERMILLES), rtol=1e-12, atol=slack)


@pytest.mark.parametrize("records", [1, 2, 3, 1000, 1001, 1002])
def test_quantiles_are_exact_around_a_thousand_records(records: int) -> None:
    values = np.random.default_rng(records).permutation(records) / 3

    np.testing.assert_allclose(permilles(counted(values), values), np.quantile(values, PERMILLES), rtol=1e-12)


def _many(name: str) -> np.ndarray:
    random = np.random.default_rng(7)
    return {
        "gamma": random.gamma(2.0, 50.0, 200_000),
        "normal": random.normal(0.0, 1.0, 200_000),
        "with zeros": np.where(random.random(200_000) < 0.6, 0.0, random.normal(0.0, 1e6, 200_000)),
        "negative": -random.lognormal(3.0, 2.0, 200_000),
        "whole": random.integers(-(10**9), 10**9, 200_000).astype(float),
        "far": 1e9 + random.normal(0.0, 1.0, 200_000),
        "wide": 10.0 ** random.uniform(-37, 38, 200_000) * random.choice([-1, 1], 200_000),
    }[name]


@pytest.mark.parametrize("name", ["gamma", "normal", "with zeros", "negative", "whole", "far", "wide"])
def test_quantiles_of_many_values_are_within_the_bound(name: str) -> None:
    values = _many(name)
    counts = NumberCounts()
    for piece in np.array_split(values, 5):
        counts.add(piece, float(piece.min()), float(piece.max()))
    ordered, ranks = np.sort(values), PERMILLES * (len(values) - 1)
    neighbours = ordered[np.floor(ranks).astype(int)], ordered[np.ceil(ranks).astype(int)]
    found = permilles(counts, values)

    assert not counts.exact
    bound = 0.00025 * np.maximum(*np.abs(neighbours))
    assert (np.abs(found - np.quantile(values, PERMILLES)) <= bound).all()
    assert (found[0], found[-1]) == (values.min(), values.max())
    assert (np.diff(found) >= 0).all()


@pytest.mark.parametrize("name", ["gamma", "with zeros", "negative", "wide"])
def test_merged_counts_are_those_of_the_whole_however_they_were_cut(name: str) -> None:
    values = _many(name)[:60_000]
    whole = counted(values)
    # Some pieces are exact, some are not, and one is empty.
    for cuts in ([10, 10, 3000, 30_000], [50_000], list(range(1000, 60_000, 1000))):
        merged = counted(values[: cuts[0]])
        for first, last in zip(cuts, [*cuts[1:], len(values)], strict=True):
            merged.merge(pickle.loads(pickle.dumps(counted(values[first:last]))))

        low, high = float(values.min()), float(values.max())
        for left, right in zip(merged.points(low, high), whole.points(low, high), strict=True):
            assert (left == right).all()
        assert merged.distinct == whole.distinct


def test_values_leave_exactness_when_one_too_many_is_there() -> None:
    values = np.arange(float(EXACT_VALUES)) / 7
    counts = counted(values)
    assert counts.exact
    counts.add(np.array([-1.0, 5.0]), -1.0, 5.0)

    assert counts.distinct == (EXACT_VALUES + 1, True) and not counts.exact
    low, high = -1.0, float(values.max())
    assert counts.points(low, high)[1].sum() == EXACT_VALUES + 2


def test_values_beyond_float32_are_counted_at_the_ends() -> None:
    values = np.concatenate((np.linspace(1, 2, 5000), [1e300, -1e300, 1e-300]))
    with np.errstate(over="ignore"):
        found = permilles(counted(values), values)

    assert (found[0], found[-1]) == (-1e300, 1e300)
    assert found[500] == pytest.approx(1.5, rel=1e-3)


def test_a_histogram_counts_every_value_once() -> None:
    values = np.array([0.0, 0.5, 1.0, 1.0, 10.0])
    found = histogram(*counted(values).points(0.0, 10.0), 0.0, 10.0)
    counts, edges = np.histogram(values, bins=50, range=(0.0, 10.0))

    assert found.counts == counts.tolist()
    np.testing.assert_allclose(found.edges, edges)
    assert histogram(np.array([3.0]), np.array([7]), 3.0, 3.0).counts == [7]


words = st.lists(st.text("abc", max_size=3), max_size=40)


def add(counts: StringCounts, array: pa.Array, coded: bool = True, target: TargetCells | None = None) -> int:
    """Counts the strings as a state does; returns the number of null cells."""
    column, beside = StringColumn(), Beside(record_weights(0, len(array)), target)
    if coded:
        done = column.add(array if pa.types.is_dictionary(array.type) else array.dictionary_encode(), beside)
    else:
        done = column.add_plain(array, beside, counts)
    for tally in [*done, *column.rest()]:
        counts.add(tally)
    return column.missing


def added(texts: list[str | None], coded: bool = True) -> StringCounts:
    counts = StringCounts()
    add(counts, pa.array(texts, pa.string()), coded)
    return counts


@settings(max_examples=80, deadline=None)
@given(words, words, st.booleans(), st.booleans())
def test_merged_string_counts_are_those_of_the_whole(
    left: list[str], right: list[str], coded_left: bool, coded_right: bool
) -> None:
    merged = added(left, coded=coded_left)
    merged.merge(added(right, coded=coded_right))
    expected = pd.Series(left + right, dtype=object).value_counts()

    assert dict(merged.listed()) == expected.to_dict()
    assert merged.listed() == sorted(merged.listed(), key=lambda pair: (-pair[1], pair[0]))
    assert merged.distinct_count == (len(expected), True)
    assert merged.error == 0
    if left + right:
        assert merged.least_frequent() == min(merged.listed(), key=lambda pair: (pair[1], pair[0]))


@pytest.mark.parametrize("coded", [False, True])
def test_sums_of_the_target_go_with_their_string(coded: bool) -> None:
    texts = pa.array(["a", None, "b", "a", "b"])
    counts = StringCounts()
    values, valid = np.array([1.0, 2.0, 4.0, 8.0, np.nan]), np.array([True, True, True, True, False])
    target = TargetCells(np.array([0, 0, 0, 1, 2], dtype=np.int32), 2, values, valid, None)

    assert add(counts, texts, coded, target) == 1
    by_value = {value: place for place, value in enumerate(counts.rows.values.to_pylist())}
    assert counts.rows.sums[by_value["a"]] == 9.0 and counts.rows.paired[by_value["a"]] == 2
    assert counts.rows.sums[by_value["b"]] == 4.0 and counts.rows.paired[by_value["b"]] == 1
    assert counts.rows.counts[by_value["b"]] == 2


def test_a_dictionary_that_holds_a_string_twice_counts_it_once() -> None:
    array = pa.DictionaryArray.from_arrays(pa.array([0, 1, 2, 1], pa.int32()), pa.array(["a", "b", "a"]))
    counts = StringCounts()
    add(counts, array)

    assert counts.listed() == [("a", 2), ("b", 2)]


@pytest.mark.parametrize("coded", [False, True])
@pytest.mark.parametrize("pieces", [1, 7])
def test_a_full_table_keeps_the_frequent_strings_within_its_error(coded: bool, pieces: int) -> None:
    random = np.random.default_rng(11)
    values = np.minimum(random.zipf(1.2, 60_000), 10**9)
    parts = []
    for piece in np.array_split(values, 3):
        counts = StringCounts(TableLimits(strings=2000))
        for batch in np.array_split(piece, pieces):
            array = pa.array([str(value) for value in batch])
            add(counts, array, coded)
        parts.append(counts)
    merged = copy.deepcopy(parts[0])
    for counts in parts[1:]:
        merged.merge(counts)
    true = pd.Series(values).astype(str).value_counts().to_dict()
    found = dict(merged.listed())

    assert 0 < merged.error < 300 and len(merged.rows) <= 2000
    assert all(true[value] - merged.error <= count <= true[value] for value, count in found.items())
    assert all(count <= merged.error for value, count in true.items() if value not in found)
    assert merged.least_frequent() is None
    assert merged.distinct_count == (len(true), False) or abs(merged.distinct_count[0] / len(true) - 1) < 0.03


def test_an_exact_table_joins_an_estimated_one() -> None:
    full = StringCounts(TableLimits(strings=100))
    add(full, pa.array([f"{n}" for n in range(150)] + ["often"] * 50))
    small = StringCounts(TableLimits(strings=100))
    add(small, pa.array(["often", "new", "new"]))
    small.merge(full)

    assert small.listed() == [("often", 51), ("new", 2)]
    assert (small.error, small.distinct_count) == (1, (152, True))


def test_a_table_is_bounded_in_bytes_too() -> None:
    counts = StringCounts(TableLimits(strings=1000, bytes=10_000))
    for start in range(0, 500, 50):
        add(counts, pa.array([f"{n:0500d}" for n in range(start, start + 50)] + ["often"] * 9))

    assert counts.rows.sizes.sum() <= 10_000
    assert counts.listed()[0] == ("often", 90)


def test_limits_are_shared_out_and_have_a_floor() -> None:
    assert TableLimits.shared_by(0) == TableLimits.shared_by(4) == TableLimits(65_536, 64 << 20, 1 << 20)
    assert TableLimits.shared_by(1000).strings == 2 * string_counts.LISTED_VALUES
    assert TableLimits.shared_by(64).strings == 2**21 // 64


def test_no_more_than_the_cap_is_listed() -> None:
    counts = added([f"{n % 10_001:05d}" for n in range(10_001 + 5)])

    assert len(counts.listed()) == 10_000
    assert counts.listed()[:6] == [(f"{n:05d}", 2) for n in range(5)] + [("00005", 1)]
    assert counts.listed()[-1] == ("09999", 1)
