"""What a recipe says once it is read: expressions over attributes, each with the type of its values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

# A name that holds one of these, or does not start with a letter, is written in quotes.
SPECIAL = ",'\"\t\r\n()\\"


class ValueType(StrEnum):
    """Type of an expression's values: those of attributes, and the tokens that text is broken into."""

    BINARY = "BINARY"
    CATEGORICAL = "CATEGORICAL"
    NUMERIC = "NUMERIC"
    TEXT = "TEXT"
    TOKENS = "TOKENS"


@dataclass(frozen=True)
class Function:
    """A transformation: what it takes, what it gives, and the range of its whole-number parameter."""

    takes: frozenset[ValueType]
    gives: ValueType
    parameter: tuple[int, int] | None = None
    arguments: tuple[int, int] = (1, 1)


_TEXT, _NUMERIC = frozenset({ValueType.TEXT}), frozenset({ValueType.NUMERIC})
FUNCTIONS: dict[str, Function] = {
    "lowercase": Function(_TEXT, ValueType.TEXT),
    "no_punct": Function(_TEXT, ValueType.TEXT),
    "ngram": Function(_TEXT, ValueType.TOKENS, (2, 10)),
    "osb": Function(_TEXT, ValueType.TOKENS, (2, 10)),
    # The developer guide was read with 5, a book on the service with 2 as the least number of bins.
    "quantile_bin": Function(_NUMERIC, ValueType.CATEGORICAL, (2, 1000)),
    "normalize": Function(_NUMERIC, ValueType.NUMERIC),
    "cartesian": Function(
        frozenset({ValueType.TEXT, ValueType.CATEGORICAL, ValueType.TOKENS}), ValueType.TOKENS, arguments=(2, 10)
    ),
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
    parameter: int | None = None

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
        if self.parameter is not None:
            pieces.append(str(self.parameter))
        return f"{self.function}({','.join(pieces)})"

    def variables(self) -> Iterator[Variable]:
        """The attributes that it reads, in the order of the text, repeated ones repeated."""
        for argument in self.arguments:
            yield from argument.variables()


Expression = Variable | Call


def bin_calls(expression: Expression) -> Iterator[Call]:
    """Every ``quantile_bin`` in an expression."""
    if isinstance(expression, Call):
        if expression.function == "quantile_bin":
            yield expression
        for argument in expression.arguments:
            yield from bin_calls(argument)


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
