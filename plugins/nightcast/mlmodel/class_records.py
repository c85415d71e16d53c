"""The training records of a classification as features: all in memory where they fit, else a sample of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from nightcast.datasource.arrow_arrays import Bools, Floats
from nightcast.datasource.hashing import mixed, seed_hash
from nightcast.datasource.parts import Mapper, NumberedPart
from nightcast.mlmodel.class_chunks import Chunk, PieceChunk, compact, split
from nightcast.mlmodel.class_loss import loss_and_curvature, loss_and_gradient
from nightcast.mlmodel.gram import Gram
from nightcast.mlmodel.learners import TrainingTask, fold_of
from nightcast.mlmodel.marked_batches import marked_batches
from nightcast.recipe.expressions import ValueType
from nightcast.recipe.featurizer import Featurizer
from nightcast.recipe.pieces import centered

# 160 MB of codes.
KEPT_CODES = 20_000_000
_CODES_OF_TEXT = 10
SAMPLE_RECORDS = 200_000
_SEED = "nightcast linear sample"
Folds = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class ClassRecords:
    """Training records in memory.

    Parameters
    ----------
    chunks
        The records, in order.
    folds
        For each chunk, the folds of its records; see `nightcast.mlmodel.learners.fold_of`.
    seen
        Number of training records with a target; more than are held, if they are a sample.
    """

    chunks: Sequence[PieceChunk]
    folds: Sequence[Folds]
    seen: int

    @property
    def held(self) -> int:
        """Number of records in memory."""
        return sum(len(chunk.targets) for chunk in self.chunks)

    @property
    def all_folds(self) -> Folds:
        """The folds of all records; shape (held,)."""
        return np.concatenate([np.zeros(0, dtype=np.uint8), *self.folds])

    def all(self) -> Sequence[Chunk]:
        """The records, validation slice and rest."""
        return compact(self.chunks)

    def side(self, fold: int, *, within: bool) -> Sequence[Chunk]:
        """The records of a fold, or the others."""
        found = []
        for chunk, folds in zip(self.chunks, self.folds, strict=True):
            places = np.flatnonzero((folds == fold) == within)
            if len(places):
                found.append(chunk.taken(places))
        return compact(found)

    def sampled(self, seed: str, most: int | None = None) -> ClassRecords:
        """About so many of the records (200,000 by default), or all of them if they are no more."""
        most = SAMPLE_RECORDS if most is None else most
        if self.held <= most:
            return self
        chunks, masks, first = [], [], 0
        for chunk, mask in zip(self.chunks, self.folds, strict=True):
            numbers = np.arange(first, first + len(mask), dtype=np.uint64)
            places = np.flatnonzero(_drawn(numbers, seed, most / self.held))
            first += len(mask)
            chunks.append(chunk.taken(places))
            masks.append(mask[places])
        return ClassRecords(chunks, masks, self.seen)


def codes_of(task: TrainingTask) -> int:
    """About how many codes the features of the training records take."""
    types = [output.type for output in task.recipe.outputs]
    many = sum(kind in (ValueType.TEXT, ValueType.TOKENS) for kind in types)
    return max(task.insights.records, 1) * max(len(types) + many * (_CODES_OF_TEXT - 1), 1)


def fits_in_memory(task: TrainingTask) -> bool:
    """Whether the training records take at most about 160 MB."""
    return codes_of(task) <= KEPT_CODES


def gathered(task: TrainingTask, featurizer: Featurizer, mapper: Mapper) -> ClassRecords:
    """All training records, if they fit in memory, else about 200,000 drawn ones."""
    share = 1.0 if fits_in_memory(task) else SAMPLE_RECORDS / max(task.insights.records, 1)
    chunks: list[PieceChunk] = []
    masks: list[Folds] = []
    seen = 0
    collect = partial(part_records, task=task, featurizer=featurizer, share=share)
    for part in mapper(collect, task.datasource.numbered()):
        chunks.extend(part.chunks)
        masks.extend(part.folds)
        seen += part.seen
    return ClassRecords(chunks, masks, seen)


def part_records(numbered: NumberedPart, task: TrainingTask, featurizer: Featurizer, share: float) -> ClassRecords:
    """The records of one part, or a share of them; each is drawn by its place and the seed alone."""
    chunks, masks, seen = [], [], 0
    for whole, numbers in _streamed(numbered, task, featurizer):
        seen += len(numbers)
        if share < 1.0:
            places = np.flatnonzero(_drawn(numbers, task.seed, share))
            whole, numbers = whole.taken(places), numbers[places]
        folds, first = fold_of(numbers, task.seed), 0
        for chunk in split(whole, task.target.outputs):
            chunks.append(chunk)
            masks.append(folds[first : first + len(chunk.targets)])
            first += len(chunk.targets)
    return ClassRecords(chunks, masks, seen)


def part_loss(
    numbered: NumberedPart, task: TrainingTask, featurizer: Featurizer, weights: Floats
) -> tuple[float, Floats]:
    """Loss of the training records of one part, and its gradient; see `loss_and_gradient`."""
    return loss_and_gradient(_chunks(numbered, task, featurizer), weights)


def part_curvature(
    numbered: NumberedPart, task: TrainingTask, featurizer: Featurizer, weights: Floats
) -> tuple[float, Floats, Gram, float]:
    """As `part_loss` for one output, with the second derivatives; see `loss_and_curvature`."""
    return loss_and_curvature(_chunks(numbered, task, featurizer), weights)


def _chunks(numbered: NumberedPart, task: TrainingTask, featurizer: Featurizer) -> Iterator[PieceChunk]:
    for whole, _ in _streamed(numbered, task, featurizer):
        yield from split(whole, task.target.outputs)


def _streamed(
    numbered: NumberedPart, task: TrainingTask, featurizer: Featurizer
) -> Iterator[tuple[PieceChunk, npt.NDArray[np.uint64]]]:
    """Training records of each batch, and their numbers over all parts."""
    for batch, targets, places in marked_batches(numbered, task, featurizer.columns):
        pieces = centered(featurizer.pieces(batch), featurizer.centers)
        whole = PieceChunk(pieces, targets, featurizer.n_features)
        numbers = batch.first_record + places.astype(np.uint64)
        yield whole if len(places) == len(batch) else whole.taken(places), numbers


def _drawn(numbers: npt.NDArray[np.uint64], seed: str, share: float) -> Bools:
    return mixed(numbers ^ seed_hash(_SEED + seed)) < np.uint64(int(share * 2**64))
