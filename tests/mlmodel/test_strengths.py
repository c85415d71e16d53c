from __future__ import annotations

import math

import pytest

from nightcast.mlmodel.strengths import (
    DEFAULT_L2,
    DEFAULT_NUMBERS,
    Strengths,
    best_strength,
    tried_kinds,
    tried_strengths,
)


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


def pair_loss(pair: Strengths) -> float:
    """Least where values have 100 and numbers 0.1, each whatever the other."""
    return 5 + (math.log10(pair.values + 1e-9) - 2) ** 2 + (math.log10(pair.numbers + 1e-9) + 1) ** 2


@pytest.mark.parametrize(
    ("values", "numbers", "best"),
    [
        (True, True, Strengths(100.0, 0.1)),
        (True, False, Strengths(100.0, DEFAULT_NUMBERS)),
        (False, True, Strengths(DEFAULT_L2, 0.1)),
        (False, False, Strengths()),
    ],
)
def test_pairs_are_tried_kind_by_kind(values: bool, numbers: bool, best: Strengths) -> None:
    calls: list[Strengths] = []

    def loss(pair: Strengths) -> float:
        calls.append(pair)
        return pair_loss(pair)

    tried = tried_kinds(loss, values=values, numbers=numbers, steps=False, least=0.01)
    assert best_strength(tried) == best
    assert calls == list(tried)
    assert len(set(calls)) == len(calls) <= 14
    assert all(tried[pair] == pair_loss(pair) for pair in tried)
    # One kind is tried while the other stands still: numbers first.
    if values and numbers:
        turn = next(place for place, pair in enumerate(calls) if pair.values != DEFAULT_L2)
        assert all(pair.numbers == 0.1 for pair in calls[turn:])


def test_pairs_respect_the_least_strength() -> None:
    tried = tried_kinds(lambda pair: 1 + pair.values + pair.numbers, values=True, numbers=True, steps=False, least=0.1)
    assert best_strength(tried) == Strengths(0.1, 0.1)
    assert min(min(pair.values, pair.numbers) for pair in tried) == 0.1


def test_pairs_of_a_loss_that_is_no_number_are_the_defaults() -> None:
    assert (
        best_strength(tried_kinds(lambda pair: math.nan, values=True, numbers=True, steps=False, least=0.1))
        == Strengths()
    )


def steps_loss(some: Strengths) -> float:
    """Least where values have 1, lines 0.1 and steps 1000."""
    far = (some.values, some.numbers / 0.1, some.of_steps / 1000)
    return 5 + sum(math.log10(one) ** 2 for one in far)


def test_steps_get_stronger_and_lines_weaker() -> None:
    tried = tried_kinds(steps_loss, values=True, numbers=True, steps=True, least=0.01)
    best = best_strength(tried)
    assert best.numbers < 10 < 100 <= best.of_steps
    assert tried[best] < min(loss for some, loss in tried.items() if some.steps is None)
    # Of all of the same strength the best is where both are missed alike, and lines stop at the least.
    least = best_strength(tried_kinds(steps_loss, values=True, numbers=True, steps=True, least=1.0))
    assert least.numbers >= 1.0


def test_doubt_counts_powers_of_ten() -> None:
    assert Strengths().doubt == 0.0
    assert Strengths(0.1).doubt == Strengths(10.0).doubt == pytest.approx(2.0)
    assert Strengths(1.0, 100.0).doubt == pytest.approx(2.0)
    assert Strengths(1.0, 10.0, 1000.0).doubt == pytest.approx(4.0)
    assert Strengths(1.0, 5e-324).doubt > 600
    assert Strengths(2.0, 30.0).told() == {"l2": 2.0, "l2Numbers": 30.0, "l2Steps": 30.0}
    assert Strengths(3.0, 3.0).plain
    assert not Strengths(3.0, 3.0, 4.0).plain
