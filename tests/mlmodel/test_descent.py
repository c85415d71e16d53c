from __future__ import annotations

import numpy as np
import pytest

from nightcast.mlmodel.descent import minimised, newton


def identity(gradient: np.ndarray) -> np.ndarray:
    return gradient


def test_a_parabola_with_its_own_hessian_takes_one_step() -> None:
    curvatures = np.geomspace(1e-3, 1e3, 20)
    lowest = np.arange(20.0)

    def function(point: np.ndarray) -> tuple[float, np.ndarray]:
        return 1 + 0.5 * float(curvatures @ (point - lowest) ** 2), curvatures * (point - lowest)

    found = minimised(function, np.zeros(20), lambda gradient: gradient / curvatures, 1e-12, 50)
    assert (found.evaluations, found.converged) == (2, True)
    np.testing.assert_allclose(found.point, lowest)


def test_rosenbrock_is_minimised_from_far() -> None:
    def function(point: np.ndarray) -> tuple[float, np.ndarray]:
        x, y = point
        value = (1 - x) ** 2 + 100 * (y - x * x) ** 2
        return value, np.array([-2 * (1 - x) - 400 * x * (y - x * x), 200 * (y - x * x)])

    found = minimised(function, np.array([-1.2, 1.0]), identity, 1e-14, 500)
    np.testing.assert_allclose(found.point, [1.0, 1.0], atol=1e-5)
    assert found.value == function(found.point)[0]


def test_a_step_that_is_far_too_long_is_cut_back() -> None:
    def function(point: np.ndarray) -> tuple[float, np.ndarray]:
        with np.errstate(over="ignore"):
            return float(np.cosh(point).sum()), np.sinh(point)

    found = minimised(function, np.array([2.0, -3.0]), lambda gradient: 1e4 * gradient, 1e-12, 200)
    assert found.converged
    np.testing.assert_allclose(found.point, 0.0, atol=1e-4)


def test_newton_takes_few_steps_where_gradients_take_many() -> None:
    curvatures = np.geomspace(1e-4, 1e4, 30)

    def function(point: np.ndarray) -> tuple[float, np.ndarray, object]:
        value = 1 + float(np.sum(np.logaddexp(0, curvatures * point) - 0.3 * curvatures * point))
        shares = 1 / (1 + np.exp(-curvatures * point))
        hessian = curvatures**2 * shares * (1 - shares)
        return value, curvatures * (shares - 0.3), lambda right: right / hessian

    found = newton(function, np.ones(30) / curvatures, 1e-13, 50)
    assert found.converged
    assert found.evaluations < 10
    np.testing.assert_allclose(curvatures * found.point, np.log(0.3 / 0.7), rtol=1e-5)


def test_newton_steps_that_are_too_long_are_cut_back() -> None:
    def function(point: np.ndarray) -> tuple[float, np.ndarray, object]:
        # Newton's method without step control leaves this function for infinity from |x| above 1.09.
        root = np.sqrt(1 + point**2)
        return float(root[0]), point / root, lambda right: right * root**3

    found = newton(function, np.array([3.0]), 1e-12, 50)
    assert found.converged
    assert found.point[0] == pytest.approx(0.0, abs=1e-5)
    assert newton(function, np.array([3.0]), 1e-12, 3).converged is False


def test_the_evaluations_are_bounded() -> None:
    def function(point: np.ndarray) -> tuple[float, np.ndarray]:
        return float(np.exp(-point[0])), np.array([-np.exp(-point[0])])

    found = minimised(function, np.zeros(1), identity, 1e-30, 7)
    assert (found.evaluations, found.converged) == (7, False)


@pytest.mark.parametrize("bad", [np.inf, np.nan])
def test_a_value_beyond_float64_is_stepped_back_from(bad: float) -> None:
    def function(point: np.ndarray) -> tuple[float, np.ndarray]:
        if abs(point[0]) > 10:
            return bad, np.full(1, bad)
        return 1 + float(point[0] ** 2), 2 * point

    found = minimised(function, np.array([9.0]), lambda gradient: 5 * gradient, 1e-12, 100)
    assert found.point[0] == pytest.approx(0.0, abs=1e-4)


def test_a_guess_that_is_not_positive_definite_is_not_taken_for_the_end() -> None:
    def bowl(point: np.ndarray) -> tuple[float, np.ndarray]:
        return float(point @ point) + 1.0, 2.0 * point

    for factor in (-1.0, np.nan):
        found = minimised(bowl, np.array([3.0, 1.0]), lambda gradient, factor=factor: gradient * factor, 1e-9, 99)
        assert found.value == pytest.approx(1.0, abs=1e-6)
