from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightcast.errors import UnloadError
from nightcast.warehouse.statements import UnloadFormat, UnloadOptions, quote_literal, quote_query, unload_statement

ROLE = "arn:aws:iam::123456789012:role/NightcastRedshift"
TO = "s3://bucket/run/training_"


def test_parquet_statement_in_full():
    statement = unload_statement("select 'a''b' as x from sales;", TO, ROLE, UnloadOptions())
    assert statement == (
        "UNLOAD ($$\nselect 'a''b' as x from sales\n$$)\n"
        "TO 's3://bucket/run/training_'\n"
        "IAM_ROLE 'arn:aws:iam::123456789012:role/NightcastRedshift'\n"
        "FORMAT AS PARQUET\nPARALLEL OFF\nMAXFILESIZE 256 MB\nMANIFEST VERBOSE"
    )


def test_csv_statement_with_everything():
    options = UnloadOptions(
        format=UnloadFormat.CSV,
        parallel=True,
        header=True,
        max_file_size_mb=5,
        region="eu-west-1",
        kms_key_id="1234abcd",
    )
    statement = unload_statement("select 1", TO, "default", options)
    assert statement.splitlines()[3:] == [
        "TO 's3://bucket/run/training_'",
        "IAM_ROLE default",
        "FORMAT AS CSV",
        "GZIP",
        "HEADER",
        r"NULL AS '\\N'",
        "PARALLEL ON",
        "MAXFILESIZE 5 MB",
        "MANIFEST VERBOSE",
        "REGION 'eu-west-1'",
        "KMS_KEY_ID '1234abcd' ENCRYPTED",
    ]


# Queries that other tools broke by un-escaping or doubling quotes.
@pytest.mark.parametrize(
    "query",
    [
        "select nullif(a,'') , nullif(b,'') from t",
        "select 'it''s' as x",
        "select '\\\\' as backslash",
        'select "odd ""name""" from t',
        "select 1 -- it's a comment",
        "select '--no comment' as x /* 'neither; this */",
        "select $1 from t",
        "with a as (select ';' as semi) select * from a",
        "(select 1) union all (select 2)",
    ],
)
def test_queries_stand_in_the_statement_as_they_are(query):
    assert f"UNLOAD ($$\n{query}\n$$)\nTO" in unload_statement(query, TO, "default", UnloadOptions())


def test_a_query_with_dollar_quotes_is_quoted_the_other_way():
    statement = unload_statement("select $$it's$$ as x", TO, "default", UnloadOptions())
    assert statement.startswith("UNLOAD ('\nselect $$it''s$$ as x\n')\n")


@given(st.text())
def test_quoted_queries_can_be_read_back(query):
    quoted = quote_query(query)
    if quoted.startswith("$$"):
        assert quoted[2:-2] == f"\n{query}\n"
        assert "$$" not in quoted[2:-2]
    else:
        assert quoted[1:-1].replace("''", "'").replace("\\\\", "\\") == f"\n{query}\n"


@pytest.mark.parametrize(
    ("query", "wrapped"),
    [
        ("select * from t order by a limit 10", True),
        ("select * from t order by a\nLIMIT 10 -- ten", True),
        ("select * from (select * from t limit 10) as x", False),
        ("select 'limit' as \"limit\" from t -- limit", False),
    ],
)
def test_an_outer_limit_goes_into_a_sub_select(query, wrapped):
    statement = unload_statement(query, TO, "default", UnloadOptions())
    assert (f"select * from (\n{query}\n) as limited" in statement) is wrapped
    assert query in statement


@pytest.mark.parametrize(
    ("query", "destination", "role", "message"),
    [
        ("", TO, ROLE, "is empty"),
        ("-- nothing", TO, ROLE, "is empty"),
        (";", TO, ROLE, "begins with"),
        ("select 1; select 2", TO, ROLE, "several statements"),
        ("delete from sales", TO, ROLE, "begins with 'delete'"),
        ("select 1", "bucket/run", ROLE, "s3://bucket/prefix"),
        ("select 1", "s3://bucket/it is", ROLE, "s3://bucket/prefix"),
        ("select 1", "s3://bucket/run/_hidden", ROLE, "Spectrum"),
        ("select 1", TO, "AKIAIOSFODNN7EXAMPLE", "no role"),
        ("select 1", TO, ROLE + ",x", "no role"),
        ("select '" + "x" * 100_000 + "'", TO, ROLE, "100,000"),
    ],
)
def test_what_can_not_be_written_is_refused(query, destination, role, message):
    with pytest.raises(UnloadError, match=message):
        unload_statement(query, destination, role, UnloadOptions())


@pytest.mark.parametrize("size", [4, 6201])
def test_file_sizes_that_redshift_refuses(size):
    with pytest.raises(UnloadError, match="5 to 6200"):
        UnloadOptions(max_file_size_mb=size)


def test_roles_may_be_chained():
    chain = f"{ROLE}, arn:aws:iam::210987654321:role/path/Other"
    assert f"IAM_ROLE '{chain.replace(', ', ',')}'" in unload_statement("select 1", TO, chain, UnloadOptions())


def test_literals_double_what_redshift_unescapes():
    assert quote_literal("a'b\\") == "'a''b\\\\'"
