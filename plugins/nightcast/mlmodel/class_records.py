"""The training records of a classification as features: all in memory where they fit, else a sample of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from nightcast.datasource.arrow_arrays import Bools, Floats
from nightcast.datasource.hashing import mixed, seed_hash
from nightcast.datasource.parts import Mapper, NumberedPart
from nightcast.mlmodel.class_chunks import Chunk, PieceChunk, compact, split
from nightcast.mlmodel.class_loss import loss_and_curvature, loss_and_gradient
from nightcast.mlmodel.gram import Gram
from nightcast.mlmodel.learners import TrainingTask
from nightcast.mlmodel.marked_batches import marked_batches
from nightcast.recipe.blocks import VocabularyBlock
from nightcast.recipe.expressions import ValueType
from nightcast.recipe.featurizer import Featurizer
from nightcast.recipe.pieces import centered

# 160 MB of codes.
_KEPT_CODES = 20_000_000
_CODES_OF_TEXT = 10
SAMPLE_RECORDS = 200_000
_SEED = "nightcast linear sample"


@dataclass(frozen=True)
class ClassRecords:
    """Training records in memory.

    Parameters
    ----------
    chunks
        The records, in order.
    validation
        For each chunk, which of its records belong to the validation slice.
    seen
        Number of training records with a target; more than are held, if they are a sample.
    """

    chunks: Sequence[PieceChunk]
    validation: Sequence[Bools]
    seen: int

    @property
    def held(self) -> int:
        """Number of records in memory."""
        return sum(len(chunk.classes) for chunk in self.chunks)

    def all(self) -> Sequence[Chunk]:
        """The records, validation slice and rest."""
        return compact(self.chunks)

    def side(self, *, validation: bool) -> Sequence[Chunk]:
        """The records within the validation slice, or the others."""
        found = []
        for chunk, mask in zip(self.chunks, self.validation, strict=True):
            places = np.flatnonzero(mask if validation else ~mask)
            if len(places):
                found.append(chunk.taken(places))
        return compact(found)

    def sampled(self, seed: str) -> ClassRecords:
        """About 200,000 of the records, or all of them if they are no more."""
        if self.held <= SAMPLE_RECORDS:
            return self
        chunks, masks, first = [], [], 0
        for chunk, mask in zip(self.chunks, self.validation, strict=True):
            places = np.flatnonzero(_drawn(first, len(mask), seed, SAMPLE_RECORDS / self.held))
            first += len(mask)
            chunks.append(chunk.taken(places))
            masks.append(mask[places])
        return ClassRecords(chunks, masks, self.seen)


def gathered(task: TrainingTask, featurizer: Featurizer, mapper: Mapper) -> ClassRecords:
    """All training records, if they take at most about 160 MB, else about 200,000 drawn ones."""
    many = sum(
        isinstance(block, VocabularyBlock) and block.expression.type in (ValueType.TEXT, ValueType.TOKENS)
        for block in featurizer.blocks
    )
    codes = max(len(featurizer.blocks) + many * (_CODES_OF_TEXT - 1), 1)
    records = max(task.insights.records, 1)
    share = 1.0 if records * codes <= _KEPT_CODES else SAMPLE_RECORDS / records
    chunks: list[PieceChunk] = []
    masks: list[Bools] = []
    seen = 0
    collect = partial(part_records, task=task, featurizer=featurizer, share=share)
    for part in mapper(collect, task.datasource.numbered()):
        chunks.extend(part.chunks)
        masks.extend(part.validation)
        seen += part.seen
    return ClassRecords(chunks, masks, seen)


def part_records(numbered: NumberedPart, task: TrainingTask, featurizer: Featurizer, share: float) -> ClassRecords:
    """The records of one part, or a share of them; each is drawn by its place and the seed alone."""
    chunks, masks, seen = [], [], 0
    for whole, validation, first_record in _streamed(numbered, task, featurizer):
        seen += len(validation)
        if share < 1.0:
            places = np.flatnonzero(_drawn(first_record, len(validation), task.seed, share))
            whole, validation = whole.taken(places), validation[places]
        first = 0
        for chunk in split(whole, task.target.outputs):
            chunks.append(chunk)
            masks.append(validation[first : first + len(chunk.classes)])
            first += len(chunk.classes)
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
    for whole, _, _ in _streamed(numbered, task, featurizer):
        yield from split(whole, task.target.outputs)


def _streamed(
    numbered: NumberedPart, task: TrainingTask, featurizer: Featurizer
) -> Iterator[tuple[PieceChunk, Bools, int]]:
    """Training records of each batch, which of them are for validation, and the number of the batch's first record."""
    for batch, classes, places, validation in marked_batches(numbered, task, featurizer.columns):
        pieces = centered(featurizer.pieces(batch), featurizer.centers)
        whole = PieceChunk(pieces, classes, featurizer.n_features)
        yield whole if len(places) == len(batch) else whole.taken(places), validation, batch.first_record


def _drawn(first: int, size: int, seed: str, share: float) -> Bools:
    numbers = np.arange(first, first + size, dtype=np.uint64)
    return mixed(numbers ^ seed_hash(_SEED + seed)) < np.uint64(int(share * 2**64))
