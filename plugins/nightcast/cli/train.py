"""``nightcast train``: a model from records."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from typing import TYPE_CHECKING

from nightcast.cli.arguments import Subparsers, add_data_arguments, opened, pooled, share, storage_of
from nightcast.cli.learner_options import add_learner_arguments, add_split_argument
from nightcast.errors import ModelError

if TYPE_CHECKING:
    from nightcast.datasource.schema import Schema


def add_to(commands: Subparsers) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "train",
        help="a model from records",
        description="Compute the insights of the training records, learn from them, and write a model directory.",
    )
    add_data_arguments(parser)
    add_learner_arguments(parser)
    add_split_argument(parser, "the records that train (default: all)")
    parser.add_argument(
        "--score-threshold", type=share, metavar="T", help="BINARY: the label is 1 from this score on (default: 0.5)"
    )
    parser.add_argument(
        "-o", "--output", metavar="MODEL_DIR", required=True, help="where the model goes; disk or s3://"
    )
    parser.set_defaults(run_command=run)


def run(options: argparse.Namespace) -> None:
    """Train, write the model directory, and tell what was found."""
    from nightcast.cli.folders import laid
    from nightcast.cli.model_folder import training_document
    from nightcast.cli.training import RESULT_BYTES, check_choices, train_on
    from nightcast.datasource.rearrangement import Rearrangement
    from nightcast.mlmodel.files import save_model
    from nightcast.registry.model_folder import MODEL

    storage = storage_of(options)
    taken = Rearrangement.from_json(options.split or "")
    datasource = opened(options, storage).datasource
    recipe = check_choices(options, storage, datasource)
    _check_threshold(options, datasource.schema)
    with (
        laid(storage, options.output, [MODEL]) as made,
        pooled(options, datasource, result_bytes=RESULT_BYTES) as mapper,
    ):
        resolved = taken.resolved(datasource, storage, mapper)
        model = train_on(options, storage, datasource, resolved, recipe, mapper).model
        if options.score_threshold is not None:
            model = replace(model, score_threshold=options.score_threshold)
        save_model(model, made)
    if options.json:
        print(json.dumps({"model": options.output, **training_document(model)}, ensure_ascii=False))
        return
    from nightcast.cli.model_tables import print_training
    from nightcast.cli.tables import Printer

    printer = Printer()
    print_training(printer, model)
    printer.line(f"\nWritten: {options.output}")


def _check_threshold(options: argparse.Namespace, schema: Schema) -> None:
    from nightcast.datasource.schema import AttributeType

    if options.score_threshold is not None and schema.type_of(str(schema.target)) is not AttributeType.BINARY:
        raise ModelError(f"--score-threshold belongs to a BINARY target, and {schema.target!r} is none: leave it out")
