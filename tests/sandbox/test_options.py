"""The texts of UNLOAD and COPY: every option, and what Redshift refuses about them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightcast.sandbox.copy_options import parse_copy
from nightcast.sandbox.errors import RedshiftError
from nightcast.sandbox.options import Words, read_character, read_s3_location
from nightcast.sandbox.unload_options import MEGABYTE, UnloadOptions, parse_unload

ROLE = "arn:aws:iam::123456789012:role/redshift"


def unload(options: str) -> UnloadOptions:
    return parse_unload(f"unload ('select 1') to 's3://bucket/pre' iam_role '{ROLE}' {options}")


def refused(parse, text: str) -> str:
    with pytest.raises(RedshiftError) as caught:
        parse(text)
    return str(caught.value)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("", {"format": "TEXT", "delimiter": "|", "parallel": True, "null_as": "", "suffix": "", "encryption": {}}),
        ("CSV", {"format": "CSV", "delimiter": ","}),
        ("format csv delimiter as ';'", {"format": "CSV", "delimiter": ";"}),
        ("FORMAT AS PARQUET", {"format": "PARQUET", "suffix": ".parquet"}),
        ("delimiter '\\t'", {"delimiter": "\t"}),
        ("delimiter as '\\037'", {"delimiter": "\x1f"}),
        ("header", {"header": True}),
        ("manifest", {"manifest": True, "verbose": False}),
        ("manifest verbose header", {"manifest": True, "verbose": True, "header": True}),
        ("gzip", {"compression": "GZIP", "suffix": ".gz"}),
        ("bzip2", {"suffix": ".bz2"}),
        ("zstd", {"suffix": ".zst"}),
        ("gzip extension 'txt.gz'", {"suffix": ".txt.gz"}),
        ("parallel", {"parallel": True}),
        ("parallel on", {"parallel": True}),
        ("parallel true", {"parallel": True}),
        ("parallel off", {"parallel": False}),
        ("parallel FALSE gzip", {"parallel": False, "compression": "GZIP"}),
        ("null as '\\\\N'", {"null_as": "\\N"}),
        ("null 'NULL'", {"null_as": "NULL"}),
        ("addquotes escape", {"add_quotes": True, "escape": True}),
        ("allowoverwrite", {"allow_overwrite": True}),
        ("cleanpath", {"clean_path": True}),
        ("maxfilesize 5", {"max_file_bytes": 5 * MEGABYTE}),
        ("maxfilesize as 6.2 gb", {"max_file_bytes": int(6.2 * 1024 * MEGABYTE)}),
        ("maxfilesize 100 mb", {"max_file_bytes": 100 * MEGABYTE}),
        ("parquet rowgroupsize 64 MB", {"row_group_bytes": 64 * MEGABYTE}),
        ("region 'eu-west-1'", {"region": "eu-west-1"}),
        ("region as 'eu-west-1'", {"region": "eu-west-1"}),
        ("encrypted auto", {"encrypted_auto": True, "encryption": {}}),
        ("kms_key_id '1234-ab' encrypted",
         {"encryption": {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "1234-ab"}}),
    ],
)  # fmt: skip
def test_unload_options(options, expected):
    parsed = unload(options)
    assert {name: getattr(parsed, name) for name in expected} == expected
    assert (parsed.query, parsed.bucket, parsed.prefix, parsed.role) == ("select 1", "bucket", "pre", ROLE)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("nonsense", 'syntax error at or near "nonsense"'),
        ("format", "syntax error at end of input"),
        ("format as gzip", 'near "gzip"'),
        ("delimiter", "syntax error at end of input"),
        ("delimiter ','  ','", "syntax error"),
        ("delimiter '||'", "single ASCII character"),
        ("delimiter 'é'", "single ASCII character"),
        ("header header", "conflicting or redundant options: HEADER"),
        ("csv parquet", "conflicting or redundant options: FORMAT"),
        ("gzip zstd", "conflicting or redundant options: COMPRESSION"),
        ("iam_role default", "conflicting or redundant options: IAM_ROLE"),
        ("cleanpath allowoverwrite", "CLEANPATH and ALLOWOVERWRITE"),
        ("csv escape", "ESCAPE is not supported for UNLOAD to CSV"),
        ("csv addquotes", "ADDQUOTES is not supported for UNLOAD to CSV"),
        ("parquet delimiter ','", "DELIMITER is not supported for UNLOAD to PARQUET"),
        ("parquet gzip", "GZIP is not supported for UNLOAD to PARQUET"),
        ("parquet zstd", "ZSTD is not supported for UNLOAD to PARQUET"),
        ("parquet header", "HEADER is not supported for UNLOAD to PARQUET"),
        ("parquet null as 'x'", "NULL AS is not supported for UNLOAD to PARQUET"),
        ("parquet escape", "ESCAPE is not supported for UNLOAD to PARQUET"),
        ("parquet addquotes", "ADDQUOTES is not supported for UNLOAD to PARQUET"),
        ("csv rowgroupsize 32", "ROWGROUPSIZE is only supported"),
        ("maxfilesize 4 mb", "between 5 MB and 6.2 GB"),
        ("maxfilesize 6.3 gb", "between 5 MB and 6.2 GB"),
        ("maxfilesize big", "syntax error"),
        ("parquet rowgroupsize 16", "between 32 MB and 128 MB"),
        ("encrypted", "ENCRYPTED needs KMS_KEY_ID"),
        ("kms_key_id 'x'", "KMS_KEY_ID needs ENCRYPTED"),
        ("kms_key_id 'x' encrypted auto", "KMS_KEY_ID needs ENCRYPTED, without AUTO"),
        ("json", "UNLOAD JSON is not supported"),
        ("fixedwidth 'a:3'", "UNLOAD FIXEDWIDTH is not supported"),
        ("partition by (a)", "UNLOAD PARTITION BY is not supported"),
        ("master_symmetric_key 'x'", "UNLOAD MASTER_SYMMETRIC_KEY is not supported"),
        ("credentials 'aws_iam_role=x'", "use IAM_ROLE"),
        ("with credentials as 'x'", "use IAM_ROLE"),
        ("access_key_id 'A' secret_access_key 'B'", "use IAM_ROLE"),
    ],
)
def test_unload_refusals(options, message):
    assert message in refused(unload, options)


@pytest.mark.parametrize(
    ("role", "kept"),
    [
        ("default", "default"),
        (f"'{ROLE}'", ROLE),
        (f"'{ROLE},arn:aws:iam::210987654321:role/path/other'", f"{ROLE},arn:aws:iam::210987654321:role/path/other"),
        ("'arn:aws-cn:iam::123456789012:role/redshift'", "arn:aws-cn:iam::123456789012:role/redshift"),
    ],
)
def test_roles(role, kept):
    assert parse_unload(f"unload ('select 1') to 's3://bucket/' iam_role {role}").role == kept
    assert parse_copy(f"copy t from 's3://bucket/' iam_role {role}").role == kept


@pytest.mark.parametrize(
    "role",
    [
        "'redshift'",
        "'arn:aws:iam::12345:role/x'",
        "'arn:aws:iam::123456789012:user/x'",
        f"'{ROLE}, {ROLE}'",
        "''",
        "'default'",
    ],
)
def test_malformed_roles(role):
    assert "IAM" in refused(parse_unload, f"unload ('select 1') to 's3://bucket/' iam_role {role}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("unload 'select 1' to 's3://b/x' iam_role default", "syntax error"),
        ("unload ('select 1') to 's3://bucket/x'", "Missing credentials"),
        ("unload ('select 1') to '/tmp/x' iam_role default", "not of the form s3://"),
        ("unload ('select 1') to 's3://bucket' iam_role default", "not of the form s3://"),
        ("unload ('select 1') 's3://bucket/x' iam_role default", "syntax error"),
        ("unload ('select 1') to 's3://bucket/x", "unterminated"),
        ("unload (select 1) to 's3://bucket/x' iam_role default", 'syntax error at or near "select"'),
    ],
)
def test_malformed_unloads(text, message):
    assert message in refused(parse_unload, text)


@pytest.mark.parametrize(
    ("quoted", "query"),
    [
        ("'select ''a'', nullif(b, '''')'", "select 'a', nullif(b, '')"),
        (r"'select \'a\''", "select 'a'"),
        (r"'select \'a\\\\b\''", r"select 'a\\b'"),
        ("$$select 'it''s' || \"b\"$$", "select 'it''s' || \"b\""),
        (r"$$select 'a\\b'$$", r"select 'a\\b'"),
        ("'select 1 -- note\n, 2'", "select 1 -- note\n, 2"),
    ],
)
def test_the_query_is_read_as_it_was_meant(quoted, query):
    assert parse_unload(f"unload ({quoted}) to 's3://bucket/x' iam_role default").query == query


@given(st.text(st.characters(codec="utf-8", exclude_characters="\x00$\\"), min_size=1))
def test_any_query_survives_both_ways_of_quoting(text):
    for quoted in (f"$${text}$$", "'" + text.replace("'", "''") + "'"):
        assert Words(quoted).string() == text


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("", {"format": "TEXT", "delimiter": "|", "null_as": "\\N", "compression": None}),
        ("csv", {"format": "CSV", "delimiter": ","}),
        ("format as csv quote as '%'", {"quote": "%"}),
        ("csv delimiter ';' ignoreheader as 1", {"delimiter": ";", "ignore_header": 1}),
        ("parquet manifest", {"format": "PARQUET", "manifest": True}),
        ("gzip", {"compression": "gzip"}),
        ("zstd", {"compression": "zstd"}),
        ("bzip2", {"compression": "bz2"}),
        ("null as 'NN' emptyasnull blanksasnull", {"null_as": "NN", "empty_as_null": True, "blanks_as_null": True}),
        ("escape removequotes", {"escape": True, "remove_quotes": True}),
        ("dateformat 'auto' timeformat as 'epochsecs'", {"date_format": "auto", "time_format": "epochsecs"}),
        ("region 'eu-west-1' compupdate off statupdate on comprows 1000 encoding utf8", {"region": "eu-west-1"}),
        ("truncatecolumns roundec ignoreblanklines acceptanydate explicit_ids",
         {"truncate_columns": True, "round_decimals": True, "ignore_blank_lines": True,
          "accept_any_date": True, "explicit_ids": True}),
    ],
)  # fmt: skip
def test_copy_options(options, expected):
    parsed = parse_copy(f"copy made.t (a, \"B\") from 's3://bucket/pre' iam_role default {options};")
    assert {name: getattr(parsed, name) for name in expected} == expected
    assert (parsed.schema, parsed.table, parsed.columns, parsed.bucket, parsed.prefix) == (
        "made",
        "t",
        ["a", "b"],
        "bucket",
        "pre",
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("nonsense", 'near "nonsense"'),
        ("json 'auto'", "COPY JSON is not supported"),
        ("maxerror 5", "COPY MAXERROR is not supported"),
        ("fixedwidth 'a:1'", "COPY FIXEDWIDTH is not supported"),
        ("encoding utf16", "ENCODING utf16 is not supported"),
        ("csv escape", "ESCAPE is not supported for COPY from CSV"),
        ("csv removequotes", "REMOVEQUOTES is not supported for COPY from CSV"),
        ("quote '%'", "QUOTE is only supported"),
        ("parquet delimiter ','", "DELIMITER argument is not supported for PARQUET"),
        ("parquet ignoreheader 1", "IGNOREHEADER argument is not supported for PARQUET"),
        ("parquet gzip", "COMPRESSION argument is not supported for PARQUET"),
        ("fillrecord", "COPY FILLRECORD is not supported"),
        ("csv csv", "conflicting or redundant options: FORMAT"),
        ("credentials 'aws_access_key_id=A;aws_secret_access_key=B'", "use IAM_ROLE"),
    ],
)
def test_copy_refusals(options, message):
    assert message in refused(parse_copy, f"copy t from 's3://bucket/pre' iam_role default {options}")


def test_copy_reads_s3_only():
    assert "COPY from 'emr://x' is not supported" in refused(parse_copy, "copy t from 'emr://x' iam_role default")
    assert "syntax error" in refused(parse_copy, "copy t (a from 's3://bucket/x' iam_role default")
    assert "Missing credentials" in refused(parse_copy, "copy t from 's3://bucket/x'")


def test_characters_and_locations():
    assert read_character("\\t", "DELIMITER") == "\t"
    assert read_s3_location("s3://my.bucket-1/a b/ü_") == ("my.bucket-1", "a b/ü_")
    for wrong in ("s3://b/", "s3://Bucket/x", "http://bucket/x", "s3:/bucket/x"):
        assert wrong in refused(read_s3_location, wrong)
