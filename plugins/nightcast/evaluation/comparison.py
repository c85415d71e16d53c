"""A challenger against the champion and against baselines, on the same records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from math import sqrt
from typing import Any

import numpy as np

from nightcast.artifacts import finite
from nightcast.datasource.arrow_arrays import Floats, Hashes, Ints
from nightcast.datasource.parts import ByteSource, Datasource, Mapper
from nightcast.datasource.rearrangement import Rearrangement
from nightcast.datasource.schema import Schema
from nightcast.errors import EvaluationError, SchemaError
from nightcast.evaluation.binary_metrics import BinarySums
from nightcast.evaluation.comparison_figures import (
    DAYS,
    RECORDS,
    WEEKS,
    BaselineFigures,
    Comparison,
    Figures,
    Resampling,
)
from nightcast.evaluation.comparison_state import ComparisonState, empty_state, part_comparison
from nightcast.evaluation.contenders import Contenders
from nightcast.evaluation.gate_settings import TRAINING_MEAN
from nightcast.evaluation.multiclass_metrics import MulticlassSums
from nightcast.evaluation.naive_baselines import Forecaster, NaiveBaseline, forecaster_of
from nightcast.evaluation.poisson_bootstrap import (
    paired_difference,
    record_streams,
    text_streams,
)
from nightcast.evaluation.text_keys import NO_DATE, TextKey, monday
from nightcast.mlmodel.model import MLModel
from nightcast.mlmodel.scoring import for_model
from nightcast.mlmodel.targets import ModelType

MOST_SAMPLED = 200_000
# A standard error from fewer blocks is worth little, and with half a year of weeks those are the better blocks.
_LEAST_DAYS, _LEAST_WEEKS = 5, 26


def compare(
    challenger: MLModel,
    champion: MLModel | None,
    datasource: Datasource,
    rearrangement: Rearrangement,
    source: ByteSource,
    mapper: Mapper = map,
    *,
    naive: Sequence[NaiveBaseline] = (),
    dates: TextKey | None = None,
    resampling: Resampling | None = None,
) -> Comparison:
    """Compare a challenger with the champion and with baselines on the records that the rearrangement takes.

    One pass. All figures are of the records that both models can score. Whatever the number of parts, the figures are
    the same to the bit. Memory: the losses of at most about 200,000 records, chosen by a hash of their numbers, from
    which the deviation is told where days are not known, and a row of sums for each day.

    Parameters
    ----------
    champion
        None for the first model.
    datasource, rearrangement
        Records that trained neither model: those after the challenger's training records.
    naive
        Baselines beside the training mean.
    dates
        Where a record's day is read: whole days, or weeks, are then resampled.

    Raises
    ------
    SchemaError
        If the challenger can not read the records. That the champion can not is a finding (``unfit``).
    EvaluationError
        If the records have no target.
    """
    chosen = resampling or Resampling()
    seen_as = for_model(challenger, datasource)
    if seen_as.schema.target is None:
        raise EvaluationError(
            f"the datasource has no attribute {challenger.target.name!r}, the target: compare on records whose "
            "outcome is known."
        )
    fault = None if dates is None else dates.fault(seen_as.schema)
    if fault:
        raise EvaluationError(f"the days of the records can not be read: {fault}. Name another attribute, or none.")
    unfit, champion_schema = _fit(challenger, champion, datasource)
    usual = usual_of(challenger)
    forecasters = [forecaster_of(one, challenger.target, usual, seen_as.schema, source, mapper) for one in naive]
    contenders = Contenders(
        challenger,
        None if unfit else champion,
        None if champion_schema is None or _same_types(champion, seen_as.schema, champion_schema) else champion_schema,
        usual,
        tuple(one for one in forecasters if isinstance(one, Forecaster)),
        rearrangement,
        source,
        dates,
        _sampled_share(datasource, rearrangement),
    )
    state = empty_state(contenders)
    for part in mapper(partial(part_comparison, contenders=contenders), seen_as.numbered()):
        state.merge(part)
    baselines = _baselines(contenders, state, naive, forecasters)
    return _with_difference(_comparison(contenders, state, baselines, unfit, chosen), contenders, state)


def usual_of(model: MLModel) -> Floats:
    """What is usual in a model's training records: the mean, the share of ones, or the shares of the classes."""
    training = model.training
    if model.model_type is ModelType.REGRESSION:
        return np.array([float(training["targetMean"])])
    counts: Mapping[str, int] = training["classCounts"]
    total = sum(counts.values())
    names = ("1",) if model.model_type is ModelType.BINARY else model.target.classes
    return np.array([counts.get(name, 0) / total for name in names])


def _sampled_share(datasource: Datasource, rearrangement: Rearrangement) -> float:
    percent = rearrangement.percent_end - rearrangement.percent_begin
    percent = 100 - percent if rearrangement.complement else percent
    return min(1.0, MOST_SAMPLED / max(datasource.records * percent / 100, 1.0))


def _fit(challenger: MLModel, champion: MLModel | None, datasource: Datasource) -> tuple[str | None, Schema | None]:
    """Why the champion can not be compared, and the records' schema as it sees them."""
    if champion is None:
        return None, None
    for what, mine, its in (
        ("predicts", challenger.target.name, champion.target.name),
        ("is a model of the type", challenger.model_type.value, champion.model_type.value),
    ):
        if mine != its:
            return f"it {what} {its}, and the challenger {mine}", None
    try:
        return None, for_model(champion, datasource).schema
    except SchemaError as fault:
        return str(fault).rstrip("."), None


def _same_types(champion: MLModel | None, mine: Schema, its: Schema) -> bool:
    names = () if champion is None else (*champion.columns, champion.target.name)
    return all(mine.type_of(name) is its.type_of(name) for name in names)


def _baselines(
    contenders: Contenders, state: ComparisonState, naive: Sequence[NaiveBaseline], found: Sequence[Forecaster | str]
) -> tuple[BaselineFigures, ...]:
    first, some = len(contenders.models), bool(state.sums.records)

    def loss(place: int) -> float | None:
        return _level(contenders.challenger.model_type, state.sums.mean(place)) if some else None

    rows = [BaselineFigures(TRAINING_MEAN, loss(first), state.sums.records, "" if some else "no record was compared")]
    place = 0
    for baseline, forecaster in zip(naive, found, strict=True):
        if isinstance(forecaster, str):
            rows.append(BaselineFigures(baseline.name, None, 0, forecaster))
            continue
        known = state.known[place]
        reason = "" if known else "none of the compared records has an earlier value"
        rows.append(BaselineFigures(baseline.name, loss(first + 1 + place) if known else None, known, reason))
        place += 1
    return tuple(rows)


def _comparison(
    contenders: Contenders,
    state: ComparisonState,
    baselines: tuple[BaselineFigures, ...],
    unfit: str | None,
    resampling: Resampling,
) -> Comparison:
    kind = contenders.challenger.model_type
    figures: list[Figures | None] = [None, None]
    for place in range(len(contenders.models) if state.sums.records else 0):
        others = _others(state.classes[place]) if state.classes else {}
        figures[place] = Figures(_level(kind, state.sums.mean(place)), others)
    return Comparison(
        model_type=kind,
        seen=state.seen,
        records=state.sums.records,
        failures=dict(state.failures),
        challenger=figures[0],
        champion=figures[1],
        unfit=unfit,
        baselines=baselines,
        resampling=resampling,
    )


def _others(sums: BinarySums | MulticlassSums) -> dict[str, float | None]:
    if isinstance(sums, BinarySums):
        other: dict[str, Any] = sums.facts()["otherMetrics"]
        return {"AUC": sums.auc, "F1": other["f1"]}
    return {"F1": finite(sums.average_f1)}


def _level(kind: ModelType, mean_loss: float) -> float:
    return sqrt(mean_loss) if kind is ModelType.REGRESSION else mean_loss


def _with_difference(found: Comparison, contenders: Contenders, state: ComparisonState) -> Comparison:
    if found.challenger is None or found.champion is None:
        return found
    resampled, streams, sizes, sums = _units(contenders, state, found.resampling.seed)
    sampled = int(sizes.sum())
    difference = paired_difference(
        streams,
        sizes,
        sums,
        found.challenger.loss - found.champion.loss,
        root=found.model_type is ModelType.REGRESSION,
        confidence=found.resampling.confidence,
        replicates=found.resampling.replicates,
        share=sampled / found.records,
    )
    return replace(found, difference=difference, resampled=resampled, sampled=sampled)


def _units(contenders: Contenders, state: ComparisonState, seed: str) -> tuple[str, Hashes, Ints, Floats]:
    """What is resampled: kind, streams, records and losses of each unit."""
    keys, counts, sums = state.sums.by_key()
    sums = sums[:, : len(contenders.models)]
    days = [key for key in keys if key != NO_DATE]
    if len(days) < _LEAST_DAYS:
        numbers = np.concatenate(state.numbers)
        losses = np.concatenate(state.sample)
        return RECORDS, record_streams(seed, numbers), np.ones(len(numbers), dtype=np.int64), losses
    weeks = [monday(key) for key in keys]
    if len(set(weeks) - {NO_DATE}) < _LEAST_WEEKS:
        return DAYS, text_streams(seed, keys), counts, sums
    names = sorted(set(weeks))
    places = np.searchsorted(np.array(names), np.array(weeks))
    totals = np.zeros((len(names), sums.shape[1]))
    np.add.at(totals, places, sums)
    records = np.bincount(places, weights=counts, minlength=len(names)).astype(np.int64)
    return WEEKS, text_streams(seed, names), records, totals
