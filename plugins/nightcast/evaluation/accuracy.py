"""Walk-forward accuracy: predictions of a period against what was sold in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from math import log, sqrt

import numpy as np

from nightcast.datasource.arrow_arrays import Bools, Floats, Hashes
from nightcast.datasource.parts import ByteSource, Datasource, Mapper, NumberedPart, read_batches
from nightcast.errors import EvaluationError
from nightcast.evaluation.accuracy_history import AccuracyRow, Origin
from nightcast.evaluation.binary_metrics import BinarySums
from nightcast.evaluation.exact_sums import ExactSums
from nightcast.evaluation.multiclass_metrics import MulticlassSums
from nightcast.evaluation.naive_baselines import with_target
from nightcast.evaluation.prediction_files import HashShare, Predictions, part_predictions, tag_hashes
from nightcast.mlmodel.targets import ModelType, Target

MOST_TAGS = 5_000_000
_SQUARES, _ABSOLUTE, _TRUE_SIZES, _ERRORS, _TRUE, _BASELINE, _INSIDE, _WIDTHS = range(8)
_LEAST_SHARE = 1e-15


@dataclass
class MatchedSums:
    """Sums over predictions whose outcome is known; those that do not belong to the model's type stay empty.

    Parameters
    ----------
    tags
        Distinct predictions, those without tag among them.
    """

    numbers: ExactSums = field(default_factory=lambda: ExactSums(8))
    binary: BinarySums = field(default_factory=lambda: BinarySums(0.5))
    multiclass: MulticlassSums | None = None
    matched: int = 0
    predicted: int = 0
    failed: int = 0
    tags: int = 0
    without_prediction: int = 0
    duplicates: int = 0


def measure_accuracy(
    predictions: Predictions,
    actuals: Datasource,
    origin: Origin,
    source: ByteSource,
    mapper: Mapper = map,
    *,
    most_tags: int = MOST_TAGS,
) -> AccuracyRow:
    """Join predictions with actuals by tag, and tell how accurate they were.

    Predictions of up to `most_tags` records are held in memory, 40 bytes each; with more, both sides are read several
    times, a share of the tags each time. Actuals are read part by part. Whatever the number of parts, sums are the same
    to the bit.

    Parameters
    ----------
    predictions
        Of `open_predictions`.
    actuals
        Records with a row id, which is the tag, and the target.

    Raises
    ------
    EvaluationError
        If the actuals have no row id or no target.
    """
    target = _target_of(actuals, predictions)
    read_as = with_target(actuals, target)
    sums = MatchedSums()
    if predictions.model_type is ModelType.MULTICLASS:
        sums.multiclass = MulticlassSums(predictions.classes)
    shares = max(1, -(-predictions.datasource.records // most_tags))
    for share in (HashShare(part, shares) for part in range(shares)):
        table = _table(sums, predictions, share, source, mapper)
        matched = np.zeros(len(table.hashes), dtype=np.bool_)
        read = partial(part_actuals, target=target, share=share, source=source)
        for part in mapper(read, read_as.numbered()):
            _match(sums, table, matched, part, origin)
            sums.without_prediction += part.unnamed if share.part == 0 else 0
    return _row(sums, predictions, origin)


@dataclass(frozen=True)
class ActualPart:
    """The outcomes of one part, those of other hashes left out.

    Parameters
    ----------
    unnamed
        Records of the part without row id, of all hashes.
    hashes, truth, known
        Of the row ids; the true values, and which of them can be read; each of shape (n,).
    """

    unnamed: int
    hashes: Hashes
    truth: Floats
    known: Bools


def part_actuals(numbered: NumberedPart, target: Target, share: HashShare, source: ByteSource) -> ActualPart:
    """Read one part of the actuals; rejected records are left out."""
    row_id, unnamed = str(numbered.schema.row_id), 0
    hashes, values, known = [np.zeros(0, dtype=np.uint64)], [np.zeros(0)], [np.zeros(0, dtype=np.bool_)]
    for batch in read_batches(numbered, source, (row_id, target.name)):
        found, named = tag_hashes(batch.columns[row_id])
        labels = target.labels(batch)
        read = np.ones(len(batch), dtype=np.bool_) if batch.rejected is None else ~batch.rejected
        unnamed += int((read & ~named).sum())
        chosen = read & named & share.mask(found)
        hashes.append(found[chosen])
        values.append(labels.values[chosen])
        known.append(labels.known[chosen])
    return ActualPart(unnamed, np.concatenate(hashes), np.concatenate(values), np.concatenate(known))


@dataclass(frozen=True)
class _Table:
    """Predictions in the order of their tags' hashes, each tag once."""

    hashes: Hashes
    values: Floats


def _target_of(actuals: Datasource, predictions: Predictions) -> Target:
    schema = actuals.schema
    if schema.row_id is None or schema.target is None:
        lacks = "row id" if schema.row_id is None else "target"
        raise EvaluationError(f"the actuals have no {lacks}: name row id and target in their schema.")
    return Target(schema.target, predictions.model_type, predictions.classes)


def _table(sums: MatchedSums, predictions: Predictions, share: HashShare, source: ByteSource, mapper: Mapper) -> _Table:
    read = partial(part_predictions, predictions=predictions, share=share, source=source)
    hashes, values = [], []
    for part in mapper(read, predictions.datasource.numbered()):
        hashes.append(part.hashes)
        values.append(part.values)
        if share.part == 0:
            sums.predicted += part.records - part.failed
            sums.failed += part.failed
            sums.tags += part.unnamed
    every = np.concatenate(hashes)
    # The first of equal ones, in record order.
    distinct, first = np.unique(every, return_index=True)
    sums.duplicates += len(every) - len(distinct)
    sums.tags += len(distinct)
    return _Table(distinct, np.concatenate(values)[first])


def _match(sums: MatchedSums, table: _Table, matched: Bools, actuals: ActualPart, origin: Origin) -> None:
    """Add what one part of the actuals tells of the predictions; `matched` is kept up to date."""
    hashes = actuals.hashes
    if not len(hashes):
        return
    places = np.minimum(np.searchsorted(table.hashes, hashes), max(len(table.hashes) - 1, 0))
    found = table.hashes[places] == hashes if len(table.hashes) else np.zeros(len(hashes), dtype=np.bool_)
    sums.without_prediction += int((~found).sum())
    chosen, first = np.unique(places[found], return_index=True)
    new = ~matched[chosen]
    sums.duplicates += int(found.sum()) - int(new.sum())
    chosen, rows = chosen[new], np.flatnonzero(found)[first[new]]
    matched[chosen] = True
    usable = actuals.known[rows]
    sums.matched += int(usable.sum())
    _add(sums, actuals.truth[rows[usable]], table.values[chosen[usable]], origin)


def _add(sums: MatchedSums, truth: Floats, values: Floats, origin: Origin) -> None:
    if not len(truth):
        return
    if sums.multiclass is not None:
        size = len(sums.multiclass.classes)
        true = np.where(truth < 0, size, truth).astype(np.int64)
        counts = np.bincount(true * size + values[:, 0].astype(np.int64), minlength=sums.multiclass.confusion.size)
        sums.multiclass.confusion += counts.reshape(sums.multiclass.confusion.shape)
    elif "classCounts" in origin.training:
        sums.binary.add(truth, values[:, 0], values[:, 0])
    else:
        _add_numbers(sums.numbers, truth, values, float(origin.training["targetMean"]))


def _add_numbers(sums: ExactSums, truth: Floats, values: Floats, usual: float) -> None:
    table = np.zeros((len(truth), sums.columns))
    errors = values[:, 0] - truth
    with np.errstate(over="ignore"):
        table[:, _SQUARES], table[:, _BASELINE] = errors**2, (truth - usual) ** 2
    table[:, _ABSOLUTE], table[:, _TRUE_SIZES] = np.abs(errors), np.abs(truth)
    table[:, _ERRORS], table[:, _TRUE] = errors, truth
    if values.shape[1] > 1:
        lower, upper = values[:, 1], values[:, 2]
        table[:, _INSIDE], table[:, _WIDTHS] = (lower <= truth) & (truth <= upper), upper - lower
    if not np.isfinite(table).all():
        raise EvaluationError("true values or predictions are too large to be squared: scale the target in the query.")
    sums.add([""], np.zeros(len(truth), dtype=np.int64), table)


def _row(sums: MatchedSums, predictions: Predictions, origin: Origin) -> AccuracyRow:
    figures: dict[str, float | None] = {}
    if sums.matched:
        if predictions.model_type is ModelType.REGRESSION:
            figures = _regression(sums.numbers, predictions.intervals)
        elif predictions.model_type is ModelType.BINARY:
            figures = _binary(sums.binary, origin)
        elif sums.multiclass is not None:
            counts: Mapping[str, int] = origin.training["classCounts"]
            usual = max(sorted(counts), key=lambda name: counts[name])
            figures = {"f1": sums.multiclass.average_f1, "baseline_f1": sums.multiclass.baseline_f1(usual)}
    return AccuracyRow(
        period=origin.period,
        run=origin.run,
        model_run=origin.model_run,
        training_cutoff=origin.training_cutoff,
        model_age_days=origin.age_days,
        model_type=predictions.model_type.value,
        records_predicted=sums.predicted,
        records_failed=sums.failed,
        records_matched=sums.matched,
        missing_actual=sums.tags - sums.matched,
        without_prediction=sums.without_prediction,
        duplicates=sums.duplicates,
        **figures,
    )


def _regression(sums: ExactSums, intervals: bool) -> dict[str, float | None]:
    sizes, true = sums.total(_TRUE_SIZES), sums.total(_TRUE)
    return {
        "rmse": sqrt(sums.mean(_SQUARES)),
        "baseline_rmse": sqrt(sums.mean(_BASELINE)),
        "wape": sums.total(_ABSOLUTE) / sizes if sizes else None,
        "bias": sums.mean(_ERRORS),
        "bias_percent": 100 * sums.total(_ERRORS) / true if true else None,
        "interval_coverage": sums.mean(_INSIDE) if intervals else None,
        "interval_width": sums.mean(_WIDTHS) if intervals else None,
    }


def _binary(sums: BinarySums, origin: Origin) -> dict[str, float | None]:
    counts: Mapping[str, int] = origin.training["classCounts"]
    usual = counts.get("1", 0) / sum(counts.values())
    ones = int(sums.confusion[1].sum()) / sums.records
    baseline = -ones * log(max(usual, _LEAST_SHARE)) - (1 - ones) * log(max(1 - usual, _LEAST_SHARE))
    return {"auc": sums.auc, "log_loss": sums.log_loss / sums.records, "baseline_log_loss": baseline}
