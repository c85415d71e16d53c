"""COPY through the Data API: formats, options, manifests, and the errors that name file, line and column."""

from __future__ import annotations

import bz2
import gzip
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest


@pytest.fixture
def load(api, bucket, role, table):
    """Make a table, COPY into it, and give its records in order."""

    def run(columns, options, prefix="in", column_list=""):
        api.ok([f"drop table if exists {table}", f"create table {table} ({columns})"])
        loaded = api.ok(f"copy {table} {column_list} from 's3://{bucket}/{prefix}' {role} {options}")
        rows = api.rows(f"select * from {table} order by 1")
        assert loaded["ResultRows"] == len(rows)
        return rows

    return run


@pytest.fixture
def refused(api, bucket, role, table):
    def run(columns, options, prefix="in", column_list=""):
        api.ok([f"drop table if exists {table}", f"create table {table} ({columns})"])
        error = api.error(f"copy {table} {column_list} from 's3://{bucket}/{prefix}' {role} {options}")
        assert api.rows(f"select count(*) from {table}") == [(0,)], "all or nothing"
        return error

    return run


def test_pipe_text_is_the_default(load, put):
    put("in", b'1|Pinewood "Track"|0.50|t\n2|\\N|\\N|\\N\n3|||f\n')
    assert load("a int, b varchar(20), c numeric(4,2), d boolean", "") == [
        (1, 'Pinewood "Track"', "0.50", True), (2, None, None, None), (3, "", None, False),
    ]  # fmt: skip


def test_csv(load, put):
    put("in", b'a,b\n1,"say ""x"", y"\n2,"two\nlines"\n3,\n4,""\n5,NN\n')
    assert load("a int, b varchar(20)", "csv ignoreheader 1 null as 'NN'") == [
        (1, 'say "x", y'), (2, "two\nlines"), (3, ""), (4, ""), (5, None),
    ]  # fmt: skip
    put("in", b"1;%a;b%\n")
    assert load("a int, b varchar(20)", "csv quote '%' delimiter ';'") == [(1, "a;b")]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("csv", ["", "  "]),
        ("csv emptyasnull", [None, "  "]),
        ("csv null as ''", [None, "  "]),
        ("csv blanksasnull emptyasnull", [None, None]),
    ],
)
def test_empty_and_blank_text(load, put, options, expected):
    put("in", b"1,,\n2,  , \n")
    assert load("a int, b varchar(5), c int", options) == [(1, expected[0], None), (2, expected[1], None)]


def test_escape_and_removequotes(load, put):
    put("in", b"1|a\\|b\\\\c\\\nd\n2|\\N\n")
    assert load("a int, b varchar(20)", "escape") == [(1, "a|b\\c\nd"), (2, "N")]
    put("in", b'1|"a|b"\n2|plain\n')
    assert load("a int, b varchar(20)", "removequotes") == [(1, "a|b"), (2, "plain")]


@pytest.mark.parametrize(
    ("option", "compress"),
    [
        ("gzip", gzip.compress),
        ("bzip2", bz2.compress),
        ("zstd", lambda data: pa.compress(data, codec="zstd", asbytes=True)),
    ],
)
def test_compressed_files(load, put, option, compress):
    put("in/a", compress(b"1,x\n"))
    put("in/b", compress(b"2,y\n"))
    assert load("a int, b varchar(5)", f"csv {option}", "in/") == [(1, "x"), (2, "y")]


def test_a_file_that_is_not_compressed(refused, put):
    put("in", b"1,x\n")
    assert "not in GZIP format" in refused("a int, b varchar(5)", "csv gzip")


@pytest.mark.parametrize(
    ("kind", "options", "cells"),
    [
        ("boolean", "", {"t": True, "Yes": True, "1": True, "F": False, "no": False, "0": False, "": None}),
        ("int", "", {" 12 ": 12, "+3": 3, "-4": -4, "": None}),
        ("numeric(6,2)", "", {"1.239": "1.23", "-1.239": "-1.23", "5": "5.00", ".5": "0.50", "1e2": "100.00"}),
        ("numeric(6,2)", "roundec", {"1.239": "1.24"}),
        ("float", "", {"1e20": 1e20, "0.1": 0.1, "": None}),
        ("date", "", {"2008-12-31": "2008-12-31", "2008-01-02 10:00:00": "2008-01-02", "": None}),
        ("date", "dateformat 'DD.MM.YYYY'", {"31.12.2008": "2008-12-31"}),
        (
            "date",
            "dateformat 'auto'",
            {"20081231": "2008-12-31", "12/31/2008": "2008-12-31", "Dec 31 2008": "2008-12-31"},
        ),
        ("date", "dateformat 'YYYY-MM-DD' acceptanydate", {"00/00/00": None}),
        (
            "timestamp",
            "",
            {"2008-12-31 23:59:59.5": "2008-12-31 23:59:59.5", "2008-12-31": "2008-12-31 00:00:00", "": None},
        ),
        ("timestamp", "timeformat 'MM/DD/YYYY HH:MI:SS'", {"2/18/2008 02:36:48": "2008-02-18 02:36:48"}),
        (
            "timestamp",
            "timeformat 'auto'",
            {"2008-12-31T10:00:00": "2008-12-31 10:00:00", "12/31/2008 10:00": "2008-12-31 10:00:00"},
        ),
        ("timestamp", "timeformat 'epochsecs'", {"1230768000": "2009-01-01 00:00:00"}),
        ("timestamp", "timeformat 'epochmillisecs'", {"1230768000500": "2009-01-01 00:00:00.5"}),
        ("varchar(5)", "truncatecolumns", {"abcdefgh": "abcde", "äöüß": "äö", "abc": "abc"}),
    ],
)
def test_cells_become_values(load, put, kind, options, cells):
    put("in", "".join(f"{number}|{cell}\n" for number, cell in enumerate(cells)).encode())
    assert [value for _, value in load(f"n int, v {kind}", options)] == list(cells.values())


@pytest.mark.parametrize(
    ("kind", "cell", "reason"),
    [
        ("int", "x1", "Invalid digit"),
        ("int", "12.5", "Invalid digit"),
        ("smallint", "40000", "Invalid digit or out of range"),
        ("numeric(4,2)", "123.4", "numeric overflow"),
        ("boolean", "maybe", "Unknown boolean format"),
        ("date", "31.12.2008", "Invalid Date Format"),
        ("date", "2008-13-01", "Invalid Date Format"),
        ("timestamp", "yesterday", "Invalid timestamp format"),
        ("varchar(3)", "abcd", "String length exceeds DDL length"),
        ("varchar(3)", "äö", "String length exceeds DDL length"),
        ("int not null", "", "Missing data for not-null field"),
        ("varchar(3) not null", "\\N", "Missing data for not-null field"),
    ],
)
def test_a_bad_cell_is_named(refused, api, put, bucket, kind, cell, reason):
    put(
        "in/good",
        b"id|v\n1|" + (b"" if "not" not in kind else b"1") + b"\n" if kind != "int not null" else b"id|v\n1|1\n",
    )
    put(
        "in/really-bad",
        f"id|v\n1|1\n2|{cell}\n".encode()
        if kind not in ("boolean", "date", "timestamp")
        else f"id|v\n1|\n2|{cell}\n".encode(),
    )
    error = refused(f"id int, v {kind}", "ignoreheader 1", "in/")
    assert "Load into table" in error and "sys_load_error_detail" in error
    assert reason in error and f"file s3://{bucket}/in/really-bad, line 3, column v, type" in error
    table = error.split("'")[1]
    [kept] = api.rows(
        "select file_name, line_number, column_name, raw_field_value, error_message from sys_load_error_detail"
        f" where table_name = '{table}' order by query_id desc limit 1"
    )
    assert kept[:4] == (f"s3://{bucket}/in/really-bad", 3, "v", cell) and reason in kept[4]
    assert api.rows(f"select colname from stl_load_errors where err_reason = '{kept[4]}' limit 1") == [("v",)]


@pytest.mark.parametrize(
    ("line", "reason"),
    [("1|2", "Delimiter not found"), ("1|2|3|4", "Extra column(s) found"), ("", "Delimiter not found")],
)
def test_a_line_of_the_wrong_width_is_named(refused, put, line, reason):
    put("in", f"1|2|3\n{line}\n1|2|3\n".encode())
    error = refused("a int, b int, c int", "")
    assert reason in error and "line 2" in error


def test_blank_lines(load, put):
    put("in", b"1|2\n\n3|4\n")
    assert load("a int, b int", "ignoreblanklines") == [(1, 2), (3, 4)]


def test_text_that_is_not_utf8(refused, put):
    put("in", b"1|\xff\xfe\n")
    assert "UTF-8" in refused("a int, b varchar(5)", "")


def test_an_open_quotation(refused, put):
    put("in", b'1,"open\n')
    assert "Invalid quote formatting" in refused("a int, b varchar(5)", "csv")


def test_column_lists_and_identities(load, refused, put):
    put("in", b"x,1\ny,2\n")
    assert load("a int, b varchar(5), c int default 9", "csv", column_list="(b, a)") == [(1, "x", 9), (2, "y", 9)]
    put("in", b"x\ny\n")
    assert load("a int identity(1,1), b varchar(5)", "csv") == [(1, "x"), (2, "y")]
    put("in", b"7,x\n")
    assert load("a int identity(1,1), b varchar(5)", "csv explicit_ids") == [(7, "x")]
    assert 'column "zz"' in refused("a int", "csv", column_list="(zz)")
    assert "identity column" in refused("a int identity(1,1), b int", "csv", column_list="(a, b)")


def test_parquet(load, refused, put, api, table):
    data = {"x": pa.array([1, 2], pa.int32()), "y": pa.array(["a", None]), "z": pa.array([None, 2.5])}
    file = io.BytesIO()
    pq.write_table(pa.table(data), file)
    put("in/1.parquet", file.getvalue())
    assert load("a smallint, b varchar(3), c float", "format as parquet", "in/") == [(1, "a", None), (2, None, 2.5)]
    assert "Unmatched number of columns between table and file. Table columns: 2, Data columns: 3" in refused(
        "a int, b varchar(3)", "parquet", "in/"
    )
    error = refused("a int, b int, c float", "parquet", "in/")
    assert "incompatible Parquet schema for column 'b'" in error and "in/1.parquet" in error
    put("in/2.parquet", b"no parquet")
    assert "in/2.parquet is not a Parquet file" in refused("a int, b varchar(3), c float", "parquet", "in/")


def test_parquet_values_must_fit(refused, put):
    file = io.BytesIO()
    pq.write_table(pa.table({"x": pa.array([70_000], pa.int32()), "y": ["toolong"]}), file)
    put("in", file.getvalue())
    assert "out of range" in refused("a smallint, b varchar(9)", "parquet")
    assert "Value too long" in refused("a int, b varchar(3)", "parquet")


def manifest(*entries):
    return json.dumps({"entries": list(entries)}).encode()


def test_manifests_name_the_files(load, refused, put, bucket):
    put("data/1", b"1\n")
    put("data/2", b"2\n")
    put("data/3", b"3\n")
    put("in", manifest({"url": f"s3://{bucket}/data/1"}, {"url": f"s3://{bucket}/data/3", "mandatory": True}))
    assert load("a int", "manifest") == [(1,), (3,)]
    put("in", manifest({"url": f"s3://{bucket}/data/1"}, {"url": f"s3://{bucket}/gone"}))
    assert load("a int", "manifest") == [(1,)], "what is not mandatory is skipped"
    put("in", manifest({"url": f"s3://{bucket}/data/1"}, {"url": f"s3://{bucket}/gone", "mandatory": True}))
    error = refused("a int", "manifest")
    assert f"s3://{bucket}/gone" in error and "NoSuchKey" in error
    put("in", manifest({"url": f"s3://{bucket}/gone"}))
    assert "No valid file found" in refused("a int", "manifest")
    put("in", b"{")
    assert "Problem reading manifest file - invalid manifest" in refused("a int", "manifest")
    put("in", b'{"entries": [{}]}')
    assert "Problem reading manifest file" in refused("a int", "manifest")
    assert "Problem reading manifest file - S3ServiceException:The specified key does not exist" in refused(
        "a int", "manifest", "none"
    )


def test_parquet_manifests_need_lengths(refused, put, bucket):
    file = io.BytesIO()
    pq.write_table(pa.table({"x": [1]}), file)
    put("data", file.getvalue())
    put("in", manifest({"url": f"s3://{bucket}/data"}))
    assert "does not have 'meta' key" in refused("a bigint", "parquet manifest")
    put("in", manifest({"url": f"s3://{bucket}/data", "meta": {"content_length": 1}}))
    assert "InvalidRange" in refused("a bigint", "parquet manifest")


def test_missing_files_and_buckets(refused, api, role, table):
    assert "The specified S3 prefix 'nothing/' does not exist" in refused("a int", "csv", "nothing/")
    assert "NoSuchBucket" in api.error(f"copy {table} from 's3://no-such-bucket-here/x' {role}")


def test_empty_files_hold_no_records(load, put):
    put("in/1", b"")
    put("in/2", b"a,b\n")
    put("in/3", b"a,b\n1,2\n")
    assert load("a int, b int", "csv ignoreheader 1", "in/") == [(1, 2)]


def test_a_failed_copy_rolls_back_the_batch(api, put, bucket, role, table):
    api.ok(f"create table {table} as select 1 as a")
    put("in", b"x\n")
    assert "Query #2" in api.error([f"delete from {table}", f"copy {table} from 's3://{bucket}/in' {role} csv"])
    assert api.rows(f"select a from {table}") == [(1,)]


def test_delete_and_reload_in_one_transaction(api, put, bucket, role, table):
    api.ok(f"create table {table} as select 1 as a")
    put("in", b"2\n3\n")
    api.ok([f"delete from {table} where a = 1", f"copy {table} from 's3://{bucket}/in' {role} csv"])
    assert api.rows(f"select a from {table} order by a") == [(2,), (3,)]
