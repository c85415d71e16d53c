"""Mean targets of categories, so that no record is told its own target."""

from __future__ import annotations

import numpy as np

from nightcast.datasource.arrow_arrays import Bools, Floats, Ints
from nightcast.mlmodel.learners import FOLDS
from nightcast.mlmodel.training_matrix import TrainingRows
from nightcast.mlmodel.tree_columns import MeanColumn, TreeColumn
from nightcast.mlmodel.tree_encoder import TreeEncoder

_LEAST_STRENGTH, _MOST_STRENGTH = 1.0, 1000.0


def with_category_means(encoder: TreeEncoder, rows: TrainingRows, train: Bools) -> tuple[TreeEncoder, Floats]:
    """Fill the columns of mean targets.

    Parameters
    ----------
    encoder
        The one that made the matrix, with columns of mean targets yet to be filled.
    train
        The rows whose targets may be used: bool of shape (n,).

    Returns
    -------
    encoder
        The means are those of all rows of `train`.
    matrix
        For rows outside of `train` what this encoder makes of them. A row of `train` has the mean of the rows of the
        other folds, so that what is learnt from the column holds for records whose target is not known.
    """
    places = [(place, column) for place, column in _placed(encoder) if isinstance(column, MeanColumn)]
    if not places:
        return encoder, rows.matrix
    matrix, means = rows.matrix.copy(), {}
    for place, column in places:
        raw = rows.matrix[:, place]
        present = ~np.isnan(raw)
        codes = np.where(present, raw, 0).astype(np.int64)
        size = len(column.values)
        found, mean = _means(codes[train & present], rows.targets[train & present], size, rows.targets[train])
        matrix[present, place] = np.append(found, mean)[codes[present]]
        for fold in range(FOLDS):
            inside = train & (rows.folds == fold)
            others, shown = train & ~inside, inside & present
            if shown.any() and others.any():
                part = others & present
                own, own_mean = _means(codes[part], rows.targets[part], size, rows.targets[others])
                matrix[shown, place] = np.append(own, own_mean)[codes[shown]]
        means[column.name] = (found, mean)
    return encoder.with_means(means), matrix


def _placed(encoder: TreeEncoder) -> list[tuple[int, TreeColumn]]:
    place, found = 0, []
    for column in encoder.columns:
        found.append((place, column))
        place += len(column.titles)
    return found


def _means(codes: Ints, targets: Floats, size: int, all_targets: Floats) -> tuple[Floats, float]:
    """Means by code below `size`, and of all records.

    A mean counts as if `strength` records of the mean of all had been added, strength being the variance within
    categories over that between them: what an empirical Bayes estimate adds. Source: Micci-Barreca, A preprocessing
    scheme for high-cardinality categorical attributes, SIGKDD Explorations 3 (2001).
    """
    mean = float(all_targets.mean()) if len(all_targets) else 0.0
    counts = np.bincount(codes, minlength=size + 1)[:size]
    # About the mean: sums lose no digits, and unlisted values need no place.
    sums: Floats = np.bincount(codes, weights=targets - mean, minlength=size + 1)[:size].astype(np.float64)
    return mean + sums / (counts + _strength(codes, targets - mean, counts, sums)), mean


def _strength(codes: Ints, deviations: Floats, counts: Ints, sums: Floats) -> float:
    listed = codes < len(counts)
    records, groups = int(counts.sum()), int((counts > 0).sum())
    if groups < 2 or records <= groups:
        return _MOST_STRENGTH
    squares = float((deviations[listed] ** 2).sum())
    between = float((sums**2 / np.maximum(counts, 1)).sum())
    within = max(squares - between, 0.0) / (records - groups)
    # Expected mean squares of a one-way analysis of variance with groups of unequal size.
    typical = (records - float((counts.astype(np.float64) ** 2).sum()) / records) / (groups - 1)
    total = float(sums.sum())
    variance = ((between - total * total / records) / (groups - 1) - within) / max(typical, 1e-9)
    if not variance > 0:
        return _MOST_STRENGTH
    return float(np.clip(within / variance, _LEAST_STRENGTH, _MOST_STRENGTH))
