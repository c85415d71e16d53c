from __future__ import annotations

import itertools
import math
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from nightcast.mlmodel.gram import Gram
from nightcast.mlmodel.record_sums import RecordFeatures, RecordSums
from nightcast.mlmodel.square_sums import SquareSums, added, merged, of_records
from nightcast.recipe.pieces import centered, to_csr
from random_pieces import number_centers, random_pieces


def case(kinds: str, records: int, seed: int, center: float = 6.0):
    """Sums over records, streamed and held, with the matrix and the targets that they are of."""
    pieces, features = random_pieces(seed, records, kinds)
    targets = np.random.default_rng(seed).normal(center, 2, records)
    centers = number_centers(pieces, features)
    matrix = to_csr(centered(pieces, centers), records, features)
    streamed = SquareSums(Gram(centers), center)
    added(streamed, pieces, targets)
    return streamed, of_records(RecordSums(RecordFeatures(matrix), targets - center), center), matrix.toarray(), targets


@pytest.mark.parametrize("kinds", ["o", "d", "odmt"])
@pytest.mark.parametrize("records", [1, 40])
def test_the_squared_error_is_that_of_the_records(kinds: str, records: int) -> None:
    *both, matrix, targets = case(kinds, records, 3)
    rng = np.random.default_rng(7)
    weights, constant = rng.normal(size=matrix.shape[1]), 0.7
    residuals = matrix @ weights + constant - (targets - 6.0)
    for sums in both:
        error, of_weights, of_constant = sums.squared_error(weights, constant)
        assert error == pytest.approx(np.mean(residuals**2))
        np.testing.assert_allclose(of_weights, matrix.T @ residuals / records, atol=1e-9)
        assert of_constant == pytest.approx(residuals.mean())
        # Derivatives are half of those of the mean squared error.
        moved = [sums.squared_error(weights, constant + sign * 1e-4)[0] for sign in (1, -1)]
        assert (moved[0] - moved[1]) / 2e-4 == pytest.approx(2 * of_constant, rel=1e-5)


def test_a_perfect_fit_has_no_error_below_zero() -> None:
    matrix = np.random.default_rng(0).normal(size=(30, 3))
    weights = np.array([1e3, -1e3, 5e2])
    sums = of_records(RecordSums(RecordFeatures(csr_array(matrix)), matrix @ weights), 0.0)
    assert 0.0 <= sums.squared_error(weights, 0.0)[0] < 1e-6


def test_squares_beyond_float64_stay_no_number() -> None:
    with np.errstate(over="ignore", invalid="ignore"):
        sums = of_records(RecordSums(RecordFeatures(csr_array(np.array([[1e308], [-1e308]]))), np.zeros(2)), 0.0)
        assert not math.isfinite(sums.squared_error(np.array([1.0]), 0.0)[0])


@settings(max_examples=40, deadline=None)
@given(st.text("odmt", max_size=4), st.integers(1, 150), st.lists(st.integers(0, 150), max_size=4), st.integers(0, 9))
def test_merged_parts_are_the_whole(kinds: str, records: int, cuts: list[int], seed: int) -> None:
    pieces, features = random_pieces(seed, records, kinds)
    targets, centers = np.arange(records) / 3, number_centers(pieces, features)
    whole, found = SquareSums(Gram(centers), 2.0), SquareSums(Gram(centers), 2.0)
    added(whole, pieces, targets)
    for begin, end in itertools.pairwise([0, *sorted(cut % (records + 1) for cut in cuts), records]):
        part = SquareSums(Gram(centers), 2.0)
        added(part, [piece.taken(np.arange(begin, end)) for piece in pieces], targets[begin:end])
        merged(found, pickle.loads(pickle.dumps(part)))
    assert found.records == records
    assert (found.total, found.squares) == pytest.approx((whole.total, whole.squares))
    weights = np.random.default_rng(seed).normal(size=features)
    for ours, expected in zip(found.squared_error(weights, 1.0), whole.squared_error(weights, 1.0), strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-8, atol=1e-6)
