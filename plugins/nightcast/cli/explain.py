"""``nightcast explain``: what a model looks at."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from nightcast.cli.arguments import Subparsers, add_data_arguments, positive, storage_of, working
from nightcast.cli.learner_options import add_split_argument
from nightcast.cli.model_folder import add_model_argument

if TYPE_CHECKING:
    from nightcast.mlmodel.model import MLModel
    from nightcast.storage import Storage

_MOST = 30


def add_to(commands: Subparsers) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "explain",
        help="what a model looks at",
        description="Tell coefficients of a linear model, gains of boosted trees, and, on data, what each attribute "
        "is worth: how much worse the model becomes when its values are shuffled.",
    )
    add_model_argument(parser)
    add_data_arguments(parser, target=False, optional=True)
    add_split_argument(parser, "the records that are looked at, not those of the training (default: all)")
    parser.add_argument("--most", type=positive, default=_MOST, metavar="N", help=f"rows to print (default: {_MOST})")
    parser.add_argument("--seed", default="", metavar="TEXT", help="of the shuffling (default: empty)")
    parser.set_defaults(run_command=run, usage_error=parser.error)


def run(options: argparse.Namespace) -> None:
    """Print coefficients, gains and permutation importance."""
    from nightcast.registry.model_folder import loaded
    from nightcast.report.explanation import explanation

    if options.data is None and options.split is not None:
        options.usage_error("--split needs DATA")
    storage = storage_of(options)
    model = loaded(storage, options.model)
    document = explanation(model)
    if options.data is not None:
        document["permutationImportance"] = _permuted(options, storage, model)
    if options.json:
        print(json.dumps(document, ensure_ascii=False))
    else:
        _print(document, options.most)


def _permuted(options: argparse.Namespace, storage: Storage, model: MLModel) -> dict[str, float]:
    from nightcast.cli.model_folder import opened_for
    from nightcast.datasource.rearrangement import Rearrangement
    from nightcast.evaluation.importance import permutation_importance

    taken = Rearrangement.from_json(options.split or "")
    datasource = opened_for(options, storage, model).datasource
    with working(options, datasource, "importance") as mapper:
        resolved = taken.resolved(datasource, storage, mapper)
        return permutation_importance(model, datasource, resolved, storage, mapper, seed=options.seed)


def _print(document: dict[str, Any], most: int) -> None:
    from nightcast.cli.model_tables import metric_text
    from nightcast.cli.tables import Printer

    printer = Printer()
    printer.heading("Model")
    printer.pairs(
        [
            ("Model type", document["modelType"]),
            ("Target", printer.cell(document["target"])),
            ("Learner", document["learner"]),
            *((f"Share of {kind}", metric_text(share)) for kind, share in document.get("shares", {}).items()),
            *(
                (f"Intercept {printer.cell(name)}".rstrip(), metric_text(v))
                for name, v in document["intercepts"].items()
            ),
        ]
    )
    coefficients = document["coefficients"]
    if coefficients:
        printer.heading(f"Coefficients: the {min(most, len(coefficients)):,} largest of {len(coefficients):,}")
        titled = "class" in coefficients[0]
        rows = [
            [
                printer.cell(one["feature"]),
                *([printer.cell(one["class"])] if titled else []),
                metric_text(one["weight"]),
            ]
            for one in coefficients[:most]
        ]
        printer.table(["Feature", *(["Class"] if titled else []), ">Weight"], rows)
    for key, title, column in (
        ("importance", "Importance: share of the gain of all splits", ">Share"),
        ("permutationImportance", "Permutation importance: the mean loss grows by this much", ">Increase"),
    ):
        if document.get(key):
            printer.heading(title)
            rows = [[printer.cell(name), metric_text(value)] for name, value in list(document[key].items())[:most]]
            printer.table(["Attribute", column], rows)
