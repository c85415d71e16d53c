"""Strings that are dates, recognised by their bytes."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt

from nightcast.datasource.arrow_arrays import Array, Bools, Ints, string_spans

_EPOCH = date(1970, 1, 1).toordinal()
_DAY = len("2008-12-31")
_MINUTE = len("2008-12-31 10:00")
_SECOND = len("2008-12-31 10:00:00")
_LONGEST = 40
_PLACES_OF_DIGITS = np.array([0, 1, 2, 3, 5, 6, 8, 9])
_MINUTE_DIGITS = np.array([11, 12, 14, 15])
_SECOND_DIGITS = np.array([17, 18])
_ZONE_LENGTHS = np.array([len("+01"), len("+0100"), len("+01:00")])
_HYPHEN, _COLON, _ZERO = ord("-"), ord(":"), ord("0")

Octets = npt.NDArray[np.uint8]


def days_of(strings: Array) -> tuple[Ints, Bools]:
    """Days of ISO dates and timestamps.

    Parameters
    ----------
    strings
        String array without nulls.

    Returns
    -------
    days
        int64 of shape (len(strings),), since 1970-01-01; 0 for what is no date.
    is_date
        bool of the same shape: ``2008-12-31``, alone or followed by a blank or ``T`` and ``10:00`` or ``10:00:00``,
        perhaps with a zone, and seconds with a fraction. The day must exist.
    """
    data, offsets = string_spans(strings)
    lengths = offsets[1:] - offsets[:-1]
    days, is_date = np.zeros(len(lengths), dtype=np.int64), np.zeros(len(lengths), dtype=np.bool_)
    timed = np.flatnonzero((lengths >= _MINUTE) & (lengths <= _LONGEST))
    last = data[offsets[timed + 1] - 1]
    # Of a text that ends with the minute this is its last digit.
    behind = data[offsets[timed] + np.minimum(lengths[timed] - 1, _MINUTE)]
    seconds = (behind == _COLON) & (lengths[timed] >= _SECOND) & (_is_digit(last) | (last == ord("Z")))
    minutes = _ends_with_minute(lengths[timed] - _MINUTE, behind, last)
    for cut, chosen in (
        (_DAY, np.flatnonzero(lengths == _DAY)),
        (_MINUTE, timed[minutes]),
        (_SECOND, timed[seconds]),
    ):
        if len(chosen) == 0:
            continue
        text = data[offsets[chosen][:, None] + np.arange(cut)]
        found, fits = _days(text)
        if cut > _DAY:
            fits &= _is_time(text)
        days[chosen[fits]], is_date[chosen[fits]] = found[fits], True
    return days, is_date


def day_number(text: str) -> int:
    """Days from 1970-01-01 to an ISO day; ValueError when it is none.

    Examples
    --------
    >>> day_number("1970-01-02"), day_number("2008-12-31")
    (1, 14244)
    """
    return date.fromisoformat(text).toordinal() - _EPOCH


def _days(text: Octets) -> tuple[Ints, Bools]:
    fits = _is_digit(text[:, _PLACES_OF_DIGITS]).all(axis=1) & (text[:, 4] == _HYPHEN) & (text[:, 7] == _HYPHEN)
    digits = np.where(fits[:, None], text.astype(np.int64) - _ZERO, 0)
    year = digits[:, 0] * 1000 + digits[:, 1] * 100 + digits[:, 2] * 10 + digits[:, 3]
    month, day = digits[:, 5] * 10 + digits[:, 6], digits[:, 8] * 10 + digits[:, 9]
    fits &= (year > 0) & (month >= 1) & (month <= 12) & (day >= 1)
    months: Any = ((year - 1970) * 12 + month - 1).astype("datetime64[M]")
    first = months.astype("datetime64[D]").astype(np.int64)
    length = (months + np.timedelta64(1, "M")).astype("datetime64[D]").astype(np.int64) - first
    return first + day - 1, fits & (day <= length)


def _ends_with_minute(lengths: Ints, behind: Octets, last: Octets) -> Bools:
    """Whether nothing but perhaps a zone, of these lengths, is behind the minute."""
    signed = ((behind == ord("+")) | (behind == _HYPHEN)) & np.isin(lengths, _ZONE_LENGTHS) & _is_digit(last)
    return np.asarray((lengths == 0) | ((lengths == 1) & (behind == ord("Z"))) | signed)


def _is_time(text: Octets) -> Bools:
    fits = _is_digit(text[:, _MINUTE_DIGITS]).all(axis=1) & (text[:, 13] == _COLON)
    fits &= (text[:, 10] == ord(" ")) | (text[:, 10] == ord("T"))
    # 24:00:00 and the 60th second of a minute exist; the day is all that counts here.
    fits &= (text[:, 11] <= ord("2")) & (text[:, 14] <= ord("5"))
    if text.shape[1] == _SECOND:
        fits &= _is_digit(text[:, _SECOND_DIGITS]).all(axis=1) & (text[:, 17] <= ord("6"))
    return np.asarray(fits)


def _is_digit(octets: Octets) -> Bools:
    return np.asarray((octets >= _ZERO) & (octets <= ord("9")))
