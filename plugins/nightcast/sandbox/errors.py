"""What a statement can fail with, in Redshift's wording."""

from __future__ import annotations

import re
from collections.abc import Callable

import duckdb

from nightcast.errors import NightcastError


class RedshiftError(NightcastError):
    """A statement that Redshift would refuse, or that failed while it ran. The text is Redshift's own."""


class UnsupportedError(RedshiftError):
    """Something that Redshift may know but this sandbox does not: refused by name, never guessed."""

    def __init__(self, what: str, advice: str = "") -> None:
        super().__init__(f"Nightcast sandbox: {what} is not supported{'; ' + advice if advice else ''}")


class CancelledError(RedshiftError):
    """The statement was cancelled by its user."""


def error_text(error: BaseException) -> str:
    """What DescribeStatement shows as ``Error``: the message with Redshift's severity in front."""
    return f"ERROR: {error}"


_TYPE_NAMES = {
    "INT8": "smallint", "INT16": "smallint", "INT32": "integer", "INT64": "bigint", "INT128": "bigint",
    "DOUBLE": "double precision", "FLOAT": "real", "BOOL": "boolean", "DATE": "date", "TIMESTAMP": "timestamp",
}  # fmt: skip


def _conversion(match: re.Match[str]) -> str:
    type_name = _TYPE_NAMES.get(match[2], match[2].lower())
    return f'invalid input syntax for type {type_name}: "{match[1]}"'


def _overflow(match: re.Match[str]) -> str:
    name = match[1]
    if name.startswith("DECIMAL"):
        return "Numeric data overflow (result precision)"
    return f"{_TYPE_NAMES.get(name, 'value')} out of range"


# DuckDB's words on the left, Redshift's on the right; the first that fits is taken.
_WORDING: tuple[tuple[str, Callable[[re.Match[str]], str]], ...] = (
    (r"Table with name (\S+) does not exist", lambda m: f'relation "{m[1]}" does not exist'),
    (r"View with name (\S+) does not exist", lambda m: f'view "{m[1]}" does not exist'),
    (r"Schema with name (\S+) does not exist", lambda m: f'schema "{m[1]}" does not exist'),
    (r'Table with name "?([^"\s!]+)"? already exists', lambda m: f'Relation "{m[1]}" already exists'),
    (r'View with name "?([^"\s!]+)"? already exists', lambda m: f'Relation "{m[1]}" already exists'),
    (r'Schema with name "?([^"\s!]+)"? already exists', lambda m: f'Schema "{m[1]}" already exists'),
    (r'No catalog \+ schema named "([^"]+)"', lambda m: f'schema "{m[1]}" does not exist'),
    (r'Referenced column "([^"]+)" not found', lambda m: f'column "{m[1]}" does not exist'),
    (r'Referenced table "([^"]+)" not found', lambda m: f'relation "{m[1]}" does not exist'),
    (r'Ambiguous reference to column name "([^"]+)"', lambda m: f'column reference "{m[1]}" is ambiguous'),
    (r'Table "(\S+)" does not have a column (?:named|with name) "(\S+)"',
     lambda m: f'column "{m[2]}" of relation "{m[1]}" does not exist'),
    (r'column "?(\S+?)"? must appear in the GROUP BY clause',
     lambda m: f'column "{m[1]}" must appear in the GROUP BY clause or be used in an aggregate function'),
    (r"Function with name (\S+) does not exist", lambda m: f"function {m[1]} does not exist"),
    (r"Could not choose a best candidate function for the function call \"([^(]+)\((.*?)\)\"",
     lambda m: f"operator or function {m[1]}({m[2].lower()}) does not exist; add explicit type casts"),
    (r"No function matches the given name and argument types '([^']+)'",
     lambda m: f"function {m[1].lower()} does not exist"),
    (r"Could not convert string '(.*)' to (\w+)", _conversion),
    (r'invalid (\w+) field format: "([^"]*)"', lambda m: f'invalid input syntax for type {m[1]}: "{m[2]}"'),
    (r'(?:date|timestamp) field value out of range: "([^"]*)"',
     lambda m: f'date/time field value out of range: "{m[1]}"'),
    (r"(?:Could not cast value|Casting value) .* to (?:type )?DECIMAL",
     lambda m: "Numeric data overflow (result precision)"),
    (r"Division by zero", lambda m: "Divide by zero"),
    (r"Overflow in \w+ of (\w+)", _overflow),
    (r"can't be cast because the value is out of range for the destination type (\w+)", _overflow),
    (r"NOT NULL constraint failed: (\w+)\.(\w+)", lambda m: f"Cannot insert a NULL value into column {m[2]}"),
    (r"CHECK constraint failed on table \"?[^\"]+\"? with expression CHECK\(\(strlen\(.*\) <= (\d+)\)\)",
     lambda m: f"Value too long for character type (Value too long for type character varying({m[1]}))"),
    (r"Conflict on (?:update|tuple deletion)|write-write conflict|Transaction conflict",
     lambda m: "1023 (Serializable isolation violation on table)"),
)  # fmt: skip


def from_duckdb(error: duckdb.Error) -> RedshiftError:
    """Say in Redshift's words what DuckDB refused.

    Parameters
    ----------
    error
        Any DuckDB error but an interrupt.

    Returns
    -------
    RedshiftError
        With Redshift's message where one is known, else DuckDB's first line.
    """
    text = str(error)
    for pattern, say in _WORDING:
        match = re.search(pattern, text)
        if match:
            return RedshiftError(say(match))
    first = text.splitlines()[0]
    return RedshiftError(re.sub(r"^[A-Z][\w ]+ Error: ", "", first))
