"""Choosing a penalty for each output of a recipe, by the derivatives of the loss on records that did not fit."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nightcast.datasource.arrow_arrays import Floats

# Shares of the loss that are worth a step.
_WORTH, _SLOPE = 1e-5, 1e-5
_MOST_STEPS = 10
_LEAST_STEP = 0.3
_LIMITS = (-2.0, 6.0)


def refined(evaluate: Callable[[Floats], tuple[float, Floats]], start: Floats) -> Floats:
    """Penalties of less loss.

    All penalties step at once, by a power of ten at first, each in the direction in which the loss falls; where this
    direction turns, the step is halved. Steps that do not lower the loss are taken back. Source: Riedmiller and Braun,
    A direct adaptive method for faster backpropagation learning: the RPROP algorithm, ICNN 1993.

    Parameters
    ----------
    evaluate
        The loss at powers of ten of the penalties, and by which share of itself it changes with each power; called at
        most eleven times.
    start
        Powers of ten, shape (n,).

    Examples
    --------
    >>> refined(lambda powers: (1 + float((powers - 2) @ (powers - 2)), powers - 2), np.zeros(2))
    array([2., 2.])
    """
    best = start
    loss, slopes = evaluate(best)
    steps = np.ones(len(start))
    for _ in range(_MOST_STEPS):
        moving = (np.abs(slopes) > _SLOPE) & (steps >= _LEAST_STEP)
        candidate = np.clip(best - np.where(moving, np.sign(slopes) * steps, 0.0), *_LIMITS)
        if not (candidate != best).any():
            break
        next_loss, next_slopes = evaluate(candidate)
        steps = np.where(next_slopes * slopes < 0, steps / 2, steps)
        # Not a number, beyond float64, is not lower either.
        if not next_loss < loss:
            steps = np.where(moving, np.minimum(steps, 1.0) / 2, steps)
            continue
        gained = (loss - next_loss) / loss
        best, loss, slopes = candidate, next_loss, next_slopes
        if gained < _WORTH:
            break
    return best
