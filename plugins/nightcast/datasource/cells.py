"""Cells of a column, as files hold them, made into values of an attribute's type."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightcast.datasource.arrow_arrays import (
    Array,
    Bools,
    Floats,
    bool_array,
    coded,
    fixed_values,
    float_array,
    numbers,
    string_spans,
    valid_mask,
)
from nightcast.datasource.schema import AttributeType

Cells = tuple[Array, Bools | None]
"""Values, null where missing or invalid, and the mask of the invalid cells (None when there are none)."""

_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
_NEGATIVE = "^(0|n|no|f|false)$"
_POSITIVE = "^(1|y|yes|t|true)$"


def fits(found: pa.DataType, kind: AttributeType) -> bool:
    """Whether a Parquet column of the Arrow type `found` can be read as an attribute of type `kind`."""
    types = pa.types
    if types.is_dictionary(found):
        found = found.value_type
    if types.is_null(found) or types.is_boolean(found) or types.is_integer(found) or types.is_decimal(found):
        return True
    if types.is_floating(found):
        return kind in (AttributeType.NUMERIC, AttributeType.BINARY)
    if types.is_string(found) or types.is_large_string(found):
        return kind is not AttributeType.NUMERIC
    return kind in (AttributeType.CATEGORICAL, AttributeType.TEXT) and bool(
        types.is_date(found) or types.is_timestamp(found) or types.is_time(found)
    )


def typed_cells(array: Array, kind: AttributeType) -> Cells:
    """A Parquet column, whose type `fits`, as values of `kind`."""
    if kind is AttributeType.NUMERIC:
        return finite_cells(_as_floats(array))
    if kind is AttributeType.BINARY:
        if pa.types.is_boolean(array.type):
            return array, None
        if _holds_strings(array.type):
            return binary_cells(array)
        return _zero_one_cells(_as_floats(array))
    return (_narrow_strings(array) if _holds_strings(array.type) else as_text(array)), None


def finite_cells(array: Array) -> Cells:
    """A float64 array with NaN and infinity made invalid."""
    values, valid = numbers(array)
    finite = np.isfinite(values)
    if finite.all():
        return array, None
    invalid = ~finite if valid is None else ~finite & valid
    if not invalid.any():
        return array, None
    return float_array(values, finite if valid is None else finite & valid), invalid


def numeric_cells(strings: Array) -> Cells:
    """Numbers written as text.

    Accepted are an optional sign, decimal digits with an optional point, and an optional exponent, with white space
    around; an empty or blank cell is missing. Everything else is invalid: ``nan``, ``inf``, thousands separators,
    hexadecimal digits, and numbers beyond the range of float64.
    """
    try:
        # Most columns are clean; Arrow's parser is then all that is needed. It knows NaN and infinity as well.
        return finite_cells(strings.cast(pa.float64()))
    except pa.ArrowInvalid:
        trimmed = pc.utf8_trim_whitespace(strings)
    valid = valid_mask(trimmed)
    _, offsets = string_spans(trimmed)
    filled = offsets[1:] > offsets[:-1]
    present = filled if valid is None else filled & valid
    matches, _ = numbers(pc.match_substring_regex(trimmed, _NUMBER))
    good = present & (matches > 0)
    # Arrow's parser knows no plus sign.
    unsigned = pc.replace_substring_regex(trimmed, r"^\+", "")
    text: Array = pc.if_else(bool_array(good), unsigned, pa.nulls(len(unsigned), pa.string()))
    array, beyond = finite_cells(text.cast(pa.float64()))
    invalid = present & ~good
    if beyond is not None:
        invalid |= beyond
    return array, (invalid if invalid.any() else None)


def binary_cells(strings: Array) -> Cells:
    """Amazon ML's forms of two values as text.

    ``0 n no f false`` and ``1 y yes t true``, in any case, with white space around; an empty or blank cell is missing,
    everything else invalid.
    """
    codes, distinct = coded(strings)
    forms = pc.utf8_trim_whitespace(distinct)
    negative, positive = binary_forms(distinct)
    _, offsets = string_spans(forms)
    # One row more for the code of null cells.
    known = np.append(negative | positive, False)
    blank = np.append(offsets[1:] == offsets[:-1], True)
    valid, invalid = known[codes], ~(known | blank)[codes]
    true = np.append(positive, False)[codes]
    return bool_array(true, None if valid.all() else valid), (invalid if invalid.any() else None)


def binary_forms(strings: Array) -> tuple[Bools, Bools]:
    """Which strings are Amazon ML's forms of false, and which those of true; each of shape (len(strings),)."""
    trimmed = pc.utf8_trim_whitespace(strings)
    negative, _ = numbers(pc.match_substring_regex(trimmed, _NEGATIVE, ignore_case=True))
    positive, _ = numbers(pc.match_substring_regex(trimmed, _POSITIVE, ignore_case=True))
    return negative > 0, positive > 0


def as_text(array: Array) -> Array:
    """Whole numbers, decimals, booleans, dates and times as the text that Redshift writes for them.

    Returns
    -------
    Array
        dictionary<int32, string>, or string for nulls and for whole numbers that hardly repeat: ``t``/``f``,
        ``2008-12-31``, ``2008-12-31 10:00:00[.5][+00]``, ``12.50``.
    """
    if pa.types.is_null(array.type):
        return pc.cast(array, pa.string())
    if pa.types.is_boolean(array.type):
        array = pc.cast(array, pa.uint8())
        encoded = array.dictionary_encode()
        text = pc.cast(encoded.dictionary, pa.string())
        text = pc.replace_substring_regex(pc.replace_substring_regex(text, "^0$", "f"), "^1$", "t")
    else:
        if pa.types.is_integer(array.type) and _mostly_distinct(array):
            # Ids: a dictionary would cost more than it saves.
            return pc.cast(array, pa.string())
        encoded = array.dictionary_encode()
        text = _distinct_text(encoded.dictionary)
    return pa.DictionaryArray.from_arrays(encoded.indices, text)


def _mostly_distinct(array: Array) -> bool:
    sample = array.slice(0, 4096)
    return len(sample) == 4096 and len(sample.unique()) > 2048


def _distinct_text(values: Array) -> Array:
    kind = values.type
    if pa.types.is_timestamp(kind) or pa.types.is_time(kind):
        zone = pa.types.is_timestamp(kind) and kind.tz is not None
        text = pc.cast(pc.cast(values, pa.timestamp(kind.unit)) if zone else values, pa.string())
        text = pc.replace_substring_regex(pc.replace_substring_regex(text, r"(\.[0-9]*[1-9])0+$", r"\1"), r"\.0+$", "")
        return pc.replace_substring_regex(text, "$", "+00") if zone else text
    text = pc.cast(values, pa.string())
    if pa.types.is_decimal(kind) and kind.scale > 6:
        # Arrow turns to scientific notation for decimals below 1e-6, which Redshift never writes.
        return pa.array([None if value is None else format(value, "f") for value in values.to_pylist()], pa.string())
    return text


def _holds_strings(kind: pa.DataType) -> bool:
    inner = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(inner) or pa.types.is_large_string(inner))


def _narrow_strings(array: Array) -> Array:
    """Strings with the offsets and codes of 32 bits that a batch can do with."""
    if not pa.types.is_dictionary(array.type):
        return array.cast(pa.string())
    if array.type.equals(pa.dictionary(pa.int32(), pa.string())):
        return array
    return pa.DictionaryArray.from_arrays(array.indices.cast(pa.int32()), array.dictionary.cast(pa.string()))


def _as_floats(array: Array) -> Array:
    kind = array.type
    if pa.types.is_float64(kind):
        return array
    if pa.types.is_decimal128(kind) and kind.scale >= 0:
        return _decimal_floats(array)
    return pc.cast(array, pa.float64(), safe=False)


def _decimal_floats(array: Array) -> Array:
    # Arrow multiplies by a power of ten and rounds twice: 13 % of decimal(18,2) then differ from the number that the
    # same text gives. One division of two exact numbers rounds once.
    words = _words(array)
    unscaled, high = words[:, 0], words[:, 1]
    valid = valid_mask(array)
    exact = (high == unscaled >> 63) & (unscaled < 2**53) & (unscaled > -(2**53))
    if array.type.scale > 22 or not (exact if valid is None else exact | ~valid).all():
        return _decimals_by_text(array)
    values: Floats = unscaled / np.float64(10.0**array.type.scale)
    return float_array(values, valid)


def _decimals_by_text(array: Array) -> Array:
    """Decimals of more than 53 bits, correctly rounded by way of their text."""
    return pc.cast(pc.cast(array, pa.string()), pa.float64())


def _words(array: Array) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    plain = fixed_values(array, np.dtype("V16"))
    return plain.view(np.int64).reshape(len(array), 2)


def _zero_one_cells(array: Array) -> Cells:
    values, valid = numbers(array)
    true = values == 1.0
    known = true | (values == 0.0)
    invalid = ~known if valid is None else ~known & valid
    usable = known if valid is None else known & valid
    return bool_array(true, None if usable.all() else usable), (invalid if invalid.any() else None)
