"""``nightcast split``: the training and the evaluation side of a datasource."""

from __future__ import annotations

import argparse
import json
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from nightcast.cli.arguments import (
    Subparsers,
    add_data_arguments,
    add_max_rejected,
    opened,
    positive,
    storage_of,
    working,
)
from nightcast.errors import RearrangementError

if TYPE_CHECKING:
    from nightcast.cli.split_files import Counts
    from nightcast.datasource.parts import Datasource
    from nightcast.datasource.rearrangement import Rearrangement

_STRATEGIES = ("sequential", "random", "chronological")
_PERCENT = 70


def add_to(commands: Subparsers) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "split",
        help="training and evaluation records: numbers, files, folds",
        description="Tell how many records go to training and how many to evaluation; write them; list folds.",
    )
    add_data_arguments(parser)
    parser.add_argument("--split", metavar="JSON", help="the training side as a DataRearrangement string")
    parser.add_argument("--percent", type=_percent, metavar="N", help=f"share of training (default: {_PERCENT})")
    parser.add_argument("--strategy", choices=_STRATEGIES, help="how a record finds its side (default: sequential)")
    parser.add_argument("--seed", metavar="TEXT", help="of the random strategy (default: empty)")
    parser.add_argument("--attribute", metavar="NAME", help="the dates of the chronological strategy")
    parser.add_argument("--complement", action="store_true", help="training gets what lies outside the range")
    parser.add_argument("--folds", type=positive, metavar="K", help="list K pairs of rearrangements instead")
    parser.add_argument("--output", metavar="FOLDER", help="write training/ and evaluation/ there")
    add_max_rejected(parser)
    parser.set_defaults(run_command=run, usage_error=parser.error)


def run(options: argparse.Namespace) -> None:
    """Print how the records are split, and write the sides if a folder is given; or list folds."""
    _check(options)
    if options.folds:
        _print_folds(options)
        return
    from nightcast.cli.folders import published, refuse_within
    from nightcast.cli.split_files import SIDES, check_null, split_records, write_manifests
    from nightcast.compute import local_compute
    from nightcast.datasource.rejects import check_rejected

    if options.output:
        refuse_within(options.output, options.data)
    storage, chosen = storage_of(options), _chosen(options)
    datasource = opened(options, storage).datasource
    if options.output:
        check_null(datasource)
    with ExitStack() as stack:
        folder = stack.enter_context(published(storage, options.output, SIDES)) if options.output else None
        # Files on this disk tie the work to this machine.
        mapper = stack.enter_context(working(options, datasource, "split", local_compute))
        resolved = chosen.resolved(datasource, storage, mapper)
        counts = split_records(datasource, resolved, storage, mapper, folder)
        check_rejected(counts.rejected, datasource.records, options.max_rejected, counts.rejects)
        _check_counts(counts, resolved)
        if folder is not None:
            write_manifests(datasource, folder, options.output)
    if options.json:
        print(json.dumps(_document(datasource, resolved, counts, options.output), ensure_ascii=False))
    else:
        _print(datasource, resolved, counts, options.output)


def _check(options: argparse.Namespace) -> None:
    """Refuse options that contradict each other: wrong usage."""
    details = [options.percent, options.strategy, options.seed, options.attribute, options.complement or None]
    if options.split is not None and any(detail is not None for detail in details):
        options.usage_error("--split says it all: leave --percent, --strategy, --seed, --attribute, --complement out")
    if options.seed is not None and options.strategy != "random":
        options.usage_error("--seed belongs to --strategy random")
    if (options.attribute is not None) != (options.strategy == "chronological"):
        options.usage_error("--strategy chronological and --attribute belong together")
    if options.folds is None:
        return
    if options.folds < 2:
        options.usage_error("--folds must be 2 or more")
    if options.split is not None or options.percent is not None or options.complement or options.output:
        options.usage_error("--folds goes with --strategy, --seed and --attribute alone")


def _chosen(options: argparse.Namespace) -> Rearrangement:
    from nightcast.datasource.rearrangement import SEQUENTIAL, Rearrangement

    if options.split is not None:
        chosen = Rearrangement.from_json(options.split)
        if chosen == Rearrangement():
            raise RearrangementError("--split takes all records, which leaves none to evaluate; narrow its range")
        return chosen
    return Rearrangement(
        0,
        options.percent or _PERCENT,
        complement=options.complement,
        strategy=options.strategy or SEQUENTIAL,
        seed=options.seed or "",
        attribute=options.attribute,
    )


def _check_counts(counts: Counts, chosen: Rearrangement) -> None:
    from nightcast.cli.split_files import SIDES

    for side, count in zip(SIDES, counts.sides, strict=True):
        if count == 0:
            raise RearrangementError(
                f"{chosen.to_json()} leaves no record for {side} ({sum(counts.sides):,} records in all); "
                "take another percentage"
            )


def _document(datasource: Datasource, chosen: Rearrangement, counts: Counts, output: str | None) -> dict[str, Any]:
    from nightcast.cli.split_files import SIDES

    sides = zip(SIDES, counts.sides, (chosen, chosen.complemented()), strict=True)
    return {
        "recordsSeen": datasource.records,
        "badRecords": counts.rejected,
        **{
            side: {
                "records": count,
                "dataRearrangement": rearrangement.to_json(),
                "folder": None if output is None else f"{output.rstrip('/')}/{side}/",
            }
            for side, count, rearrangement in sides
        },
    }


def _print(datasource: Datasource, chosen: Rearrangement, counts: Counts, output: str | None) -> None:
    from nightcast.cli.split_files import SIDES
    from nightcast.cli.tables import Printer
    from nightcast.report.charts import percent

    printer, total = Printer(), sum(counts.sides)
    sides = zip(SIDES, counts.sides, (chosen, chosen.complemented()), strict=True)
    rows = [[side, f"{count:,}", percent(count, total), one.to_json()] for side, count, one in sides]
    printer.table(["Side", ">Records", ">Share", "Data rearrangement"], rows)
    printer.line()
    facts = [("Records seen", f"{datasource.records:,}"), ("Bad records", f"{counts.rejected:,}")]
    if chosen.cuts is not None:
        facts.append(("Cut", f"{SIDES[0]} has {printer.cell(str(chosen.attribute))} {_range(chosen)}"))
    if output is not None:
        facts += [("Written", f"{output.rstrip('/')}/{side}/") for side in SIDES]
    printer.pairs(facts)


def _range(chosen: Rearrangement) -> str:
    """What a chronological rearrangement takes, in words."""
    begin, end = (cut if isinstance(cut, str | None) else f"{cut:.12g}" for cut in chosen.cuts or (None, None))
    if begin is None:
        return f"from {end} on" if chosen.complement else f"before {end}"
    if end is None:
        return f"before {begin}" if chosen.complement else f"from {begin} on"
    return f"before {begin} or from {end} on" if chosen.complement else f"from {begin} on and before {end}"


def _print_folds(options: argparse.Namespace) -> None:
    from nightcast.datasource.folds import k_folds, rolling_folds
    from nightcast.datasource.rearrangement import CHRONOLOGICAL, SEQUENTIAL

    if options.strategy == CHRONOLOGICAL:
        folds = rolling_folds(options.folds, options.attribute)
    else:
        folds = k_folds(options.folds, options.strategy or SEQUENTIAL, options.seed or "")
    schema = opened(options, storage_of(options)).datasource.schema
    for name in folds[0].evaluate.columns(schema):
        schema.type_of(name)
    pairs = [(fold.train.to_json(), fold.evaluate.to_json()) for fold in folds]
    if options.json:
        for train, evaluate in pairs:
            print(json.dumps({"train": train, "evaluate": evaluate}))
        return
    from nightcast.cli.tables import Printer

    printer = Printer()
    for number, (train, evaluate) in enumerate(pairs, start=1):
        printer.heading(f"Fold {number} of {len(pairs)}")
        printer.pairs([("train", train), ("evaluate", evaluate)])


def _percent(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 99:
        raise argparse.ArgumentTypeError(f"{text} is not 1 to 99")
    return number
