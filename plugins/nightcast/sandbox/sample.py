"""A ticket-sales warehouse of the shape of Redshift's TICKIT sample database, invented and seeded."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np

from nightcast.sandbox.sample_calendar import SalesYear, date_table
from nightcast.sandbox.sample_catalogue import category_table, make_events, make_venues
from nightcast.sandbox.sample_demand import make_demand
from nightcast.sandbox.sample_load import load_statements, run_transaction, upload
from nightcast.sandbox.sample_market import make_market

if TYPE_CHECKING:
    import pyarrow as pa

YEAR_END = date(2008, 12, 31)
SEED = 2008


def generate(year_end: date = YEAR_END, seed: int = SEED) -> dict[str, pa.Table]:
    """Make the tables `venue`, `category`, `date`, `event`, `listing` and `sales`.

    Parameters
    ----------
    year_end
        Last day with listings and sales; they begin 365 or 366 days before its end. Events go on for 75
        days behind it and the calendar for 90, so that at the year's end as many events are on sale as
        before and the next periods can be scored.
    seed
        Equal seed and year end give equal tables, byte for byte.

    Returns
    -------
    dict
        Table by name, in an order in which every table follows those that it refers to. Times are UTC
        and without zone, as in TICKIT; prices are dollars.
    """
    year = SalesYear(year_end)
    rng = np.random.default_rng(seed)
    venues = make_venues(rng)
    events = make_events(rng, year, venues)
    demand = make_demand(rng, year, events)
    return {
        "venue": venues.table,
        "category": category_table(),
        "date": date_table(year),
        "event": events.table,
        **make_market(rng, year, events, demand),
    }


def load(
    redshift_data_client: Any,
    s3_client: Any,
    *,
    bucket: str,
    database: str,
    workgroup_name: str,
    iam_role: str,
    year_end: date = YEAR_END,
    seed: int = SEED,
) -> dict[str, int]:
    """Load the sample into a Redshift database, by S3 and the Redshift Data API.

    Tables of these names are dropped and made anew in one transaction, so loading again gives the same
    tables, and a load that fails changes none.

    Parameters
    ----------
    redshift_data_client, s3_client
        boto3 clients.
    bucket
        Bucket that exists; the files go to ``sample/<table>/``.
    database, workgroup_name
        Where the tables go: to the first schema of the database's search path.
    iam_role
        Role that Redshift reads the bucket with: an ARN, a chain of ARNs, or ``default``.
    year_end, seed
        See `generate`.

    Returns
    -------
    dict
        Number of rows by table.

    Raises
    ------
    SampleError
        With Redshift's message and the statement's id when the transaction does not finish.
    """
    tables = generate(year_end, seed)
    addresses = upload(s3_client, bucket, tables)
    statements = load_statements(addresses, iam_role)
    run_transaction(redshift_data_client, statements, database=database, workgroup_name=workgroup_name)
    return {name: table.num_rows for name, table in tables.items()}
