"""A guess of the inverse Hessian of a classification's loss, which makes its descent short."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from nightcast.datasource.arrow_arrays import Floats
from nightcast.errors import ModelError
from nightcast.mlmodel.class_chunks import Chunk, PieceChunk
from nightcast.mlmodel.class_loss import curvature, spreads_of
from nightcast.mlmodel.gram import Gram
from nightcast.mlmodel.ridge import RidgeSolver
from nightcast.recipe.pieces import Dense

# Factors of all outputs together: 200 MB, and about two seconds.
_FACTOR_CELLS = 25_000_000
_FACTOR_STEPS = 3e10
_LEAST_SPREAD = 0.25


@dataclass(frozen=True)
class Scaling:
    """Solves for one output ``[[A, c], [c', s]] [w, b] = gradient``, by elimination of the intercept b.

    Parameters
    ----------
    solve
        Solves ``(A - c c' / s) w = right``.
    means
        c / s; shape (features,).
    total
        s, the sum of p(1 - p).
    """

    solve: Callable[[Floats], Floats]
    means: Floats
    total: float

    def __call__(self, gradient: Floats) -> Floats:
        """Weights and intercept, shape (features + 1,)."""
        weights = self.solve(gradient[:-1] - self.means * gradient[-1])
        intercept = gradient[-1] / self.total - float(np.einsum("i,i->", self.means, weights))
        return np.append(weights, intercept)


def class_scaling(
    chunks: Sequence[Chunk], weights: Floats, l2: float, *, times: float = 1.0, factor: bool = False
) -> Callable[[Floats], Floats]:
    """The guess at given weights, as a function of a gradient.

    Parameters
    ----------
    chunks
        Records that stand for all.
    weights
        float64 of shape (outputs, features + 1).
    l2
        Penalty.
    times
        How many records each one stands for. If more than one, one more is thought of for each indicator: they may hold
        none of it.
    factor
        Whether to factor the Hessian of each output by itself, if outputs and features are few; else only its diagonal
        is used: steps are cheaper, and more of them needed.

    Returns
    -------
    Callable
        From a gradient to a step, each flat. Several outputs get steps whose sum is 0, as only their differences count.

    Raises
    ------
    ModelError
        If numbers are too large to be squared.
    """
    outputs, features = weights.shape[0], weights.shape[1] - 1
    penalty = l2 / times + (_indicators(chunks, features) * _LEAST_SPREAD if times > 1 else np.zeros(features))
    scalings = (_factored if factor and factored(outputs, features) else _diagonal)(chunks, weights, penalty, times)

    def scaled(gradient: Floats) -> Floats:
        rows = _about_mean(gradient.reshape(weights.shape))
        steps = np.stack([scaling(row) for scaling, row in zip(scalings, rows, strict=True)])
        return _about_mean(steps).ravel()

    return scaled


def gram_scaling(gram: Gram, total: float, l2: float) -> Callable[[Floats], Floats]:
    """The inverse of the Hessian of a single output, from the sums over all records; see `loss_and_curvature`."""
    total = max(total, _LEAST_SPREAD)
    means = gram.sums / total
    solver = RidgeSolver(gram.products(), means, total, l2)
    return Scaling(solver.solve, means, total)


def factored(outputs: int, features: int) -> bool:
    """Whether outputs and features are few enough for the Hessian of each output to be factored."""
    return outputs * features**2 <= _FACTOR_CELLS and outputs * features**3 / 3 <= _FACTOR_STEPS


def _factored(chunks: Sequence[Chunk], weights: Floats, penalty: Floats, times: float) -> list[Scaling]:
    found = []
    for output in range(len(weights)):
        products, sums, total = curvature(chunks, weights, output)
        total = max(total, _LEAST_SPREAD)
        means = sums / total
        solver = RidgeSolver(products, means, total, penalty)
        found.append(Scaling(partial(_solved, solver, times), means, total * times))
    return found


def _diagonal(chunks: Sequence[Chunk], weights: Floats, penalty: Floats, times: float) -> list[Scaling]:
    found = []
    for squares, sums, total in zip(*spreads_of(chunks, weights), strict=True):
        if not np.isfinite(squares).all():
            raise ModelError(
                "the squares of numbers in the training records are too large for float64: scale the numeric "
                "attributes in the query, or normalize them in the recipe."
            )
        total = max(float(total), _LEAST_SPREAD)
        means = sums / total
        spread = np.maximum(squares - total * means**2, 0.0)
        found.append(Scaling(partial(_quotient, times * (spread + penalty)), means, total * times))
    return found


def _solved(solver: RidgeSolver, times: float, right: Floats) -> Floats:
    return solver.solve(right) / times


def _quotient(diagonal: Floats, right: Floats) -> Floats:
    return right / diagonal


def _indicators(chunks: Sequence[Chunk], features: int) -> Floats:
    """1 for the columns that are indicators, else 0."""
    found = np.ones(features)
    for chunk in chunks[:1]:
        for piece in chunk.pieces if isinstance(chunk, PieceChunk) else ():
            if isinstance(piece, Dense):
                found[piece.start] = 0.0
    return found


def _about_mean(rows: Floats) -> Floats:
    return rows - rows.mean(axis=0) if len(rows) > 1 else rows
