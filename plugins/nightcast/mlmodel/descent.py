"""Minimising a smooth convex function with few evaluations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from nightcast.datasource.arrow_arrays import Floats

_PAIRS = 12
_SUFFICIENT = 1e-4
_MOST_HALVINGS = 30


@dataclass(frozen=True)
class Descent:
    """Where a minimisation ended.

    Parameters
    ----------
    point, value, gradient
        The best point, and the function there.
    evaluations
        How often the function was evaluated.
    converged
        Whether the expected gain of another step was below the tolerance, or below what float64 can tell.
    """

    point: Floats
    value: float
    gradient: Floats
    evaluations: int
    converged: bool


def minimised(
    function: Callable[[Floats], tuple[float, Floats]],
    start: Floats,
    scaled: Callable[[Floats], Floats],
    tolerance: float,
    most: int,
) -> Descent:
    """Minimise by L-BFGS, whose first guess of the inverse Hessian is given.

    Parameters
    ----------
    function
        Value and gradient at a point; shape (n,).
    start
        Where to begin; shape (n,).
    scaled
        A symmetric positive definite guess of the inverse Hessian, times a gradient.
    tolerance
        Share of the value: the end is where the next step is expected to gain less.
    most
        Evaluations at most.

    Notes
    -----
    Source: Nocedal and Wright, Numerical Optimization, 2nd edition, algorithms 7.4 and 7.5. Steps are cut back until
    the value falls enough (Armijo); a pair without positive curvature is left out.
    """
    point = start
    value, gradient = function(point)
    evaluations = 1
    pairs: list[tuple[Floats, Floats, float]] = []
    while evaluations < most:
        direction = -_inverse_times(gradient, pairs, scaled)
        slope = _dot(gradient, direction)
        if not slope < 0 and gradient.any():
            # The guess is no longer positive definite in float64.
            pairs, direction = [], -gradient / _dot(gradient, gradient) ** 0.5
            slope = _dot(gradient, direction)
        if -0.5 * slope <= tolerance * abs(value):
            return Descent(point, value, gradient, evaluations, converged=True)
        step = 1.0
        for _ in range(_MOST_HALVINGS):
            next_point = point + step * direction
            next_value, next_gradient = function(next_point)
            evaluations += 1
            if next_value <= value + _SUFFICIENT * step * slope:
                break
            if abs(next_value - value) <= 1e-14 * abs(value) or evaluations >= most:
                return Descent(point, value, gradient, evaluations, converged=evaluations < most)
            step *= _shorter(next_value - value, step * slope)
        else:
            return Descent(point, value, gradient, evaluations, converged=False)
        moved, turned = next_point - point, next_gradient - gradient
        curvature = _dot(moved, turned)
        if curvature > 1e-12 * _dot(turned, turned) ** 0.5 * _dot(moved, moved) ** 0.5:
            pairs = [*pairs[1 - _PAIRS :], (moved, turned, curvature)]
        point, value, gradient = next_point, next_value, next_gradient
    return Descent(point, value, gradient, evaluations, converged=False)


def minimised_in_rounds(
    function: Callable[[Floats], tuple[float, Floats]],
    start: Floats,
    scaling: Callable[[Floats, int], Callable[[Floats], Floats]],
    tolerance: float,
    most: int,
    rounds: int,
) -> Descent:
    """As `minimised`, with a guess that is renewed on the way, until a round converges.

    Parameters
    ----------
    scaling
        The guess at a point, and for the number of a round, from 0.
    most
        Evaluations a round at most.
    """
    evaluations, point = 0, start
    for number in range(rounds):
        found = minimised(function, point, scaling(point, number), tolerance, most)
        evaluations, point = evaluations + found.evaluations, found.point
        if found.converged:
            break
    return replace(found, evaluations=evaluations)


def newton(
    function: Callable[[Floats], tuple[float, Floats, Callable[[Floats], Floats]]],
    start: Floats,
    tolerance: float,
    most: int,
) -> Descent:
    """Minimise by Newton's steps, cut back until the value falls enough.

    Parameters
    ----------
    function
        Value and gradient at a point, and the inverse Hessian there, times a vector.
    start, tolerance, most
        As of `minimised`.
    """
    point = start
    value, gradient, inverse = function(point)
    evaluations = 1
    while evaluations < most:
        direction = -inverse(gradient)
        slope = _dot(gradient, direction)
        if -0.5 * slope <= tolerance * abs(value):
            return Descent(point, value, gradient, evaluations, converged=True)
        step = 1.0
        while evaluations < most:
            next_point = point + step * direction
            next_value, next_gradient, next_inverse = function(next_point)
            evaluations += 1
            if next_value <= value + _SUFFICIENT * step * slope:
                point, value, gradient, inverse = next_point, next_value, next_gradient, next_inverse
                break
            if abs(next_value - value) <= 1e-14 * abs(value):
                return Descent(point, value, gradient, evaluations, converged=True)
            step *= _shorter(next_value - value, step * slope)
    return Descent(point, value, gradient, evaluations, converged=False)


def _shorter(gain: float, slope: float) -> float:
    """By what to shorten a step: to the minimum of the parabola through both ends, within a tenth and a half."""
    if not np.isfinite(gain):
        return 0.1
    return min(max(-slope / (2 * (gain - slope)), 0.1), 0.5)


def _inverse_times(
    gradient: Floats, pairs: list[tuple[Floats, Floats, float]], scaled: Callable[[Floats], Floats]
) -> Floats:
    """The inverse Hessian, as far as the pairs of moves and turns tell, times the gradient."""
    rest = gradient.copy()
    shares = []
    for moved, turned, curvature in reversed(pairs):
        share = _dot(moved, rest) / curvature
        rest -= share * turned
        shares.append(share)
    found = scaled(rest)
    for (moved, turned, curvature), share in zip(pairs, reversed(shares), strict=True):
        found = found + (share - _dot(turned, found) / curvature) * moved
    return found


def _dot(left: Floats, right: Floats) -> float:
    # Not BLAS: how that splits the sum depends on its threads.
    return float(np.einsum("i,i->", left, right))
