from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nightcast.recipe.bins import bin_codes, bin_edges, variance_within

PERMILLES = np.arange(1001) / 1000


@pytest.mark.parametrize("bins", [2, 3, 7, 10, 50, 1000])
def test_bins_are_of_equal_frequency(bins: int) -> None:
    values = np.random.default_rng(1).permutation(100_000) / 7
    edges = bin_edges(np.quantile(values, PERMILLES).tolist(), bins)
    counts = np.bincount(bin_codes(values, None, edges))[1:]
    assert len(counts) == bins
    # An edge stands at the nearest permille.
    assert abs(counts - 100_000 / bins).max() <= 101


def test_few_distinct_values_get_a_bin_each() -> None:
    values = np.repeat([0.0, 1.0, 5.0], [500, 300, 200])
    edges = bin_edges(np.quantile(values, PERMILLES).tolist(), 50)
    assert bin_codes(np.array([0.0, 1.0, 5.0]), None, edges).tolist() == [1, 2, 3]


def test_bins_are_closed_on_the_left_and_open_to_both_sides() -> None:
    edges = (1.0, 2.0)
    values = np.array([-1e300, 0.999, 1.0, 1.999, 2.0, 1e300, np.nan])
    valid = np.array([True] * 6 + [False])
    assert bin_codes(values, valid, edges).tolist() == [1, 1, 2, 2, 3, 3, 0]


def test_without_values_or_variation_there_is_one_bin() -> None:
    assert bin_edges([], 10) == ()
    assert bin_edges([3.0] * 1001, 10) == ()
    assert bin_codes(np.array([3.0, 4.0]), None, ()).tolist() == [1, 1]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50), st.integers(2, 1000))
def test_bins_keep_the_order_of_values(values: list[float], bins: int) -> None:
    edges = bin_edges(np.quantile(values, PERMILLES).tolist(), bins)
    codes = bin_codes(np.array(values), None, edges)
    assert list(edges) == sorted(set(edges))
    assert len(edges) < bins
    assert codes.min() == 1
    if len(set(values)) > 1 and bins >= 2:
        order = np.argsort(values, kind="stable")
        assert (np.diff(codes[order]) >= 0).all()


def test_variance_within_bins() -> None:
    even = PERMILLES.tolist()
    assert variance_within(even, ()) == pytest.approx(1.0)
    assert variance_within(even, bin_edges(even, 10)) == pytest.approx(0.01, rel=1e-3)
    assert variance_within([7.0] * 1001, ()) == 0.0
    assert variance_within([0.0] * 500 + [1.0] * 501, (1.0,)) == pytest.approx(0.0, abs=1e-3)
    huge = (PERMILLES * 1e308 - (1 - PERMILLES) * 1e308).tolist()
    assert variance_within(huge, bin_edges(huge, 10)) == pytest.approx(0.01, rel=1e-3)
