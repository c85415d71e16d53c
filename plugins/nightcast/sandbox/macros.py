"""Redshift functions that DuckDB lacks or answers differently, as DuckDB macros named ``redshift_...``."""

from __future__ import annotations

_COMPARE = "CAST(sign(epoch_us(CAST(a AS {0})) - epoch_us(CAST(b AS {0}))) AS INTEGER)"
_DIGITS = "'0123456789abcdefghijklmnopqrstuvwxyz'"

# name: the overloads of a macro, as DuckDB's DDL wants them
MACROS: dict[str, str] = {
    # TRUNC of a timestamp gives its date.
    "trunc": "(x TIMESTAMP) AS CAST(x AS DATE), (x TIMESTAMPTZ) AS CAST(x AS DATE), (x DATE) AS x,"
    " (x) AS trunc(x), (x, n) AS cast_to_type(trunc(CAST(x AS DOUBLE) * 10 ^ n + 1e-9 * sign(x)) / 10 ^ n, x)",
    # The average of integers is an integer, that of NUMERIC keeps its scale: the type of the sum tells.
    "average": "(total, number) AS cast_to_type(total / number, total)",
    "getdate": "() AS date_trunc('second', current_timestamp AT TIME ZONE 'UTC')",
    "sysdate": "() AS (current_timestamp AT TIME ZONE 'UTC')",
    "dexp": "(x) AS exp(x)",
    "dlog1": "(x) AS ln(x)",
    "dlog10": "(x) AS log10(x)",
    "octet_length": "(x) AS strlen(x)",
    "replicate": "(x, n) AS repeat(x, n)",
    "quote_literal": "(x) AS '''' || replace(x, '''', '''''') || ''''",
    "func_sha1": "(x) AS sha1(x)",
    "date_cmp": "(a, b) AS " + _COMPARE.format("DATE"),
    "timestamp_cmp": "(a, b) AS " + _COMPARE.format("TIMESTAMP"),
    "date_cmp_timestamp": "(a, b) AS " + _COMPARE.format("TIMESTAMP"),
    "timestamp_cmp_date": "(a, b) AS " + _COMPARE.format("TIMESTAMP"),
    "date_part_year": "(x) AS CAST(year(x) AS INTEGER)",
    "strtol": f"(x, base) AS list_reduce(list_transform(string_split(lower(x), ''),"
    f" lambda c: CAST(strpos({_DIGITS}, c) - 1 AS BIGINT)), lambda a, c: a * base + c)",
}


def macro_statements() -> list[str]:
    """The DDL that defines all macros in DuckDB's schema ``main``."""
    return [f"CREATE OR REPLACE MACRO main.redshift_{name} {overloads}" for name, overloads in MACROS.items()]
