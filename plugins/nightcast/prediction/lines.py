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
    Floats,
    Ints,
    bool_array,
    bool_values,
    int_array,
    numbers,
    string_spans,
    valid_mask,
)
from nightcast.datasource.parts import Batch
from nightcast.datasource.schema import AttributeType, Schema
from nightcast.prediction.formatting import format_scores
from nightcast.recipe.tokens import joined, one_text, text_array

Fault: TypeAlias = tuple[Ints, str, str]
"""Places of records in a batch, ascending, the attribute at fault or nothing, and the reason."""

_SPECIAL = '[",\r\n]'
_INVALID = {AttributeType.NUMERIC: "not a finite number", AttributeType.BINARY: "not a form of true or false"}
_NOT_FINITE = "the score is not a finite 32-bit number"
_LINE_END = "the row id holds a line end"
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


def result_lines(batch: Batch, scores: Floats, schema: Schema, columns: Sequence[str], label: str | None) -> Lines:
    """Write the lines of a batch: ``[tag,][trueLabel,]score``.

    Parameters
    ----------
    batch
        Records with the columns that the model reads, the row id if the schema has one, and the label if there is one.
        Its rejected records fail for the reason that they were rejected for.
    scores
        float64 of shape (len(batch),).
    schema
        Types of the attributes, and the row id.
    columns
        Attributes that the model reads: an invalid cell in one of them fails the record.
    label
        Attribute whose values are the true labels.
    """
    written = format_scores(scores, line_end=True)
    faults = [
        (np.flatnonzero(batch.invalid[name]), name, _INVALID[schema.type_of(name)])
        for name in columns
        if name in batch.invalid
    ]
    finite = valid_mask(written)
    if finite is not None:
        faults.append((np.flatnonzero(~finite), "", _NOT_FINITE))
    fields = []
    if schema.row_id is not None:
        tags, broken = tag_texts(batch.columns[schema.row_id])
        fields.append(tags)
        if broken is not None:
            faults.append((np.flatnonzero(broken), schema.row_id, _LINE_END))
    if label is not None:
        fields.append(_filled(_labels(batch.columns[label])))
    lines: Array = joined([*fields, written], ",") if fields else written
    faults = _with_rejected(faults, batch)
    failed = np.zeros(len(batch), dtype=np.bool_)
    for places, _, _ in faults:
        failed[places] = True
    if failed.any():
        lines = pc.if_else(bool_array(failed), one_text("\n"), lines)
    return Lines(_content(lines), int(failed.sum()), _rejected(batch.first_record, faults))


def tag_texts(array: Array) -> tuple[Array, Bools | None]:
    """Values of the row id as CSV fields, and a mask of those with a line end, if there are any.

    A value with a comma or a quote is put in double quotes (RFC 4180). A line end can not be written: lines
    would no longer belong to records one by one.
    """
    text: Array = array.dictionary_decode() if pa.types.is_dictionary(array.type) else array
    if not pa.types.is_string(text.type):
        text = pc.cast(text, pa.string())
    text = _filled(text)
    special = bool_values(pc.match_substring_regex(text, pattern=_SPECIAL))
    if not special.any():
        return text, None
    doubled: Array = pc.replace_substring(text, pattern='"', replacement='""')
    quote = text_array(['"']).take(int_array(np.zeros(len(text), dtype=np.int64)))
    text = pc.if_else(bool_array(special), joined([quote, doubled, quote], ""), text)
    broken = bool_values(pc.match_substring_regex(text, pattern="[\r\n]"))
    return text, broken if broken.any() else None


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


def _labels(array: Array) -> Array:
    values, valid = numbers(array)
    return format_scores(values if valid is None else np.where(valid, values, np.nan))


def _filled(texts: Array) -> Array:
    filled: Array = pc.coalesce(texts, one_text("")) if texts.null_count else texts
    return filled


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
    reasons = text_array([f"{_field(name)},{_field(reason)}\n" for _, name, reason in faults])
    cast: Any = pc.cast
    return _content(joined([cast(int_array(records[order]), pa.string()), reasons.take(int_array(kinds[order]))], ","))


def _field(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if any(mark in text for mark in ',"\r\n') else text
