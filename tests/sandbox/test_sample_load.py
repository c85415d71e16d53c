"""Loading the sample by boto3 into a sandbox: files on S3, DROP, CREATE and COPY in one transaction."""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import boto3
import pyarrow as pa
import pytest

from nightcast.sandbox import sample_load
from nightcast.sandbox.sample import generate, load
from nightcast.sandbox.sample_load import SampleError, csv_gz, load_statements, run_transaction

BUCKET = "sales-lake"
WORKGROUP = "sales"
ROLE = "arn:aws:iam::123456789012:role/redshift"


class Recorder:
    """A Data API client that keeps the batches it passes on."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.batches: list[dict[str, Any]] = []

    def batch_execute_statement(self, **request: Any) -> Any:
        self.batches.append(request)
        return self.client.batch_execute_statement(**request)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.client, name)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Result of a query, small enough for one page."""
        submitted = self.client.execute_statement(Database="dev", WorkgroupName=WORKGROUP, Sql=sql)
        while (found := self.client.describe_statement(Id=submitted["Id"]))["Status"] not in ("FINISHED", "FAILED"):
            time.sleep(0.02)
        assert found["Status"] == "FINISHED", found.get("Error")
        records = self.client.get_statement_result(Id=submitted["Id"])["Records"]
        return [tuple(next(iter(field.values())) for field in record) for record in records]


@pytest.fixture(scope="module")
def client(start_process: Callable[..., Any]) -> Iterator[Callable[[str], Any]]:
    # A process of its own: the session's sandbox, of which a process has one only, holds other sales.
    with start_process() as (url, _):
        yield lambda service: boto3.client(
            service,
            endpoint_url=url,
            region_name="us-east-1",
            aws_access_key_id="sandbox",
            aws_secret_access_key="sandbox",
        )


@pytest.fixture(scope="module")
def s3(client: Callable[[str], Any]) -> Any:
    made = client("s3")
    made.create_bucket(Bucket=BUCKET)
    return made


@pytest.fixture(scope="module")
def redshift(client: Callable[[str], Any]) -> Recorder:
    return Recorder(client("redshift-data"))


def load_sample(redshift: Recorder, s3: Any, **settings: Any) -> dict[str, int]:
    return load(redshift, s3, bucket=BUCKET, database="dev", workgroup_name=WORKGROUP, iam_role=ROLE, **settings)


@pytest.fixture(scope="module")
def replaced(redshift: Recorder, s3: Any) -> list[tuple[Any, ...]]:
    """Another year, loaded before: its last day of sales and number of sales."""
    load_sample(redshift, s3, year_end=date(2026, 11, 22), seed=3)
    return redshift.rows("select max(saletime)::date::varchar, count(*) from sales")


@pytest.fixture(scope="module")
def loaded(redshift: Recorder, s3: Any, replaced: list[tuple[Any, ...]]) -> dict[str, int]:
    return load_sample(redshift, s3)


# A figure for every column of a table; two tables that differ do not agree in all of them.
FIGURES = {
    "venue": "count(*), sum(venueid), sum(venueseats), count(venueseats), min(venuename), max(venuecity)",
    "category": "count(*), sum(catid), min(catgroup), max(catname), max(catdesc)",
    "date": "count(*), sum(dateid), min(caldate)::varchar, max(caldate)::varchar, sum(week), min(day), max(month),"
    " max(qtr), sum(year), sum(case when holiday then 1 else 0 end)",
    "event": "count(*), sum(eventid * venueid), sum(catid), sum(dateid), min(eventname), max(starttime)::varchar",
    "listing": "count(*), sum(listid % 97 * sellerid), sum(eventid), sum(dateid), sum(numtickets),"
    " sum(priceperticket)::varchar, sum(totalprice)::varchar, max(listtime)::varchar",
    "sales": "count(*), sum(salesid % 97 * listid), sum(sellerid), sum(buyerid), sum(eventid), sum(dateid),"
    " sum(qtysold), sum(pricepaid)::varchar, sum(commission)::varchar, min(saletime)::varchar",
}


def figures(redshift: Recorder) -> dict[str, list[tuple[Any, ...]]]:
    return {name: redshift.rows(f"select {text} from {name}") for name, text in FIGURES.items()}


def test_counts(redshift: Recorder, loaded: dict[str, int]) -> None:
    expected = {name: table.num_rows for name, table in generate().items()}
    assert loaded == expected
    assert {name: rows[0][0] for name, rows in figures(redshift).items()} == expected


def test_the_warehouse_holds_what_was_generated(redshift: Recorder, loaded: dict[str, int]) -> None:
    found = figures(redshift)
    tables = {name: table.to_pandas() for name, table in generate().items()}
    venue, event, listing, sales = (tables[name] for name in ("venue", "event", "listing", "sales"))
    assert found["venue"][0][1:4] == (20_503, venue["venueseats"].sum(), 200)
    assert found["date"][0][2:4] == ("2008-01-01", "2009-03-31")
    assert found["date"][0][-1] == tables["date"]["holiday"].sum()
    assert found["event"][0][5] == str(event["starttime"].max())
    assert found["listing"][0][4:] == (
        listing["numtickets"].sum(),
        str(listing["priceperticket"].sum()),
        str(listing["totalprice"].sum()),
        str(listing["listtime"].max()),
    )
    assert found["sales"][0][1] == (sales["salesid"] % 97 * sales["listid"].astype("int64")).sum()
    assert found["sales"][0][6:] == (
        sales["qtysold"].sum(),
        str(sales["pricepaid"].sum()),
        str(sales["commission"].sum()),
        str(sales["saletime"].min()),
    )


def test_the_first_sales_row_by_row(redshift: Recorder, loaded: dict[str, int]) -> None:
    columns = "salesid, listid, eventid, dateid, qtysold, pricepaid, commission, saletime"
    found = redshift.rows(f"select {columns} from sales where salesid <= 300 order by salesid")
    rows = generate()["sales"].slice(0, 300).select(columns.split(", ")).to_pylist()
    assert found == [tuple(v if isinstance(v, int) else str(v) for v in row.values()) for row in rows]


def test_asks_as_a_user_would(redshift: Recorder, loaded: dict[str, int]) -> None:
    request = redshift.batches[0]
    assert (request["Database"], request["WorkgroupName"]) == ("dev", WORKGROUP)
    assert request["Sqls"][:3:2] == [
        "drop table if exists venue",
        f"copy venue from 's3://{BUCKET}/sample/venue/venue.csv.gz' iam_role '{ROLE}' csv gzip ignoreheader 1",
    ]
    assert len(request["Sqls"]) == 3 * len(loaded)


def test_loading_again_replaces_what_was_there(
    redshift: Recorder, replaced: list[tuple[Any, ...]], loaded: dict[str, int]
) -> None:
    """With test_counts and those behind it: the tables are those of the last load, whatever was there before."""
    [(last, sales)] = replaced
    assert last == "2026-11-22" and sales != loaded["sales"]
    assert redshift.rows("select max(saletime)::date::varchar from sales") == [("2008-12-31",)]


def test_a_failed_load_changes_no_table(redshift: Recorder, loaded: dict[str, int]) -> None:
    addresses = {"venue": f"s3://{BUCKET}/sample/venue/venue.csv.gz", "event": f"s3://{BUCKET}/not/there.csv.gz"}
    statements = [*load_statements(addresses, ROLE)]
    statements.insert(3, "delete from venue")
    with pytest.raises(SampleError, match=r"ended as FAILED: .*not/there"):
        run_transaction(redshift, statements, database="dev", workgroup_name=WORKGROUP)
    assert redshift.rows("select count(*) from venue") == [(loaded["venue"],)]


def test_gives_up_on_a_statement_that_never_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stuck:
        def batch_execute_statement(self, **_: Any) -> dict[str, str]:
            return {"Id": "stuck"}

        def describe_statement(self, **_: Any) -> dict[str, str]:
            return {"Status": "STARTED"}

    monkeypatch.setattr(sample_load, "_TIMEOUT_SECONDS", 0.1)
    with pytest.raises(SampleError, match=r"stuck.*still STARTED"):
        run_transaction(Stuck(), ["select 1"], database="dev", workgroup_name="sales")


@pytest.mark.parametrize(
    ("role", "text"),
    [("default", "iam_role default csv"), ("a'b", "iam_role 'a''b' csv"), (ROLE, f"iam_role '{ROLE}'")],
)
def test_role(role: str, text: str) -> None:
    assert text in load_statements({"venue": "s3://b/k"}, role)[2]


def test_files_are_stable_bytes() -> None:
    table = pa.table({"number": pa.array([1, None], pa.int32()), "text": ['say "hi"', "a,b"]})
    packed = csv_gz(table)
    assert packed == csv_gz(table)
    assert gzip.decompress(packed) == b'"number","text"\n1,"say ""hi"""\n,"a,b"\n'
    assert packed[4:8] == b"\0\0\0\0", "no time stamp"
