"""Prediction intervals of a regression, by split conformal prediction.

Residuals are taken on records that the model was not fitted to: those of the validation slice, or of all folds, by
models fitted without them. For exchangeable records an interval of level p then covers a share of at least p of new
true values, whatever the model and the distribution. Source: Lei, G'Sell, Rinaldo, Tibshirani and Wasserman,
Distribution-free predictive inference for regression, JASA 113 (2018).

Residuals are kept apart by the size of the prediction, since large sales are missed by more than small ones (Mondrian
conformal prediction: Vovk, Gammerman and Shafer, Algorithmic learning in a random world, 2005), and by their sign,
since sales are skewed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from nightcast.datasource.arrow_arrays import Floats
from nightcast.errors import ModelError
from nightcast.mlmodel.learners import TrainingTask

_LEAST_RECORDS = 40
_RECORDS_A_BIN = 500
_MOST_BINS = 20
_PERMILLES = 1000


@dataclass(frozen=True)
class Intervals:
    """What intervals are made of.

    Parameters
    ----------
    edges
        Inner edges of the bins of predictions, ascending; one less than bins.
    residuals
        For each bin the 1001 permilles of true - predicted, ascending.
    counts
        For each bin the number of records that they come from.
    floor
        No interval begins below this: 0 if no training target was negative; None for no floor.
    """

    edges: tuple[float, ...]
    residuals: tuple[tuple[float, ...], ...]
    counts: tuple[int, ...]
    floor: float | None = None

    def bounds(self, predictions: Floats, level: float) -> tuple[Floats, Floats]:
        """Lower and upper ends of the intervals.

        Parameters
        ----------
        predictions
            float64 of shape (n,).
        level
            Share of true values that the intervals are to cover, above 0 and below 1; each end is missed by half of
            the others.

        Raises
        ------
        ModelError
            If the level is out of range.
        """
        [ends] = self.bounds_at(predictions, [level])
        return ends

    def bounds_at(self, predictions: Floats, levels: Sequence[float]) -> Iterator[tuple[Floats, Floats]]:
        """Give the ends of `bounds` for each of several levels."""
        places = np.searchsorted(np.asarray(self.edges), predictions, side="right")
        for level in levels:
            low, high = self._offsets(level)
            lower, upper = predictions + low[places], predictions + high[places]
            if self.floor is not None:
                lower, upper = np.maximum(lower, self.floor), np.maximum(upper, self.floor)
            yield lower, upper

    def _offsets(self, level: float) -> tuple[Floats, Floats]:
        """What is added to predictions of each bin; two of shape (bins,)."""
        check_level(level)
        counts = np.asarray(self.counts, dtype=np.float64)
        # One more record, the new one, stands somewhere among those that were seen.
        tail = np.maximum((counts + 1) * (1 - level) / 2 / counts - 1 / counts, 0.0)
        low = np.array([_at(row, share) for row, share in zip(self._table, tail, strict=True)])
        high = np.array([_at(row, 1 - share) for row, share in zip(self._table, tail, strict=True)])
        return low, high

    @cached_property
    def _table(self) -> Floats:
        """`residuals` as one array: to make it takes longer than to predict a record."""
        return np.asarray(self.residuals)

    def to_document(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "edges": list(self.edges),
            "residuals": [list(row) for row in self.residuals],
            "counts": list(self.counts),
            "floor": self.floor,
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Intervals:
        """Read what `to_document` gave; ModelError when it is damaged."""
        try:
            found = cls(
                tuple(map(float, document["edges"])),
                tuple(tuple(map(float, row)) for row in document["residuals"]),
                tuple(map(int, document["counts"])),
                None if document["floor"] is None else float(document["floor"]),
            )
        except (KeyError, TypeError, ValueError) as fault:
            raise ModelError(f"the model's intervals are damaged ({fault!r:.100}): train again.") from None
        bins = len(found.edges) + 1
        if len(found.residuals) != bins or len(found.counts) != bins or {len(row) for row in found.residuals} != {1001}:
            raise ModelError("the model's intervals are damaged: train again.")
        return found


def check_level(level: float) -> None:
    """Refuse a level that is no share between 0 and 1, both excluded."""
    if not 0.0 < level < 1.0:
        raise ModelError(f"the level of prediction intervals must lie between 0 and 1, such as 0.9, not {level!r}")


def intervals_of(task: TrainingTask, predictions: Floats, residuals: Floats) -> Intervals | None:
    """Intervals from records that the model was not fitted to.

    Parameters
    ----------
    predictions, residuals
        Predictions for them, and true - predicted; shape (n,).

    Returns
    -------
    Intervals or None
        None when there are fewer than 40 records.
    """
    if len(residuals) < _LEAST_RECORDS:
        return None
    bins = min(_MOST_BINS, max(1, len(residuals) // _RECORDS_A_BIN))
    edges = np.unique(np.quantile(predictions, np.arange(1, bins) / bins)) if bins > 1 else np.zeros(0)
    places = np.searchsorted(edges, predictions, side="right")
    counts = np.bincount(places, minlength=len(edges) + 1)
    # Equal predictions may leave a bin short of records: it is joined with the next one.
    while len(edges) and counts.min() < _LEAST_RECORDS:
        edges = np.delete(edges, min(int(counts.argmin()), len(edges) - 1))
        places = np.searchsorted(edges, predictions, side="right")
        counts = np.bincount(places, minlength=len(edges) + 1)
    rows = [_permilles(residuals[places == number]) for number in range(len(edges) + 1)]
    return Intervals(
        tuple(map(float, edges)),
        tuple(tuple(map(float, row)) for row in rows),
        tuple(map(int, counts)),
        _floor(task),
    )


def _permilles(values: Floats) -> Floats:
    """What ``numpy.quantile`` gives, which looks for each of these many quantiles anew; shape (1001,)."""
    ordered = np.sort(values)
    places = np.arange(_PERMILLES + 1) / _PERMILLES * (len(ordered) - 1)
    below = places.astype(np.int64)
    low, high, share = ordered[below], ordered[np.minimum(below + 1, len(ordered) - 1)], places - below
    # From the nearer end, as numpy does: equal neighbours then give just their value.
    return np.where(share < 0.5, low + (high - low) * share, high - (high - low) * (1.0 - share))


def _floor(task: TrainingTask) -> float | None:
    low = getattr(task.insights.attributes[task.target.name], "min", None)
    return 0.0 if low is not None and low >= 0 else None


def _at(permilles: Floats, share: float) -> float:
    place = share * _PERMILLES
    below = min(int(place), _PERMILLES - 1)
    return float(permilles[below] + (place - below) * (permilles[below + 1] - permilles[below]))
