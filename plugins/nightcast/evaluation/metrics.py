"""Metrics of a regression, as sums that are added batch by batch and merged part by part."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nightcast.artifacts import finite
from nightcast.datasource.arrow_arrays import Floats
from nightcast.datasource.number_counts import NumberCounts, quantiles
from nightcast.datasource.sketches import Moments

_HALF_BARS = 20
_BARS_PER_RMSE = 5
_QUANTILES = {"p05": 50, "p25": 250, "median": 500, "p75": 750, "p95": 950}


@dataclass
class RegressionSums:
    """Sums over evaluated records.

    Parameters
    ----------
    residuals, targets
        Moments of true - predicted, and of the true values.
    absolute, absolute_targets
        Sums of the magnitudes of residuals and of true values.
    percentages, nonzero
        Sum of |residual / true value| over the true values that are not 0, and their number.
    low, high
        Least and greatest residual.
    counts
        How often which residual occurs, to 0.025 %.
    """

    residuals: Moments = field(default_factory=Moments)
    targets: Moments = field(default_factory=Moments)
    absolute: float = 0.0
    absolute_targets: float = 0.0
    percentages: float = 0.0
    nonzero: int = 0
    low: float = math.inf
    high: float = -math.inf
    counts: NumberCounts = field(default_factory=NumberCounts)

    def add(self, targets: Floats, scores: Floats) -> None:
        """Add true values and predictions, all finite; shape (records,)."""
        if not len(targets):
            return
        residuals = targets - scores
        low, high = float(residuals.min()), float(residuals.max())
        self.residuals.merge(Moments.of(residuals))
        self.targets.merge(Moments.of(targets))
        magnitudes = np.abs(residuals)
        self.absolute += float(magnitudes.sum())
        self._add_shares(magnitudes, np.abs(targets))
        self.low, self.high = min(self.low, low), max(self.high, high)
        self.counts.add(residuals, low, high)

    def _add_shares(self, residuals: Floats, targets: Floats) -> None:
        self.absolute_targets += float(targets.sum())
        some = targets > 0
        self.nonzero += int(np.count_nonzero(some))
        with np.errstate(over="ignore"):
            self.percentages += float((residuals[some] / targets[some]).sum())

    def merge(self, other: RegressionSums) -> None:
        """Add the sums of the records that follow."""
        if not other.records:
            return
        self.residuals.merge(other.residuals)
        self.targets.merge(other.targets)
        for name in ("absolute", "absolute_targets", "percentages", "nonzero"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.low, self.high = min(self.low, other.low), max(self.high, other.high)
        self.counts.merge(other.counts)

    @property
    def records(self) -> int:
        """Number of evaluated records."""
        return self.residuals.count

    @property
    def rmse(self) -> float:
        """Root of the mean squared residual."""
        return math.sqrt(self.residuals.squares / self.records + self.residuals.mean**2)

    def baseline_rmse(self, training_mean: float) -> float:
        """RMSE of always predicting the mean of the training targets."""
        return math.sqrt(self.targets.squares / self.records + (self.targets.mean - training_mean) ** 2)

    @property
    def mae(self) -> float:
        """Mean absolute residual."""
        return self.absolute / self.records

    @property
    def r2(self) -> float | None:
        """1 - (sum of squared residuals) / (sum of squares of the true values about their own mean).

        None where the true values do not vary.
        """
        if not self.targets.varies:
            return None
        return 1 - self.records * self.rmse**2 / self.targets.squares

    @property
    def wape(self) -> float | None:
        """Weighted absolute percentage error: sum of absolute residuals over that of absolute true values."""
        return finite(self.absolute / self.absolute_targets) if self.absolute_targets else None

    @property
    def mape(self) -> float | None:
        """Mean absolute percentage error over the true values that are not 0; None where all are 0."""
        return finite(self.percentages / self.nonzero) if self.nonzero else None

    def facts(self) -> dict[str, Any]:
        """Everything that is told beside the RMSE, as JSON values; ratios, not percents."""
        return {
            "otherMetrics": {
                "MAE": self.mae,
                "R2": self.r2,
                "WAPE": self.wape,
                "MAPE": self.mape,
                "bias": -self.residuals.mean,
            },
            "residuals": self.residual_facts(),
        }

    def residual_facts(self) -> dict[str, Any]:
        """Distribution of the residuals (positive: the model predicts too low), with a histogram about 0.

        The bars have a width of 1, 2 or 5 times a power of ten, near a fifth of the RMSE; 20 stand on either side of 0.
        A bar includes its lower end. ``below`` and ``above`` count residuals beyond the outer edges.
        """
        points, counts = self.counts.points(self.low, self.high)
        permilles = quantiles(points, counts, self.low, self.high)
        edges = histogram_edges(self.rmse)
        places = np.searchsorted(np.array(edges), points, side="right")
        bars = np.bincount(places, weights=counts, minlength=len(edges) + 1).astype(np.int64)
        return {
            "mean": self.residuals.mean,
            "std": self.residuals.deviation,
            "min": self.low,
            "max": self.high,
            **{name: permilles[place] for name, place in _QUANTILES.items()},
            "histogram": {
                "edges": edges,
                "counts": bars[1:-1].tolist(),
                "below": int(bars[0]),
                "above": int(bars[-1]),
            },
        }


def histogram_edges(rmse: float) -> list[float]:
    """41 edges at multiples of a round width.

    Examples
    --------
    >>> histogram_edges(0.7)[19:24]
    [-0.1, 0.0, 0.1, 0.2, 0.3]
    """
    wanted = rmse / _BARS_PER_RMSE
    if not wanted > np.finfo(np.float32).tiny:
        wanted = 1.0
    exponent = math.floor(math.log10(wanted))
    step = min((1, 2, 5, 10), key=lambda factor: abs(math.log10(wanted) - exponent - math.log10(factor)))
    multiples = [step * place for place in range(-_HALF_BARS, _HALF_BARS + 1)]
    # A quotient of whole numbers is the nearest float to the decimal that is meant.
    return [float(m * 10**exponent) if exponent >= 0 else m / 10**-exponent for m in multiples]
