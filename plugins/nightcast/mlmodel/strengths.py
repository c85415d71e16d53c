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
_DOUBT = 2.0
Strength = TypeVar("Strength")


@dataclass(frozen=True)
class Strengths:
    """Penalties on the kinds of coefficients of `nightcast.mlmodel.shapes.Shapes`.

    Parameters
    ----------
    values
        Of values, tokens and other indicators.
    numbers
        Of the lines over numbers.
    steps
        Of the steps of their bins; None: the same as of lines.
    """

    values: float = DEFAULT_L2
    numbers: float = DEFAULT_NUMBERS
    steps: float | None = None

    @property
    def of_steps(self) -> float:
        """The penalty on steps."""
        return self.numbers if self.steps is None else self.steps

    @property
    def plain(self) -> bool:
        """Whether all kinds have the same penalty."""
        return self.values == self.numbers == self.of_steps

    @property
    def doubt(self) -> float:
        """How many nats the loss of all records that judge has to be lower than that of the defaults; all are above 0.

        Two for each power of ten: of few records the least loss is that of chance, and weak penalties, which promise
        most where classes happen to be apart, are what harms most later.
        """
        pairs = ((self.values, DEFAULT_L2), (self.numbers, DEFAULT_NUMBERS), (self.of_steps, self.numbers))
        return _DOUBT * sum(abs(math.log10(one) - math.log10(usual)) for one, usual in pairs)

    def told(self) -> dict[str, float]:
        """The strengths by the names of the learner's parameters."""
        return {"l2": self.values, "l2Numbers": self.numbers, "l2Steps": self.of_steps}


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


def tried_kinds(
    loss: Callable[[Strengths], float], *, values: bool, numbers: bool, steps: bool, least: float
) -> dict[Strengths, float]:
    """Try strengths of the kinds, each by `tried_strengths`.

    First of numbers, lines and steps alike, then of values; then steps get stronger by powers of ten, and lines weaker.

    Parameters
    ----------
    loss
        Called once for each choice.
    values, numbers
        Whether there are coefficients of the kind.
    steps
        Whether steps are to have a strength of their own.
    least
        The least strength to try.

    Examples
    --------
    >>> tried = tried_kinds(
    ...     lambda some: abs(some.numbers - 100) + some.values, values=True, numbers=True, steps=False, least=0.1
    ... )
    >>> best_strength(tried)
    Strengths(values=0.1, numbers=100.0, steps=None)
    """
    found: dict[Strengths, float] = {}

    def once(some: Strengths) -> float:
        if some not in found:
            found[some] = loss(some)
        return found[some]

    best = Strengths()
    for kind, wanted in (("numbers", numbers), ("values", values)):
        if wanted:

            def along(strength: float, kind: str = kind, start: Strengths = best) -> float:
                return once(replace(start, **{kind: strength}))

            tried_strengths(along, least, getattr(best, kind))
            best = best_strength(found)
    once(best)
    if steps:
        _tried_apart(once, best, least)
    return found


def _tried_apart(loss: Callable[[Strengths], float], best: Strengths, least: float) -> None:
    """Try stronger penalties on steps, then weaker ones on lines, by powers of ten while the loss falls."""

    def better(some: Strengths) -> bool:
        return loss(some) < loss(best) * (1 - _WORTH)

    while better(some := replace(best, steps=best.of_steps * 10)):
        best = some
    while best.numbers / 10 >= least and better(some := replace(best, numbers=best.numbers / 10, steps=best.of_steps)):
        best = some


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
