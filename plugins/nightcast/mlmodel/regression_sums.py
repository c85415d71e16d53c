"""The records of a regression as sums, apart for records that fit and records that judge."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from threading import Thread
from typing import Any

import numpy as np

from nightcast.datasource.arrow_arrays import Floats
from nightcast.datasource.parts import Mapper, NumberedPart
from nightcast.mlmodel.class_chunks import PieceChunk, as_matrix, joined
from nightcast.mlmodel.class_records import Folds, gathered
from nightcast.mlmodel.gram import Gram
from nightcast.mlmodel.held_out import sampled, sampled_share
from nightcast.mlmodel.learners import FOLDS, TrainingTask, in_validation
from nightcast.mlmodel.marked_batches import marked_batches
from nightcast.mlmodel.record_sums import PieceSums, RecordFeatures, RecordSums
from nightcast.mlmodel.square_sums import SquareSums, added, merged, of_records
from nightcast.recipe.featurizer import Featurizer
from nightcast.recipe.pieces import centered

# Training records up to which all folds judge: beyond, the validation slice alone is large enough.
_FOLDED = 10_000


@dataclass(frozen=True)
class Trial:
    """Records that fit, and records of a fold, that judge.

    Parameters
    ----------
    residuals
        From weights and constant to predictions about the target's center, and residuals, of the records that judge.
    """

    fold: int
    rest: SquareSums[Any]
    validation: SquareSums[Any]
    residuals: Callable[[Floats, float], tuple[Floats, Floats]]


@dataclass(frozen=True)
class TrialSet:
    """All training records.

    Parameters
    ----------
    trials
        None without records on both sides; the first one's validation records are the validation slice.
    whole
        Gives the sums over all records; those of the trials may be used up by it.
    """

    trials: Sequence[Trial]
    whole: Callable[[], SquareSums[Any]]
    records: float
    center: float


def held_records(task: TrainingTask, featurizer: Featurizer, center: float, mapper: Mapper) -> TrialSet:
    """The records in memory, with trials by folds if they are few."""
    held = gathered(task, featurizer, mapper)
    matrix, targets = as_matrix(held.chunks, featurizer.n_features)
    return trials_of(RecordSums(RecordFeatures(matrix), targets - center), held.all_folds, center)


def trials_of(whole: RecordSums, folds: Folds, center: float) -> TrialSet:
    """Records in memory as a regression of their targets, which are about the center, whatever they are."""
    targets, trials = whole.targets, []
    for fold in range(FOLDS if len(targets) <= _FOLDED else 1):
        inside = folds == fold
        if inside.any() and not inside.all():
            rest, judging = whole.taken(~inside), whole.taken(inside)
            trials.append(_trial(fold, of_records(rest, center), judging, center))
    return TrialSet(trials, lambda: of_records(whole, center), len(targets), center)


def _trial(fold: int, rest: SquareSums[Any], judging: RecordSums | PieceSums, center: float) -> Trial:
    def residuals(weights: Floats, constant: float) -> tuple[Floats, Floats]:
        predictions = judging.scores(weights) + constant
        return predictions, judging.targets - predictions

    return Trial(fold, rest, of_records(judging, center), residuals)


def summed_records(task: TrainingTask, featurizer: Featurizer, center: float, mapper: Mapper) -> TrialSet:
    """The sums over parts, and about 50,000 records of the validation slice in memory as the only trial."""
    rest = SquareSums(Gram(featurizer.centers), center)
    chunks: list[PieceChunk] = []
    # What makes shapes of the sums needs it, and until then this process waits for its workers.
    Thread(target=import_module, args=("scipy.sparse",)).start()
    of_part = partial(part_sums, task=task, featurizer=featurizer, center=center)
    for some_rest, some_chunks in mapper(of_part, task.datasource.numbered()):
        merged(rest, some_rest)
        chunks += some_chunks
    if not (rest.records and chunks):
        for chunk in chunks:
            added(rest, chunk.pieces, chunk.targets)
        return TrialSet([], lambda: rest, rest.records, center)
    held = joined(chunks)

    def whole() -> SquareSums[Gram]:
        # Not into sums of their own: each takes as much memory as the model's features squared.
        added(rest, held.pieces, held.targets)
        return rest

    judging = PieceChunk(centered(held.pieces, featurizer.centers), held.targets - center, held.features)
    records = rest.records + len(held.targets)
    return TrialSet([_trial(0, rest, PieceSums(judging), center)], whole, records, center)


def part_sums(
    numbered: NumberedPart, task: TrainingTask, featurizer: Featurizer, center: float
) -> tuple[SquareSums[Gram], list[PieceChunk]]:
    """The sums over the training records of one part, and those of the validation slice that are left out of them.

    Of a larger slice about 50,000 records are drawn, by the number of the record alone: what they judge is known well
    enough, and all others fit.
    """
    rest = SquareSums(Gram(featurizer.centers), center)
    share = sampled_share(task)
    judging: list[PieceChunk] = []
    with np.errstate(over="ignore", invalid="ignore"):
        for batch, targets, places in marked_batches(numbered, task, featurizer.columns):
            pieces = featurizer.pieces(batch)
            judges = sampled(batch.first_record, len(places), share)
            judges[judges] = in_validation(batch.first_record + places[judges], task.seed)
            outside, inside = places[~judges], places[judges]
            if len(outside):
                added(rest, [piece.taken(outside) for piece in pieces], targets[outside])
            if len(inside):
                kept = [piece.taken(inside).narrow() for piece in pieces]
                judging.append(PieceChunk(kept, targets[inside], featurizer.n_features))
            del batch, targets, places, pieces
    return rest, judging
