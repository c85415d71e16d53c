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

MOST_RECORDS = 50_000


@dataclass(frozen=True)
class HeldOut:
    """Training records of folds that fits left out, in order.

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
    return _joined(parts) if any(len(part.folds) for part in parts) else None


def part_held_out(
    numbered: NumberedPart, task: TrainingTask, models: Sequence[tuple[Mapping[int, Predictor], Link]], share: float
) -> list[HeldOut]:
    """The records of one part, some at a time; all models have left out the same folds."""
    columns = dict.fromkeys(
        name for predictors, _ in models for predictor in predictors.values() for name in predictor.columns
    )
    found = []
    for batch, folds in training_batches(numbered, task, list(columns)):
        drawn = _drawn(batch.first_record, len(batch), share)
        for fold in models[0][0]:
            chosen = (folds == fold) & drawn
            if not chosen.any():
                continue
            some = filtered(batch, chosen)
            predictions = tuple(link.predictions(predictors[fold].raw_scores(some)) for predictors, link in models)
            targets = np.array(task.target.labels(some).values, dtype=np.float64)
            found.append(_finite(HeldOut(folds[chosen], targets, predictions)))
    return found


def _drawn(first_record: int, size: int, share: float) -> Bools:
    return np.random.default_rng(first_record).random(size) < share


def _finite(found: HeldOut) -> HeldOut:
    rows = [np.isfinite(one).reshape(len(one), -1).all(axis=1) for one in found.predictions]
    kept = np.logical_and.reduce(rows)
    return HeldOut(found.folds[kept], found.targets[kept], tuple(one[kept] for one in found.predictions))


def _joined(parts: Sequence[HeldOut]) -> HeldOut:
    return HeldOut(
        np.concatenate([part.folds for part in parts]),
        np.concatenate([part.targets for part in parts]),
        tuple(np.concatenate(found) for found in zip(*(part.predictions for part in parts), strict=True)),
    )
