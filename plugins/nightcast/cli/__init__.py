"""The ``nightcast`` command: data and models without Airflow.

Nothing heavy is imported until a command needs it: ``nightcast --help`` answers at once.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from typing import TextIO

from nightcast import __version__
from nightcast.cli import (
    cross_validate,
    deploy_aws,
    early,
    evaluate,
    explain,
    insights,
    models,
    new_pipeline,
    predict,
    recipe,
    run,
    schema,
    serve,
    show,
    split,
    train,
)
from nightcast.errors import NightcastError

DONE, FAILED, INTERRUPTED = 0, 1, 130
_COMMANDS = (
    *(schema, insights, split, recipe, train, evaluate, predict, serve, explain, cross_validate, run, show, models),
    *(new_pipeline, deploy_aws),
)


def main(arguments: list[str] | None = None) -> int:
    """Run the command.

    Returns
    -------
    int
        Exit code: 0 done, 1 failed, 2 wrong usage, 130 interrupted. A bug keeps its traceback.
    """
    options = _parser().parse_args(arguments)
    with warnings.catch_warnings():
        # Shown each time and in one line: users are told of their data, not of our lines.
        warnings.showwarning = _show_warning
        try:
            with early.workers_for(options):
                options.run_command(options)
            sys.stdout.flush()
        except NightcastError as error:
            print(f"nightcast: {error}", file=sys.stderr)
            return FAILED
        except KeyboardInterrupt:
            print("nightcast: interrupted", file=sys.stderr)
            return INTERRUPTED
        except BrokenPipeError:
            # The reader, such as head, has seen enough. Python would flush into the closed pipe at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return DONE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="nightcast",
        description="Amazon Machine Learning, on your own machine.",
        epilog="Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.",
    )
    parser.add_argument("--version", action="version", version=f"nightcast {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in _COMMANDS:
        command.add_to(commands)
    return parser


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    print(f"nightcast: warning: {message}", file=sys.stderr)
