"""``nightcast cross-validate``: how good models of some records are, fold by fold."""

from __future__ import annotations

import argparse
import json
import statistics
from typing import TYPE_CHECKING, Any

from nightcast.cli.arguments import Subparsers, add_data_arguments, opened, pooled, positive, storage_of
from nightcast.cli.learner_options import add_learner_arguments

if TYPE_CHECKING:
    from nightcast.datasource.folds import Fold
    from nightcast.datasource.parts import Datasource, Mapper
    from nightcast.evaluation.evaluate import Evaluation
    from nightcast.storage import Storage

_STRATEGIES = ("sequential", "random", "chronological")


def add_to(commands: Subparsers) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "cross-validate",
        help="how good models are, fold by fold",
        description="Train and evaluate on k folds; tell the metric of each, mean and standard deviation.",
    )
    add_data_arguments(parser)
    add_learner_arguments(parser)
    parser.add_argument("--folds", type=positive, default=5, metavar="K", help="how many (default: 5)")
    parser.add_argument(
        "--strategy",
        choices=_STRATEGIES,
        default="sequential",
        help="how a record finds its fold (default: sequential); random ones follow from --seed, chronological ones "
        "train on what comes before",
    )
    parser.add_argument("--attribute", metavar="NAME", help="the dates of the chronological strategy")
    parser.set_defaults(run_command=run, usage_error=parser.error)


def run(options: argparse.Namespace) -> None:
    """Train and evaluate on each fold, and print the metrics."""
    from nightcast.cli.training import RESULT_BYTES, check_choices

    if (options.attribute is not None) != (options.strategy == "chronological"):
        options.usage_error("--strategy chronological and --attribute belong together")
    if options.folds < 2:
        options.usage_error("--folds must be 2 or more")
    storage, folds = storage_of(options), _folds(options)
    datasource = opened(options, storage).datasource
    recipe = check_choices(options, storage, datasource)
    with pooled(options, datasource, result_bytes=RESULT_BYTES) as mapper:
        found = [_evaluated(options, storage, datasource, fold, recipe, mapper) for fold in folds]
    document = _document(found)
    if options.json:
        print(json.dumps(document, ensure_ascii=False))
    else:
        _print(document)


def _folds(options: argparse.Namespace) -> list[Fold]:
    from nightcast.datasource.folds import k_folds, rolling_folds

    if options.strategy == "chronological":
        return rolling_folds(options.folds, options.attribute)
    return k_folds(options.folds, options.strategy, options.seed if options.strategy == "random" else "")


def _evaluated(
    options: argparse.Namespace,
    storage: Storage,
    datasource: Datasource,
    fold: Fold,
    recipe: str | None,
    mapper: Mapper,
) -> Evaluation:
    from nightcast.cli.evaluate import evaluate_on
    from nightcast.cli.training import train_on

    taken, held_out = (one.resolved(datasource, storage, mapper) for one in (fold.train, fold.evaluate))
    model = train_on(options, storage, datasource, taken, recipe, mapper).model
    return evaluate_on(model, datasource, held_out, storage, mapper)


def _document(found: list[Evaluation]) -> dict[str, Any]:
    name = found[0].metric_name
    metrics = [one.metric for one in found if one.metric is not None]
    return {
        "modelType": found[0].model_type.value,
        "folds": [
            {
                "evaluate": json.loads(one.rearrangement.to_json()),
                "performanceMetrics": {name: one.metric},
                "baseline": {name: one.baseline},
                "recordsSeen": one.records_seen,
                "recordsFailed": one.records_failed,
            }
            for one in found
        ],
        "mean": {name: statistics.fmean(metrics) if metrics else None},
        "standardDeviation": {name: statistics.stdev(metrics) if len(metrics) > 1 else None},
        "baseline": {name: statistics.fmean(one.baseline for one in found)},
    }


def _print(document: dict[str, Any]) -> None:
    from nightcast.cli.model_tables import metric_text
    from nightcast.cli.tables import Printer

    printer = Printer()
    (name,) = document["mean"]
    rows = [
        [
            str(number),
            metric_text(fold["performanceMetrics"][name]),
            metric_text(fold["baseline"][name]),
            f"{fold['recordsSeen']:,}",
            f"{fold['recordsFailed']:,}",
        ]
        for number, fold in enumerate(document["folds"], start=1)
    ]
    printer.table([">Fold", f">{name}", ">Baseline", ">Records seen", ">Failed"], rows)
    printer.line()
    printer.pairs(
        [
            ("Mean", metric_text(document["mean"][name])),
            ("Standard deviation", metric_text(document["standardDeviation"][name])),
            ("Baseline", metric_text(document["baseline"][name])),
        ]
    )
