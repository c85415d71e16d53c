"""What a recipe says once it is read: expressions over attributes, each with the type of its values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeGuard

# A name that holds one of these, or does not start with a letter, is written in quotes.
SPECIAL = ",'\"\t\r\n()\\"


class ValueType(StrEnum):
    """Type of an expression's values: those of attributes, and the tokens that text is broken into."""

    BINARY = "BINARY"
    CATEGORICAL = "CATEGORICAL"
    NUMERIC = "NUMERIC"
    TEXT = "TEXT"
    TOKENS = "TOKENS"


class ParameterType(StrEnum):
    """What stands behind the argument of a function."""

    WHOLE = "whole number"
    NUMBER = "number"
    DAY = "day"


Parameter = int | float | str
"""A number, or a day as ``2008-12-31``."""


@dataclass(frozen=True)
class Parameters:
    """Which parameters a function takes.

    Parameters
    ----------
    type
        What each of them is.
    fewest, most
        How many there are.
    low, high
        Range of whole numbers, both ends included.
    """

    type: ParameterType
    fewest: int = 1
    most: int = 1
    low: int = 0
    high: int = 0


@dataclass(frozen=True)
class Function:
    """A transformation.

    Parameters
    ----------
    takes, gives
        Types of its arguments and of its values.
    parameters
        What follows its one argument, if anything does.
    arguments
        Fewest and most arguments.
    extension
        Whether Amazon ML does not have it.
    of_dates
        Whether its argument is an attribute of dates.
    bins
        How many values it gives, written 1, 2, 3 ..., where that is known in advance.
    """

    takes: frozenset[ValueType]
    gives: ValueType
    parameters: Parameters | None = None
    arguments: tuple[int, int] = (1, 1)
    extension: bool = False
    of_dates: bool = False
    bins: int | None = None


_TEXT, _NUMERIC = frozenset({ValueType.TEXT}), frozenset({ValueType.NUMERIC})
_DATES = frozenset({ValueType.TEXT, ValueType.CATEGORICAL})
_WORDS = Parameters(ParameterType.WHOLE, low=2, high=10)
FUNCTIONS: dict[str, Function] = {
    "lowercase": Function(_TEXT, ValueType.TEXT),
    "no_punct": Function(_TEXT, ValueType.TEXT),
    "ngram": Function(_TEXT, ValueType.TOKENS, _WORDS),
    "osb": Function(_TEXT, ValueType.TOKENS, _WORDS),
    # The developer guide was read with 5, a book on the service with 2 as the least number of bins.
    "quantile_bin": Function(_NUMERIC, ValueType.CATEGORICAL, Parameters(ParameterType.WHOLE, low=2, high=1000)),
    "normalize": Function(_NUMERIC, ValueType.NUMERIC),
    "cartesian": Function(
        frozenset({ValueType.TEXT, ValueType.CATEGORICAL, ValueType.TOKENS}), ValueType.TOKENS, arguments=(2, 10)
    ),
    "year": Function(_DATES, ValueType.NUMERIC, extension=True, of_dates=True),
    "month": Function(_DATES, ValueType.CATEGORICAL, extension=True, of_dates=True, bins=12),
    "week": Function(_DATES, ValueType.CATEGORICAL, extension=True, of_dates=True, bins=53),
    "weekday": Function(_DATES, ValueType.CATEGORICAL, extension=True, of_dates=True, bins=7),
    "days_since": Function(_DATES, ValueType.NUMERIC, Parameters(ParameterType.DAY), extension=True, of_dates=True),
    "log": Function(_NUMERIC, ValueType.NUMERIC, extension=True),
    "clip": Function(_NUMERIC, ValueType.NUMERIC, Parameters(ParameterType.NUMBER, 2, 2), extension=True),
    "impute": Function(_NUMERIC, ValueType.NUMERIC, Parameters(ParameterType.NUMBER), extension=True),
    "bucket": Function(_NUMERIC, ValueType.CATEGORICAL, Parameters(ParameterType.NUMBER, 1, 999), extension=True),
}


@dataclass(frozen=True)
class Variable:
    """An attribute."""

    name: str
    type: ValueType

    def __str__(self) -> str:
        return quoted(self.name)

    @property
    def size(self) -> int:
        """Attributes and functions in the expression."""
        return 1

    def variables(self) -> Iterator[Variable]:
        """The attribute itself."""
        yield self


@dataclass(frozen=True)
class Call:
    """A transformation of other expressions."""

    function: str
    arguments: tuple[Expression, ...]
    parameters: tuple[Parameter, ...] = ()

    @property
    def type(self) -> ValueType:
        """Type of the values that the transformation gives."""
        return FUNCTIONS[self.function].gives

    @property
    def size(self) -> int:
        """Attributes and functions in the expression."""
        return 1 + sum(argument.size for argument in self.arguments)

    def __str__(self) -> str:
        pieces = [str(argument) for argument in self.arguments]
        pieces += [f"'{one}'" if isinstance(one, str) else repr(one) for one in self.parameters]
        return f"{self.function}({','.join(pieces)})"

    def variables(self) -> Iterator[Variable]:
        """The attributes that it reads, in the order of the text, repeated ones repeated."""
        for argument in self.arguments:
            yield from argument.variables()


Expression = Variable | Call


def calls(expression: Expression, function: str) -> Iterator[Call]:
    """Every call of a function in an expression, outer ones first."""
    if isinstance(expression, Call):
        if expression.function == function:
            yield expression
        for argument in expression.arguments:
            yield from calls(argument, function)


def unscaled(expression: Expression) -> Expression:
    """A number without the ``normalize`` around it, which changes neither its bins nor what it is normalized to."""
    while isinstance(expression, Call) and expression.function == "normalize":
        [expression] = expression.arguments
    return expression


def is_binned(expression: Expression) -> TypeGuard[Call]:
    """Whether the values of an expression are the numbers 1, 2, 3 ... of bins."""
    return isinstance(expression, Call) and expression.type is ValueType.CATEGORICAL


def is_calendar(expression: Expression) -> bool:
    """Whether it is a part of dates of which each value has an indicator: a missing one adds nothing."""
    return isinstance(expression, Call) and FUNCTIONS[expression.function].bins is not None


def quoted(name: str, always: bool = False) -> str:
    """A name as it is written in an expression: in single quotes where it needs them.

    Examples
    --------
    >>> quoted("price"), quoted("1stFlrSF"), quoted("it's")
    ('price', "'1stFlrSF'", "'it\\\\'s'")
    """
    plain = name[:1].isalpha() and not any(mark in name for mark in SPECIAL) and "//" not in name
    if plain and name == name.strip() and not always:
        return name
    return "'" + name.replace("\\", "\\\\").replace("'", "\\'") + "'"
