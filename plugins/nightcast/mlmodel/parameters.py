"""Training parameters: read from numbers or strings, checked against one table a learner."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nightcast.errors import ModelError


@dataclass(frozen=True)
class Number:
    """A number within ``[low, high]``; a whole one if `whole`; None, or the text ``auto``, if `optional`."""

    low: float
    high: float
    whole: bool = False
    optional: bool = False

    def read(self, key: str, value: Any) -> float | int | None:
        """The checked value; strings such as ``"1.0E-06"`` are numbers, as in Amazon ML's API."""
        if self.optional and (value is None or value == "auto"):
            return None
        try:
            found = float(value) if not isinstance(value, bool) else math.nan
        except (TypeError, ValueError):
            found = math.nan
        if not (math.isfinite(found) and self.low <= found <= self.high) or (self.whole and found != int(found)):
            kind = "a whole number" if self.whole else "a number"
            low, high = (f"{end:,}" if self.whole else f"{end:g}" for end in (self.low, self.high))
            also = ", or auto" if self.optional else ""
            raise ModelError(f"{key} must be {kind} from {low} to {high}{also}, not {value!r:.80}")
        return int(found) if self.whole else found


@dataclass(frozen=True)
class Choice:
    """One of some words."""

    words: tuple[str, ...]

    def read(self, key: str, value: Any) -> str:
        """The checked word."""
        if value not in self.words:
            raise ModelError(f"{key} must be one of {', '.join(self.words)}, not {value!r:.80}")
        return str(value)


def read_parameters(
    learner: str, table: Mapping[str, Number | Choice], given: Mapping[str, Any]
) -> dict[str, float | int | str | None]:
    """The given parameters of a learner, checked.

    Parameters
    ----------
    learner
        Keys are written ``<learner>.<parameter>``.
    table
        What each parameter, without the learner's name, may be.
    given
        By full key.

    Raises
    ------
    ModelError
        For an unknown key, or a value that its row of the table does not admit.
    """
    found: dict[str, float | int | str | None] = {}
    for key, value in given.items():
        prefix, _, name = key.partition(".")
        if prefix != learner or name not in table:
            known = ", ".join(f"{learner}.{one}" for one in table)
            raise ModelError(f"the learner {learner!r} has no parameter {key!r:.80}; it has {known}")
        found[name] = table[name].read(key, value)
    return found
