"""The negative log-likelihood of classes under a linear model, and its derivatives."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from nightcast.datasource.arrow_arrays import Floats
from nightcast.mlmodel.class_chunks import Chunk, PieceChunk, products
from nightcast.mlmodel.gram import Gram


def scores_of(chunk: Chunk, weights: Floats) -> Floats:
    """Scores of records before the link.

    Parameters
    ----------
    weights
        float64 of shape (outputs, features + 1): a row for each output, the last column being the intercept. One row
        gives the log odds of class 1; several are the classes' scores under softmax.

    Returns
    -------
    numpy.ndarray
        float64 of shape (outputs, records).
    """
    return chunk.scores(weights[:, :-1]) + weights[:, -1:]


def loss_and_gradient(chunks: Iterable[Chunk], weights: Floats) -> tuple[float, Floats]:
    """Sum of the negative log-likelihoods of records in nats, and its gradient, of the shape of the weights."""
    loss, gradient = 0.0, np.zeros_like(weights)
    for chunk in chunks:
        some, residuals = _losses(scores_of(chunk, weights), chunk.targets)
        loss += some
        gradient[:, :-1] += chunk.sums(residuals)
        gradient[:, -1] += residuals.sum(axis=1)
    return loss, gradient


def curvature(chunks: Sequence[Chunk], weights: Floats, output: int | None = None) -> tuple[Floats, Floats, float]:
    """Second derivatives by the weights of one output: sums over records that count by p(1 - p), p its probability.

    Without an output the mean over all of them.

    Returns
    -------
    X'X in the upper triangle, shape (features, features); sums of X, shape (features,); and the sum of p(1 - p).
    """
    by_output = [_spreads(chunk, weights) for chunk in chunks]
    spreads = [found.mean(axis=0) if output is None else found[output] for found in by_output]
    sums, total = np.zeros(weights.shape[1] - 1), 0.0
    for chunk, spread in zip(chunks, spreads, strict=True):
        sums += chunk.sums(spread[None, :])[0]
        total += float(spread.sum())
    return products(zip(chunks, spreads, strict=True), len(sums)), sums, total


def loss_and_curvature(chunks: Iterable[PieceChunk], weights: Floats) -> tuple[float, Floats, Gram, float]:
    """As `loss_and_gradient` for a single output, and what its second derivatives are made of.

    Returns
    -------
    Loss and gradient; X'X and column sums of records that count by p(1 - p); and the sum of p(1 - p).
    """
    gram, total = Gram(np.zeros(weights.shape[1] - 1)), 0.0
    loss, gradient = 0.0, np.zeros_like(weights)
    for chunk in chunks:
        some, residuals = _losses(scores_of(chunk, weights), chunk.targets)
        loss += some
        gradient[:, :-1] += chunk.sums(residuals)
        gradient[:, -1] += residuals.sum(axis=1)
        shares = residuals[0] + chunk.targets
        spreads = shares * (1.0 - shares)
        gram.add(chunk.pieces, spreads, spreads)
        total += float(spreads.sum())
    return loss, gradient, gram, total


def spreads_of(chunks: Iterable[Chunk], weights: Floats) -> tuple[Floats, Floats, Floats]:
    """As `curvature` for all outputs, but of X'X only the diagonal.

    Returns
    -------
    squares, sums
        float64 of shape (outputs, features).
    totals
        float64 of shape (outputs,).
    """
    squares = np.zeros((len(weights), weights.shape[1] - 1))
    sums, totals = np.zeros_like(squares), np.zeros(len(squares))
    for chunk in chunks:
        spreads = _spreads(chunk, weights)
        squares += chunk.squared_sums(spreads)
        sums += chunk.sums(spreads)
        totals += spreads.sum(axis=1)
    return squares, sums, totals


def probabilities(scores: Floats) -> Floats:
    """Probabilities of the outputs, of the shape (outputs, records) of the scores; for one output that of class 1."""
    if len(scores) == 1:
        small = np.exp(-np.abs(scores))
        return np.where(scores >= 0, 1.0, small) / (1.0 + small)
    shares: Floats = np.exp(scores - scores.max(axis=0))
    shares /= shares.sum(axis=0)
    return shares


def second_derivatives(scores: Floats) -> Floats:
    """p(1 - p) for the probabilities p of scores, by which the loss turns with its own score; as `probabilities`."""
    shares = probabilities(scores)
    return shares * (1.0 - shares)


def _spreads(chunk: Chunk, weights: Floats) -> Floats:
    return second_derivatives(scores_of(chunk, weights))


def _losses(scores: Floats, classes: Floats) -> tuple[float, Floats]:
    """Sum of the losses, and their derivatives by the scores."""
    if len(scores) == 1:
        small = np.exp(-np.abs(scores[0]))
        losses = np.log1p(small) + np.maximum(scores[0], 0.0) - classes * scores[0]
        residuals = np.where(scores[0] >= 0, 1.0, small) / (1.0 + small) - classes
        return float(losses.sum()), residuals[None, :]
    own = (classes.astype(np.int64), np.arange(len(classes)))
    highest = scores.max(axis=0)
    residuals = np.exp(scores - highest)
    sums = residuals.sum(axis=0)
    loss = float((np.log(sums) + highest - scores[own]).sum())
    residuals /= sums
    residuals[own] -= 1.0
    return loss, residuals
