"""Functions of numbers and of dates, for whole arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np

from nightcast.datasource.arrow_arrays import Bools, Floats, Ints
from nightcast.datasource.iso_dates import day_number
from nightcast.recipe.expressions import Call
from nightcast.recipe.logarithm import log_of_one_plus

Numbers = tuple[Floats, Bools | None]
"""Values, and which of them are there; None: all. Of the others, the value is undefined."""


def stepped(call: Call, values: Floats, valid: Bools | None) -> Numbers:
    """What a function gives for the values of its argument: ``log``, ``clip`` or ``impute``. All ascend with it."""
    return _FUNCTIONS[call.function](call, values, valid)


def _log(_: Call, values: Floats, valid: Bools | None) -> Numbers:
    with np.errstate(invalid="ignore"):
        inside = values > -1.0
    if valid is not None:
        inside &= valid
    found = log_of_one_plus(np.where(inside, values, 0.0))
    return found, None if inside.all() else inside


def _clip(call: Call, values: Floats, valid: Bools | None) -> Numbers:
    low, high = (float(cast(float, one)) for one in call.parameters)
    return np.clip(values, low, high), valid


def _impute(call: Call, values: Floats, valid: Bools | None) -> Numbers:
    [value] = call.parameters
    return values if valid is None else np.where(valid, values, float(value)), None


_FUNCTIONS: dict[str, Callable[[Call, Floats, Bools | None], Numbers]] = {
    "log": _log,
    "clip": _clip,
    "impute": _impute,
}


def date_part(call: Call, days: Ints) -> Ints:
    """What a function of dates gives for days since 1970-01-01; int64 of the same shape.

    Examples
    --------
    >>> from nightcast.recipe.expressions import ValueType, Variable
    >>> day = Variable("day", ValueType.TEXT)
    >>> [int(date_part(Call(name, (day,)), np.array([14244]))[0]) for name in ("year", "month", "week", "weekday")]
    [2008, 12, 1, 3]
    """
    if call.function == "days_since":
        [first] = call.parameters
        return days - day_number(str(first))
    return _CALENDAR[call.function](days)


def _year(days: Ints) -> Ints:
    dates: Any = days.astype("datetime64[D]")
    return np.asarray(dates.astype("datetime64[Y]").astype(np.int64) + 1970)


def _month(days: Ints) -> Ints:
    dates: Any = days.astype("datetime64[D]")
    return np.asarray(dates.astype("datetime64[M]").astype(np.int64) % 12 + 1)


def _weekday(days: Ints) -> Ints:
    # 1970-01-01 was a Thursday.
    return (days + 3) % 7 + 1


def _week(days: Ints) -> Ints:
    """ISO 8601: a week belongs to the year that its Thursday is in."""
    thursdays = days - _weekday(days) + 4
    dates: Any = thursdays.astype("datetime64[D]")
    new_year = dates.astype("datetime64[Y]").astype("datetime64[D]").astype(np.int64)
    return np.asarray((thursdays - new_year) // 7 + 1)


_CALENDAR: dict[str, Callable[[Ints], Ints]] = {"year": _year, "month": _month, "weekday": _weekday, "week": _week}
