"""The sample warehouse as a user would load it: files to S3, then CREATE TABLE and COPY in one transaction."""

from __future__ import annotations

import gzip
import time
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyarrow import csv

from nightcast.errors import NightcastError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_TIMEOUT_SECONDS = 900.0
_FINAL = ("FINISHED", "FAILED", "ABORTED")

# Column definitions as in the Redshift documentation, so that SQL moves over to the real TICKIT unchanged.
TABLES = {
    "venue": """
        venueid smallint not null distkey sortkey,
        venuename varchar(100),
        venuecity varchar(30),
        venuestate char(2),
        venueseats integer""",
    "category": """
        catid smallint not null distkey sortkey,
        catgroup varchar(10),
        catname varchar(10),
        catdesc varchar(50)""",
    "date": """
        dateid smallint not null distkey sortkey,
        caldate date not null,
        day character(3) not null,
        week smallint not null,
        month character(5) not null,
        qtr character(5) not null,
        year smallint not null,
        holiday boolean default('N')""",
    "event": """
        eventid integer not null distkey,
        venueid smallint not null,
        catid smallint not null,
        dateid smallint not null sortkey,
        eventname varchar(200),
        starttime timestamp""",
    "listing": """
        listid integer not null distkey,
        sellerid integer not null,
        eventid integer not null,
        dateid smallint not null sortkey,
        numtickets smallint not null,
        priceperticket decimal(8,2),
        totalprice decimal(8,2),
        listtime timestamp""",
    "sales": """
        salesid integer not null,
        listid integer not null distkey,
        sellerid integer not null,
        buyerid integer not null,
        eventid integer not null,
        dateid smallint not null sortkey,
        qtysold smallint not null,
        pricepaid decimal(8,2),
        commission decimal(8,2),
        saletime timestamp""",
}


class SampleError(NightcastError):
    """The sample warehouse can not be loaded."""


def csv_gz(table: pa.Table) -> bytes:
    """A table as gzip CSV with a header line; NULL is empty, equal tables give equal bytes."""
    sink = pa.BufferOutputStream()
    csv.write_csv(table, sink)
    return gzip.compress(sink.getvalue().to_pybytes(), compresslevel=1, mtime=0)


def upload(s3_client: Any, bucket: str, tables: Mapping[str, pa.Table]) -> dict[str, str]:
    """Write each table to ``sample/<table>/<table>.csv.gz``; gives its address by table name."""
    addresses = {}
    for name, table in tables.items():
        key = f"sample/{name}/{name}.csv.gz"
        s3_client.put_object(Bucket=bucket, Key=key, Body=csv_gz(table), ContentType="application/gzip")
        addresses[name] = f"s3://{bucket}/{key}"
    return addresses


def load_statements(addresses: Mapping[str, str], iam_role: str) -> list[str]:
    """DROP, CREATE and COPY of each table of the sample."""
    statements = []
    for name, address in addresses.items():
        statements += replace_by_copy(name, f"{TABLES[name]}\n", address, iam_role, "csv gzip ignoreheader 1")
    return statements


def replace_by_copy(table: str, columns: str, address: str, iam_role: str, options: str) -> list[str]:
    """DROP, CREATE and COPY of a table.

    Parameters
    ----------
    columns
        As they stand in CREATE TABLE.
    iam_role
        Its ARN, or ``default``.
    options
        Of COPY.
    """
    quoted_role = iam_role.replace("'", "''")
    role = "default" if iam_role == "default" else f"'{quoted_role}'"
    return [
        f"drop table if exists {table}",
        f"create table {table} ({columns})",
        f"copy {table} from '{address}' iam_role {role} {options}",
    ]


def run_transaction(
    client: Any, statements: Iterable[str], *, database: str, workgroup_name: str, what: str = "the sample"
) -> None:
    """Run the statements as one transaction and wait for its end.

    Parameters
    ----------
    what
        Is loaded, for messages.
    """
    submitted = client.batch_execute_statement(
        Database=database,
        WorkgroupName=workgroup_name,
        Sqls=list(statements),
        StatementName="nightcast-sample",
    )
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    pause = 0.05
    while True:
        found = client.describe_statement(Id=submitted["Id"])
        if found["Status"] in _FINAL:
            break
        if time.monotonic() > deadline:
            raise SampleError(
                f"loading {what} (statement {submitted['Id']}) is still {found['Status']} after "
                f"{_TIMEOUT_SECONDS:.0f} seconds. Look at the warehouse's load, then load again."
            )
        time.sleep(pause)
        pause = min(pause * 1.5, 2.0)
    if found["Status"] != "FINISHED":
        raise SampleError(
            f"loading {what} (statement {submitted['Id']}) ended as {found['Status']}: "
            f"{found.get('Error', 'no reason given')}. No table was changed; correct the cause and load again."
        )
