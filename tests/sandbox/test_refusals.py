"""What Redshift refuses is refused, in its words; what the sandbox lacks is refused by name."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("select * from nosuch", 'relation "nosuch" does not exist'),
        ("select nosuch from (select 1 as a)", 'column "nosuch" does not exist'),
        ("selec 1", 'syntax error at or near "selec"'),
        ("select 1 from (select 2", "syntax error"),
        ("select 'open", "unterminated quoted string"),
        ("select 1; select 2", "cannot insert multiple commands"),
        ("select 1/0", "Divide by zero"),
        ("select 1.5 / (1 - 1)", "Divide by zero"),
        ("select 7 % 0", "Divide by zero"),
        ("select cast('abc' as int)", 'invalid input syntax for type integer: "abc"'),
        ("select '2008-13-01'::date", "date/time field value out of range"),
        ("select 2147483647 + 1::int", "integer out of range"),
        ("select 12345.6::numeric(4,2)", "Numeric data overflow"),
        ("select sum(a) over (order by a) from (select 1 as a)", "require a frame clause"),
        ("select a, count(*) from (select 1 as a, 2 as b) group by b", 'column "a" must appear in the GROUP BY'),
        ("select strftime('%Y', current_date)", "function strftime(unknown, unknown) does not exist"),
        ("select arg_max(1, 2)", "function arg_max(unknown, unknown) does not exist"),
        ("select if(true, 1, 2)", "function if"),
        ("select 'a'::hugeint", 'type "int128" does not exist'),
        ("create table t (a tinyint)", 'type "tinyint" does not exist'),
        ("create table t (a varchar(70000))", "must be between 1 and 65535"),
        ("create table t (a numeric(39,2))", "precision 39"),
        ("create table t (a int) distkey (b)", 'column "b" named in key does not exist'),
        ("set search_path to nowhere", 'schema "nowhere" does not exist'),
        ("copy nosuch from 's3://bucket/x' iam_role default", "Cannot COPY into nonexistent table nosuch"),
        ("select to_char(current_date)", "takes a value and a format"),
        ("", "empty statement"),
        ("-- nothing", "empty statement"),
    ],
)
def test_errors_in_redshifts_words(warehouse, sql, message):
    assert message in warehouse.error(sql)


@pytest.mark.parametrize(
    ("sql", "what"),
    [
        ("select count(*) filter (where true)", "FILTER"),
        ("select 1 as a group by all", "GROUP BY ALL"),
        ("select distinct on (a) a from (select 1 as a)", "DISTINCT ON"),
        ("select [1, 2]", "array"),
        ("select try_cast('a' as int)", "TRY_CAST"),
        ("select sum(a) over (order by a range between 1 preceding and current row) from (select 1 a)", "RANGE"),
        ("select count(distinct a) over () from (select 1 as a)", "DISTINCT in a window function"),
        ("select * from read_csv('/etc/passwd')", "READ_CSV"),
        ("select * from other.public.t", "a query across databases"),
        ("select fnv_hash(1)", "FNV_HASH"),
        ("create table t (a super)", "type SUPER"),
        ("create table t (a geometry)", "type GEOMETRY"),
        ("create materialized view v as select 1", "CREATE MATERIALIZED VIEW"),
        ("create function f() returns int as $$ select 1 $$ language sql", "CREATE FUNCTION"),
        ("create external table t (a int)", ""),
        ("grant select on t to u", "statement GRANT"),
        ("explain select 1", "statement EXPLAIN"),
        ("call p()", "statement CALL"),
        ("set wlm_query_slot_count to 3", "SET wlm_query_slot_count"),
        ("select to_char(current_date, 'J')", "TO_CHAR format 'J'"),
        ("alter table refused alter column a type varchar(20)", "ALTER TABLE"),
        ("alter table refused append from refused", "ALTER TABLE"),
    ],
)
def test_what_is_not_supported_is_named(warehouse, sql, what):
    warehouse.run("create temp table if not exists refused (a varchar(10))")
    message = warehouse.error(sql)
    assert "Nightcast sandbox: " in message and "is not supported" in message
    assert what in message


def test_sql_does_not_reach_files_or_variables_of_this_machine(warehouse):
    secret = [1]
    assert 'relation "secret" does not exist' in warehouse.error("select * from secret")
    assert secret
    assert "does not exist" in warehouse.error("""select * from "/etc/passwd" """)


def test_syntax_errors_tell_the_place(warehouse):
    message = warehouse.error("select a\nfrom t\nwhere ) = 1")
    assert message == 'syntax error at or near ")" Position: 23'
