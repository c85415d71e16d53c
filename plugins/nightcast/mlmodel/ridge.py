"""Solving the normal equations.

numpy's factorisation and a few lines of substitution: importing scipy for it would take longer than training
on 30,000 records.
"""

from __future__ import annotations

import numpy as np
from threadpoolctl import threadpool_limits

from nightcast.datasource.arrow_arrays import Floats

_SINGULAR = 1e-12
_BLOCK = 128


def ridge_weights(products: Floats, means: Floats, records: int, right: Floats, l2: float) -> Floats:
    """Solve ``(X'X - n m m' + l2 I) w = right`` for w.

    Parameters
    ----------
    products
        float64 of shape (p, p), X'X in the upper triangle; it is used up.
    means
        Column means m of X; shape (p,).
    records
        Number of records n.
    right
        X'y about the means; shape (p,).
    l2
        Penalty, >= 0.

    Returns
    -------
    numpy.ndarray
        float64 of shape (p,). A column that does not vary has the weight 0. Where columns depend on each other and
        nothing is penalised, the solution of least norm, in units of the columns' deviations.
    """
    if not len(right):
        return np.zeros(0)
    raw = products.diagonal().copy()
    for row, mean in enumerate(means):
        products[row, row:] -= (records * mean) * means[row:]
    diagonal = products.diagonal() + l2
    # A column that does not vary can not be told from the intercept.
    flat = diagonal <= _SINGULAR * raw
    scale = np.where(flat, 0.0, 1 / np.sqrt(np.where(flat, 1.0, diagonal)))
    products *= scale[:, None]
    products *= scale[None, :]
    np.fill_diagonal(products, 1.0)
    for row in range(len(right)):
        products[row + 1 :, row] = products[row, row + 1 :]
    # Threads would split the sums differently from machine to machine.
    with threadpool_limits(limits=1, user_api="blas"):
        return scale * _solution(products, scale * right)


def _solution(matrix: Floats, right: Floats) -> Floats:
    """Solve for a symmetric matrix with unit diagonal: exactly, or with least norm if it has no inverse."""
    try:
        factor: Floats = np.linalg.cholesky(matrix).astype(np.float64, copy=False)
    except np.linalg.LinAlgError:
        return _least_norm(matrix, right)
    if float(factor.diagonal().min()) ** 2 <= _SINGULAR * len(right):
        return _least_norm(matrix, right)
    return _substituted(factor, right)


def _substituted(factor: Floats, right: Floats) -> Floats:
    """Solve ``L L' x = right`` for a lower triangular L, block by block: forward, then backward."""
    found = right.copy()
    starts = range(0, len(right), _BLOCK)
    for start in starts:
        own = slice(start, start + _BLOCK)
        found[own] = np.linalg.solve(factor[own, own], found[own] - factor[own, :start] @ found[:start])
    for start in reversed(starts):
        own, behind = slice(start, start + _BLOCK), slice(start + _BLOCK, None)
        found[own] = np.linalg.solve(factor[own, own].T, found[own] - factor[behind, own].T @ found[behind])
    return found


def _least_norm(matrix: Floats, right: Floats) -> Floats:
    values, vectors = np.linalg.eigh(matrix)
    used = values > _SINGULAR * len(right) * values[-1]
    found: Floats = vectors[:, used] @ ((vectors[:, used].T @ right) / values[used])
    return found
