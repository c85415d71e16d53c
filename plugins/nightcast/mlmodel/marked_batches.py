"""The training records where they lie among others.

To leave records out of each column of a batch takes longer than to leave them out of its features, which are codes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from nightcast.datasource.arrow_arrays import Floats, Ints
from nightcast.datasource.parts import Batch, NumberedPart, read_batches
from nightcast.datasource.selection import filtered
from nightcast.mlmodel.learners import TrainingTask, fold_of


def marked_batches(
    numbered: NumberedPart, task: TrainingTask, columns: Sequence[str]
) -> Iterator[tuple[Batch, Floats, Ints]]:
    """Stream the records of one part, and say which of them train.

    Yields
    ------
    batch
        All records, with `columns` and the target.
    targets
        Values as of `Labels`, of all records.
    places
        Where the training records that have a target are; ascending.
    """
    target, rearrangement = task.target, task.rearrangement
    if rearrangement.leaves_out(numbered):
        return
    needed = rearrangement.columns(numbered.schema)
    for batch in read_batches(numbered, task.source, tuple(dict.fromkeys([*columns, target.name, *needed]))):
        labels = target.labels(batch)
        taken = rearrangement.mask(batch, numbered.total, numbered.schema.row_id) & labels.known
        if batch.rejected is not None:
            taken &= ~batch.rejected
        if taken.any():
            found = batch, labels.values, np.flatnonzero(taken)
            del batch, labels, taken
            yield found
            del found


def training_batches(
    numbered: NumberedPart, task: TrainingTask, columns: Sequence[str]
) -> Iterator[tuple[Batch, npt.NDArray[np.uint8]]]:
    """Stream the training records of one part that have a target, each with its fold.

    Yields
    ------
    batch
        Holds `columns` and the target; every record has a target that can be read.
    folds
        Of its records, 0 in the validation slice: see `nightcast.mlmodel.learners.fold_of`; shape (len(batch),).
    """
    for batch, _, places in marked_batches(numbered, task, columns):
        yield taken_at(batch, places), fold_of(batch.first_record + places, task.seed)


def taken_at(batch: Batch, places: Ints) -> Batch:
    """The records of a batch that stand at `places`, ascending."""
    if len(places) == len(batch):
        return batch
    mask = np.zeros(len(batch), dtype=np.bool_)
    mask[places] = True
    return filtered(batch, mask)
