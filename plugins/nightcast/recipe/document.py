"""The JSON around a recipe, read so that every character of it can be pointed at."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from nightcast.errors import RecipeError

MAX_RECIPE_CHARACTERS = 131_071
SECTIONS = ("groups", "assignments", "outputs")

_BLANK = re.compile(r"[ \t\r\n]*")
_ESCAPE = re.compile(r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|.)", re.DOTALL)


@dataclass(frozen=True)
class Quote:
    """A string of the JSON: its value, and where each character of the value stands in the whole text."""

    value: str
    offsets: Sequence[int] = field(repr=False)


@dataclass(frozen=True)
class Document:
    """The three sections of a recipe, as they stand in the text."""

    text: str
    groups: list[tuple[Quote, Quote]]
    assignments: list[tuple[Quote, Quote]]
    outputs: list[Quote]


def recipe_error(text: str, offset: int, message: str) -> RecipeError:
    """An error that names line and column (both from 1), and shows the line with a mark under the place."""
    begin = text.rfind("\n", 0, offset) + 1
    end = text.find("\n", offset)
    line = text[begin : len(text) if end < 0 else end]
    number, column = text.count("\n", 0, offset) + 1, offset - begin
    shown = line[max(0, column - 60) : column + 40].replace("\t", " ")
    mark = " " * min(column, 60) + "^"
    return RecipeError(f"recipe, line {number}, column {column + 1}: {message}\n  {shown}\n  {mark}")


def read_document(text: str) -> Document:
    """Read the JSON of a recipe.

    Raises
    ------
    RecipeError
        If the text is too long, is not valid JSON, has other keys than ``groups``, ``assignments`` and
        ``outputs`` in this order, has a key twice, or has no outputs.
    """
    if len(text) > MAX_RECIPE_CHARACTERS:
        raise RecipeError(
            f"the recipe has {len(text):,} characters, {MAX_RECIPE_CHARACTERS:,} are allowed: use groups to shorten it."
        )
    return _Reader(text).document()


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def document(self) -> Document:
        groups: list[tuple[Quote, Quote]] = []
        assignments: list[tuple[Quote, Quote]] = []
        outputs: list[Quote] = []
        seen: list[str] = []

        def section() -> None:
            key = self.quote()
            self._check_section(key, seen)
            self.expect(":")
            if key.value == "outputs":
                self.sequence("[", "]", lambda: outputs.append(self.quote()))
            else:
                self.definitions(groups if key.value == "groups" else assignments)

        self.sequence("{", "}", section)
        self.blank()
        if self.at < len(self.text):
            raise self.fault("must be valid JSON: text follows the closing brace")
        if not outputs:
            raise RecipeError('the recipe has no outputs: list in "outputs" what is to be learnt from.')
        return Document(self.text, groups, assignments, outputs)

    def _check_section(self, key: Quote, seen: list[str]) -> None:
        if key.value not in SECTIONS:
            message = f"{key.value!r} is not a key of a recipe; use {', '.join(SECTIONS)}"
        elif key.value in seen:
            message = f"the key {key.value!r} stands here a second time; keep one"
        elif seen and SECTIONS.index(key.value) < SECTIONS.index(seen[-1]):
            message = f"{key.value!r} must stand before {seen[-1]!r}: the order is {', '.join(SECTIONS)}"
        else:
            seen.append(key.value)
            return
        raise recipe_error(self.text, key.offsets[0], message)

    def definitions(self, found: list[tuple[Quote, Quote]]) -> None:
        def definition() -> None:
            name = self.quote()
            if any(name.value == other.value for other, _ in found):
                raise recipe_error(self.text, name.offsets[0], f"{name.value!r} is defined twice; keep one")
            self.expect(":")
            found.append((name, self.quote()))

        self.sequence("{", "}", definition)

    def sequence(self, opening: str, closing: str, item: Callable[[], None]) -> None:
        """Items with commas between them; none after the last."""
        self.expect(opening)
        if self.next_is(closing):
            self.at += 1
            return
        while True:
            item()
            if self.next_is(closing):
                self.at += 1
                return
            self.expect(",", f"',' or '{closing}'")

    def quote(self) -> Quote:
        if not self.next_is('"'):
            raise self.fault("must be valid JSON: a string in double quotes is expected here")
        begin = self.at
        try:
            value, self.at = json.JSONDecoder().raw_decode(self.text, begin)
        except json.JSONDecodeError as fault:
            raise recipe_error(self.text, min(fault.pos, len(self.text)), f"must be valid JSON: {fault.msg}") from None
        return Quote(value, _offsets(self.text, begin + 1, self.at - 1))

    def expect(self, mark: str, expected: str = "") -> None:
        if not self.next_is(mark):
            raise self.fault(f"must be valid JSON: {expected or repr(mark)} is expected here")
        self.at += 1

    def next_is(self, mark: str) -> bool:
        self.blank()
        return self.text.startswith(mark, self.at)

    def blank(self) -> None:
        self.at = _BLANK.match(self.text, self.at).end()  # type: ignore[union-attr]

    def fault(self, message: str) -> RecipeError:
        return recipe_error(self.text, self.at, message)


def _offsets(text: str, begin: int, end: int) -> Sequence[int]:
    """Place in ``text`` of each character of the string that is written in ``[begin, end)``, and of its end."""
    if "\\" not in text[begin:end]:
        return range(begin, end + 1)
    offsets = []
    at = begin
    while at < end:
        offsets.append(at)
        escape = _ESCAPE.match(text, at, end)
        at = escape.end() if escape else at + 1
    return [*offsets, end]
