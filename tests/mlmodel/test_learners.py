from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightcast.mlmodel.learners import FOLDS, fold_of, in_validation


@pytest.mark.parametrize("seed", ["", "seed", "another"])
def test_the_validation_slice_has_15_percent_and_the_folds_share_the_rest(seed: str) -> None:
    folds = fold_of(np.arange(100_000, dtype=np.uint64), seed)
    shares = np.bincount(folds, minlength=FOLDS) / len(folds)
    np.testing.assert_allclose(shares, [0.15, 0.17, 0.17, 0.17, 0.17, 0.17], atol=0.005)
    assert folds.dtype == np.uint8
    # Neighbours are in folds of their own.
    assert abs(np.corrcoef(folds[:-1], folds[1:])[0, 1]) < 0.01


@given(st.integers(0, 2**40), st.integers(0, 300), st.integers(0, 300), st.text(max_size=5))
def test_folds_follow_from_number_and_seed_alone(first: int, size: int, cut: int, seed: str) -> None:
    numbers = np.arange(first, first + size, dtype=np.uint64)
    folds = fold_of(numbers, seed)
    cut = min(cut, size)
    parts = [fold_of(part, seed) for part in (numbers[:cut], numbers[cut:])]
    np.testing.assert_array_equal(folds, np.concatenate(parts))
    np.testing.assert_array_equal(folds, fold_of(numbers[::-1], seed)[::-1])
    np.testing.assert_array_equal(in_validation(numbers, seed), folds == 0)
    assert (folds < FOLDS).all()


def test_seeds_draw_apart() -> None:
    numbers = np.arange(10_000, dtype=np.uint64)
    same = (fold_of(numbers, "a") == fold_of(numbers, "b")).mean()
    assert 0.13 < same < 0.21
    # Whole numbers of any kind give the same folds.
    np.testing.assert_array_equal(fold_of(numbers.astype(np.uint32), "a"), fold_of(numbers, "a"))
