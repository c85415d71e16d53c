"""Keeping a model of `sgd` within its size."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nightcast.datasource.arrow_arrays import Floats
from nightcast.recipe.blocks import Block, VocabularyBlock, block_starts
from nightcast.recipe.featurizer import Featurizer


def trimmed(slopes: Floats, means: Floats, squares: Floats, room: int) -> tuple[Floats, int]:
    """Set the least important weights to 0, and let the intercepts make up for what they gave on average.

    A weight is as important as what it adds to a score in the root mean square: ``abs(weight) * sqrt(frequency)``.

    Parameters
    ----------
    slopes
        Weights of shape (features + 1, outputs), numbers being about their means; the intercepts stand last and stay.
    means, squares
        Of the features over the records, both the share that has it for an indicator; shape (features,).
    room
        Number of parameters that are kept at most.

    Returns
    -------
    The slopes, and how many of them that were not 0 are now.

    Examples
    --------
    >>> trimmed(np.array([[2.0], [-3.0], [0.5]]), np.array([0.25, 0.01]), np.array([0.25, 0.01]), 2)
    (array([[2.  ],
           [0.  ],
           [0.47]]), 1)
    """
    room = max(room - slopes.shape[1], 0)
    weights = slopes[:-1]
    count = int(np.count_nonzero(weights)) - room
    if count <= 0:
        return slopes, 0
    importance = (np.abs(weights) * np.sqrt(squares[:, None])).ravel()
    # Weights of 0 are no parameters, whatever their feature.
    importance[weights.ravel() == 0] = np.inf
    dropped = np.argsort(importance, kind="stable")[:count]
    found = slopes.copy()
    found[:-1].reshape(-1)[dropped] = 0.0
    found[-1] += np.einsum("i,ij->j", means, weights - found[:-1])
    return found, count


def without_zeros(featurizer: Featurizer, weights: Floats) -> tuple[Featurizer, Floats]:
    """The featurizer without the values and tokens that have no weight, and the weights of the features that are left.

    Parameters
    ----------
    weights
        Shape (features, outputs).
    """
    used = (weights != 0).any(axis=1)
    kept = np.ones(len(weights), dtype=np.bool_)
    blocks: list[Block] = []
    for block, start in zip(featurizer.blocks, block_starts(featurizer.blocks), strict=False):
        if isinstance(block, VocabularyBlock):
            own = used[start : start + len(block.vocabulary)]
            kept[start : start + len(block.vocabulary)] = own
            block = replace(block, vocabulary=tuple(np.array(block.vocabulary, dtype=object)[own]))
        blocks.append(block)
    dropped = int(len(kept) - kept.sum())
    if not dropped:
        return featurizer, weights
    return replace(featurizer, blocks=tuple(blocks), trimmed=featurizer.trimmed + dropped), weights[kept]
