"""Predictions for training records, each by a model that was fitted without it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from nightcast.datasource.arrow_arrays import Bools, Floats
from nightcast.datasource.parts import Mapper, NumberedPart
from nightcast.datasource.selection import filtered
from nightcast.mlmodel.learners import VALIDATION_SHARE, Fit, TrainingTask
from nightcast.mlmodel.marked_batches import training_batches
from nightcast.mlmodel.model import Link, Predictor
from nightcast.mlmodel.targets import ModelType

MOST_RECORDS = 50_000
_SAMPLE_SEED = 0x6E69676874


@dataclass(frozen=True)
class HeldOut:
    """Training records of folds that fits left out.

    Parameters
    ----------
    folds
        See `nightcast.mlmodel.learners.fold_of`; shape (n,).
    targets
        Numbers, 0 and 1, or numbers of classes; shape (n,).
    predictions
        Of each fit, as of `nightcast.mlmodel.model.MLModel.predict`; all of them finite.
    """

    folds: npt.NDArray[np.uint8]
    targets: Floats
    predictions: tuple[Floats, ...]


def sampled_share(task: TrainingTask) -> float:
    """Share of the validation slice that is about 50,000 records, or 1."""
    return min(1.0, MOST_RECORDS / max(VALIDATION_SHARE * task.insights.records, 1.0))


def sampled(first_record: int, size: int, share: float) -> Bools:
    """Which training records of a batch are drawn, by the number of the batch's first record; shape (size,)."""
    return np.random.default_rng([_SAMPLE_SEED, first_record]).random(size) < share


def held_out_records(task: TrainingTask, fits: Sequence[Fit], mapper: Mapper) -> HeldOut | None:
    """Let fits predict the records that they left out.

    Returns
    -------
    HeldOut or None
        The records of the folds that all fits have left out; of a large validation slice about 50,000, drawn at random,
        the same ones each time. None if there is no such record, or none of which all predictions are finite.
    """
    folds = set.intersection(*(set(fit.held_out) for fit in fits))
    if not folds:
        return None
    models = [({fold: fit.held_out[fold] for fold in sorted(folds)}, fit.link) for fit in fits]
    predict = partial(part_held_out, task=task, models=models, share=sampled_share(task))
    parts = [part for found in mapper(predict, task.datasource.numbered()) for part in found]
    found = _of_known_classes(_joined(parts), task) if parts else None
    return found if found is not None and len(found.folds) else None


def part_held_out(
    numbered: NumberedPart, task: TrainingTask, models: Sequence[tuple[Mapping[int, Predictor], Link]], share: float
) -> list[HeldOut]:
    """The records of one part, some at a time; all models have left out the same folds."""
    columns = dict.fromkeys(
        name for predictors, _ in models for predictor in predictors.values() for name in predictor.columns
    )
    found = []
    for batch, folds in training_batches(numbered, task, list(columns)):
        drawn = sampled(batch.first_record, len(batch), share)
        for fold in models[0][0]:
            chosen = (folds == fold) & drawn
            if not chosen.any():
                continue
            some = filtered(batch, chosen)
            predictions = tuple(link.predictions(predictors[fold].raw_scores(some)) for predictors, link in models)
            targets = np.array(task.target.labels(some).values, dtype=np.float64)
            found.append(_finite(HeldOut(folds[chosen], targets, predictions)))
    return found


def _finite(found: HeldOut) -> HeldOut:
    rows = [np.isfinite(one).reshape(len(one), -1).all(axis=1) for one in found.predictions]
    kept = np.logical_and.reduce(rows)
    return HeldOut(found.folds[kept], found.targets[kept], tuple(one[kept] for one in found.predictions))


def _of_known_classes(found: HeldOut, task: TrainingTask) -> HeldOut:
    """Without classes of which a fold has all records: no model that left these out can know them."""
    if task.target.model_type is ModelType.REGRESSION:
        return found
    totals = task.insights.target_distribution()
    names = task.target.classes or ("0", "1")
    counts = np.array([totals.get(name, 0) if isinstance(totals, dict) else 0 for name in names])
    classes = found.targets.astype(np.int64)
    alone = np.zeros(len(classes), dtype=np.bool_)
    for fold in np.unique(found.folds):
        inside = found.folds == fold
        own = np.bincount(classes[inside], minlength=len(names))
        alone |= inside & (own >= counts)[classes]
    return HeldOut(found.folds[~alone], found.targets[~alone], tuple(one[~alone] for one in found.predictions))


def _joined(parts: Sequence[HeldOut]) -> HeldOut:
    return HeldOut(
        np.concatenate([part.folds for part in parts]),
        np.concatenate([part.targets for part in parts]),
        tuple(np.concatenate(found) for found in zip(*(part.predictions for part in parts), strict=True)),
    )
