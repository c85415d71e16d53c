"""What commands are told that train: recipe, learner, its parameters, seed, and which records."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from nightcast.errors import RearrangementError

if TYPE_CHECKING:
    from nightcast.datasource.rearrangement import Rearrangement

LEARNERS = ("auto", "linear", "boosting", "sgd")


def add_learner_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what every command knows that trains."""
    parser.add_argument("--recipe", metavar="FILE", help="a recipe (default: the suggested one)")
    parser.add_argument("--learner", choices=LEARNERS, default="auto", help="how to learn (default: auto)")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        type=_setting,
        metavar="KEY=VALUE",
        help="a parameter of the learner, such as sgd.maxPasses=100; as often as needed",
    )
    parser.add_argument("--seed", default="", metavar="TEXT", help="whatever is drawn follows from it (default: empty)")


def add_split_argument(parser: argparse.ArgumentParser, taken: str) -> None:
    """Declare ``--split``; `taken` says what the records are for that it takes."""
    parser.add_argument("--split", metavar="JSON", help=f"a DataRearrangement string: {taken}")


def parameters_of(options: argparse.Namespace) -> dict[str, str]:
    """The learner's parameters by key; the last of equal keys wins."""
    return dict(options.set)


def partial_split(text: str) -> Rearrangement:
    """A data rearrangement that leaves records to evaluate.

    Raises
    ------
    RearrangementError
        If it takes all records, or is malformed.
    """
    from nightcast.datasource.rearrangement import Rearrangement

    chosen = Rearrangement.from_json(text)
    if chosen == Rearrangement():
        raise RearrangementError("--split takes all records, which leaves none to evaluate; narrow its range")
    return chosen


def _setting(text: str) -> tuple[str, str]:
    key, sign, value = text.partition("=")
    if not (sign and key.strip()):
        raise argparse.ArgumentTypeError(f"{text!r:.80} is not KEY=VALUE")
    return key.strip(), value.strip()
