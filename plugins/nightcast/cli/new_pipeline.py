"""``nightcast new-pipeline``: the files of a pipeline of one's own."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from nightcast.cli.arguments import Subparsers
from nightcast.errors import PipelineError

if TYPE_CHECKING:
    from nightcast.scaffold.spec import Facts, PipelineSpec

_TARGET, _ROW_ID = "totalsold", "recordid"
_DESCRIPTION = """\
Write the files of a pipeline: dags/NAME.py, include/sql/NAME/ and tests/dags/test_NAME.py.

The queries make a record for each series and day, week or month from a table with one row a sale (or from
a SELECT that gives one, or they are your own). On a terminal, what is missing is asked for.
"""


def add_to(commands: Subparsers) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "new-pipeline",
        help="write DAG, queries and test of a pipeline of your own",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", metavar="NAME", help="of the DAG, its file, and the folder of its SQL")
    parser.add_argument(
        "--period", choices=("day", "week", "month"), help="what one record is for; the schedule follows"
    )
    sales = parser.add_mutually_exclusive_group()
    sales.add_argument("--table", metavar="TABLE", help="table or view that holds the sales, as name or schema.name")
    sales.add_argument("--facts-sql", metavar="FILE", help="a SELECT that gives the sales, such as a join")
    sales.add_argument("--from-sql", metavar="FOLDER", help="your own training.sql, scoring.sql and actuals.sql")
    parser.add_argument("--date-column", metavar="COLUMN", help="when something was sold: DATE or TIMESTAMP, UTC")
    parser.add_argument("--key", nargs="+", metavar="COLUMN", help="columns that tell one series from another")
    parser.add_argument("--sum", metavar="COLUMN", help="what is summed up to the target; without it sales are counted")
    parser.add_argument("--target", metavar="NAME", help=f"the attribute to predict (default: {_TARGET})")
    parser.add_argument("--row-id", metavar="NAME", help=f"the attribute that names a record (default: {_ROW_ID})")
    parser.add_argument(
        "--features", nargs="+", default=[], metavar="COLUMN", help="further columns of names: the last known value"
    )
    parser.add_argument(
        "--number-features", nargs="+", default=[], metavar="COLUMN", help="further numeric columns: a trailing mean"
    )
    parser.add_argument(
        "--season-ago",
        action=argparse.BooleanOptionalAction,
        help="whether the same period a year ago is a feature; needs a year of sales before the training days",
    )
    parser.add_argument("--training-days", type=int, metavar="N", help="days of sales to learn from")
    parser.add_argument("--project", type=Path, default=Path(), metavar="FOLDER", help="Nightcast's folder")
    parser.add_argument("--json", action="store_true", help="the written files as JSON; asks nothing")
    parser.set_defaults(run_command=_run)


def _run(options: argparse.Namespace) -> None:
    from nightcast.scaffold.files import files_of, own_queries, refuse_taken, write_new

    refuse_taken(options.project, options.name)
    if sys.stdin.isatty() and not options.json:
        from nightcast.cli.pipeline_questions import ask_missing

        ask_missing(options)
    spec = _spec(options)
    own = None if options.from_sql is None else own_queries(Path(options.from_sql))
    written = write_new(options.project, files_of(spec, own))
    if options.json:
        print(json.dumps({"pipeline": spec.name, "files": [str(path) for path in written]}))
        return
    from nightcast.cli.tables import Printer

    printer = Printer()
    printer.heading(f"The pipeline {spec.name}")
    printer.pairs([("wrote", str(path)) for path in written])
    printer.line("Next: read the queries, run `make lint` and `.venv/bin/pytest tests/dags`, then try a period.")


def _spec(options: argparse.Namespace) -> PipelineSpec:
    from nightcast.scaffold.spec import PipelineSpec
    from nightcast.scaffold.steps import Step

    if options.period is None:
        raise PipelineError("what is one record for? Give --period day, week or month.")
    facts = None if options.from_sql is not None else _facts(options)
    return PipelineSpec(
        name=options.name,
        step=Step(options.period),
        target=options.target or _TARGET,
        row_id=options.row_id or _ROW_ID,
        facts=facts,
        season_ago=options.season_ago is not False,
        training_days=options.training_days,
    )


def _facts(options: argparse.Namespace) -> Facts:
    from nightcast.scaffold.spec import Facts, own_query

    needed = {"--date-column": options.date_column, "--key": options.key}
    missing = [flag for flag, given in needed.items() if not given]
    if options.table is None and options.facts_sql is None:
        missing.insert(0, "--table (or --facts-sql, or --from-sql)")
    if missing:
        raise PipelineError(f"it is not known where the sales lie: give {', '.join(missing)}.")
    return Facts(
        date_column=options.date_column,
        keys=tuple(options.key),
        table=options.table,
        query=None if options.facts_sql is None else own_query(options.facts_sql),
        value=options.sum,
        categories=tuple(options.features),
        numbers=tuple(options.number_features),
    )
