"""JSON as it is meant: no key twice, no NaN, and one kind of error for every fault."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any


def parse_object(text: str, what: str, error: Callable[[str], Exception]) -> dict[str, Any]:
    """The JSON object in `text`.

    Parameters
    ----------
    text
        The document.
    what
        How to call the document in a message, such as ``"the schema"``.
    error
        Makes the exception of a message: a class of ``nightcast.errors``.

    Raises
    ------
    Exception
        What `error` makes, for text that is no JSON, for a key that stands twice in one object, for ``NaN`` and
        ``Infinity``, and for anything but an object at the top.
    """

    def object_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise error(f"{what} has the key {twice!r} twice in one object; keep one")
        return found

    def constant(name: str) -> Any:
        raise error(f"{what} holds {name}, which JSON has not; write null")

    try:
        document = json.loads(text, object_pairs_hook=object_of, parse_constant=constant)
    except json.JSONDecodeError as fault:
        raise error(f"{what} is no JSON: {fault.msg} in line {fault.lineno}, column {fault.colno}; mend it") from None
    except (ValueError, RecursionError) as fault:
        # Numbers of thousands of digits, and brackets nested thousands deep.
        raise error(f"{what} can not be read as JSON: {fault}") from None
    if not isinstance(document, dict):
        raise error(f"{what} must be a JSON object in braces, not {type(document).__name__}")
    return document
