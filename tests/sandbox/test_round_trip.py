"""What UNLOAD writes, COPY reads back: any text, NULL and the empty string told apart."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

_numbers = itertools.count()
NULL = "<NULL>"
SPECIAL = st.sampled_from(
    [
        "",
        "NA",
        "null",
        "NULL",
        "\\N",
        "\\",
        '"',
        '""',
        "'",
        ",",
        "|",
        "\n",
        "\r\n",
        " ",
        "t",
        "0",
        "a\\",
        "é",
        "漢",
        "😀",
    ]
)
# NUL ends a record for Redshift, and a lone CR one for text files that are not quoted.
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00\r"), max_size=12)
CELL = st.none() | SPECIAL | TEXT | st.lists(SPECIAL, max_size=3).map("".join)


@pytest.mark.parametrize(
    ("unload", "copy"),
    [
        (f"csv null as '{NULL}'", f"csv null as '{NULL}'"),
        (f"csv header gzip delimiter ';' null as '{NULL}'", f"csv ignoreheader 1 gzip delimiter ';' null as '{NULL}'"),
        (f"escape null as '{NULL}'", f"escape null as '{NULL}'"),
        (f"escape addquotes delimiter '\\t' null as '{NULL}'", f"escape removequotes delimiter '\\t' null as '{NULL}'"),
        ("parquet", "parquet"),
    ],
)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(CELL, CELL), min_size=1, max_size=12))
def test_text_survives(api, s3, role, unload, copy, rows, bucket):
    prefix = f"trip{next(_numbers)}/"
    values = ", ".join(f"({n}, {_literal(a)}, {_literal(b)})" for n, (a, b) in enumerate(rows))
    api.ok(
        [
            "create schema if not exists trips",
            "drop table if exists trips.source",
            "drop table if exists trips.target",
            "create table trips.source (n int, a varchar(400), b varchar(400))",
            "create table trips.target (like trips.source)",
            f"insert into trips.source values {values}",
            f"unload ('select n, a, b from trips.source') to 's3://{bucket}/{prefix}' {role} manifest {unload}",
            f"copy trips.target from 's3://{bucket}/{prefix}manifest' {role} manifest {copy}",
        ]
    )
    assert api.rows("select a, b from trips.target order by n") == rows


def _literal(text):
    return "null" if text is None else "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def test_every_type_survives(api, bucket, role):
    columns = (
        "a smallint, b int, c bigint, d numeric(20,4), e float, f real, g boolean, h char(3), i varchar(9), j date,"
        " k timestamp"
    )
    api.ok(
        [
            "create schema if not exists trips",
            "drop table if exists trips.types",
            f"create table trips.types ({columns})",
            "insert into trips.types values (-32768, 2147483647, -9223372036854775808, 1234567890123456.7891, 0.1,"
            " 0.25, true, 'abc',"
            " 'é', '2008-02-29', '2008-12-31 23:59:59.123456'),"
            " (null, null, null, null, null, null, null, null, null, null, null)",
        ]
    )
    before = api.rows("select * from trips.types order by a")
    for number, (unload, copy) in enumerate(
        [("csv null as '@'", "csv null as '@'"), ("null as '@'", "null as '@'"), ("parquet", "parquet")]
    ):
        prefix = f"s3://{bucket}/types{number}/"
        api.ok(f"unload ('select * from trips.types') to '{prefix}' {role} manifest {unload}")
        api.ok(["delete from trips.types", f"copy trips.types from '{prefix}manifest' {role} manifest {copy}"])
        assert api.rows("select * from trips.types order by a") == before


def test_null_and_empty_text_are_one_without_null_as(api, bucket, role, table):
    api.ok([f"create table {table} (n int, a varchar(5))", f"insert into {table} values (1, null), (2, '')"])
    api.ok(f"unload ('select * from {table}') to 's3://{bucket}/plain/' {role} csv")
    api.ok([f"delete from {table}", f"copy {table} from 's3://{bucket}/plain/' {role} csv"])
    assert api.rows(f"select n, a from {table} order by n") == [(1, ""), (2, "")]
    api.ok([f"delete from {table}", f"copy {table} from 's3://{bucket}/plain/' {role} csv emptyasnull"])
    assert api.rows(f"select n, a from {table} order by n") == [(1, None), (2, None)]
