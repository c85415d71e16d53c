"""Evaluating a model on records with a known target."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from nightcast.datasource.arrow_arrays import Bools, Floats, bool_array
from nightcast.datasource.parts import Batch, ByteSource, Datasource, Mapper, NumberedPart
from nightcast.datasource.rearrangement import Rearrangement
from nightcast.datasource.schema import AttributeType, Schema
from nightcast.datasource.selection import selected_batches
from nightcast.errors import EvaluationError
from nightcast.evaluation.alerts import evaluation_alerts
from nightcast.evaluation.binary_metrics import BinarySums
from nightcast.evaluation.evaluation_state import EvaluationState, Sums, no_sums
from nightcast.evaluation.multiclass_metrics import MulticlassSums
from nightcast.evaluation.segments import ErrorSums, keys_of, weeks_of
from nightcast.mlmodel.intervals import Intervals
from nightcast.mlmodel.model import MLModel
from nightcast.mlmodel.scoring import for_model, invalid_cells
from nightcast.mlmodel.targets import Labels, ModelType

FORMAT = "nightcast-evaluation"
VERSION = 2
METRICS = {
    ModelType.REGRESSION: "RegressionRMSE",
    ModelType.BINARY: "BinaryAUC",
    ModelType.MULTICLASS: "MulticlassAvgFScore",
}
_NO_SKILL_AUC = 0.5


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found.

    Parameters
    ----------
    model_type
        REGRESSION, BINARY or MULTICLASS.
    metric, baseline
        Amazon ML's metric of this type of model, and its value for a model without skill: RMSE, and that of always
        predicting the training mean; AUC, and 0.5; macro average F1, and that of always answering the most frequent
        class of the training records. AUC is None where the records are of one class only.
    facts
        All other metrics and distributions, see `RegressionSums`, `BinarySums`, `MulticlassSums`.
    records_seen, records_failed
        Records that were taken, and those that could not be evaluated.
    failures
        Number of failed records by reason.
    alerts
        Checks of the evaluation that were not passed.
    rearrangement
        Which records were taken.
    segments, weeks
        Errors by attribute and value, and by week (its Monday).
    intervals
        Measured coverage and mean width of the model's prediction intervals by level; none where it has none.
    """

    model_type: ModelType
    metric: float | None
    baseline: float
    facts: Mapping[str, Any] = field(repr=False)
    records_seen: int
    records_failed: int
    failures: dict[str, int]
    alerts: list[dict[str, str]]
    rearrangement: Rearrangement
    segments: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict, repr=False)
    weeks: list[dict[str, Any]] = field(default_factory=list, repr=False)
    intervals: list[dict[str, Any]] = field(default_factory=list, repr=False)

    @property
    def metric_name(self) -> str:
        """Amazon ML's name of the metric."""
        return METRICS[self.model_type]

    @property
    def other(self) -> Mapping[str, Any]:
        """The metrics that Amazon ML's API did not have."""
        found: Mapping[str, Any] = self.facts["otherMetrics"]
        return found

    def to_json(self) -> str:
        """The evaluation as a document with sorted keys; metrics under Amazon ML's names, as numbers."""
        document = {
            "format": FORMAT,
            "version": VERSION,
            "modelType": self.model_type.value,
            "performanceMetrics": {self.metric_name: self.metric},
            "baseline": {self.metric_name: self.baseline},
            **self.facts,
            "recordsSeen": self.records_seen,
            "recordsFailed": self.records_failed,
            "failures": self.failures,
            "alerts": self.alerts,
            "rearrangement": json.loads(self.rearrangement.to_json()),
            "segments": self.segments,
            "weeks": self.weeks,
            "intervals": self.intervals,
        }
        return json.dumps(document, sort_keys=True, indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def evaluate(
    model: MLModel,
    datasource: Datasource,
    rearrangement: Rearrangement,
    source: ByteSource,
    mapper: Mapper = map,
    *,
    segments: Sequence[str] = (),
    dates: str | None = None,
) -> Evaluation:
    """Evaluate a model on the records that the rearrangement takes.

    Rejected records, those without target, with a target or a used cell that can not be read, and such whose score is
    not finite, have failed: they are counted and left out. Attributes have the types that they had in training.

    Parameters
    ----------
    segments
        BINARY, CATEGORICAL or TEXT attributes by whose values errors are told; those that the datasource lacks are
        left out.
    dates
        CATEGORICAL or TEXT attribute with ISO dates by whose weeks errors are told.

    Raises
    ------
    EvaluationError
        If the datasource has no target, no record could be evaluated, or errors are to be told by a NUMERIC attribute.
    SchemaError
        If the datasource lacks an attribute that the model reads.
    """
    seen_as = for_model(model, datasource)
    if seen_as.schema.target is None:
        raise EvaluationError(
            f"the datasource has no attribute {model.target.name!r}, the model's target: evaluate on records whose "
            "outcome is known."
        )
    state = EvaluationState(no_sums(model))
    measure = partial(
        part_metrics,
        model=model,
        rearrangement=rearrangement,
        source=source,
        segments=_texts(seen_as.schema, segments),
        dates=next(iter(_texts(seen_as.schema, [dates] if dates else [])), None),
    )
    for part in mapper(measure, seen_as.numbered()):
        state.merge(part)
    if not state.sums.records:
        reasons = ", ".join(f"{name} {count:,}" for name, count in state.failures.items() if count)
        raise EvaluationError(
            f"none of {state.seen:,} records could be evaluated ({reasons or 'the data rearrangement takes none'}): "
            "check that the records have the target, and the data rearrangement."
        )
    return _evaluation(model, datasource, rearrangement, state)


def _texts(schema: Schema, names: Sequence[str]) -> tuple[str, ...]:
    """Those of the attributes that the datasource has; EvaluationError where one is NUMERIC."""
    found = tuple(name for name in names if name in schema.names)
    for name in found:
        if schema.type_of(name) is AttributeType.NUMERIC:
            raise EvaluationError(
                f"{name!r} is NUMERIC, and errors are told by values of texts: name another attribute."
            )
    return found


def part_metrics(
    numbered: NumberedPart,
    model: MLModel,
    rearrangement: Rearrangement,
    source: ByteSource,
    segments: Sequence[str] = (),
    dates: str | None = None,
) -> EvaluationState:
    """The sums over one part, whose schema names the model's target."""
    extra = (*segments, dates) if dates else tuple(segments)
    columns = tuple(dict.fromkeys((*model.columns, model.target.name, *extra)))
    state = EvaluationState(no_sums(model), segments={name: ErrorSums() for name in segments})
    intervals = None if model.intervals is None else Intervals.from_document(model.intervals)
    for batch in selected_batches(numbered, rearrangement, columns, source, state.add_rejected):
        raw = model.predictor.raw_scores(batch)
        scores = model.link.predictions(raw)
        labels = model.target.labels(batch)
        used = _usable(state, batch, labels, scores, model)
        truth, raw, scores = labels.values[used], raw[used], scores[used]
        _add(state.sums, truth, raw, scores)
        if isinstance(state.sums, MulticlassSums):
            state.sums.add_unknown(_unknown_classes(batch, model.target.name, used & (labels.values < 0)))
        if intervals is not None:
            state.coverage.add(intervals, truth, scores)
        residuals = _residuals(truth, scores) if extra else scores
        for name in segments:
            keys, codes = keys_of(batch, name)
            state.segments[name].add(keys, codes[used], residuals)
        if dates:
            keys, codes = weeks_of(batch, dates)
            state.weeks.add(keys, codes[used], residuals)
    return state


def _usable(state: EvaluationState, batch: Batch, labels: Labels, scores: Floats, model: MLModel) -> Bools:
    """Which records can be evaluated; the others are counted by reason."""
    readable = ~invalid_cells(batch, model.columns)
    finite = np.isfinite(scores if scores.ndim == 1 else scores.sum(axis=1))
    state.seen += len(batch)
    state.invalid_target += labels.invalid
    state.without_target += labels.missing
    state.invalid_input += int((labels.known & ~readable).sum())
    state.not_finite += int((labels.known & readable & ~finite).sum())
    return labels.known & readable & finite


def _add(sums: Sums, truth: Floats, raw: Floats, scores: Floats) -> None:
    if isinstance(sums, BinarySums):
        sums.add(truth, raw, scores)
    else:
        sums.add(truth, scores)


def _unknown_classes(batch: Batch, target: str, unknown: Bools) -> list[str]:
    if not unknown.any():
        return []
    return [str(name) for name in batch.columns[target].filter(bool_array(unknown)).unique().to_pylist()]


def _residuals(truth: Floats, scores: Floats) -> Floats:
    """True less predicted; for classes 1 less the probability of the true one."""
    if scores.ndim == 1:
        return truth - scores
    places = truth.astype(np.int64)
    likely = np.where(places >= 0, scores[np.arange(len(scores)), np.maximum(places, 0)], 0.0)
    return 1.0 - likely


def _evaluation(
    model: MLModel, datasource: Datasource, rearrangement: Rearrangement, state: EvaluationState
) -> Evaluation:
    sums = state.sums
    metric, baseline = _headline(model, sums)
    if not (math.isfinite(metric or 0.0) and math.isfinite(baseline)):
        raise EvaluationError("targets or scores are too large to be squared: scale the target in the query.")
    failed = sum(state.failures.values())
    return Evaluation(
        model_type=model.model_type,
        metric=metric,
        baseline=baseline,
        facts=sums.facts(),
        records_seen=state.seen,
        records_failed=failed,
        failures=state.failures,
        alerts=evaluation_alerts(model, datasource, rearrangement, sums, failed),
        rearrangement=rearrangement,
        segments={name: errors.facts() for name, errors in state.segments.items()},
        weeks=state.weeks.facts(by_key=True),
        intervals=state.coverage.facts(),
    )


def _headline(model: MLModel, sums: Sums) -> tuple[float | None, float]:
    if isinstance(sums, BinarySums):
        return sums.auc, _NO_SKILL_AUC
    if isinstance(sums, MulticlassSums):
        counts = model.training["classCounts"]
        return sums.average_f1, sums.baseline_f1(max(sorted(counts), key=lambda name: counts[name]))
    return sums.rmse, sums.baseline_rmse(model.training["targetMean"])
