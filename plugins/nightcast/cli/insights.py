"""``nightcast insights``: the statistics of a datasource, as tables, as a page, and for machines."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nightcast.cli.arguments import (
    Subparsers,
    add_data_arguments,
    add_max_rejected,
    name_of,
    opened,
    storage_of,
    working,
)

if TYPE_CHECKING:
    from nightcast.cli.insights_files import Written
    from nightcast.datasource.data_alerts import DataAlert
    from nightcast.datasource.drift import Drift
    from nightcast.datasource.insights_format import Insights
    from nightcast.storage import Storage

DEFAULT_FOLDER = "nightcast-insights"


def add_to(commands: Subparsers) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "insights",
        help="statistics of each attribute, alerts, and drift",
        description="Tell the statistics of each attribute in one pass; write insights.json and insights.html.",
    )
    add_data_arguments(parser)
    parser.add_argument("--split", metavar="JSON", help="a DataRearrangement string: only the records that it takes")
    parser.add_argument(
        "--output",
        metavar="FOLDER",
        help=f"where the files go (default: {DEFAULT_FOLDER}/<name of the data>; none with --json)",
    )
    add_max_rejected(parser)
    parser.add_argument("--against", metavar="INSIGHTS.json", help="earlier insights: print how the data drifted")
    parser.set_defaults(run_command=run)


def run(options: argparse.Namespace) -> None:
    """Compute, write and print the insights."""
    from nightcast.datasource.data_alerts import data_alerts
    from nightcast.datasource.insights import compute_insights
    from nightcast.datasource.rearrangement import Rearrangement

    folder = _folder(options)
    storage = storage_of(options)
    taken = Rearrangement.from_json(options.split or "")
    # Read first: the files that are written may be in its place.
    reference = _read(storage, options.against) if options.against else None
    datasource = opened(options, storage).datasource
    with working(options, datasource, "insights") as mapper:
        insights = compute_insights(
            datasource,
            storage,
            mapper,
            rearrangement=taken.resolved(datasource, storage, mapper),
            max_rejected=options.max_rejected,
        )
    alerts = data_alerts(insights, datasource.schema)
    drift = None
    if reference is not None:
        from nightcast.datasource.drift import compare_insights

        # A row id names records: it always differs.
        drift = compare_insights(reference, insights, ignored=(str(datasource.schema.row_id),))
    written = None
    if folder is not None:
        from nightcast.cli.insights_files import write_insights

        written = write_insights(storage, folder, insights, datasource.schema, alerts, name_of(options.data))
    if options.json:
        print(json.dumps(_document(insights, alerts, drift, written), ensure_ascii=False))
    else:
        _print(options, insights, alerts, drift, written)


def _folder(options: argparse.Namespace) -> str | None:
    """Where the files go: never into the data."""
    from nightcast.cli.folders import lies_within, refuse_within
    from nightcast.storage import local_path

    if options.output:
        refuse_within(options.output, options.data)
        return str(options.output)
    if options.json:
        return None
    folder = f"{DEFAULT_FOLDER}/{name_of(options.data)}"
    if not lies_within(folder, options.data):
        return folder
    data = local_path(options.data).resolve()
    beside = str(data.parent / DEFAULT_FOLDER / name_of(data.as_posix()))
    refuse_within(beside, options.data)
    return beside


def _read(storage: Storage, uri: str) -> Insights:
    from nightcast.datasource.insights_format import Insights
    from nightcast.errors import DatasourceError

    location = uri if uri.endswith(".json") else f"{uri.rstrip('/')}/insights.json"
    try:
        return Insights.from_json(storage.read_bytes(location).decode())
    except (DatasourceError, UnicodeDecodeError) as fault:
        raise DatasourceError(f"{location}: {fault}") from fault


def _document(
    insights: Insights, alerts: Sequence[DataAlert], drift: Drift | None, written: Written | None
) -> dict[str, Any]:
    return {
        "insights": json.loads(insights.to_json()),
        "dataAlerts": [
            {
                "code": alert.code,
                "severity": alert.severity,
                "attributes": list(alert.attributes),
                "message": alert.message,
            }
            for alert in alerts
        ],
        "drift": None if drift is None else json.loads(drift.to_json()),
        "files": [] if written is None else list(written.uris),
    }


def _print(
    options: argparse.Namespace,
    insights: Insights,
    alerts: Sequence[DataAlert],
    drift: Drift | None,
    written: Written | None,
) -> None:
    from nightcast.cli import insights_tables as tables
    from nightcast.cli.drift_table import print_drift
    from nightcast.cli.tables import Printer

    printer = Printer()
    tables.print_summary(printer, insights, options.data)
    tables.print_target(printer, insights)
    tables.print_attributes(printer, insights)
    tables.print_correlations(printer, insights)
    tables.print_alerts(printer, alerts)
    if drift is not None:
        print_drift(printer, drift, options.against)
    if written is not None:
        printer.heading("Written")
        printer.pairs(
            [
                ("Page", written.page),
                ("Insights", written.document),
                *(("Rejected", place) for place in written.rejected),
            ]
        )
