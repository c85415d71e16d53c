"""Choosing the strength of a penalty by the loss on the validation slice."""

from __future__ import annotations

import math
from collections.abc import Callable

DEFAULT_L2 = 1.0
_LADDER = (0.0, 0.01, 0.1, 1.0, 10.0, 100.0, 1_000.0, 10_000.0, 100_000.0)
# A gain below this share of the loss is no reason to look further.
_WORTH = 1e-5
_FLAT = 1e-6


def tried_strengths(
    loss: Callable[[float], float], least: float = 0.0, change: Callable[[float], float] | None = None
) -> dict[float, float]:
    """Try strengths, and find where the loss is least.

    From 1 on, each power of ten upwards or downwards is tried while the loss falls; then, if the best one's neighbours
    are notably worse, where a parabola through the three has its minimum.

    Parameters
    ----------
    loss
        Loss on the validation slice at a strength, called once for each.
    least
        The least strength to try.
    change
        By which share of itself the loss changes when a strength grows by a tenth, as far as its derivative tells: if
        that is next to nothing at the first strength, no other is tried.

    Returns
    -------
    dict
        Loss by strength, in the order of the trials; the one to take is that of `best_strength`.

    Examples
    --------
    >>> list(tried_strengths(lambda l2: abs(l2 - 30) + 1))
    [1.0, 10.0, 100.0, 18.0]
    """
    if change is not None and abs(change(DEFAULT_L2)) < _FLAT:
        return {DEFAULT_L2: loss(DEFAULT_L2)}
    ladder = [strength for strength in _LADDER if strength >= least]
    found = {DEFAULT_L2: loss(DEFAULT_L2)}
    start = ladder.index(DEFAULT_L2)
    for path in (ladder[start + 1 :], ladder[:start][::-1]):
        last = found[DEFAULT_L2]
        for strength in path:
            found[strength] = loss(strength)
            if not found[strength] < last * (1 - _WORTH):
                break
            last = found[strength]
        if last < found[DEFAULT_L2]:
            break
    between = _between(found)
    if between is not None:
        found[between] = loss(between)
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


def best_strength(tried: dict[float, float]) -> float:
    """The strength of the least loss; of equal ones the first tried."""
    return min(tried, key=tried.__getitem__)
