"""What follows the argument of a function: numbers, and days."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence

from nightcast.datasource.iso_dates import day_number
from nightcast.errors import RecipeError
from nightcast.recipe.expressions import Function, Parameter, Parameters, ParameterType
from nightcast.recipe.syntax import CallNode, Name, Node, Number

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
Fault = Callable[[int, str], RecipeError]


def split_parameters(node: CallNode, function: Function, fault: Fault) -> tuple[Sequence[Node], tuple[Parameter, ...]]:
    """The arguments of a call, and its parameters.

    Parameters
    ----------
    node
        A call of the function.
    fault
        Makes the error of a place and a message.

    Raises
    ------
    RecipeError
        If parameters are missing, too many, of the wrong type, out of range, or not ascending.
    """
    wanted = function.parameters
    if wanted is None:
        return node.arguments, ()
    if wanted.type is ParameterType.WHOLE:
        return node.arguments[:-1], (_whole(node, wanted, fault),)
    given = node.arguments[1:]
    if not wanted.fewest <= len(given) <= wanted.most:
        count = str(wanted.fewest) if wanted.fewest == wanted.most else f"{wanted.fewest} to {wanted.most}"
        message = f"{node.function} takes an expression and {count} {wanted.type}(s) after it, not {len(given)}"
        raise fault(node.place, message)
    if wanted.type is ParameterType.DAY:
        return node.arguments[:1], tuple(_day(one, node.function, fault) for one in given)
    return node.arguments[:1], _numbers(given, node.function, fault)


def _whole(node: CallNode, wanted: Parameters, fault: Fault) -> int:
    last = node.arguments[-1]
    value = last.value if isinstance(last, Number) and last.whole else None
    if isinstance(value, int) and wanted.low <= value <= wanted.high:
        return value
    raise fault(
        last.place, f"the last argument of {node.function} must be a whole number from {wanted.low} to {wanted.high}"
    )


def _numbers(nodes: Sequence[Node], name: str, fault: Fault) -> tuple[int | float, ...]:
    found: list[int | float] = []
    for node in nodes:
        if not isinstance(node, Number):
            raise fault(node.place, f"a number is expected here: {name} takes one expression, then numbers")
        found.append(node.value)
    for node, (lower, upper) in zip(nodes[1:], itertools.pairwise(found), strict=True):
        if lower >= upper:
            raise fault(node.place, f"the numbers of {name} must ascend, and {upper} is not above {lower}")
    return tuple(found)


def _day(node: Node, name: str, fault: Fault) -> str:
    text = node.name if isinstance(node, Name) else ""
    try:
        if _DAY.fullmatch(text):
            day_number(text)
            return text
    except ValueError:
        pass
    raise fault(node.place, f"{name} takes a day that exists, in quotes, such as '2008-12-31'")
