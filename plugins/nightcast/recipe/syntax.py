"""From the text of one expression to a tree of names, numbers and calls, each with its place."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from nightcast.errors import RecipeError
from nightcast.recipe.document import Quote, recipe_error

_MAX_DEPTH = 50
_WORD = re.compile(r"[^,'\"\t\r\n()\\]+")
_BLANK = re.compile(r"[ \t\r\n]*")
_QUOTED = re.compile(r"""(['"])((?:\\.|(?!\1)[^\\])*)\1""", re.DOTALL)
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_INTEGER = re.compile(r"[+-]?[0-9]+")
# Whole numbers up to here are the same as float64 and as text.
_LARGEST_WHOLE = 10**15


@dataclass(frozen=True)
class Name:
    """A reference to an attribute, a group or an assignment."""

    name: str
    place: int


@dataclass(frozen=True)
class Number:
    """A number: the parameter of a function.

    Parameters
    ----------
    value
        An int if it has no fraction and is below 10**15.
    whole
        Whether it is written as a whole number.
    """

    value: int | float
    place: int
    whole: bool = True


@dataclass(frozen=True)
class CallNode:
    """A function's name and what stands in its parentheses."""

    function: str
    arguments: tuple[Node, ...]
    place: int


Node = Name | Number | CallNode


def parse_expression_text(text: str, quote: Quote, comment: bool = False) -> Node:
    """Read one expression.

    Parameters
    ----------
    text
        The whole recipe, which errors show a line of.
    quote
        The JSON string that holds the expression. Places in the tree are offsets in ``text``.
    comment
        Whether ``// text`` may follow, as it may in outputs.

    Raises
    ------
    RecipeError
        At the place where the text is no expression.
    """
    return _Parser(text, quote).whole(comment)


def parse_name(text: str, quote: Quote) -> str:
    """Read the name of a group or an assignment: 1 to 64 characters, a letter first, or anything in quotes."""
    node = _Parser(text, quote).whole(comment=False)
    if not isinstance(node, Name):
        raise recipe_error(text, quote.offsets[0], "a name is expected here, not an expression")
    return node.name


class _Parser:
    def __init__(self, text: str, quote: Quote) -> None:
        self.text = text
        self.quote = quote
        self.source = quote.value
        self.at = 0

    def whole(self, comment: bool) -> Node:
        node = self.expression(0)
        self.blank()
        if self.source.startswith("//", self.at):
            if not comment:
                raise self.fault("a comment may stand in outputs only")
            return node
        if self.at < len(self.source):
            raise self.fault("the expression should end here; put names that hold special characters in quotes")
        return node

    def expression(self, depth: int) -> Node:
        if depth > _MAX_DEPTH:
            raise self.fault(f"calls are nested more than {_MAX_DEPTH} deep; use assignments")
        self.blank()
        place, begin = self.place(), self.at
        if self.source[self.at : self.at + 1] in ("'", '"'):
            return Name(self.quoted_name(), place)
        word = self.word()
        if self.source.startswith("(", self.at):
            return CallNode(word, self.arguments(depth), place)
        if _NUMBER.fullmatch(word):
            return self.number(word, begin)
        if not word[:1].isalpha():
            raise self.fault(f"{word!r} does not start with a letter; put the name in single quotes", begin)
        return Name(word, place)

    def number(self, word: str, begin: int) -> Number:
        value = float(word)
        if not math.isfinite(value):
            raise self.fault(f"the number {word:.20} is too large", begin)
        exact = int(value) if value.is_integer() and abs(value) < _LARGEST_WHOLE else value
        return Number(exact, self.quote.offsets[begin], _INTEGER.fullmatch(word) is not None)

    def arguments(self, depth: int) -> tuple[Node, ...]:
        self.at += 1
        found: list[Node] = []
        while True:
            found.append(self.expression(depth + 1))
            self.blank()
            mark = self.source[self.at : self.at + 1]
            if mark not in (",", ")") or not mark:
                raise self.fault("',' or ')' is expected here")
            self.at += 1
            if mark == ")":
                return tuple(found)

    def word(self) -> str:
        """An unquoted word: up to a special character or a comment, without the blanks around it."""
        found = _WORD.match(self.source, self.at)
        word = found.group().partition("//")[0] if found else ""
        if not word.strip():
            raise self.fault("a name, a group or a function is expected here")
        self.at += len(word)
        return word.strip()

    def quoted_name(self) -> str:
        found = _QUOTED.match(self.source, self.at)
        if not found:
            raise self.fault("the quote that opens here is not closed")
        name = re.sub(r"\\([\\'\"])", r"\1", found.group(2))
        if not name:
            raise self.fault("a name has at least one character")
        self.at = found.end()
        return name

    def blank(self) -> None:
        self.at = _BLANK.match(self.source, self.at).end()  # type: ignore[union-attr]

    def place(self) -> int:
        return self.quote.offsets[self.at]

    def fault(self, message: str, at: int | None = None) -> RecipeError:
        return recipe_error(self.text, self.quote.offsets[self.at if at is None else at], message)
