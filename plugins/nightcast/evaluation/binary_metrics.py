"""Metrics of a binary model, as sums that are added batch by batch and merged part by part."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nightcast.datasource.arrow_arrays import Floats, Ints
from nightcast.datasource.number_counts import NumberCounts

SCORE_BARS = 100
_CALIBRATION_BARS = 10
_LEAST_PROBABILITY = 1e-15


def _bars() -> Ints:
    return np.zeros((2, SCORE_BARS), dtype=np.int64)


@dataclass
class BinarySums:
    """Sums over evaluated records.

    Parameters
    ----------
    threshold
        A score of at least this is the label 1.
    zeros, ones
        How often which raw score (log odds) occurs among records of class 0 and 1: exactly up to 4,096 distinct scores
        a class, beyond that to 0.025 %.
    extremes
        Least and greatest raw score of class 0, then of class 1.
    bars
        Number of records by class and score, in 100 bars of equal width from 0 to 1: int64 of shape (2, 100).
    score_sums
        Sum of the scores in each bar; shape (100,).
    confusion
        Records by class and label: int64 of shape (2, 2).
    log_loss, brier
        Sums of the negative log-likelihood, in nats, and of (score - class)**2.
    """

    threshold: float
    zeros: NumberCounts = field(default_factory=NumberCounts)
    ones: NumberCounts = field(default_factory=NumberCounts)
    extremes: list[float] = field(default_factory=lambda: [math.inf, -math.inf, math.inf, -math.inf])
    bars: Ints = field(default_factory=_bars)
    score_sums: Floats = field(default_factory=lambda: np.zeros(SCORE_BARS))
    confusion: Ints = field(default_factory=lambda: np.zeros((2, 2), dtype=np.int64))
    log_loss: float = 0.0
    brier: float = 0.0

    def add(self, classes: Floats, raw: Floats, scores: Floats) -> None:
        """Add classes (0 or 1), log odds and probabilities of 1; each of shape (records,)."""
        if not len(classes):
            return
        for number, counts in enumerate((self.zeros, self.ones)):
            chosen = raw[classes == number]
            if len(chosen):
                low, high = float(chosen.min()), float(chosen.max())
                counts.add(chosen, low, high)
                self._stretch(2 * number, low, high)
        places = np.minimum((scores * SCORE_BARS).astype(np.int64), SCORE_BARS - 1)
        whole = classes.astype(np.int64)
        self.bars += np.bincount(whole * SCORE_BARS + places, minlength=2 * SCORE_BARS).reshape(2, SCORE_BARS)
        self.score_sums += np.bincount(places, weights=scores, minlength=SCORE_BARS)
        labels = (scores >= self.threshold).astype(np.int64)
        self.confusion += np.bincount(2 * whole + labels, minlength=4).reshape(2, 2)
        likely = np.where(classes > 0, scores, 1.0 - scores)
        self.log_loss -= float(np.log(np.maximum(likely, _LEAST_PROBABILITY)).sum())
        self.brier += float(((scores - classes) ** 2).sum())

    def merge(self, other: BinarySums) -> None:
        """Add the sums of the records that follow."""
        if not other.records:
            return
        self.zeros.merge(other.zeros)
        self.ones.merge(other.ones)
        self._stretch(0, *other.extremes[:2])
        self._stretch(2, *other.extremes[2:])
        self.bars += other.bars
        self.score_sums += other.score_sums
        self.confusion += other.confusion
        self.log_loss += other.log_loss
        self.brier += other.brier

    def _stretch(self, place: int, low: float, high: float) -> None:
        self.extremes[place] = min(self.extremes[place], low)
        self.extremes[place + 1] = max(self.extremes[place + 1], high)

    @property
    def records(self) -> int:
        """Number of evaluated records."""
        return int(self.confusion.sum())

    @property
    def auc(self) -> float | None:
        """Area under the ROC curve; None where the records are of one class only.

        The share of pairs of a 1 and a 0 in which the 1 has the higher score, ties counted half: Mann and Whitney, On a
        test of whether one of two random variables is stochastically larger than the other, 1947.
        """
        ones, zeros = (int(self.confusion[number].sum()) for number in (1, 0))
        if not (ones and zeros):
            return None
        low, one_counts = self.ones.points(*self.extremes[2:])
        other, zero_counts = self.zeros.points(*self.extremes[:2])
        before = np.concatenate(([0], np.cumsum(zero_counts)))
        below = before[np.searchsorted(other, low, side="left")]
        up_to = before[np.searchsorted(other, low, side="right")]
        return float((one_counts * (below + up_to)).sum()) / (2.0 * ones * zeros)

    def facts(self) -> dict[str, Any]:
        """Everything that is told beside the AUC, as JSON values; undefined ratios are None."""
        records = self.records
        [[true_negative, false_positive], [false_negative, true_positive]] = self.confusion.tolist()
        precision = _share(true_positive, true_positive + false_positive)
        recall = _share(true_positive, true_positive + false_negative)
        return {
            "otherMetrics": {
                "accuracy": _share(true_positive + true_negative, records),
                "precision": precision,
                "recall": recall,
                "falsePositiveRate": _share(false_positive, false_positive + true_negative),
                "f1": _share(2 * true_positive, 2 * true_positive + false_positive + false_negative),
                "logLoss": self.log_loss / records,
                "brierScore": self.brier / records,
                "shareOfOnes": _share(true_positive + false_negative, records),
                "sharePredictedOne": _share(true_positive + false_positive, records),
            },
            "scoreThreshold": self.threshold,
            "confusion": {
                "truePositives": true_positive,
                "trueNegatives": true_negative,
                "falsePositives": false_positive,
                "falseNegatives": false_negative,
            },
            "scoreHistogram": {"zeros": self.bars[0].tolist(), "ones": self.bars[1].tolist()},
            "thresholds": self._thresholds(),
            "calibration": self._calibration(),
        }

    def _thresholds(self) -> list[dict[str, float | None]]:
        """The metrics that hang on the threshold, at 0.01, 0.02, ... 0.99."""
        ones = self.bars[1][::-1].cumsum()[::-1]
        zeros = self.bars[0][::-1].cumsum()[::-1]
        positives, negatives = int(ones[0]), int(zeros[0])
        found: list[dict[str, float | None]] = []
        for place in range(1, SCORE_BARS):
            true, false = int(ones[place]), int(zeros[place])
            found.append(
                {
                    "threshold": place / SCORE_BARS,
                    "accuracy": _share(true + negatives - false, positives + negatives),
                    "precision": _share(true, true + false),
                    "recall": _share(true, positives),
                    "falsePositiveRate": _share(false, negatives),
                }
            )
        return found

    def _calibration(self) -> list[dict[str, float]]:
        """Mean score and share of ones of the records in each tenth of the range of scores that has records."""
        width = SCORE_BARS // _CALIBRATION_BARS
        found = []
        for begin in range(0, SCORE_BARS, width):
            counts = self.bars[:, begin : begin + width].sum(axis=1)
            records = int(counts.sum())
            if records:
                mean = float(self.score_sums[begin : begin + width].sum()) / records
                found.append({"records": records, "meanScore": mean, "shareOfOnes": int(counts[1]) / records})
        return found


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
