"""TO_CHAR, TO_DATE, TO_TIMESTAMP, TO_NUMBER, and COPY's DATEFORMAT: Redshift's format patterns in DuckDB's terms."""

from __future__ import annotations

import re

from sqlglot import exp

from nightcast.sandbox.errors import RedshiftError, UnsupportedError

FORMATTED = frozenset({"to_char", "to_date", "to_timestamp", "to_number"})

# Longest first; {} is the value. What strftime can say stands as its pattern.
_OUTPUT: tuple[tuple[str, str], ...] = (
    ("YYYY", "%Y"), ("IYYY", "%G"), ("HH24", "%H"), ("HH12", "%I"), ("MONTH", "upper(rpad(monthname({}), 9, ' '))"),
    ("Month", "rpad(monthname({}), 9, ' ')"), ("month", "lower(rpad(monthname({}), 9, ' '))"),
    ("MON", "upper(left(monthname({}), 3))"), ("Mon", "%b"), ("mon", "lower(left(monthname({}), 3))"),
    ("DAY", "upper(rpad(dayname({}), 9, ' '))"), ("Day", "rpad(dayname({}), 9, ' ')"),
    ("day", "lower(rpad(dayname({}), 9, ' '))"), ("DDD", "%j"), ("DY", "upper(left(dayname({}), 3))"), ("Dy", "%a"),
    ("dy", "lower(left(dayname({}), 3))"), ("DD", "%d"), ("YY", "%y"), ("MM", "%m"), ("MI", "%M"), ("SS", "%S"),
    ("MS", "%g"), ("US", "%f"), ("IW", "%V"), ("WW", "lpad(CAST(1 + (dayofyear({}) - 1) // 7 AS VARCHAR), 2, '0')"),
    ("HH", "%I"), ("AM", "%p"), ("PM", "%p"), ("am", "lower(strftime({}, '%p'))"), ("pm", "lower(strftime({}, '%p'))"),
    ("Q", "CAST(quarter({}) AS VARCHAR)"), ("D", "CAST(dayofweek({}) + 1 AS VARCHAR)"),
    ("W", "CAST(1 + (day({}) - 1) // 7 AS VARCHAR)"), ("Y", "right(strftime({}, '%Y'), 1)"),
)  # fmt: skip
_UNSUPPORTED = re.compile(r"CC|SSSS|TZ|OF|RM|BC|AD|J|TH|th")

_INPUT: tuple[tuple[str, str], ...] = (
    ("YYYY", "%Y"), ("HH24", "%H"), ("HH12", "%I"), ("MONTH", "%B"), ("MON", "%b"), ("DDD", "%j"), ("DD", "%d"),
    ("YY", "%y"), ("MM", "%m"), ("MI", "%M"), ("SS", "%S"), ("US", "%f"), ("MS", "%g"), ("HH", "%H"), ("AM", "%p"),
    ("PM", "%p"), ("DAY", "%A"), ("DY", "%a"),
)  # fmt: skip


def input_format(pattern: str) -> str:
    """Turn a Redshift date pattern into one of strptime's.

    Raises
    ------
    UnsupportedError
        When a letter of the pattern means nothing here.
    """
    result, rest = "", pattern
    while rest:
        for token, code in _INPUT:
            if rest.upper().startswith(token):
                result, rest = result + code, rest[len(token) :]
                break
        else:
            if rest[0].isalpha() and rest[0].upper() != "T":
                raise UnsupportedError(f"date format '{pattern}'")
            result, rest = result + rest[0].replace("%", "%%"), rest[1:]
    return result


def rewrite_formatted(node: exp.Anonymous) -> exp.Expr:
    """Rewrite a call of one of `FORMATTED` into DuckDB's functions."""
    name, arguments = node.name.lower(), node.expressions
    if name == "to_timestamp" and len(arguments) == 1:
        raise RedshiftError("function to_timestamp(unknown) does not exist")
    if len(arguments) != 2:
        raise RedshiftError(f"function {name} takes a value and a format")
    value, pattern = arguments
    if not isinstance(pattern, exp.Literal) or not pattern.is_string:
        raise UnsupportedError(f"{name.upper()} with a format that is no literal")
    if name == "to_char":
        return _number_to_char(value, pattern.name) if _is_numeric(pattern.name) else _to_char(value, pattern.name)
    if name == "to_number":
        scale = len(re.sub(r"[^90]", "", re.split(r"[.Dd]", pattern.name, maxsplit=1)[-1])) if _dot(pattern.name) else 0
        digits = exp.func("REGEXP_REPLACE", value, exp.Literal.string(r"[^0-9.+-]"), exp.Literal.string(""))
        digits.append("expressions", exp.Literal.string("g"))
        return exp.cast(digits, f"DECIMAL(38, {scale})")
    parsed = exp.Anonymous(this="STRPTIME", expressions=[value, exp.Literal.string(input_format(pattern.name))])
    return exp.cast(parsed, "DATE" if name == "to_date" else "TIMESTAMPTZ")


def _dot(pattern: str) -> bool:
    return re.search(r"[.Dd]", pattern) is not None


def _is_numeric(pattern: str) -> bool:
    return re.fullmatch(r"(?:FM)?[90.,DGSL$MIPR ]*", pattern) is not None and re.search("[90]", pattern) is not None


def _to_char(value: exp.Expr, pattern: str) -> exp.Expr:
    text = value.sql("duckdb", identify=True)
    pieces: list[str] = []
    rest = pattern
    while rest:
        if rest.startswith("FM") or _UNSUPPORTED.match(rest):
            raise UnsupportedError(f"TO_CHAR format '{pattern}'")
        quoted = re.match(r'"([^"]*)"', rest)
        if quoted:
            pieces.append(quoted[1].replace("%", "%%"))
            rest = rest[quoted.end() :]
            continue
        token = next(((t, c) for t, c in _OUTPUT if rest.startswith(t)), None) or next(
            ((t, c) for t, c in _OUTPUT if c.startswith("%") and rest.upper().startswith(t)), None
        )
        pieces.append(token[1] if token else rest[0].replace("%", "%%"))
        rest = rest[len(token[0]) if token else 1 :]
    return exp.maybe_parse(_concatenate(pieces, text), dialect="duckdb")


def _concatenate(pieces: list[str], value: str) -> str:
    parts: list[str] = []
    run = ""
    for piece in [*pieces, "upper({})"]:
        if "{}" not in piece:
            run += piece
            continue
        if run:
            quoted = run.replace("'", "''")
            parts.append(f"strftime({value}, '{quoted}')")
            run = ""
        parts.append(piece.format(value))
    return " || ".join(parts[:-1]) or "''"


def _number_to_char(value: exp.Expr, pattern: str) -> exp.Expr:
    """9 and 0 with a point and group separators; the result is blank-padded as in Redshift, unless FM."""
    fill = pattern.startswith("FM")
    body = pattern.removeprefix("FM").replace("D", ".").replace("G", ",")
    if re.search(r"[^90.,]", body):
        raise UnsupportedError(f"TO_CHAR format '{pattern}'")
    whole, _, fraction = body.partition(".")
    group = "," if "," in whole else ""
    digits = whole.replace(",", "")
    width = 0 if fill else len(whole) + 1 + (len(fraction) + 1 if "." in body else 0)
    zeros = len(digits) - digits.index("0") if "0" in digits else 0
    text = value.sql("duckdb", identify=True)
    number = f"round(CAST({text} AS DECIMAL(38, 10)), {len(fraction)})"
    shown = f"format('{{:{group}.{len(fraction)}f}}', CAST(abs({number}) AS DOUBLE))"
    if zeros and not group:
        least = zeros + (len(fraction) + 1 if fraction else 0)
        shown = f"lpad({shown}, CAST(greatest(length({shown}), {least}) AS INTEGER), '0')"
    elif not zeros and fraction:
        shown = f"regexp_replace({shown}, '^0\\.', '.')"
    signed = f"(CASE WHEN {number} < 0 THEN '-' ELSE '' END || {shown})"
    padded = f"lpad({signed}, CAST(greatest(length({signed}), {width}) AS INTEGER), ' ')"
    overflow = f"CASE WHEN abs({text}) >= {10 ** len(digits)} THEN repeat('#', {len(body) + 1}) ELSE {padded} END"
    return exp.maybe_parse(overflow, dialect="duckdb")
