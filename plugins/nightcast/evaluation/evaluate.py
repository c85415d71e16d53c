"""Evaluating a model on records with a known target."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from nightcast.datasource.arrow_arrays import numbers
from nightcast.datasource.parts import ByteSource, Datasource, Mapper, NumberedPart
from nightcast.datasource.rearrangement import Rearrangement
from nightcast.datasource.selection import selected_batches
from nightcast.errors import EvaluationError
from nightcast.evaluation.alerts import evaluation_alerts
from nightcast.evaluation.metrics import RegressionSums
from nightcast.mlmodel.files import MLModel
from nightcast.mlmodel.scoring import for_model, invalid_cells

FORMAT = "nightcast-evaluation"
VERSION = 1
METRIC = "RegressionRMSE"


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found.

    Parameters
    ----------
    rmse, baseline_rmse
        Root mean squared error of the model, and of always predicting the training mean.
    mae, r2
        Mean absolute error, and R2 (None where the targets do not vary).
    records_seen, records_failed
        Records that were taken, and those that could not be evaluated.
    failures
        Number of failed records by reason.
    residuals
        Facts about true - predicted, with a histogram.
    alerts
        Checks of the evaluation that were not passed.
    rearrangement
        Which records were taken.
    """

    rmse: float
    baseline_rmse: float
    mae: float
    r2: float | None
    records_seen: int
    records_failed: int
    failures: dict[str, int]
    residuals: dict[str, Any] = field(repr=False)
    alerts: list[dict[str, str]]
    rearrangement: Rearrangement
    model_type: str = "REGRESSION"

    def to_json(self) -> str:
        """The evaluation as a document with sorted keys; metrics under Amazon ML's names, as numbers."""
        document = {
            "format": FORMAT,
            "version": VERSION,
            "modelType": self.model_type,
            "performanceMetrics": {METRIC: self.rmse},
            "baseline": {METRIC: self.baseline_rmse},
            "otherMetrics": {"MAE": self.mae, "R2": self.r2},
            "recordsSeen": self.records_seen,
            "recordsFailed": self.records_failed,
            "failures": self.failures,
            "residuals": self.residuals,
            "alerts": self.alerts,
            "rearrangement": json.loads(self.rearrangement.to_json()),
        }
        return json.dumps(document, sort_keys=True, indent=2, allow_nan=False, ensure_ascii=False) + "\n"


@dataclass
class EvaluationState:
    """Sums over some records, and why others failed."""

    seen: int = 0
    without_target: int = 0
    invalid_target: int = 0
    invalid_input: int = 0
    not_finite: int = 0
    sums: RegressionSums = field(default_factory=RegressionSums)

    def merge(self, other: EvaluationState) -> None:
        """Add the records that follow."""
        for name in ("seen", "without_target", "invalid_target", "invalid_input", "not_finite"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.sums.merge(other.sums)

    @property
    def failures(self) -> dict[str, int]:
        """Failed records by reason; a record is counted under the first one that holds."""
        return {
            "withoutTarget": self.without_target,
            "invalidTarget": self.invalid_target,
            "invalidInput": self.invalid_input,
            "scoreNotFinite": self.not_finite,
        }


def evaluate(
    model: MLModel,
    datasource: Datasource,
    rearrangement: Rearrangement,
    source: ByteSource,
    mapper: Mapper = map,
) -> Evaluation:
    """Evaluate a regression model on the records that the rearrangement takes.

    Records without target, with a target or a used cell that can not be read, and such whose score is not
    finite, have failed: they are counted and left out. Attributes have the types that they had in training.

    Raises
    ------
    EvaluationError
        If the datasource has no target, or no record could be evaluated.
    SchemaError
        If the datasource lacks an attribute that the model reads.
    """
    seen_as = for_model(model, datasource)
    if seen_as.schema.target is None:
        raise EvaluationError(
            f"the datasource has no attribute {model.schema.target!r}, the model's target: evaluate on records whose "
            "outcome is known."
        )
    state = EvaluationState()
    measure = partial(part_metrics, model=model, rearrangement=rearrangement, source=source)
    for part in mapper(measure, seen_as.numbered()):
        state.merge(part)
    sums = state.sums
    if not sums.records:
        reasons = ", ".join(f"{name} {count:,}" for name, count in state.failures.items() if count)
        raise EvaluationError(
            f"none of {state.seen:,} records could be evaluated ({reasons or 'the data rearrangement takes none'}): "
            "check that the records have the target, and the data rearrangement."
        )
    return _evaluation(model, datasource, rearrangement, state)


def part_metrics(
    numbered: NumberedPart, model: MLModel, rearrangement: Rearrangement, source: ByteSource
) -> EvaluationState:
    """The sums over one part, whose schema names the model's target."""
    target = str(model.schema.target)
    columns = tuple(dict.fromkeys((*model.featurizer.columns, target)))
    state = EvaluationState()
    for batch in selected_batches(numbered, rearrangement, columns, source):
        truth, present = numbers(batch.columns[target])
        known = np.ones(len(batch), dtype=np.bool_) if present is None else present
        readable = ~invalid_cells(batch, model.featurizer.columns)
        scores = model.predict(batch)
        finite = np.isfinite(scores)
        used = known & readable & finite
        state.seen += len(batch)
        unreadable_target = int(batch.invalid[target].sum()) if target in batch.invalid else 0
        state.invalid_target += unreadable_target
        state.without_target += int((~known).sum()) - unreadable_target
        state.invalid_input += int((known & ~readable).sum())
        state.not_finite += int((known & readable & ~finite).sum())
        state.sums.add(truth[used], scores[used])
    return state


def _evaluation(
    model: MLModel, datasource: Datasource, rearrangement: Rearrangement, state: EvaluationState
) -> Evaluation:
    sums = state.sums
    failed = sum(state.failures.values())
    rmse, baseline = sums.rmse, sums.baseline_rmse(model.training["targetMean"])
    if not (math.isfinite(rmse) and math.isfinite(baseline)):
        raise EvaluationError("targets or scores are too large to be squared: scale the target in the query.")
    return Evaluation(
        rmse=rmse,
        baseline_rmse=baseline,
        mae=sums.mae,
        r2=sums.r2,
        records_seen=state.seen,
        records_failed=failed,
        failures=state.failures,
        residuals=sums.residual_facts(),
        alerts=evaluation_alerts(model, datasource, rearrangement, sums, failed),
        rearrangement=rearrangement,
    )
