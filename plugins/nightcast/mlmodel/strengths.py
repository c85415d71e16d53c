"""Choosing the strengths of penalties by the loss on records that did not fit."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

DEFAULT_L2 = 1.0
DEFAULT_NUMBERS = 10.0
_LADDER = (0.0, 0.01, 0.1, 1.0, 10.0, 100.0, 1_000.0, 10_000.0, 100_000.0)
# A gain below this share of the loss is no reason to look further.
_WORTH = 1e-5
Strength = TypeVar("Strength")


@dataclass(frozen=True)
class Strengths:
    """Penalties on the two kinds of coefficients of `nightcast.mlmodel.shapes.Shapes`.

    Parameters
    ----------
    values
        Of values, tokens and other indicators.
    numbers
        Of the shapes of numbers.
    """

    values: float = DEFAULT_L2
    numbers: float = DEFAULT_NUMBERS


def tried_strengths(
    loss: Callable[[float], float], least: float = 0.0, start: float = DEFAULT_L2
) -> dict[float, float]:
    """Try strengths, and find where the loss is least.

    From `start` on, each power of ten upwards or downwards is tried while the loss falls; then, if the best one's
    neighbours are notably worse, where a parabola through the three has its minimum.

    Parameters
    ----------
    loss
        Loss at a strength, called once for each.
    least
        The least strength to try.
    start
        A power of ten.

    Returns
    -------
    dict
        Loss by strength, in the order of the trials; the one to take is that of `best_strength`.

    Examples
    --------
    >>> list(tried_strengths(lambda l2: abs(l2 - 30) + 1))
    [1.0, 10.0, 100.0, 18.0]
    """
    ladder = [strength for strength in _LADDER if strength >= least]
    found = {start: loss(start)}
    place = ladder.index(start)
    for path in (ladder[place + 1 :], ladder[:place][::-1]):
        last = found[start]
        for strength in path:
            found[strength] = loss(strength)
            if not found[strength] < last * (1 - _WORTH):
                break
            last = found[strength]
        if last < found[start]:
            break
    between = _between(found)
    if between is not None:
        found[between] = loss(between)
    return found


def tried_pairs(
    loss: Callable[[Strengths], float], *, values: bool, numbers: bool, least: float
) -> dict[Strengths, float]:
    """Try strengths of the two kinds, first of numbers, then of values, each by `tried_strengths`.

    Parameters
    ----------
    loss
        Called once for each pair.
    values, numbers
        Whether there are coefficients of the kind.
    least
        The least strength to try.

    Examples
    --------
    >>> tried = tried_pairs(
    ...     lambda pair: abs(pair.numbers - 100) + pair.values, values=True, numbers=True, least=0.1
    ... )
    >>> best_strength(tried)
    Strengths(values=0.1, numbers=100.0)
    """
    found: dict[Strengths, float] = {}

    def once(pair: Strengths) -> float:
        if pair not in found:
            found[pair] = loss(pair)
        return found[pair]

    best = Strengths()
    for kind, wanted in (("numbers", numbers), ("values", values)):
        if wanted:

            def along(strength: float, kind: str = kind, start: Strengths = best) -> float:
                return once(replace(start, **{kind: strength}))

            tried_strengths(along, least, getattr(best, kind))
            best = best_strength(found)
    once(best)
    return found


def _between(tried: dict[float, float]) -> float | None:
    """The minimum of the parabola, over powers of ten, through the best strength and its neighbours."""
    best = best_strength(tried)
    below, above = (tried.get(strength, math.nan) for strength in (best / 10, best * 10))
    left, right, worth = below - tried[best], above - tried[best], _WORTH * tried[best]
    # NaN, where a neighbour was not tried, is not above anything.
    if not (left > worth and right > worth):
        return None
    found = float(f"{best * 10 ** (0.5 * (left - right) / (left + right)):.1e}")
    return None if found == best else found


def best_strength(tried: dict[Strength, float]) -> Strength:
    """The strength of the least loss; of equal ones the first tried."""
    return min(tried, key=tried.__getitem__)
