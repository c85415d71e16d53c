"""Lines of a result file, and the records that have none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightcast.datasource.arrow_arrays import (
    Array,
    Bools,
    Ints,
    bool_array,
    int_array,
    string_spans,
)
from nightcast.datasource.parts import Batch
from nightcast.datasource.schema import AttributeType, Schema
from nightcast.prediction.answers import Answers
from nightcast.prediction.csv_fields import line_fields, quoted_field
from nightcast.recipe.tokens import joined, one_text, text_array

Fault: TypeAlias = tuple[Ints, str, str]
"""Places of records in a batch, ascending, the attribute at fault or nothing, and the reason."""

_INVALID = {AttributeType.NUMERIC: "not a finite number", AttributeType.BINARY: "not a form of true or false"}
_NOT_FINITE = "the score is not a finite 32-bit number"
REJECTED_HEADER = b"record,attribute,reason\n"


@dataclass(frozen=True)
class Lines:
    """What a batch adds to the files.

    Parameters
    ----------
    text
        One line per record; an empty one where the record failed.
    failed
        Number of failed records, rejected ones among them.
    rejected
        Lines ``record,attribute,reason`` of the failed records, in record order; records are numbered over all parts
        from 0.
    """

    text: bytes
    failed: int
    rejected: bytes


def result_lines(batch: Batch, answers: Answers, schema: Schema, columns: Sequence[str]) -> Lines:
    """Write the lines of a batch: ``[tag,][trueLabel,]`` and the model's answer.

    Parameters
    ----------
    batch
        Records with the columns that the model reads, the row id and the target if the schema has them.
        Its rejected records fail for the reason that they were rejected for.
    answers
        Predicts, and knows the columns.
    schema
        Types of the attributes, the row id and the target.
    columns
        Attributes that the model reads: an invalid cell in one of them fails the record.
    """
    written, finite = answers.fields(answers.model.predict(batch))
    faults = [
        (np.flatnonzero(batch.invalid[name]), name, _INVALID[schema.type_of(name)])
        for name in columns
        if name in batch.invalid
    ]
    if finite is not None:
        faults.append((np.flatnonzero(~finite), "", _NOT_FINITE))
    fields = []
    if schema.row_id is not None:
        fields.append(_whole(line_fields(batch.columns[schema.row_id]), schema.row_id, "row id", faults))
    if schema.target is not None:
        fields.append(_whole(answers.labels(batch), schema.target, "target", faults))
    fields += written
    lines: Array = joined(fields, ",") if len(fields) > 1 else fields[0]
    faults = _with_rejected(faults, batch)
    failed = np.zeros(len(batch), dtype=np.bool_)
    for places, _, _ in faults:
        failed[places] = True
    if failed.any():
        lines = pc.if_else(bool_array(failed), one_text("\n"), lines)
    return Lines(_content(lines), int(failed.sum()), _rejected(batch.first_record, faults))


def _whole(cells: tuple[Array, Bools | None], name: str, what: str, faults: list[Fault]) -> Array:
    """The cells; those with a line end are added to the faults."""
    fields, broken = cells
    if broken is not None:
        faults.append((np.flatnonzero(broken), name, f"the {what} holds a line end"))
    return fields


def _with_rejected(faults: list[Fault], batch: Batch) -> list[Fault]:
    """Faults of the records that were read, and of the rejected ones, of which nothing else can be said."""
    rejected = batch.rejected
    if rejected is None:
        return faults
    reasons: dict[str, list[int]] = {}
    for reject in batch.rejects:
        reasons.setdefault(reject.reason, []).append(reject.record - batch.first_record)
    read = [(places[~rejected[places]], name, reason) for places, name, reason in faults]
    return read + [(np.array(places), "", reason) for reason, places in reasons.items()]


def _content(texts: Array) -> bytes:
    data, offsets = string_spans(texts)
    return data[offsets[0] : offsets[-1]].tobytes()


def _rejected(first_record: int, faults: Sequence[Fault]) -> bytes:
    sizes = [len(places) for places, _, _ in faults]
    if not sum(sizes):
        return b""
    kinds = np.repeat(np.arange(len(faults)), sizes)
    records: Ints = np.concatenate([places for places, _, _ in faults]) + first_record
    order = np.lexsort((kinds, records))
    reasons = text_array([f"{quoted_field(name)},{quoted_field(reason)}\n" for _, name, reason in faults])
    cast: Any = pc.cast
    return _content(joined([cast(int_array(records[order]), pa.string()), reasons.take(int_array(kinds[order]))], ","))
