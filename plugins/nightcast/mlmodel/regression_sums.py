"""The records of a regression as sums, apart for records that fit and records that judge."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from nightcast.datasource.arrow_arrays import Bools, Floats
from nightcast.datasource.parts import Mapper, NumberedPart
from nightcast.mlmodel.class_chunks import PieceChunk
from nightcast.mlmodel.class_records import ClassRecords, gathered
from nightcast.mlmodel.gram import Gram
from nightcast.mlmodel.intervals import MOST_RECORDS
from nightcast.mlmodel.learners import FOLDS, TrainingTask
from nightcast.mlmodel.marked_batches import marked_batches
from nightcast.mlmodel.record_sums import RecordSums
from nightcast.mlmodel.square_sums import SquareSums, added, merged, of_records
from nightcast.recipe.featurizer import Featurizer
from nightcast.recipe.pieces import centered, linear_scores, to_csr

# Training records up to which all folds judge: beyond, the validation slice alone is large enough.
_FOLDED = 10_000
_SAMPLE_SEED = 0x6E69676874


@dataclass(frozen=True)
class Trial:
    """Records that fit, and records that judge.

    Parameters
    ----------
    residuals
        From weights and constant to predictions about the target's center and residuals of records that judge: all, or
        a sample of them.
    """

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
    return trials_of(gathered(task, featurizer, mapper), featurizer.n_features, center)


def trials_of(held: ClassRecords, features: int, center: float) -> TrialSet:
    """Records in memory as a regression of their targets, whatever these are."""
    from scipy.sparse import csr_array, vstack

    matrices = [to_csr(chunk.pieces, len(chunk.targets), chunk.features) for chunk in held.chunks]
    targets = np.concatenate([np.zeros(0), *(chunk.targets for chunk in held.chunks)]) - center
    whole = RecordSums(vstack(matrices, format="csr") if matrices else csr_array((0, features)), targets)
    folds = np.concatenate([np.zeros(0, dtype=np.uint8), *held.folds])
    trials = []
    for fold in range(FOLDS if len(targets) <= _FOLDED else 1):
        inside = folds == fold
        if inside.any() and not inside.all():
            trials.append(_held_trial(whole, inside, center))
    return TrialSet(trials, lambda: of_records(whole, center), len(targets), center)


def _held_trial(whole: RecordSums, inside: Bools, center: float) -> Trial:
    judging = whole.taken(inside)

    def residuals(weights: Floats, constant: float) -> tuple[Floats, Floats]:
        predictions = np.asarray(judging.matrix @ weights) + constant
        return predictions, judging.targets - predictions

    return Trial(of_records(whole.taken(~inside), center), of_records(judging, center), residuals)


def summed_records(task: TrainingTask, featurizer: Featurizer, center: float, mapper: Mapper) -> TrialSet:
    """The sums over parts, with the validation slice as the only trial."""
    rest, validation = (SquareSums(Gram(featurizer.centers), center) for _ in range(2))
    sample: list[PieceChunk] = []
    of_part = partial(part_sums, task=task, featurizer=featurizer, center=center)
    for some_rest, some_validation, some_sample in mapper(of_part, task.datasource.numbered()):
        merged(rest, some_rest)
        merged(validation, some_validation)
        sample += some_sample

    def residuals(weights: Floats, constant: float) -> tuple[Floats, Floats]:
        found = [linear_scores(chunk.pieces, weights, constant, len(chunk.targets)) for chunk in sample]
        predictions = np.concatenate(found)
        return predictions, np.concatenate([chunk.targets for chunk in sample]) - predictions

    def whole() -> SquareSums[Gram]:
        # Not into a third one: each takes as much memory as the model's features squared.
        merged(rest, validation)
        return rest

    judged = rest.records > 0 and validation.records > 0
    trials = [Trial(rest, validation, residuals)] if judged and sample else []
    return TrialSet(trials, whole, rest.records + validation.records, center)


def part_sums(
    numbered: NumberedPart, task: TrainingTask, featurizer: Featurizer, center: float
) -> tuple[SquareSums[Gram], SquareSums[Gram], list[PieceChunk]]:
    """The sums over one part: outside the validation slice, and within; and a sample of the latter's records."""
    rest, validation = (SquareSums(Gram(featurizer.centers), center) for _ in range(2))
    share = min(1.0, MOST_RECORDS / max(0.15 * task.insights.records, 1.0))
    sample: list[PieceChunk] = []
    with np.errstate(over="ignore", invalid="ignore"):
        for batch, targets, places, mask in marked_batches(numbered, task, featurizer.columns):
            pieces = featurizer.pieces(batch)
            for sums, chosen in ((rest, places[~mask]), (validation, places[mask])):
                if len(chosen):
                    added(sums, [piece.taken(chosen) for piece in pieces], targets[chosen])
            drawn = places[mask]
            drawn = drawn[np.random.default_rng([_SAMPLE_SEED, batch.first_record]).random(len(drawn)) < share]
            if len(drawn):
                kept = centered([piece.taken(drawn) for piece in pieces], featurizer.centers)
                sample.append(PieceChunk(kept, targets[drawn] - center, featurizer.n_features))
    return rest, validation, sample
