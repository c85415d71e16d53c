"""Names of groups of records, such as their day or the series that they belong to, read from attributes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightcast.datasource.arrow_arrays import Array, Bools, Hashes, Ints, coded
from nightcast.datasource.hashing import string_hashes
from nightcast.datasource.parts import Batch
from nightcast.datasource.schema import AttributeType, Schema
from nightcast.errors import EvaluationError
from nightcast.recipe.tokens import joined

_GROUP = "key"
_SEPARATOR = "\x1f"
NO_DATE = ""


@dataclass(frozen=True)
class TextKey:
    """What records of one group have in common.

    Parameters
    ----------
    attributes
        BINARY, CATEGORICAL or TEXT attributes, or the row id; their values together are the key.
    pattern
        Of a single attribute: the key is what the group ``key`` of this regular expression (of RE2) finds in it.

    Raises
    ------
    EvaluationError
        If there is no attribute, or the pattern has no such group.

    Examples
    --------
    The series and the day in row ids such as ``4337-20080606``:

    >>> series = TextKey(("recordid",), r"^(?P<key>[0-9]+)-")
    >>> day = TextKey(("recordid",), r"-(?P<key>[0-9]{8})$")
    """

    attributes: tuple[str, ...]
    pattern: str | None = None

    def __post_init__(self) -> None:
        if not self.attributes:
            raise EvaluationError("a key of records names no attribute: name at least one.")
        if self.pattern is None:
            return
        try:
            groups = list(re.compile(self.pattern).groupindex)
        except re.error as fault:
            raise EvaluationError(f"the pattern {self.pattern!r} of a key is no regular expression: {fault}") from None
        if groups != [_GROUP] or len(self.attributes) > 1:
            raise EvaluationError(
                f"the pattern {self.pattern!r} of the key {', '.join(self.attributes)} must have the one named group "
                "(?P<key>...), and belongs to one attribute."
            )

    def fault(self, schema: Schema) -> str | None:
        """Why records of a schema have no such key; None if they have."""
        for name in self.attributes:
            if name not in schema.names:
                return f"the records have no attribute {name!r}"
            if schema.type_of(name) is AttributeType.NUMERIC and name != schema.row_id:
                return f"{name!r} is NUMERIC, and keys are texts"
        return None

    def texts(self, batch: Batch) -> Array:
        """Keys of a batch: a string array, null where a record has none."""
        columns = [_text(batch.columns[name]) for name in self.attributes]
        if self.pattern is None:
            return joined(columns, _SEPARATOR) if len(columns) > 1 else columns[0]
        try:
            found: Any = pc.extract_regex(columns[0], pattern=self.pattern)
        except pa.ArrowInvalid as fault:
            raise EvaluationError(f"the pattern {self.pattern!r} of a key can not be read by RE2: {fault}") from None
        group: Array = pc.struct_field(found, [0])
        # The field of a null struct may hold an empty text.
        return pc.if_else(pc.is_valid(found), group, None)

    def hashes(self, batch: Batch) -> tuple[Hashes, Bools]:
        """64-bit hashes of the keys, and which records have one."""
        codes, distinct = coded(self.texts(batch))
        found = np.append(string_hashes(distinct), np.uint64(0))
        return found[codes], codes < len(distinct)

    def days(self, batch: Batch) -> tuple[list[str], Ints]:
        """ISO days, and which of them each record has; what is no date is ``""``."""
        codes, distinct = coded(self.texts(batch))
        return [*map(iso_day, distinct.to_pylist()), NO_DATE], codes


def iso_day(text: str) -> str:
    """The day of an ISO date or timestamp; ``""`` where there is none.

    Examples
    --------
    >>> iso_day("2008-12-31 10:00"), iso_day("20081231"), iso_day("soon")
    ('2008-12-31', '2008-12-31', '')
    """
    try:
        return date.fromisoformat(text[:10]).isoformat()
    except ValueError:
        return NO_DATE


def monday(day: str) -> str:
    """The Monday of an ISO day's week; ``""`` stays."""
    if not day:
        return NO_DATE
    found = date.fromisoformat(day)
    return (found - timedelta(days=found.weekday())).isoformat()


def _text(array: Array) -> Array:
    plain: Array = array.dictionary_decode() if pa.types.is_dictionary(array.type) else array
    return plain if pa.types.is_string(plain.type) else pc.cast(plain, pa.string())
