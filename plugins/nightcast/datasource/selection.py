"""The records that a data rearrangement takes, batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from nightcast.datasource.arrow_arrays import Bools, Ints, bool_array
from nightcast.datasource.parts import Batch, ByteSource, NumberedPart, read_batches
from nightcast.datasource.rearrangement import Rearrangement


def selected_batches(
    numbered: NumberedPart,
    rearrangement: Rearrangement,
    columns: Sequence[str],
    source: ByteSource,
    on_rejected: Callable[[int], object] | None = None,
) -> Iterator[Batch]:
    """Stream the records of one part that are taken.

    Parameters
    ----------
    columns
        Names of the attributes that are wanted; what the rearrangement needs is read besides.
    on_rejected
        Is told, batch by batch, how many records would have been taken and are rejected.

    Yields
    ------
    Batch
        Only batches that hold a record. Their records keep their order; ``first_record`` is the number of the first
        record of the batch that was read, taken or not. A part with no record to take is not opened. Rejected records
        are left out.
    """
    for batch, _ in selected_records(numbered, rearrangement, columns, source, on_rejected):
        yield batch


def selected_records(
    numbered: NumberedPart,
    rearrangement: Rearrangement,
    columns: Sequence[str],
    source: ByteSource,
    on_rejected: Callable[[int], object] | None = None,
) -> Iterator[tuple[Batch, Ints]]:
    """Stream what `selected_batches` does, each batch with the numbers of its records over all parts.

    Yields
    ------
    batch, numbers
        int64 of shape (len(batch),), ascending.
    """
    if rearrangement.leaves_out(numbered):
        return
    read = tuple(dict.fromkeys([*columns, *rearrangement.columns(numbered.schema)]))
    for batch in read_batches(numbered, source, read):
        taken = rearrangement.mask(batch, numbered.total, numbered.schema.row_id)
        if batch.rejected is not None:
            if on_rejected is not None:
                on_rejected(int((taken & batch.rejected).sum()))
            taken &= ~batch.rejected
        if taken.any():
            yield batch if taken.all() else filtered(batch, taken), batch.first_record + np.flatnonzero(taken)


def filtered(batch: Batch, taken: Bools) -> Batch:
    """The records of a batch for which ``taken`` is true."""
    places = np.flatnonzero(taken)
    begin, end = int(places[0]) if len(places) else 0, int(places[-1]) + 1 if len(places) else 0
    if end - begin == len(places):
        columns = {name: array.slice(begin, len(places)) for name, array in batch.columns.items()}
    else:
        mask = bool_array(taken)
        columns = {name: array.filter(mask) for name, array in batch.columns.items()}
    invalid = {name: mask[taken] for name, mask in batch.invalid.items()}
    return Batch(batch.first_record, columns, {name: mask for name, mask in invalid.items() if mask.any()}, len(places))
