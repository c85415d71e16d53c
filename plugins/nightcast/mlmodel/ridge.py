"""Solving the normal equations.

numpy's factorisation and a few lines of substitution: importing scipy for it would take longer than training
on 30,000 records.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache

import numpy as np
from threadpoolctl import ThreadpoolController

from nightcast.datasource.arrow_arrays import Floats

_SINGULAR = 1e-12
_BLOCK = 128


class RidgeSolver:
    """Solves ``(X'X - n m m' + l2 I) w = right`` for w.

    Parameters
    ----------
    products
        float64 of shape (p, p), X'X in the upper triangle; it is used up.
    means
        Column means m of X; shape (p,).
    records
        Number of records n, or the sum of their weights, if X'X and m are weighted.
    l2
        Penalty, >= 0; or one for each column, shape (p,).
    """

    def __init__(self, products: Floats, means: Floats, records: float, l2: float | Floats) -> None:
        raw = products.diagonal().copy()
        diagonal = raw - records * means * means + l2
        # A column that does not vary can not be told from the intercept.
        flat = diagonal <= _SINGULAR * raw
        self._scale = np.where(flat, 0.0, 1 / np.sqrt(np.where(flat, 1.0, diagonal)))
        for row, (mean, scale) in enumerate(zip(means, self._scale, strict=True)):
            line = products[row, row:]
            line -= (records * mean) * means[row:]
            line *= scale * self._scale[row:]
        np.fill_diagonal(products, 1.0)
        with one_thread():
            self._factor = _factor(products)
            self._inverses = _inverse_blocks(self._factor) if self._factor is not None else []
            self._spectrum = _spectrum(products) if self._factor is None else None

    def solve(self, right: Floats) -> Floats:
        """The solution for one right side.

        Returns
        -------
        numpy.ndarray
            float64 of shape (p,). A column that does not vary has the weight 0. Where columns depend on each other and
            nothing is penalised, the solution of least norm, in units of the columns' deviations.
        """
        if not len(right):
            return np.zeros(0)
        scaled = self._scale * right
        # Numbers beyond float64 are for the caller to see in the result.
        with one_thread(), np.errstate(over="ignore", invalid="ignore"):
            if self._factor is not None:
                return self._scale * _substituted(self._factor, self._inverses, scaled)
            values, vectors = self._spectrum or (np.zeros(0), np.zeros((len(right), 0)))
            return self._scale * (vectors @ ((vectors.T @ scaled) / values))


def one_thread() -> AbstractContextManager[object]:
    """BLAS runs on one thread meanwhile: several split sums differently from machine to machine."""
    limit: AbstractContextManager[object] = _libraries().limit(limits=1, user_api="blas")
    return limit


@cache
def _libraries() -> ThreadpoolController:
    """Found once: to look through what a process has loaded takes longer than a solution."""
    return ThreadpoolController()


def _factor(matrix: Floats) -> Floats | None:
    """The lower Cholesky factor of a symmetric matrix, of which the upper triangle is given, with unit diagonal.

    None if it is about singular.
    """
    try:
        factor: Floats = np.linalg.cholesky(matrix, upper=True).astype(np.float64, copy=False).T
    except np.linalg.LinAlgError:
        return None
    least = float(factor.diagonal().min(initial=1.0)) ** 2
    return factor if least > _SINGULAR * len(matrix) else None


def _inverse_blocks(factor: Floats) -> list[Floats]:
    """Inverses of the blocks along the diagonal of a triangular matrix."""
    starts = range(0, len(factor), _BLOCK)
    blocks = [factor[start : start + _BLOCK, start : start + _BLOCK] for start in starts]
    return [np.linalg.inv(block).astype(np.float64, copy=False) for block in blocks]


def _substituted(factor: Floats, inverses: list[Floats], right: Floats) -> Floats:
    """Solve ``L L' x = right`` for a lower triangular L, block by block: forward, then backward."""
    found = right.copy()
    blocks = [(slice(start, start + _BLOCK), start) for start in range(0, len(right), _BLOCK)]
    for (own, start), inverse in zip(blocks, inverses, strict=True):
        found[own] = inverse @ (found[own] - factor[own, :start] @ found[:start])
    for (own, start), inverse in zip(reversed(blocks), reversed(inverses), strict=True):
        behind = slice(start + _BLOCK, None)
        found[own] = inverse.T @ (found[own] - factor[behind, own].T @ found[behind])
    return found


def _spectrum(matrix: Floats) -> tuple[Floats, Floats]:
    """Eigenvalues that are not 0, and their vectors, of a matrix of which the upper triangle is given."""
    values, vectors = np.linalg.eigh(matrix, UPLO="U")
    used = values > _SINGULAR * len(matrix) * values[-1]
    return values[used], vectors[:, used]
