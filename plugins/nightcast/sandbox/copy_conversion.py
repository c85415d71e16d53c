"""Turning the text cells of a COPY into column values: Redshift's rules, as DuckDB expressions.

For every column there is an expression that gives the value, or NULL when the text is no value of the
column's type, and a reason to name when that happens to a cell that is not NULL.
"""

from __future__ import annotations

from dataclasses import dataclass

from nightcast.sandbox.copy_options import CopyOptions
from nightcast.sandbox.formats import input_format
from nightcast.sandbox.redshift_types import INTEGER_BASES, RedshiftType

_AUTO_DATES = (
    "%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d", "%m/%d/%Y", "%m-%d-%Y", "%m.%d.%Y", "%m/%d/%y", "%Y-%j", "%Y-%b-%d",
    "%d-%b-%Y", "%d %b %Y", "%b %d, %Y", "%b %d %Y", "%B %d, %Y", "%B %d %Y", "%d %B %Y",
)  # fmt: skip
_AUTO_TIMES = (" %H:%M:%S", "T%H:%M:%S", " %H:%M:%S.%f", "T%H:%M:%S.%f", " %H:%M", " %I:%M:%S %p", "")
_TRUE = "'t', 'true', 'y', 'yes', '1'"
_FALSE = "'f', 'false', 'n', 'no', '0'"


@dataclass(frozen=True)
class Conversion:
    """SQL of one column: ``text`` is the cell with NULL rules applied, ``value`` what is stored."""

    text: str
    value: str
    code: int
    reason: str
    too_long: str = "false"


def conversion(cell: str, kind: RedshiftType, options: CopyOptions) -> Conversion:
    """The conversion of the cell column ``cell`` to a column's type."""
    text = f"nullif({cell}, {literal(options.null_as)})"
    if kind.is_text:
        return _text(text, kind, options)
    text = f"nullif(trim({text}), '')"
    if kind.base in INTEGER_BASES:
        value = f"CASE WHEN regexp_full_match({text}, '[+-]?[0-9]+') THEN TRY_CAST({text} AS {kind.duckdb}) END"
        return Conversion(text, value, 1207, "Invalid digit or out of range")
    if kind.base == "numeric":
        return Conversion(text, _numeric(text, kind, options), 1207, "Invalid digit or numeric overflow")
    if kind.base == "boolean":
        value = f"CASE WHEN lower({text}) IN ({_TRUE}) THEN true WHEN lower({text}) IN ({_FALSE}) THEN false END"
        return Conversion(text, value, 1210, "Unknown boolean format")
    if kind.base == "date":
        reason = f"Invalid Date Format - length must be 10 or more, expected {options.date_format}"
        return Conversion(text, _date(text, options), 1205, reason)
    if kind.base.startswith("timestamp"):
        return Conversion(
            text, _timestamp(text, kind, options), 1206, f"Invalid timestamp format or value [{options.time_format}]"
        )
    return Conversion(text, f"TRY_CAST({text} AS {kind.duckdb})", 1207, "Invalid digit or out of range")


def _text(text: str, kind: RedshiftType, options: CopyOptions) -> Conversion:
    if options.empty_as_null:
        text = f"nullif({text}, '')"
    if options.blanks_as_null:
        text = f"CASE WHEN trim({text}) = '' THEN NULL ELSE {text} END"
    if options.truncate_columns:
        # Cut by characters: never more bytes than the column takes, never half a character.
        add = f"lambda a, c: CASE WHEN strlen(a) + strlen(c) <= {kind.length} THEN a || c ELSE a END"
        cut = f"list_reduce(list_prepend('', string_split({text}, '')), {add})"
        return Conversion(text, f"CASE WHEN strlen({text}) <= {kind.length} THEN {text} ELSE {cut} END", 1204, "")
    return Conversion(text, text, 1204, "String length exceeds DDL length", f"strlen({text}) > {kind.length}")


def _numeric(text: str, kind: RedshiftType, options: CopyOptions) -> str:
    """COPY cuts digits beyond the scale, where INSERT rounds; ROUNDEC rounds here too."""
    shown = text
    if not options.round_decimals:
        pattern = literal(rf"^([+-]?[0-9]*)(\.[0-9]{{0,{kind.scale}}})?[0-9]*$")
        cut = f"regexp_replace({text}, {pattern}, '\\1\\2')"
        shown = f"CASE WHEN regexp_full_match({text}, '[+-]?[0-9]*\\.[0-9]+') THEN {cut} ELSE {text} END"
    return f"TRY_CAST({shown} AS {kind.duckdb})"


def _date(text: str, options: CopyOptions) -> str:
    if options.date_format.lower() == "auto":
        formats = _formats(tuple(d + t for d in _AUTO_DATES for t in ("", *_AUTO_TIMES[:3])))
        return f"CAST(try_strptime({text}, {formats}) AS DATE)"
    if options.date_format == "YYYY-MM-DD":
        # A time behind the date is ignored.
        return f"CASE WHEN {_is_iso(text)} THEN TRY_CAST(regexp_extract({text}, '^[0-9-]+') AS DATE) END"
    return f"CAST(try_strptime({text}, {literal(input_format(options.date_format))}) AS DATE)"


def _timestamp(text: str, kind: RedshiftType, options: CopyOptions) -> str:
    wanted = options.time_format.lower()
    if wanted in ("epochsecs", "epochmillisecs"):
        factor = 1_000_000 if wanted == "epochsecs" else 1_000
        return f"make_timestamp(CAST(TRY_CAST({text} AS DOUBLE) * {factor} AS BIGINT))"
    if kind.base == "timestamp with time zone":
        return f"TRY_CAST({text} AS TIMESTAMPTZ)"
    if wanted == "auto":
        formats = _formats(tuple(d + t for d in _AUTO_DATES for t in _AUTO_TIMES))
        return f"coalesce(try_strptime({text}, {formats}), TRY_CAST({text} AS TIMESTAMP))"
    if options.time_format == "YYYY-MM-DD HH:MI:SS":
        return f"CASE WHEN {_is_iso(text)} THEN TRY_CAST({text} AS TIMESTAMP) END"
    return f"try_strptime({text}, {literal(input_format(options.time_format))})"


def _is_iso(text: str) -> str:
    return f"regexp_matches({text}, '^[0-9]{{4}}-[0-9]{{1,2}}-[0-9]{{1,2}}([ T].*)?$')"


def _formats(formats: tuple[str, ...]) -> str:
    return "[" + ", ".join(literal(one) for one in dict.fromkeys(formats)) + "]"


def literal(text: str) -> str:
    """A DuckDB string literal."""
    return "'" + text.replace("'", "''") + "'"
