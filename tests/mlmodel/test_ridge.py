from __future__ import annotations

import numpy as np
import pytest

from nightcast.mlmodel.ridge import RidgeSolver


def solved(matrix: np.ndarray, target: np.ndarray, l2: float) -> np.ndarray:
    means = matrix.mean(axis=0)
    right = matrix.T @ target - matrix.sum(axis=0) * target.mean()
    return RidgeSolver(np.triu(matrix.T @ matrix), means, len(matrix), l2).solve(right)


@pytest.mark.parametrize("features", [0, 1, 5, 127, 128, 129, 300])
@pytest.mark.parametrize("l2", [0.0, 1e-6, 1.0, 1e6])
def test_weights_solve_the_normal_equations(features: int, l2: float) -> None:
    rng = np.random.default_rng(features)
    matrix = rng.normal(size=(400, features)) * np.geomspace(1e-3, 1e3, features)
    target = rng.normal(size=400)
    centered = matrix - matrix.mean(axis=0)
    expected = np.linalg.solve(centered.T @ centered + l2 * np.eye(features), centered.T @ target)
    found = solved(matrix, target, l2)
    np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-12 * (1 + abs(expected).max(initial=0)))


def test_without_penalty_dependent_columns_share_the_weight() -> None:
    rng = np.random.default_rng(0)
    column = rng.normal(size=(100, 1))
    matrix = np.hstack([column, column, rng.normal(size=(100, 1))])
    target = 3 * column[:, 0] + matrix[:, 2]
    np.testing.assert_allclose(solved(matrix, target, 0.0), [1.5, 1.5, 1.0], atol=1e-9)


def test_columns_that_do_not_vary_have_no_weight() -> None:
    matrix = np.column_stack([np.ones(50), np.zeros(50), np.full(50, 1e8), np.arange(50.0)])
    found = solved(matrix, 2 * np.arange(50.0), 0.0)
    np.testing.assert_allclose(found, [0, 0, 0, 2], atol=1e-9)
    # Penalised, what rounding leaves of a constant is no signal either.
    np.testing.assert_allclose(solved(matrix, 2 * np.arange(50.0), 1e-9), [0, 0, 0, 2], atol=1e-6)
