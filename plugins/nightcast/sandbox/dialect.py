"""Redshift's SQL as sqlglot reads it, held to the functions that Redshift has and this sandbox can run.

DuckDB knows hundreds of functions that Redshift lacks. A statement that runs here must not fail on the
real Redshift, so functions are allowed by name and all others are refused.
"""

from __future__ import annotations

import itertools
import logging
import re
from functools import lru_cache
from typing import Any, ClassVar

import sqlglot
from sqlglot import exp
from sqlglot.dialects.redshift import Redshift
from sqlglot.errors import ParseError, TokenError
from sqlglot.tokenizer_core import Token, TokenType

from nightcast.sandbox.errors import RedshiftError

logging.getLogger("sqlglot").setLevel(logging.ERROR)

# Functions whose translation to DuckDB is sqlglot's own.
TRANSLATED = frozenset(
    """
    SUM AVG COUNT MIN MAX MEDIAN STDDEV STDDEV_SAMP STDDEV_POP VARIANCE VAR_SAMP VAR_POP ANY_VALUE
    BOOL_OR BOOL_AND BIT_AND BIT_OR APPROX_DISTINCT PERCENTILE_CONT PERCENTILE_DISC
    ROW_NUMBER RANK DENSE_RANK NTILE LAG LEAD FIRST_VALUE LAST_VALUE NTH_VALUE PERCENT_RANK CUME_DIST
    ABS CEIL CEILING FLOOR ROUND MOD POWER POW SQRT CBRT EXP LN LOG SIGN DEGREES RADIANS
    SIN COS TAN ASIN ACOS ATAN ATAN2 COT PI RANDOM RAND GREATEST LEAST
    NVL NVL2 COALESCE NULLIF DECODE
    LEN LENGTH CHAR_LENGTH CHARACTER_LENGTH TEXTLEN UPPER LOWER INITCAP TRIM BTRIM LTRIM RTRIM LPAD RPAD
    LEFT RIGHT SUBSTRING SUBSTR REPLACE TRANSLATE SPLIT_PART POSITION STRPOS CHARINDEX CONCAT REVERSE REPEAT
    CHR ASCII MD5 SHA1 SHA SHA2 REGEXP_SUBSTR REGEXP_COUNT REGEXP_REPLACE REGEXP_INSTR
    JSON_EXTRACT_PATH_TEXT
    DATE_TRUNC DATE_PART DATEDIFF DATE_DIFF DATEADD DATE_ADD ADD_MONTHS MONTHS_BETWEEN LAST_DAY NEXT_DAY
    CONVERT_TIMEZONE DATE EXTRACT CAST CONVERT EXISTS
    """.split()  # noqa: SIM905 - a list of words reads better as words
)

# Redshift has these, the sandbox does not: refused by name rather than as unknown.
KNOWN_TO_REDSHIFT = frozenset(
    """
    fnv_hash crc32 checksum soundex difference json_parse json_serialize json_array_length object is_valid_json
    json_extract_array_element_text can_json_parse pg_last_copy_count pg_last_copy_id pg_last_query_id
    pg_last_unload_count pg_backend_pid timeofday to_hex hll hll_cardinality width_bucket sha2 timezone
    interval_cmp timestamptz_cmp bttext_pattern_cmp quote_ident has_table_privilege generate_series
    array get_array_length subarray split_to_array try_cast collate parse_json bit_length
    """.split()  # noqa: SIM905 - a list of words reads better as words
)


class SandboxRedshift(Redshift):
    """Redshift's dialect with every function outside the allowed ones left unresolved, to be refused."""

    class Tokenizer(Redshift.Tokenizer):
        # sqlglot swallows the rest of a statement that begins with one of its commands; UNLOAD is read word by word.
        COMMANDS: ClassVar[set[TokenType]] = set()

    class Parser(Redshift.Parser):  # type: ignore[misc, valid-type]
        FUNCTIONS = {  # noqa: RUF012 - sqlglot's own form
            name: build for name, build in Redshift.Parser.FUNCTIONS.items() if name in TRANSLATED
        }
        FUNCTION_PARSERS = {  # noqa: RUF012
            name: parse for name, parse in Redshift.Parser.FUNCTION_PARSERS.items() if name in TRANSLATED
        }


_tokenizer = SandboxRedshift()


def tokenize(sql: str) -> list[Token]:
    """Cut a statement into tokens, comments left out.

    Raises
    ------
    RedshiftError
        When a quotation or comment is not closed.
    """
    try:
        return _tokenizer.tokenize(sql)
    except TokenError as error:
        raise RedshiftError(f"unterminated quoted string or comment in: {sql.strip()[:60]}") from error


def parse(sql: str) -> exp.Expr:
    """Parse one Redshift statement.

    Raises
    ------
    RedshiftError
        ``syntax error at or near ...`` with the position in the text.
    """
    return _parse(sql).copy()


# One statement is looked at several times; a large one takes a megabyte.
@lru_cache(maxsize=16)
def _parse(sql: str) -> exp.Expr:
    try:
        found = sqlglot.parse(sql, dialect=SandboxRedshift)
        # A comment behind the last semicolon comes as a tree of its own.
        trees = [tree for tree in found if tree is not None and not isinstance(tree, exp.Semicolon)]
    except (ParseError, TokenError) as error:
        raise _syntax_error(sql, error) from error
    except ValueError as error:
        raise RedshiftError(f"syntax error: {error}") from error
    if len(trees) != 1:
        raise RedshiftError("cannot insert multiple commands into a prepared statement" if trees else "empty statement")
    for insert in trees[0].find_all(exp.Insert):
        _read_merge_values(insert)
    return trees[0]


def _read_merge_values(insert: exp.Insert) -> None:
    """MERGE's INSERT without a column list: sqlglot takes VALUES for a function."""
    target = insert.this
    if not isinstance(target, exp.Tuple) or len(target.expressions) != 1:
        return
    [values] = target.expressions
    if isinstance(values, exp.Anonymous) and values.name.lower() == "values":
        insert.set("this", None)
        insert.set("expression", exp.Tuple(expressions=values.expressions))


def _syntax_error(sql: str, error: ParseError | TokenError) -> RedshiftError:
    details: list[dict[str, Any]] = getattr(error, "errors", [])
    if not details:
        return RedshiftError(f"syntax error in: {sql.strip()[:60]}")
    found = details[0]
    lines = sql.splitlines(keepends=True)
    position = sum(len(line) for line in lines[: (found["line"] or 1) - 1]) + (found["col"] or 1)
    near = found["highlight"] or "end of input"
    return RedshiftError(f'syntax error at or near "{near}" Position: {max(position - len(near) + 1, 1)}')


def count_statements(sql: str) -> int:
    """How many statements, separated by semicolons, ``sql`` holds."""
    count, open_statement = 0, False
    for token in tokenize(sql):
        if token.token_type == TokenType.SEMICOLON:
            open_statement = False
        elif not open_statement:
            count, open_statement = count + 1, True
    return count


def first_word(sql: str) -> str:
    """The upper-case word that a statement starts with; empty for an empty statement."""
    tokens = tokenize(sql)
    return tokens[0].text.upper() if tokens else ""


def bind_parameters(sql: str, values: dict[str, str]) -> tuple[str, set[str]]:
    """Put values in the place of ``:name``, as untyped literals, outside of quotes and comments.

    Returns
    -------
    tuple
        The statement, and the names that it used.

    Raises
    ------
    KeyError
        With the name of a parameter that has no value.
    """
    pieces: list[str] = []
    used: set[str] = set()
    copied = 0
    tokens = tokenize(sql)
    for colon, name in itertools.pairwise(tokens):
        adjacent = colon.token_type == TokenType.COLON and name.start == colon.end + 1
        if not adjacent or not re.fullmatch(r"\w+", sql[name.start : name.end + 1]):
            continue
        value = values[name.text]
        used.add(name.text)
        literal = value.replace("\\", "\\\\").replace("'", "''")
        pieces += [sql[copied : colon.start], f"'{literal}'"]
        copied = name.end + 1
    return "".join([*pieces, sql[copied:]]), used
