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
from nightcast.mlmodel.group_scaling import GroupScaling
from nightcast.mlmodel.penalized_squares import PenalizedSquares
from nightcast.mlmodel.ridge import RidgeSolver
from nightcast.mlmodel.shapes import Shapes, symmetric
from nightcast.mlmodel.square_sums import SquareSums
from nightcast.recipe.pieces import Dense

# Factors of all outputs together: 30 MB, and a quarter of a second.
_FACTOR_CELLS = 4_000_000
_FACTOR_STEPS = 3e9
_SOLVED = 1e-6
# An inverse takes features**3 steps, a gradient some for each entry and output, which are slower and needed by dozens.
_MOST_SHARED, _SHARED_STEPS = 2_000, 2_400
# Products take as many steps as entries a record, squared.
_SHARED_ENTRIES = 30
# Below that share of the greatest second derivative a penalty is lost in float64.
_LEAST_PENALTY = 1e-9
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
    chunks: Sequence[Chunk],
    weights: Floats,
    shapes: Shapes,
    penalties: Floats,
    *,
    times: float = 1.0,
    factor: bool = False,
    share: bool = False,
) -> Callable[[Floats], Floats]:
    """The guess at given weights, as a function of a gradient by coefficients.

    Parameters
    ----------
    chunks
        Records that stand for all.
    weights
        Of features: float64 of shape (outputs, features + 1).
    shapes, penalties
        How weights are made of coefficients, and what these cost; shape (coefficients,).
    times
        How many records each one stands for. If more than one, one more is thought of for each indicator: they may hold
        none of it.
    factor
        Whether to factor the Hessian of each output by itself, if outputs and coefficients are few; else it is guessed
        by groups of features: steps are cheaper, and more of them needed.
    share
        Whether several outputs that are not so few may share one inverted mean Hessian, if that takes no longer than
        some dozen gradients: where groups depend on each other it is the better guess, and the worse one where classes
        are rare.

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
    more = _indicators(chunks, features) * _LEAST_SPREAD if times > 1 else np.zeros(features)
    few, make = factored(outputs, shapes.size), _grouped
    if few and factor:
        make = _factored
    elif not few and share and outputs > 1 and _shareable(chunks, outputs, features):
        make = _shared
    scalings = make(chunks, weights, shapes, penalties / times, more, times)

    def scaled(gradient: Floats) -> Floats:
        rows = _about_mean(gradient.reshape(outputs, -1))
        steps = np.stack([scaling(row) for scaling, row in zip(scalings, rows, strict=True)])
        return _about_mean(steps).ravel()

    return scaled


def gram_scaling(gram: Gram, total: float, shapes: Shapes, penalties: Floats) -> Callable[[Floats], Floats]:
    """The inverse of the Hessian of a single output, from the sums over all records; see `loss_and_curvature`."""
    total = max(total, _LEAST_SPREAD)
    system = PenalizedSquares(SquareSums(gram, 0.0, total), shapes)
    solve = partial(system.inverse, penalties=penalties, start=None, tolerance=_SOLVED)
    return Scaling(solve, shapes.transposed @ (gram.sums / total), total)


def factored(outputs: int, coefficients: int) -> bool:
    """Whether outputs and coefficients are few enough for the Hessian of each output to be factored."""
    return outputs * coefficients**2 <= _FACTOR_CELLS and outputs * coefficients**3 / 3 <= _FACTOR_STEPS


def _factored(
    chunks: Sequence[Chunk], weights: Floats, shapes: Shapes, penalties: Floats, more: Floats, times: float
) -> list[Scaling]:
    found = []
    for output in range(len(weights)):
        products, sums, total = curvature(chunks, weights, output)
        total = max(total, _LEAST_SPREAD)
        means = np.asarray(shapes.transposed @ (sums / total))
        products.flat[:: len(products) + 1] += more
        solver = RidgeSolver(shapes.turned(products), means, total, penalties)
        found.append(Scaling(partial(_solved, solver.solve, times), means, total * times))
    return found


def _shareable(chunks: Sequence[Chunk], outputs: int, features: int) -> bool:
    entries, records = sum(chunk.entries for chunk in chunks), sum(len(chunk.targets) for chunk in chunks)
    few = features <= _MOST_SHARED and entries <= _SHARED_ENTRIES * outputs * records
    return few and features**3 <= _SHARED_STEPS * outputs * entries


def _shared(
    chunks: Sequence[Chunk], weights: Floats, shapes: Shapes, penalties: Floats, more: Floats, times: float
) -> list[Scaling]:
    products, sums, total = curvature(chunks, weights)
    _require_finite(products)
    total = max(total, _LEAST_SPREAD)
    products.flat[:: len(products) + 1] += more
    if penalties.min() < _LEAST_PENALTY * products.diagonal().max():
        return _grouped(chunks, weights, shapes, penalties, more, times)
    about = symmetric(products) - np.outer(sums, sums / total)
    solve = partial(_solved, _by_features(about, shapes, penalties), times)
    return [Scaling(solve, np.asarray(shapes.transposed @ (sums / total)), total * times)] * len(weights)


def _by_features(products: Floats, shapes: Shapes, penalties: Floats) -> Callable[[Floats], Floats]:
    """``(B'GB + diag(penalties))**-1`` by Woodbury's formula: a matrix of features, fewer than coefficients."""
    from scipy.sparse import csr_array, diags_array

    halved = csr_array(shapes.basis @ diags_array(1.0 / penalties))
    inner = np.linalg.solve(np.eye(len(products)) + products @ (halved @ shapes.transposed).toarray(), products)
    inner = 0.5 * (inner + inner.T)
    back = halved.T.tocsr()

    def solve(right: Floats) -> Floats:
        return np.asarray(right / penalties - back @ (inner @ (halved @ right)))

    return solve


def _grouped(
    chunks: Sequence[Chunk], weights: Floats, shapes: Shapes, penalties: Floats, more: Floats, times: float
) -> list[Scaling]:
    found = []
    for squares, sums, total in zip(*spreads_of(chunks, weights), strict=True):
        _require_finite(squares)
        total = max(float(total), _LEAST_SPREAD)
        means = np.asarray(shapes.transposed @ (sums / total))
        counts = squares + more
        spread = np.maximum(np.asarray(shapes.transposed.power(2) @ counts) - total * means**2, 0.0)
        scaling = GroupScaling(shapes, counts, spread, total, penalties).prepared()
        found.append(Scaling(partial(_solved, scaling, times), means, total * times))
    return found


def _require_finite(squares: Floats) -> None:
    if not np.isfinite(squares).all():
        raise ModelError(
            "the squares of numbers in the training records are too large for float64: scale the numeric "
            "attributes in the query, or normalize them in the recipe."
        )


def _solved(solve: Callable[[Floats], Floats], times: float, right: Floats) -> Floats:
    return solve(right) / times


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
