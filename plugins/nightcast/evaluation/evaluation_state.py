"""What an evaluation counts: sums over the records that could be evaluated, and why others failed."""

from __future__ import annotations

from dataclasses import dataclass, field

from nightcast.evaluation.binary_metrics import BinarySums
from nightcast.evaluation.coverage import Coverage
from nightcast.evaluation.metrics import RegressionSums
from nightcast.evaluation.multiclass_metrics import MulticlassSums
from nightcast.evaluation.segments import ErrorSums
from nightcast.mlmodel.model import MLModel
from nightcast.mlmodel.targets import ModelType

Sums = RegressionSums | BinarySums | MulticlassSums


@dataclass
class EvaluationState:
    """Sums over some records, and why others failed."""

    sums: Sums
    seen: int = 0
    rejected: int = 0
    without_target: int = 0
    invalid_target: int = 0
    invalid_input: int = 0
    not_finite: int = 0
    segments: dict[str, ErrorSums] = field(default_factory=dict)
    weeks: ErrorSums = field(default_factory=ErrorSums)
    coverage: Coverage = field(default_factory=Coverage)

    def add_rejected(self, records: int) -> None:
        """Add records of which nothing could be read."""
        self.seen += records
        self.rejected += records

    def merge(self, other: EvaluationState) -> None:
        """Add the records that follow."""
        for name in ("seen", "rejected", "without_target", "invalid_target", "invalid_input", "not_finite"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.sums.merge(other.sums)  # type: ignore[arg-type]  # both are of the model's type
        for name, errors in other.segments.items():
            self.segments.setdefault(name, ErrorSums()).merge(errors)
        self.weeks.merge(other.weeks)
        self.coverage.merge(other.coverage)

    @property
    def failures(self) -> dict[str, int]:
        """Failed records by reason; a record is counted under the first one that holds."""
        return {
            "rejected": self.rejected,
            "withoutTarget": self.without_target,
            "invalidTarget": self.invalid_target,
            "invalidInput": self.invalid_input,
            "scoreNotFinite": self.not_finite,
        }


def no_sums(model: MLModel) -> Sums:
    """The sums of the model's type, over no record."""
    if model.model_type is ModelType.BINARY:
        return BinarySums(model.score_threshold)
    if model.model_type is ModelType.MULTICLASS:
        return MulticlassSums(model.target.classes)
    return RegressionSums()
