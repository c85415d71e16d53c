from __future__ import annotations

import math

import pytest

from nightcast.mlmodel.strengths import best_strength, tried_strengths


def parabola(lowest: float, depth: float = 1.0):
    return lambda l2: 5 + depth * (math.log10(l2 + 1e-9) - math.log10(lowest)) ** 2


@pytest.mark.parametrize("lowest", [0.05, 0.25, 1.0, 1.3, 30.0, 2e3])
def test_the_minimum_of_a_parabola_is_found(lowest: float) -> None:
    tried = tried_strengths(parabola(lowest))
    assert best_strength(tried) == pytest.approx(lowest, rel=0.05)
    assert len(tried) <= 8


def test_a_flat_loss_is_left_after_two_looks() -> None:
    assert list(tried_strengths(lambda l2: 3.0)) == [1.0, 10.0, 0.1]
    assert best_strength(tried_strengths(lambda l2: 3.0)) == 1.0


@pytest.mark.parametrize(("sign", "end"), [(1, 0.0), (-1, 100_000.0)])
def test_a_loss_that_falls_to_the_end_ends_there(sign: int, end: float) -> None:
    tried = tried_strengths(lambda l2: 10 + sign * l2 / (1 + l2))
    assert best_strength(tried) in (end, 10_000.0) if end else best_strength(tried) == end


def test_the_least_strength_is_respected() -> None:
    assert min(tried_strengths(lambda l2: 1 + l2, 0.01)) == 0.01


def test_a_loss_that_is_no_number_stops_the_search() -> None:
    assert list(tried_strengths(lambda l2: math.nan)) == [1.0, 10.0, 0.1]
