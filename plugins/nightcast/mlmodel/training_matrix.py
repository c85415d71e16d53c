"""The training records as one matrix, within a budget of rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from nightcast.datasource.arrow_arrays import Floats, Hashes
from nightcast.datasource.hashing import mixed, seed_hash
from nightcast.datasource.parts import Batch, Mapper, NumberedPart
from nightcast.datasource.selection import filtered
from nightcast.mlmodel.learners import TrainingTask, fold_of
from nightcast.mlmodel.marked_batches import marked_batches, taken_at
from nightcast.mlmodel.tree_encoder import TreeEncoder

_SAMPLE_SEED = "nightcast boosting sample"
_MATRIX_BYTES = 256_000_000


@dataclass(frozen=True)
class TrainingRows:
    """Training records that have a target, or a sample of them.

    Parameters
    ----------
    matrix
        float64 of shape (n, columns), as the encoder makes it.
    targets
        float64 of shape (n,): numbers, 0 and 1, or numbers of classes.
    folds
        0 in the validation slice, see `fold_of`: uint8 of shape (n,).
    seen
        Number of training records with a target that the rows were drawn from.
    """

    matrix: Floats
    targets: Floats
    folds: np.ndarray[tuple[int], np.dtype[np.uint8]]
    seen: int

    def __len__(self) -> int:
        return len(self.targets)


def training_rows(task: TrainingTask, encoder: TreeEncoder, budget: int, mapper: Mapper) -> TrainingRows:
    """Collect the training records.

    Parameters
    ----------
    budget
        Of more records about so many are drawn; of wide ones fewer, so that the matrix stays within 256 MB. Each record
        is drawn or not by its number and the seed alone, so that parts, workers and other records do not matter.
    """
    rows = min(budget, max(_MATRIX_BYTES // (8 * len(encoder.titles)), 1))
    share = min(1.0, rows / max(task.insights.records, 1))
    collect = partial(part_rows, task=task, encoder=encoder, share=share)
    parts = list(mapper(collect, task.datasource.numbered()))
    if not parts:
        parts = [_joined([], len(encoder.titles), 0)]
    return _joined(parts, len(encoder.titles), sum(part.seen for part in parts))


def part_rows(numbered: NumberedPart, task: TrainingTask, encoder: TreeEncoder, share: float) -> TrainingRows:
    """The rows of one part; each training record has the chance `share` to be one."""
    seed, seen = task.seed, 0
    found = []
    for batch, numbers in _known_batches(numbered, task, encoder.attributes):
        seen += len(batch)
        if share < 1.0:
            drawn = _hashes(numbers, _SAMPLE_SEED + seed) < np.uint64(int(share * 2**64))
            if not drawn.any():
                continue
            batch, numbers = filtered(batch, drawn), numbers[drawn]
        targets = np.array(task.target.labels(batch).values)
        found.append(TrainingRows(encoder.encode(batch), targets, fold_of(numbers, seed), len(batch)))
    return _joined(found, len(encoder.titles), seen)


def _known_batches(
    numbered: NumberedPart, task: TrainingTask, columns: tuple[str, ...]
) -> Iterator[tuple[Batch, Hashes]]:
    """Batches of the training records with a target, and the records' numbers."""
    for batch, values, places in marked_batches(numbered, task, columns):
        if task.target.classes:
            places = places[values[places] >= 0]
        if len(places):
            yield taken_at(batch, places), (places + batch.first_record).astype(np.uint64)


def _joined(parts: list[TrainingRows], width: int, seen: int) -> TrainingRows:
    return TrainingRows(
        np.concatenate([np.zeros((0, width)), *(part.matrix for part in parts)]),
        np.concatenate([np.zeros(0), *(part.targets for part in parts)]),
        np.concatenate([np.zeros(0, dtype=np.uint8), *(part.folds for part in parts)]),
        seen,
    )


def _hashes(numbers: Hashes, seed: str) -> Hashes:
    return mixed(numbers ^ seed_hash(seed))
