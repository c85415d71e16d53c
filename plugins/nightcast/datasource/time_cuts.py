"""Values that tell the time of records, and the cuts between them."""

from __future__ import annotations

from math import inf, isfinite
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from nightcast.datasource.arrow_arrays import Array, Bools, Floats, coded, numbers
from nightcast.datasource.iso_dates import day_number, days_of
from nightcast.errors import RearrangementError

Cut: TypeAlias = str | float | None
"""An ISO day, a number, or None for an open end."""
Cuts: TypeAlias = tuple[Cut, Cut]

_DAY_CHARACTERS = len("2008-12-31")


def instants(array: Array) -> Floats:
    """Places in time of the cells of a column, ascending.

    Returns
    -------
    numpy.ndarray
        float64 of shape (len(array),): the number of a NUMERIC attribute, days since 1970-01-01 of a string that is an
        ISO date or timestamp, and minus infinity for cells that are neither.
    """
    if pa.types.is_floating(array.type) or pa.types.is_boolean(array.type):
        values, valid = numbers(array)
        return values if valid is None else np.where(valid, values, -inf)
    codes, distinct = coded(array)
    days, is_date = days_of(distinct)
    return np.append(np.where(is_date, days.astype(np.float64), -inf), -inf)[codes]


def between(array: Array, cuts: Cuts) -> Bools:
    """Which cells lie in ``[begin, end)``: bool of shape (len(array),); a cell without a place is before every cut."""
    places = instants(array)
    begin, end = (_place(cut, open_end) for cut, open_end in zip(cuts, (-inf, inf), strict=True))
    return np.asarray((places >= begin) & (places < end))


def checked_cuts(value: Any, percents: tuple[int, int]) -> Cuts:
    """The cuts of a rearrangement that takes a range of `percents`.

    Raises
    ------
    RearrangementError
        Unless they are two days or two finite numbers, ascending, with None for exactly those ends that are at 0 or
        100 percent: a cut that got lost would let all records in.
    """
    pair = tuple(value) if isinstance(value, list | tuple) and len(value) == 2 else (True, True)
    if not all(cut is None or _is_number(cut) or _is_day(cut) for cut in pair):
        raise RearrangementError(f"cuts must be a list of two days, numbers or nulls, not {value!r:.80}")
    begin, end = (float(cut) if _is_number(cut) else cut for cut in pair)
    if (begin is None, end is None) != (percents[0] == 0, percents[1] == 100):
        raise RearrangementError(
            f"cuts are {value!r:.80} for {percents[0]} to {percents[1]} percent; null stands for 0 and 100 percent and "
            "nothing else: resolve the rearrangement again"
        )
    if begin is not None and end is not None:
        if isinstance(begin, str) != isinstance(end, str):
            raise RearrangementError(f"cuts must be two days or two numbers, not {value!r:.80}")
        if _place(begin, inf) > _place(end, inf):
            raise RearrangementError(f"cuts {value!r:.80} do not ascend; swap them, or take the complement")
    return begin, end


def _place(cut: Cut, open_end: float) -> float:
    if cut is None:
        return open_end
    return float(day_number(cut)) if isinstance(cut, str) else cut


def _is_number(value: Any) -> bool:
    try:
        return type(value) in (int, float) and isfinite(float(value))
    except OverflowError:
        return False


def _is_day(value: Any) -> bool:
    if not isinstance(value, str) or len(value) != _DAY_CHARACTERS or value[4] != "-" or value[7] != "-":
        # 20081231 and 2008-W53-3 are ISO days too, and would be another text when they are written again.
        return False
    try:
        day_number(value)
    except ValueError:
        return False
    return True
