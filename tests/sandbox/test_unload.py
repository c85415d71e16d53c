"""UNLOAD through the Data API: files, names, manifest, refusals, as Redshift makes them."""

from __future__ import annotations

import bz2
import datetime
import gzip
import io
import json
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

# venueid, name, seats, share, open, since, changed
VENUES = """
    (1, 'Pinewood | Track', 0, 0.5, true, '2008-01-01', '2008-01-01 10:00:00.25'),
    (2, 'Columbus "Crew", Stadium', null, 1e20, false, null, null),
    (3, '', 68756, 0.1, null, '2008-12-31', '2008-12-31 00:00:00'),
    (4, null, 43345, -1.5, true, '2007-02-28', '2007-02-28 23:59:59.999999')
"""
COLUMNS = "id smallint, name varchar(40), seats integer, share float, open boolean, since date, changed timestamp"


@pytest.fixture(scope="module")
def venue(api):
    api.ok(["create schema if not exists unloading",
            f"create table unloading.venue ({COLUMNS}, fee numeric(8,2), state char(2))",
            f"insert into unloading.venue (id, name, seats, share, open, since, changed) values {VENUES}",
            "update unloading.venue set fee = id * 1.1, state = 'OH'"])  # fmt: skip
    return "unloading.venue"


@pytest.fixture
def unload(api, bucket, role, venue):
    def run(
        options,
        query="select id, name, seats, share, open, since, changed from unloading.venue order by id",
        prefix="out/",
    ):
        return api.ok(f"unload ($${query}$$) to 's3://{bucket}/{prefix}' {role} {options}")

    return run


@pytest.fixture
def refused(api, bucket, role, venue):
    def run(options, query="select * from unloading.venue", prefix="out/"):
        return api.error(f"unload ($${query}$$) to 's3://{bucket}/{prefix}' {role} {options}")

    return run


def test_text_is_the_default(unload, keys, read):
    assert unload("parallel off")["ResultRows"] == 4
    assert keys() == ["out/000"]
    assert read("out/000").decode() == (
        "1|Pinewood | Track|0|0.5|t|2008-01-01|2008-01-01 10:00:00.25\n"
        '2|Columbus "Crew", Stadium||1e+20|f||\n'
        "3||68756|0.1||2008-12-31|2008-12-31 00:00:00\n"
        "4||43345|-1.5|t|2007-02-28|2007-02-28 23:59:59.999999\n"
    )


def test_csv_quotes_what_needs_it(unload, read):
    unload("csv parallel off header null as 'NN'")
    assert read("out/000").decode() == (
        "id,name,seats,share,open,since,changed\n"
        "1,Pinewood | Track,0,0.5,t,2008-01-01,2008-01-01 10:00:00.25\n"
        '2,"Columbus ""Crew"", Stadium",NN,1e+20,f,NN,NN\n'
        "3,,68756,0.1,NN,2008-12-31,2008-12-31 00:00:00\n"
        "4,NN,43345,-1.5,t,2007-02-28,2007-02-28 23:59:59.999999\n"
    )


def test_csv_with_another_delimiter(unload, read):
    unload("csv delimiter '|' parallel off", "select id, name from unloading.venue where id <= 2 order by id")
    assert read("out/000").decode() == '1|"Pinewood | Track"\n2|"Columbus ""Crew"", Stadium"\n'


def test_escape_and_addquotes(unload, read):
    query = """select 'a|b' as x, 'c\\\\d' as y, 'e"f' as z, 'g' || chr(10) || chr(13) as l, 1 as n, null as nothing"""
    unload("escape parallel off null as 'NN'", query)
    assert read("out/000") == b'a\\|b|c\\\\d|e"f|g\\\n\\\r|1|NN\n'
    unload("escape addquotes header parallel off allowoverwrite", query)
    assert read("out/000") == b'"x"|"y"|"z"|"l"|"n"|"nothing"\n"a\\|b"|"c\\\\d"|"e\\"f"|"g\\\n\\\r"|"1"|\n'
    unload("addquotes delimiter ',' parallel off allowoverwrite", "select 1 as id, 'Phoenix, AZ' as location")
    assert read("out/000") == b'"1","Phoenix, AZ"\n'


def test_numbers_are_written_as_redshift_does(unload, read):
    numbers = (
        "1::smallint, 2.50::numeric(8,2), 0.1::float + 0.2::float, 1.0::float / 3, 1e15::float, 123456.789::real,"
        " 'nan'::float, 0.50::numeric(4,2), -0.05::numeric(4,2)"
    )
    unload("parallel off", f"select {numbers}")
    assert read("out/000") == b"1|2.50|0.3|0.333333333333333|1e+15|123457|NaN|0.50|-0.05\n"


def test_parallel_on_deals_to_slices(unload, keys, read):
    unload("csv header")
    assert keys() == ["out/0000_part_00", "out/0001_part_00"]
    first, second = (read(key).decode().splitlines() for key in keys())
    assert first[0] == second[0] == "id,name,seats,share,open,since,changed"
    assert [line[0] for line in first[1:]] == ["1", "3"]
    assert [line[0] for line in second[1:]] == ["2", "4"]


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ("", ["pre0000_part_00", "pre0001_part_00"]),
        ("gzip", ["pre0000_part_00.gz", "pre0001_part_00.gz"]),
        ("parallel off gzip", ["pre000.gz"]),
        ("parallel off bzip2 csv", ["pre000.bz2"]),
        ("parallel off zstd", ["pre000.zst"]),
        ("parquet", ["pre0000_part_00.parquet", "pre0001_part_00.parquet"]),
        ("parquet parallel off", ["pre000.parquet"]),
        ("csv extension 'csv'", ["pre0000_part_00.csv", "pre0001_part_00.csv"]),
        ("csv gzip extension 'csv.gz' parallel off", ["pre000.csv.gz"]),
        ("manifest parallel off", ["pre000", "premanifest"]),
    ],
)
def test_file_names(unload, keys, options, names):
    unload(options, prefix="pre")
    assert keys() == names


def test_compressed_files_hold_the_same(unload, read):
    unload("csv parallel off")
    plain = read("out/000")
    unload("csv parallel off gzip allowoverwrite")
    assert gzip.decompress(read("out/000.gz")) == plain
    assert read("out/000.gz")[3:8] == b"\0" * 5, "neither a name nor a time stamp in the header"
    unload("csv parallel off bzip2 allowoverwrite")
    assert bz2.decompress(read("out/000.bz2")) == plain
    unload("csv parallel off zstd allowoverwrite")
    assert pa.input_stream(io.BytesIO(read("out/000.zst")), compression="zstd").read() == plain


def test_the_verbose_manifest(unload, read, bucket):
    columns = "id, name, fee, state, open, since, changed, share"
    query = f"select {columns}, sum(seats) as total from unloading.venue group by {columns}"
    unload("csv header manifest verbose", query)
    manifest = json.loads(read("out/manifest"))
    sizes = [len(read(f"out/000{n}_part_00")) for n in (0, 1)]
    # Header lines are counted as records, as Redshift counts them.
    assert manifest["entries"] == [
        {"url": f"s3://{bucket}/out/000{n}_part_00", "meta": {"content_length": sizes[n], "record_count": 3}}
        for n in (0, 1)
    ]
    assert manifest["meta"] == {"content_length": sum(sizes), "record_count": 6}
    assert manifest["author"] == {"name": "Amazon Redshift", "version": "1.0.0"}
    assert manifest["schema"] == {
        "elements": [
            {"name": "id", "type": {"base": "smallint"}},
            {"name": "name", "type": {"base": "character varying", "max_length": 40}},
            {"name": "fee", "type": {"base": "numeric", "precision": 8, "scale": 2}},
            {"name": "state", "type": {"base": "character", "max_length": 2}},
            {"name": "open", "type": {"base": "boolean"}},
            {"name": "since", "type": {"base": "date"}},
            {"name": "changed", "type": {"base": "timestamp without time zone"}},
            {"name": "share", "type": {"base": "double precision"}},
            {"name": "total", "type": {"base": "bigint"}},
        ]
    }
    assert list(manifest) == ["entries", "schema", "meta", "author"]


def test_the_plain_manifest(unload, read, bucket):
    unload("parallel off manifest")
    assert json.loads(read("out/manifest")) == {"entries": [{"url": f"s3://{bucket}/out/000"}]}
    unload("parallel off manifest parquet allowoverwrite")
    [entry] = json.loads(read("out/manifest"))["entries"]
    assert entry["meta"] == {"content_length": len(read("out/000.parquet"))}


def test_without_header_only_data_is_counted(unload, read):
    unload("csv manifest verbose parallel off")
    assert json.loads(read("out/manifest"))["meta"]["record_count"] == 4


def test_parquet_has_redshifts_types(unload, read):
    query = (
        "select id, id::int as i, id::bigint as b, fee, share, share::real as r, open, name, state, since, changed,"
        " '2008-06-30 12:00:00+02'::timestamptz as zoned from unloading.venue order by id"
    )
    unload("parquet parallel off manifest verbose", query)
    table = pq.read_table(io.BytesIO(read("out/000.parquet")))
    assert {field.name: str(field.type) for field in table.schema} == {
        "id": "int16", "i": "int32", "b": "int64", "fee": "decimal128(8, 2)", "share": "double", "r": "float",
        "open": "bool", "name": "string", "state": "string", "since": "date32[day]", "changed": "timestamp[us]",
        "zoned": "timestamp[us]",
    }  # fmt: skip
    assert table.to_pylist()[3] == {
        "id": 4, "i": 4, "b": 4, "fee": Decimal("4.40"), "share": -1.5, "r": -1.5, "open": True, "name": None,
        "state": "OH",
        "since": datetime.date(2007, 2, 28), "changed": datetime.datetime(2007, 2, 28, 23, 59, 59, 999999),
        "zoned": datetime.datetime(2008, 6, 30, 10),
    }  # fmt: skip
    assert [name for name in table["name"].to_pylist() if name is not None][-1] == ""
    assert json.loads(read("out/manifest"))["meta"]["record_count"] == 4


def test_a_result_without_records_writes_nothing(unload, keys):
    for options in ("csv header manifest verbose", "parquet manifest", "parallel off"):
        assert unload(options, "select * from unloading.venue where id > 100")["ResultRows"] == 0
        assert keys() == []


def test_one_record_fills_one_slice(unload, keys):
    unload("csv", "select 1 as a")
    assert keys() == ["out/0000_part_00"]


def test_names_of_columns_are_lower_case_and_may_repeat(unload, read):
    unload("csv header parallel off", 'select id as "Total Sold", id as X, name as x from unloading.venue where id = 1')
    assert read("out/000") == b"total sold,x,x\n1,1,Pinewood | Track\n"


def test_the_same_unload_gives_the_same_bytes(unload, read, keys):
    def all_bytes():
        return {key: read(key) for key in keys()}

    for options in ("csv gzip header manifest verbose", "parquet manifest verbose"):
        unload(f"{options} cleanpath")
        first = all_bytes()
        unload(f"{options} cleanpath")
        assert all_bytes() == first


def test_files_in_the_way(unload, refused, put, keys, read):
    put("out/0009_part_00", b"old")
    assert "Specified unload destination on S3 is not empty" in refused("csv")
    assert keys() == ["out/0009_part_00"]
    unload("csv allowoverwrite")
    assert "out/0009_part_00" in keys(), "ALLOWOVERWRITE deletes nothing"
    put("out-beside", b"stays")
    unload("parquet cleanpath")
    assert keys() == ["out-beside", "out/0000_part_00.parquet", "out/0001_part_00.parquet"]
    assert read("out-beside") == b"stays"


def test_a_wrong_query_deletes_nothing(refused, put, keys):
    put("out/old", b"old")
    assert 'relation "nosuch" does not exist' in refused("csv cleanpath", "select * from nosuch")
    assert keys() == ["out/old"]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("select * from unloading.venue limit 10", "Limit clause is not supported"),
        ("select top 10 * from unloading.venue", "Limit clause is not supported"),
        ("with v as (select 1 as a) select * from v limit 1", "Limit clause is not supported"),
        ("(select 1 as a) limit 1", "Limit clause is not supported"),
        ("select 1 as a union all select 2 limit 1", "Limit clause is not supported"),
        ("select 1 as a offset 1", "Limit clause is not supported"),
        ("delete from unloading.venue", "UNLOAD takes a SELECT query only"),
        ("select nosuch from unloading.venue", 'column "nosuch" does not exist'),
        ("select 1/0", "Divide by zero"),
        ("select 'a'::int", "invalid input syntax for type integer"),
    ],
)
def test_queries_that_can_not_be_unloaded(refused, keys, query, message):
    assert message in refused("csv", query)
    assert keys() == []


def test_a_nested_limit_is_fine(unload, read):
    unload(
        "parallel off",
        "select id from unloading.venue where id in (select id from unloading.venue order by id desc limit 2)"
        " order by 1",
    )
    assert read("out/000") == b"3\n4\n"


def test_missing_buckets_and_other_regions(api, role, s3, venue):
    error = api.error(f"unload ('select 1') to 's3://no-such-bucket-here/x' {role}")
    assert "S3ServiceException:The specified bucket does not exist,Status 404,Error NoSuchBucket" in error
    s3.create_bucket(Bucket="far-away", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    error = api.error(f"unload ('select 1') to 's3://far-away/x' {role}")
    assert "Status 301,Error PermanentRedirect" in error and "REGION 'eu-west-1'" in error
    api.ok(f"unload ('select 1') to 's3://far-away/x' {role} region 'eu-west-1'")
    assert "PermanentRedirect" in api.error(f"unload ('select 1') to 's3://far-away/y' {role} region 'us-west-2'")


def test_encryption_reaches_every_file(unload, s3, bucket, keys):
    unload("csv kms_key_id '1234abcd-12ab-34cd-56ef-1234567890ab' encrypted manifest")
    for key in keys():
        head = s3.head_object(Bucket=bucket, Key=key)
        assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == (
            "aws:kms",
            "1234abcd-12ab-34cd-56ef-1234567890ab",
        )
    unload("csv encrypted auto cleanpath")


def test_large_results_are_cut_into_files(unload, api, keys, read, s3, bucket):
    api.ok("create table if not exists unloading.big as"
           " with recursive n(i) as (select 1 union all select i + 1 from n where i < 200000)"
           " select i, md5(i::varchar) || md5((i * 7)::varchar) as noise from n")  # fmt: skip
    limit = 5 * 1024 * 1024
    query = "select i, noise from unloading.big order by i"
    unload("csv header parallel off maxfilesize 5 mb manifest verbose", query)
    manifest = json.loads(read("out/manifest"))
    assert [entry["url"][-3:] for entry in manifest["entries"]] == ["000", "001", "002"]
    lines = []
    for entry in manifest["entries"]:
        body = read(entry["url"].removeprefix(f"s3://{bucket}/"))
        assert len(body) == entry["meta"]["content_length"] <= limit
        head, *rest = body.decode().splitlines()
        assert head == "i,noise" and len(rest) + 1 == entry["meta"]["record_count"]
        lines += rest
    assert [int(line.split(",")[0]) for line in lines] == list(range(1, 200_001)), "in order over all files"
    unload("parallel on maxfilesize 5 mb cleanpath manifest verbose", query)
    entries = json.loads(read("out/manifest"))["entries"]
    assert [entry["url"].rpartition("/")[2] for entry in entries] == [
        "0000_part_00", "0000_part_01", "0001_part_00", "0001_part_01",
    ]  # fmt: skip
    unload("gzip parallel off maxfilesize 5 mb cleanpath manifest verbose", query)
    entries = json.loads(read("out/manifest"))["entries"]
    assert [entry["url"].rpartition("/")[2] for entry in entries] == ["000.gz", "001.gz"]
    assert all(entry["meta"]["content_length"] <= limit for entry in entries)
    assert sum(entry["meta"]["record_count"] for entry in entries) == 200_000
    unload("parquet parallel off maxfilesize 5 mb cleanpath", query)
    assert len(keys()) > 1
    tables = [pq.read_table(io.BytesIO(read(key))) for key in keys()]
    assert pa.concat_tables(tables)["i"].to_pylist() == list(range(1, 200_001))


def test_a_cancelled_unload_stops(api, redshift_data, bucket, role):
    query = (
        "with recursive n(i) as (select 1 union all select i + 1 from n where i < 100000)"
        " select a.i, b.i as j from n a cross join n b"
    )
    identity = redshift_data.execute_statement(
        Sql=f"unload ('{query}') to 's3://{bucket}/endless/' {role}", WaitTimeSeconds=1, **api.target
    )["Id"]
    redshift_data.cancel_statement(Id=identity)
    assert redshift_data.describe_statement(Id=identity, WaitTimeSeconds=20)["Status"] == "ABORTED"
