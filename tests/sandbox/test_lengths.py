"""The lengths of text that a verbose manifest tells."""

from __future__ import annotations

import pytest

from nightcast.sandbox.dialect import parse
from nightcast.sandbox.lengths import text_types
from nightcast.sandbox.redshift_types import RedshiftType, parse_type

TABLES = {
    "venue": {
        "id": RedshiftType("integer"),
        "name": parse_type("character varying(100)"),
        "state": parse_type("character(2)"),
    },
    "category": {"id": RedshiftType("integer"), "name": parse_type("character varying(10)")},
}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("select * from venue", [None, "character varying(100)", "character(2)"]),
        ("select v.*, c.name from venue v join category c on c.id = v.id",
         [None, "character varying(100)", "character(2)", "character varying(10)"]),
        ("select name, state as s from venue", ["character varying(100)", "character(2)"]),
        ("select upper(state), trim(name), 'abc', 'é', name || ', ' || state from venue",
         [f"character varying({length})" for length in (2, 100, 3, 2, 104)]),
        ("select case when id = 1 then 'one' else 'other' end, coalesce(state, 'none'),"
         " decode(id, 1, 'a', 2, 'bb', 'ccc') from venue",
         ["character varying(5)", "character varying(4)", "character varying(3)"]),
        ("select max(name), first_value(state) over (order by id rows unbounded preceding) from venue group by 2",
         ["character varying(100)", "character varying(2)"]),
        ("select left(name, 5), name::varchar(20), id::varchar, cast(id as char(3)) from venue",
         ["character varying(5)", "character varying(20)", "character varying(256)", "character varying(3)"]),
        ("with t (n) as (select name from category) select n, upper(n) from t", ["character varying(10)"] * 2),
        ("select s.x from (select state || name as x from venue) s", ["character varying(102)"]),
        ("select name from venue union all select name from category", ["character varying(100)"]),
        ("select state from venue union select state from venue", ["character(2)"]),
        ("select replace(name, 'a', 'bb'), id, null from venue", [None, None, "character varying(1)"]),
        ("select name from nosuch", []),
        ("select name, state from venue union select name from category", []),
    ],
)  # fmt: skip
def test_lengths_are_followed_through_queries(query, expected):
    found = text_types(parse(query), lambda table: TABLES.get(table.name))
    assert [None if kind is None else str(kind) for kind in found] == expected


@pytest.mark.parametrize("text", ["integer", "numeric(8,2)", "character varying(65535)", "timestamp without time zone"])
def test_types_are_read_as_they_are_written(text):
    assert str(parse_type(text)) == text


@pytest.mark.parametrize("text", ["int", "numeric(8", ""])
def test_other_texts_are_no_types(text):
    with pytest.raises(ValueError, match="not a Redshift type"):
        parse_type(text)
