"""``nightcast show``: a published run."""

from __future__ import annotations

import argparse
import json

from nightcast.cli.arguments import Subparsers, add_common_arguments, storage_of


def add_to(commands: Subparsers) -> None:
    """Declare the command."""
    parser = commands.add_parser("show", help="a published run: records, RMSE, first predictions, where they lie")
    parser.add_argument("run", help="run.json of a run, or its folder: s3://..., or on disk")
    add_common_arguments(parser)
    parser.set_defaults(run_command=run)


def run(options: argparse.Namespace) -> None:
    """Print the summary of a published run, or its ``run.json``."""
    from nightcast.report.summary import read_run, run_summary

    storage = storage_of(options)
    if options.json:
        print(json.dumps(read_run(storage, options.run), indent=2, ensure_ascii=False))
    else:
        print(run_summary(storage, options.run))
