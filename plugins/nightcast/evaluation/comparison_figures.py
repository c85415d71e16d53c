"""What a comparison of models found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from nightcast.errors import EvaluationError
from nightcast.evaluation.poisson_bootstrap import REPLICATES, Difference
from nightcast.mlmodel.targets import ModelType

RECORDS, DAYS, WEEKS = "records", "days", "weeks"


@dataclass(frozen=True)
class Resampling:
    """How chance is told: see `nightcast.evaluation.poisson_bootstrap`.

    Parameters
    ----------
    confidence
        Of each of the two one-sided bounds of the difference, above 0.5 and below 1.
    replicates
        Number of replicates, at least 20.
    seed
        Of the weights.
    """

    confidence: float = 0.95
    replicates: int = REPLICATES
    seed: str = "nightcast"

    def __post_init__(self) -> None:
        if not 0.5 < self.confidence < 1.0:
            raise EvaluationError(f"the confidence must lie between 0.5 and 1, such as 0.95, not {self.confidence!r}")
        if self.replicates < 20:
            raise EvaluationError(f"{self.replicates} replicates tell no deviation: take at least 20, such as 200.")


@dataclass(frozen=True)
class Figures:
    """How a model does on the compared records.

    Parameters
    ----------
    loss
        The metric that decides: RMSE of a regression, log loss (nats) of a classification; lower is better.
    others
        ``AUC`` of a binary, ``F1`` of a binary (at its score threshold) and a multiclass model (macro average); None
        where undefined.
    """

    loss: float
    others: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True)
class BaselineFigures:
    """How a baseline does on the compared records.

    Parameters
    ----------
    loss
        As of `Figures`; None where the baseline can not be had.
    known
        Records that had a value of their own; the others were forecast by the training mean.
    reason
        Why it can not be had.
    """

    name: str
    loss: float | None
    known: int = 0
    reason: str = ""


@dataclass(frozen=True)
class Comparison:
    """What a comparison found.

    Parameters
    ----------
    seen, records
        Records that were taken, and those that all models could score: all figures are of these.
    failures
        Number of the others by reason. ``challengerFailed`` are those that only the challenger could not score.
    champion
        None where there is none, or it can not be compared.
    unfit
        Why the champion can not be compared.
    difference
        Loss of the challenger less that of the champion.
    resampled, sampled
        Whether records, days or weeks were resampled, and how many records they held.
    """

    model_type: ModelType
    seen: int
    records: int
    failures: Mapping[str, int]
    challenger: Figures | None
    champion: Figures | None
    unfit: str | None
    baselines: tuple[BaselineFigures, ...]
    difference: Difference | None = None
    resampled: str = RECORDS
    sampled: int = 0
    resampling: Resampling = field(default_factory=Resampling)

    @property
    def metric(self) -> str:
        """Name of the metric that decides."""
        return metric_of(self.model_type)

    def baseline(self, name: str) -> BaselineFigures | None:
        """A baseline by its name."""
        return next((one for one in self.baselines if one.name == name), None)


def metric_of(kind: ModelType) -> str:
    """Name of the metric that decides; lower is better."""
    return "RMSE" if kind is ModelType.REGRESSION else "logLoss"
