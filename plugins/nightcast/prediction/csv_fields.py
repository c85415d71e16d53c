"""Texts as cells of a CSV file."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightcast.datasource.arrow_arrays import Array, Bools, bool_array, bool_values, int_array, string_spans
from nightcast.recipe.tokens import joined, one_text, text_array

_LINE_ENDS = "\r\n"
_MARKS = '",' + _LINE_ENDS


def csv_fields(array: Array) -> Array:
    """Values as CSV cells: in double quotes where they hold a comma, a quote or a line end (RFC 4180); null is empty.

    Parameters
    ----------
    array
        Of any type that can be cast to a string.
    """
    text: Array = array.dictionary_decode() if pa.types.is_dictionary(array.type) else array
    if not pa.types.is_string(text.type):
        text = pc.cast(text, pa.string())
    text = filled(text)
    special = _holding(text, _MARKS)
    if special is None:
        return text
    doubled: Array = pc.replace_substring(text, pattern='"', replacement='""')
    quote = text_array(['"']).take(int_array(np.zeros(len(text), dtype=np.int64)))
    quoted: Array = pc.if_else(bool_array(special), joined([quote, doubled, quote], ""), text)
    return quoted


def line_fields(array: Array) -> tuple[Array, Bools | None]:
    """Values as CSV cells, and a mask of those with a line end, if there are any.

    A line end can not be written, though CSV could quote it: lines would no longer belong to records one by one.
    """
    text = csv_fields(array)
    return text, _holding(text, _LINE_ENDS)


def quoted_field(text: str) -> str:
    """One text as a CSV cell.

    Examples
    --------
    >>> quoted_field("a"), quoted_field('5" pipe, long')
    ('a', '"5"" pipe, long"')
    """
    return '"' + text.replace('"', '""') + '"' if any(mark in text for mark in ',"\r\n') else text


def filled(texts: Array) -> Array:
    """Texts with an empty one in place of null."""
    found: Array = pc.coalesce(texts, one_text("")) if texts.null_count else texts
    return found


def _holding(texts: Array, marks: str) -> Bools | None:
    """Which texts hold one of the characters; None: none does."""
    data, offsets = string_spans(texts)
    content = data[offsets[0] : offsets[-1]].tobytes()
    # Hardly ever is there one: to look at all bytes at once takes a hundredth of a match of each text.
    if not any(mark in content for mark in marks.encode()):
        return None
    found = bool_values(pc.match_substring_regex(texts, pattern=f"[{marks}]"))
    return found if found.any() else None
