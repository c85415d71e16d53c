from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from nightcast.mlmodel.relevance import refined

Loss = Callable[[np.ndarray], tuple[float, np.ndarray]]


def bowl(lowest: np.ndarray, calls: list[np.ndarray] | None = None) -> Loss:
    """Least at the given powers, with derivatives as shares of the loss."""

    def evaluate(powers: np.ndarray) -> tuple[float, np.ndarray]:
        if calls is not None:
            calls.append(powers.copy())
        loss = 1.0 + 0.1 * float((powers - lowest) @ (powers - lowest))
        return loss, 0.2 * (powers - lowest) / loss

    return evaluate


@pytest.mark.parametrize("lowest", [[0.0, 0.0], [2.0, -1.0], [3.5, 0.4], [-1.6, 5.2]])
def test_the_minimum_is_found_within_about_half_a_power(lowest: list[float]) -> None:
    calls: list[np.ndarray] = []
    found = refined(bowl(np.array(lowest), calls), np.zeros(2))
    np.testing.assert_allclose(found, lowest, atol=0.55)
    assert len(calls) <= 11


def test_what_is_found_is_never_worse_than_the_start() -> None:
    rng = np.random.default_rng(3)
    for _ in range(30):
        lowest, start = rng.uniform(-2, 6, 5), rng.uniform(-2, 6, 5)
        matrix = rng.normal(size=(5, 5))
        matrix = matrix @ matrix.T / 5

        def evaluate(powers: np.ndarray, lowest: np.ndarray = lowest, matrix: np.ndarray = matrix):
            about = powers - lowest
            loss = 1.0 + float(about @ matrix @ about)
            return loss, 2 * matrix @ about / loss

        found = refined(evaluate, start)
        assert evaluate(found)[0] <= evaluate(start)[0]
        assert ((found >= -2) & (found <= 6)).all()


@pytest.mark.parametrize(("lowest", "end"), [(50.0, 6.0), (-50.0, -2.0)])
def test_limits_are_respected(lowest: float, end: float) -> None:
    calls: list[np.ndarray] = []
    found = refined(bowl(np.array([lowest, 1.0]), calls), np.array([1.0, 1.0]))
    assert found.tolist() == [end, 1.0]
    assert all(one.min() >= -2 and one.max() <= 6 for one in calls)


def test_a_flat_loss_is_left_at_once() -> None:
    calls: list[np.ndarray] = []

    def evaluate(powers: np.ndarray) -> tuple[float, np.ndarray]:
        calls.append(powers)
        return 5.0, np.zeros(3)

    assert refined(evaluate, np.ones(3)).tolist() == [1.0] * 3
    assert len(calls) == 1


def test_steps_to_where_the_loss_is_no_number_are_taken_back() -> None:
    def evaluate(powers: np.ndarray) -> tuple[float, np.ndarray]:
        loss, slopes = bowl(np.array([4.0]))(powers)
        return (float("nan"), np.full(1, np.nan)) if powers[0] > 2.5 else (loss, slopes)

    found = refined(evaluate, np.zeros(1))
    assert 1.9 < found[0] <= 2.5


def test_a_start_that_is_no_number_stays() -> None:
    assert refined(lambda powers: (float("nan"), np.full(2, np.nan)), np.ones(2)).tolist() == [1.0, 1.0]


def test_no_penalties() -> None:
    assert refined(lambda powers: (1.0, powers), np.zeros(0)).shape == (0,)
