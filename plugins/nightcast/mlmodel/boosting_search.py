"""Which settings, and how many trees: what does best on records that were held out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from nightcast.datasource.arrow_arrays import Bools, Floats
from nightcast.mlmodel.boosting_fit import Grown, Problem, Settings, grow
from nightcast.mlmodel.category_means import with_category_means
from nightcast.mlmodel.learners import FOLDS
from nightcast.mlmodel.targets import ModelType
from nightcast.mlmodel.training_matrix import TrainingRows
from nightcast.mlmodel.tree_encoder import TreeEncoder

# Up to so many records every fold is held out once; beyond, the validation slice alone says enough. Of more cells
# (records x columns x outputs) the many fits would take too long.
_FOLDED_RECORDS, _FOLDED_CELLS = 25_000, 500_000
_COMPARED_SPLITS = 3
_SMALL_RECORDS = 20_000
_MEDIUM_RECORDS = 250_000


@dataclass(frozen=True)
class Split:
    """A fold that is left out, and the matrix with mean targets of the others.

    Parameters
    ----------
    train
        The records of the other folds; shape (n,).
    held
        Those of the fold that judge; not a class that the other folds do not have. Shape (n,).
    """

    fold: int
    train: Bools
    held: Bools
    encoder: TreeEncoder
    matrix: Floats


@dataclass(frozen=True)
class Trial:
    """What one choice of settings came to.

    Parameters
    ----------
    grown
        One fit a split.
    losses
        Mean over the splits, before the first tree and after each iteration.
    """

    settings: Settings
    grown: tuple[Grown, ...]
    losses: Floats

    @property
    def iterations(self) -> int:
        """After how many iterations the loss was least, at least 1."""
        return max(int(self.losses.argmin()), 1)

    @property
    def loss(self) -> float:
        """The least loss."""
        return float(self.losses.min())


@dataclass(frozen=True)
class Wishes:
    """What a user has set; None leaves the choice to the search."""

    learning_rate: float | None
    max_leaves: int | None
    min_leaf_records: int | None
    l2: float


def _folded(records: int, columns: int, outputs: int) -> bool:
    """Whether all folds are held out, and not the validation slice alone."""
    return records <= _FOLDED_RECORDS and records * columns * outputs <= _FOLDED_CELLS


def splits_of(problem: Problem, rows: TrainingRows, encoder: TreeEncoder) -> list[Split]:
    """The validation slice, then, of few records, the other folds; none that would leave nothing to learn from."""
    records, columns = rows.matrix.shape
    found = []
    for fold in range(FOLDS if _folded(records, columns, problem.outputs) else 1):
        train = rows.folds != fold
        held = ~train
        if problem.model_type is not ModelType.REGRESSION:
            # A class can not be learnt from records that are held out.
            held &= np.isin(rows.targets, rows.targets[train])
        if held.any() and train.sum() >= 2 and rows.targets[train].any():
            found.append(Split(fold, train, held, *with_category_means(encoder, rows, train)))
    return found


def choices(records: int, wishes: Wishes) -> list[Settings]:
    """The settings to try, without a loss: four for few records, two for more, one for very many.

    Few records want small trees, and trees that differ from each other, which drawing columns does; many are served by
    settings close to scikit-learn's defaults.
    """
    small = records <= _SMALL_RECORDS
    # Leaves, records of a leaf, share of the columns.
    table = [(8, 20, 1.0), (31, 20, 0.5), (12, 10, 0.4), (5, 5, 0.4)] if small else [(31, 20, 1.0), (31, 20, 0.5)]
    found = [
        Settings(
            loss="",
            learning_rate=wishes.learning_rate or (0.06 if small else 0.1),
            max_leaves=wishes.max_leaves or leaves,
            min_leaf_records=wishes.min_leaf_records or least,
            l2=wishes.l2,
            column_share=share,
        )
        for leaves, least, share in table[: 1 if records > _MEDIUM_RECORDS else None]
    ]
    return list(dict.fromkeys(found))


def search(
    problem: Problem,
    settings: Sequence[Settings],
    losses: Sequence[str],
    iterations: int,
    rows: TrainingRows,
    splits: Sequence[Split],
) -> tuple[list[Trial], Trial]:
    """All trials, and the best one.

    The first settings are tried with every loss, the others with that which did best. Of many splits some are enough to
    compare settings; the best ones are then tried on the others as well, which tells how many trees are best.
    """
    found: list[Trial] = []
    for number, one in enumerate(settings):
        for loss in losses if number == 0 else [_best(found).settings.loss]:
            tried = replace(one, loss=loss)
            grown = _grown(problem, tried, iterations, rows, splits[:_COMPARED_SPLITS])
            found.append(_trial(tried, grown, splits))
    best = _best(found)
    rest = _grown(problem, best.settings, iterations, rows, splits[_COMPARED_SPLITS:])
    return found, _trial(best.settings, (*best.grown, *rest), splits) if rest else best


def _best(found: Sequence[Trial]) -> Trial:
    return min(found, key=lambda trial: trial.loss)


def _grown(
    problem: Problem, settings: Settings, iterations: int, rows: TrainingRows, splits: Sequence[Split]
) -> tuple[Grown, ...]:
    return tuple(
        grow(problem, settings, iterations, split.matrix[split.train], rows.targets[split.train], held)
        for split in splits
        for held in [(split.matrix[split.held], rows.targets[split.held])]
    )


def _trial(settings: Settings, grown: tuple[Grown, ...], splits: Sequence[Split]) -> Trial:
    longest = max(len(one.losses) for one in grown)
    # Boosting that ended would hardly have got better, or worse, with more trees.
    curves = [np.append(one.losses, np.full(longest - len(one.losses), one.losses[-1])) for one in grown]
    weights = [float(split.held.sum()) for split in splits[: len(grown)]]
    return Trial(settings, grown, np.average(curves, axis=0, weights=weights))
