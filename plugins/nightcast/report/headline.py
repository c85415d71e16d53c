"""The metric that an evaluation is judged by, in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_WORDS = {
    "RegressionRMSE": ("RMSE", "always the training mean", False),
    "BinaryAUC": ("AUC", "scores by chance", True),
    "MulticlassAvgFScore": ("Average F1", "always the most frequent class", True),
}


@dataclass(frozen=True)
class Headline:
    """Metric and baseline of an evaluation.

    Parameters
    ----------
    name, baseline_name
        What they are called.
    value, baseline
        Their values; the metric is None where it is undefined.
    improvement
        Percent of the way from the baseline to a perfect model that the model has gone, negative if it is worse; None
        where that is undefined.
    """

    name: str
    baseline_name: str
    value: float | None
    baseline: float
    improvement: float | None

    @property
    def verdict(self) -> str:
        """How the model compares with its baseline.

        Examples
        --------
        >>> headline({"performanceMetrics": {"BinaryAUC": 0.8}, "baseline": {"BinaryAUC": 0.5}}).verdict
        '60.0 % better'
        """
        if self.improvement is None:
            return "not comparable"
        if not self.improvement:
            return "no better"
        return f"{abs(self.improvement):.1f} % {'better' if self.improvement > 0 else 'worse'}"


def headline(evaluation: Mapping[str, Any]) -> Headline:
    """The metric of an ``evaluation.json``, beside its baseline."""
    [(metric, value)] = evaluation["performanceMetrics"].items()
    baseline = evaluation["baseline"][metric]
    name, baseline_name, rises = _WORDS[metric]
    room = 1.0 - baseline if rises else baseline
    gain = None if value is None else value - baseline if rises else baseline - value
    improvement = 100.0 * gain / room if gain is not None and room else None
    return Headline(name, baseline_name, value, baseline, improvement)
