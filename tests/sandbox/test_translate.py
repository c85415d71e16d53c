"""Redshift's SQL, run: each expression beside what Redshift gives for it."""

from __future__ import annotations

import datetime
from decimal import Decimal

import pytest

DAY = datetime.date
TIME = datetime.datetime


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        # Arithmetic
        ("7 / 2", 3),
        ("-7 / 2", -3),
        ("7 % 3", 1),
        ("mod(7, 3)", 1),
        ("7 / 2.0", 3.5),
        ("cast(7 as numeric(8,2)) / 2", 3.5),
        ("trunc(109.3125)", Decimal(109)),
        ("trunc(109.3125, 2)", Decimal("109.3100")),
        ("trunc(-109.3125, 2)", Decimal("-109.3100")),
        ("round(2.567, 1)", Decimal("2.6")),
        ("ceil(2.1)", Decimal(3)),
        ("floor(-2.1)", Decimal(-3)),
        ("dlog10(1000)", 3.0),
        ("log(1000)", 3.0),
        ("dexp(0)", 1.0),
        ("sign(-4)", -1),
        ("power(2, 10)", 1024.0),
        ("greatest(1, null, 3)", 3),
        ("strtol('ff', 16)", 255),
        ("strtol('1010', 2)", 10),
        # NULLs and choices
        ("nvl(null, 5)", 5),
        ("nvl2(1, 'a', 'b')", "a"),
        ("nvl2(null, 'a', 'b')", "b"),
        ("decode(2, 1, 'one', 2, 'two', 'many')", "two"),
        ("decode(3, 1, 'one', 2, 'two')", None),
        ("decode(null, null, 'equal', 'other')", "equal"),
        ("nullif('', '')", None),
        ("'a' || null", None),
        ("concat('a', null)", None),
        ("concat('a', 'b')", "ab"),
        # Text
        ("len('abc')", 3),
        ("octet_length('é')", 2),
        ("left('abcdef', 2)", "ab"),
        ("right('abcdef', 2)", "ef"),
        ("substring('abcdef', 2, 3)", "bcd"),
        ("charindex('c', 'abc')", 3),
        ("position('b' in 'abc')", 2),
        ("strpos('abc', 'z')", 0),
        ("split_part('a-b-c', '-', 2)", "b"),
        ("initcap('hello world')", "Hello World"),
        ("lpad('7', 3, '0')", "007"),
        ("btrim('  a ')", "a"),
        ("replace('abcb', 'b', 'x')", "axcx"),
        ("translate('abc', 'ab', 'xy')", "xyc"),
        ("reverse('abc')", "cba"),
        ("replicate('ab', 2)", "abab"),
        ("quote_literal('it''s')", "'it''s'"),
        ("md5('a')", "0cc175b9c0f1b6a831c399e269772661"),
        ("func_sha1('a')", "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8"),
        ("regexp_substr('ab12', '[0-9]+')", "12"),
        ("regexp_replace('a1b2', '[0-9]', '#')", "a#b#"),
        ("regexp_count('a1b2', '[0-9]')", 2),
        ("'abc' ~ '^a'", True),
        ("'Abc' ilike 'a%'", True),
        (r"'a%b' like 'a\\%b'", True),
        (r"'axb' like 'a\\%b'", False),
        ("'abc' similar to 'a%'", True),
        ("'abcdef'::varchar(3)", "abc"),
        ("cast('abc' as char(2))", "ab"),
        (r"'it\'s'", "it's"),
        ("json_extract_path_text('{\"a\":{\"b\":\"c\"}}', 'a', 'b')", "c"),
        # Booleans
        ("'Y'::boolean", True),
        ("'no'::boolean", False),
        ("cast('f' as boolean)", False),
        # Dates
        ("date_part(dow, '2008-01-06'::date)", 0),
        ("date_part('month', '2008-02-06'::date)", 2),
        ("date_part('qtr', '2008-05-06'::date)", 2),
        ("extract(year from '2008-01-06'::timestamp)", 2008),
        ("extract(doy from '2008-02-01'::date)", 32),
        ("extract(epoch from '1970-01-02'::date)", 86400),
        ("date_part(week, '2008-12-31'::date)", 1),
        ("date_part_year('2008-12-31'::date)", 2008),
        ("datediff(day, '2008-01-31', '2008-02-01')", 1),
        ("datediff(month, '2008-01-31', '2008-02-01')", 1),
        ("datediff('hour', '2008-01-01 00:59:00', '2008-01-01 01:01:00')", 1),
        ("datediff(year, '2008-12-31'::date, '2009-01-01'::date)", 1),
        ("dateadd(day, -1, '2008-03-01'::date)", TIME(2008, 2, 29)),
        ("dateadd(month, 1, '2008-01-31'::date)", TIME(2008, 2, 29)),
        ("dateadd('minute', 90, '2008-01-01'::timestamp)", TIME(2008, 1, 1, 1, 30)),
        ("'2008-01-01'::date + 3", DAY(2008, 1, 4)),
        ("'2008-01-05'::date - '2008-01-01'::date", 4),
        ("'2008-01-01'::date + interval '1 month'", TIME(2008, 2, 1)),
        ("date_trunc('month', '2008-02-06'::date)", TIME(2008, 2, 1)),
        ("date_trunc('week', '2008-01-06 10:00:00'::timestamp)", TIME(2007, 12, 31)),
        ("trunc('2008-01-06 10:00:00'::timestamp)", DAY(2008, 1, 6)),
        ("trunc('2008-01-06'::date)", DAY(2008, 1, 6)),
        ("last_day('2008-02-03')", DAY(2008, 2, 29)),
        ("add_months('2008-01-31', 1)", TIME(2008, 2, 29)),
        ("months_between('2008-03-01', '2008-01-01')", 2.0),
        ("next_day('2008-01-01'::date, 'Fri')", DAY(2008, 1, 4)),
        ("date_cmp('2008-01-01', '2008-01-02')", -1),
        ("convert_timezone('UTC', 'US/Pacific', '2008-01-01 00:00:00'::timestamp)", TIME(2007, 12, 31, 16)),
        ("getdate() - getdate() = interval '0'", True),
        ("date_part(second, getdate()) between 0 and 59", True),
        ("sysdate > '2020-01-01'", True),
        ("current_date > '2020-01-01'", True),
        ("'2008-12-31'::date between '2008-01-01' and '2008-12-31'", True),
    ],
)
def test_expressions(warehouse, expression, expected):
    found = warehouse.value(f"select {expression}")
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("value", "pattern", "expected"),
    [
        ("'2008-01-02 15:04:05.678'::timestamp", "YYYY-MM-DD HH24:MI:SS", "2008-01-02 15:04:05"),
        ("'2008-01-02 15:04:05.678'::timestamp", "YY/MM/DD HH12:MI AM", "08/01/02 03:04 PM"),
        ("'2008-01-02 15:04:05.678'::timestamp", "MS US", "678 678000"),
        ("'2008-01-02'::date", "DY, DD Mon YYYY", "WED, 02 Jan 2008"),
        ("'2008-01-02'::date", "Day|MONTH|mon", "Wednesday|JANUARY  |jan"),
        ("'2008-12-31'::date", "IYYY-IW Q D DDD WW W", "2009-01 4 4 366 53 5"),
        ("'2008-01-02'::date", 'YYYY"year"', "2008year"),
        ("'2008-01-02'::date", "yyyymmdd", "20080102"),
        ("125.8", "999.99", " 125.80"),
        ("-125.8", "999D99", "-125.80"),
        ("1234567.891", "9,999,999.99", " 1,234,567.89"),
        ("5", "000", " 005"),
        ("0.5", "9.99", "  .50"),
        ("5.25", "FM00.0", "05.3"),
        ("1000", "999", "####"),
    ],
)
def test_to_char(warehouse, value, pattern, expected):
    assert warehouse.value(f"select to_char({value}, '{pattern}')") == expected


def test_texts_to_dates_and_numbers(warehouse):
    [row] = warehouse.rows(
        "select to_date('31.12.2008', 'DD.MM.YYYY'), to_number('1,234.5', '9,999.9'),"
        " to_timestamp('2008-12-31 23:59', 'YYYY-MM-DD HH24:MI') = '2008-12-31 23:59:00+00'::timestamptz"
    )
    assert row == (DAY(2008, 12, 31), Decimal("1234.5"), True)


def test_the_average_keeps_the_type_as_redshift_does(warehouse):
    warehouse.run("create temp table averages (i int, b bigint, n numeric(8,2), d float)")
    warehouse.run("insert into averages values (1, 1, 1.25, 1), (2, 2, 2.5, 2), (null, null, null, null)")
    assert warehouse.rows("select avg(i), avg(b), avg(n), avg(d), avg(distinct i), sum(i), sum(n) from averages") == [
        (1, 1, Decimal("1.88"), 1.5, 1, 3, Decimal("3.75"))
    ]
    assert warehouse.types("select avg(i) a, avg(n) n, avg(d) d, sum(i) s from averages") == {
        "a": "bigint", "n": "numeric(38,2)", "d": "double precision", "s": "bigint",
    }  # fmt: skip
    windows = warehouse.rows(
        "select avg(i) over (order by i rows between unbounded preceding and current row), avg(n) over () from averages"
        " where i is not null order by i"
    )
    assert windows == [(1, Decimal("1.88")), (1, Decimal("1.88"))]
    assert warehouse.value("select avg(i::float) from averages") == 1.5


def test_nulls_are_the_largest(warehouse):
    values = "(select 1 as a union all select null union all select 2)"
    assert warehouse.rows(f"select a from {values} order by a") == [(1,), (2,), (None,)]
    assert warehouse.rows(f"select a from {values} order by a desc") == [(None,), (2,), (1,)]
    assert warehouse.rows(f"select a, row_number() over (order by a desc) n from {values} order by n")[0] == (None, 1)


def test_aggregates_and_windows(warehouse):
    warehouse.run("create temp table sold as select 'a' as k, 1 as n union all select 'a', 3 union all select 'b', 5")
    assert warehouse.rows(
        "select k, listagg(n, ',') within group (order by n desc), median(n), count(*), approximate count(distinct n)"
        " from sold group by k order by k"
    ) == [("a", "3,1", 2.0, 2, 2), ("b", "5", 5.0, 1, 1)]
    assert warehouse.value("select listagg(distinct k, '|') within group (order by k desc) from sold") == "b|a"
    assert warehouse.value("select percentile_cont(0.5) within group (order by n) from sold") == 3.0
    assert warehouse.rows(
        "select n, sum(n) over (partition by k order by n rows between 1 preceding and current row),"
        " lag(n) over (order by n), ratio_to_report(n) over (), first_value(k ignore nulls) over"
        " (order by n rows between unbounded preceding and unbounded following) from sold order by n"
    ) == [(1, 1, None, 1 / 9, "a"), (3, 4, 1, 3 / 9, "a"), (5, 5, 3, 5 / 9, "a")]
    latest = "qualify row_number() over (partition by k order by n desc) = 1"
    assert warehouse.rows(f"select k, n from sold {latest} order by k") == [
        ("a", 3), ("b", 5),
    ]  # fmt: skip
    assert warehouse.rows("select top 1 n from sold order by n desc") == [(5,)]
    assert warehouse.rows("with t(x) as (select n from sold) select max(x) from t") == [(5,)]
    assert warehouse.rows("select k from sold minus select 'a'") == [("b",)]


def test_a_calendar_is_joined_as_sales_queries_do(warehouse):
    warehouse.run("create temp table calendar (caldate date, holiday boolean default('N'))")
    warehouse.run("insert into calendar values ('2008-01-01', 'Y'), ('2008-01-02', 'N'), ('2008-01-03', default)")
    warehouse.run(
        "create temp table sales_of_day as"
        " select '2008-01-02 13:00:00'::timestamp as saletime, 12.50::numeric(8,2) paid"
    )
    assert warehouse.rows(
        "select c.caldate, c.holiday, coalesce(sum(s.paid), 0) as total from calendar c"
        " left join sales_of_day s on trunc(s.saletime) = c.caldate where c.caldate < '2008-01-03'"
        " group by 1, 2 order by 1"
    ) == [(DAY(2008, 1, 1), True, Decimal("0.00")), (DAY(2008, 1, 2), False, Decimal("12.50"))]


def test_unnamed_columns_are_called_as_in_redshift(warehouse):
    names = list(
        warehouse.types("select count(*), 1+1, 'a', max(1)::int, case when true then 1 end, row_number() over ()")
    )
    assert names == ["count", "?column?", "max", "case", "row_number"]
    assert list(warehouse.types("select datediff(day, current_date, current_date), TRUNC(1.5) AS Total")) == [
        "date_diff",
        "total",
    ]


def test_changes_tell_their_records(warehouse):
    warehouse.run("create temp table changed (a int, b varchar(5))")
    assert warehouse.run("insert into changed values (1, 'x'), (2, 'y')").rows == 2
    assert warehouse.run("update changed set b = s.b from (select 1 as a, 'z' as b) s where s.a = changed.a").rows == 1
    assert warehouse.run("delete changed where a = 2").rows == 1
    merged = "merge into changed using (select 1 as a, 'q' as b union all select 9, 'n') s on changed.a = s.a"
    assert (
        warehouse.run(
            f"{merged} when matched then update set b = s.b when not matched then insert values (s.a, s.b)"
        ).rows
        == 2
    )
    assert warehouse.rows("select * from changed order by a") == [(1, "q"), (9, "n")]


def test_the_same_query_gives_the_same_bytes_again(warehouse):
    warehouse.run("create temp table many as select 'x' as k union all select 'y'")
    for _ in range(12):
        warehouse.run("insert into many select k || len(k) from many")
    query = "select k, count(*), sum(0.1::float * len(k)) from many group by k"
    assert warehouse.rows(query) == warehouse.rows(query)
