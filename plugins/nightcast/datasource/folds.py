"""k-fold cross-validation as pairs of data rearrangements."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

from nightcast.datasource.rearrangement import CHRONOLOGICAL, SEQUENTIAL, Rearrangement
from nightcast.errors import RearrangementError

_MOST_FOLDS = 100


@dataclass(frozen=True)
class Fold:
    """Which records train, and which evaluate."""

    train: Rearrangement
    evaluate: Rearrangement


def k_folds(k: int, strategy: str = SEQUENTIAL, seed: str = "", attribute: str | None = None) -> list[Fold]:
    """Folds whose evaluation ranges tile all records; each trains on the complement.

    Parameters
    ----------
    k
        2 to 100. Range i is ``[floor(100 i / k), floor(100 (i + 1) / k))`` percent.
    strategy, seed, attribute
        As of `Rearrangement`.

    Raises
    ------
    RearrangementError
        If `k` is out of range, or strategy and the others do not fit.

    Examples
    --------
    >>> [(fold.evaluate.percent_begin, fold.evaluate.percent_end) for fold in k_folds(3)]
    [(0, 33), (33, 66), (66, 100)]
    """
    ranges = _ranges(k, strategy, seed, attribute)
    return [Fold(train=held_out.complemented(), evaluate=held_out) for held_out in ranges]


def rolling_folds(k: int, attribute: str | None = None) -> list[Fold]:
    """Folds that never train on what comes after their evaluation: each trains on all records before its range.

    Parameters
    ----------
    k
        Number of folds, 1 to 99: the records are cut in k + 1 ranges, of which the first is only trained on.
    attribute
        What tells the time; without it, the order of the records does.

    Raises
    ------
    RearrangementError
        If `k` is out of range.

    Examples
    --------
    >>> [(fold.train.percent_end, fold.evaluate.percent_begin, fold.evaluate.percent_end) for fold in rolling_folds(3)]
    [(25, 25, 50), (50, 50, 75), (75, 75, 100)]
    """
    if type(k) is not int or not 1 <= k < _MOST_FOLDS:
        raise RearrangementError(f"records can be evaluated in 1 to {_MOST_FOLDS - 1} rolling folds, not {k!r:.40}")
    ranges = _ranges(k + 1, SEQUENTIAL if attribute is None else CHRONOLOGICAL, "", attribute)
    return [
        Fold(train=replace(held_out, percent_begin=0, percent_end=held_out.percent_begin), evaluate=held_out)
        for held_out in ranges[1:]
    ]


def _ranges(k: int, strategy: str, seed: str, attribute: str | None) -> list[Rearrangement]:
    if type(k) is not int or not 2 <= k <= _MOST_FOLDS:
        raise RearrangementError(f"the records can be cut in 2 to {_MOST_FOLDS} ranges, not {k!r:.40}")
    bounds = [100 * place // k for place in range(k + 1)]
    return [
        Rearrangement(begin, end, strategy=strategy, seed=seed, attribute=attribute) for begin, end in pairwise(bounds)
    ]
