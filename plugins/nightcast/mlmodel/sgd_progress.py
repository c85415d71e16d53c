"""Progressive metrics of `sgd`: each record is scored before the step that learns from it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from nightcast.datasource.arrow_arrays import Floats, Ints
from nightcast.mlmodel.sgd_loss import Losses
from nightcast.mlmodel.sgd_records import Records
from nightcast.mlmodel.targets import ModelType

# Log odds from -16 to 16 in steps of 1/16: the area under the curve is known to about 0.001.
_ODDS_STEPS, _ODDS_BINS = 16, 512
# Records with more active features count as with so many.
_MOST_ACTIVE = 10_000
_WAITING_SCORES = 65_536


class Progress:
    """Metrics of some learners over all records that they have seen so far.

    Parameters
    ----------
    learners
        Their number.
    target_scale
        Deviation of the target, in which the scores of a regression are given.
    """

    def __init__(self, model_type: ModelType, learners: int, target_scale: float = 1.0) -> None:
        self.records = 0
        self._model_type, self._learners, self._scale = model_type, learners, target_scale
        self._losses, self._hits = np.zeros(learners), np.zeros(learners)
        self._odds = np.zeros((learners, 2, _ODDS_BINS), dtype=np.int64)
        self._active = np.zeros(_MOST_ACTIVE + 1, dtype=np.int64)
        self._active_sum = 0
        self._waiting: list[tuple[Floats, Floats, Ints]] = []
        self._waiting_scores = 0

    def add(self, records: Records, scores: Floats, found: Losses) -> None:
        """Add the records of one step; scores and losses as of `Steps.step`."""
        self.records += len(records)
        self._losses += found.values.sum(axis=0)
        if self._model_type is ModelType.MULTICLASS:
            self._hits += (scores.argmax(axis=2) == records.targets[:, None]).sum(axis=0)
        # What is left is counted for many steps at once.
        kept = scores[:, :, 0] if self._model_type is ModelType.BINARY else scores[:, :0, 0]
        self._waiting.append((kept, records.targets, records.active))
        self._waiting_scores += kept.size + len(records)
        if self._waiting_scores > _WAITING_SCORES:
            self._count()

    @property
    def losses(self) -> Floats:
        """Mean loss of each learner; shape (learners,)."""
        return self._losses / max(self.records, 1)

    def loss(self, learner: int) -> dict[str, float]:
        """Mean loss of one learner by its name in the log: half the squared error, or nats."""
        if self._model_type is ModelType.REGRESSION:
            return {"squared-loss": float(self.losses[learner]) * self._scale**2}
        return {"negative-log-likelihood": float(self.losses[learner])}

    @property
    def loss_sums(self) -> Floats:
        """Sum of the losses of each learner; shape (learners,)."""
        return self._losses.copy()

    def metrics(self, learner: int) -> dict[str, float]:
        """Metrics of one learner by the names of the log; a metric without any record to tell is 1, as Amazon ML's."""
        if self._model_type is ModelType.REGRESSION:
            return {"rmse": math.sqrt(2.0 * self.losses[learner]) * self._scale}
        if self._model_type is ModelType.MULTICLASS:
            return {"accuracy": float(self._hits[learner]) / self.records if self.records else 1.0}
        self._count()
        return _binary_metrics(self._odds[learner])

    def active(self) -> dict[str, float]:
        """Fewest, most and mean number of active features of a record, and their sum."""
        self._count()
        held = np.flatnonzero(self._active)
        if not len(held):
            return {"min": 0, "max": 0, "mean": 0.0, "sum": 0}
        mean = self._active_sum / self.records
        return {"min": int(held[0]), "max": int(held[-1]), "mean": mean, "sum": self._active_sum}

    def active_quantiles(self, percents: Sequence[int]) -> list[int]:
        """Number of active features that so many per cent of the records do not exceed."""
        self._count()
        sums = np.cumsum(self._active)
        return [int(np.searchsorted(sums, percent / 100 * self.records)) for percent in percents]

    def _count(self) -> None:
        if not self._waiting:
            return
        scores, targets, active = (np.concatenate(found) for found in zip(*self._waiting, strict=True))
        self._waiting, self._waiting_scores = [], 0
        self._active += np.bincount(np.minimum(active, _MOST_ACTIVE), minlength=_MOST_ACTIVE + 1)
        self._active_sum += int(active.sum())
        if self._model_type is ModelType.BINARY:
            half = _ODDS_BINS // 2
            places = np.clip(np.floor(scores * _ODDS_STEPS), -half, half - 1).astype(np.int64) + half
            cells = (np.arange(self._learners) * 2 + targets.astype(np.int64)[:, None]) * _ODDS_BINS + places
            self._odds += np.bincount(cells.ravel(), minlength=self._odds.size).reshape(self._odds.shape)


def _binary_metrics(odds: Ints) -> dict[str, float]:
    """Metrics from counts of log odds of shape (2, bins), for class 0 and 1; labels are 1 from 0 on."""
    zeros, ones = (int(count) for count in odds.sum(axis=1))
    half = odds.shape[1] // 2
    false, true = (int(count) for count in odds[:, half:].sum(axis=1))
    below = np.cumsum(odds[0]) - 0.5 * odds[0]
    precision, recall = _share(true, true + false), _share(true, ones)
    return {
        "accuracy": _share(true + zeros - false, zeros + ones),
        "recall": recall,
        "precision": precision,
        "f1-score": _share(2 * true, 2 * true + false + ones - true),
        "auc": float((odds[1] * below).sum()) / (zeros * ones) if zeros and ones else 1.0,
    }


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 1.0
