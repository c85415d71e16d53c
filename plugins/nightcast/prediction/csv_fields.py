"""Texts as cells of a CSV file."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightcast.datasource.arrow_arrays import Array, Bools, bool_array, bool_values, int_array
from nightcast.recipe.tokens import joined, one_text, text_array

_SPECIAL = '[",\r\n]'


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
    special = bool_values(pc.match_substring_regex(text, pattern=_SPECIAL))
    if not special.any():
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
    special = bool_values(pc.match_substring_regex(text, pattern="[\r\n]"))
    return text, special if special.any() else None


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
