"""``nightcast evaluate``: how good a model is on records whose outcome is known."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from typing import TYPE_CHECKING

from nightcast.cli import progress
from nightcast.cli.arguments import Subparsers, add_data_arguments, name_of, pooled, share, storage_of
from nightcast.cli.learner_options import add_split_argument
from nightcast.cli.model_folder import add_model_argument
from nightcast.errors import ModelError

if TYPE_CHECKING:
    from nightcast.datasource.insights import Insights
    from nightcast.datasource.parts import Datasource, Mapper
    from nightcast.datasource.rearrangement import Rearrangement
    from nightcast.evaluation.evaluate import Evaluation
    from nightcast.mlmodel.model import MLModel
    from nightcast.storage import Storage


def add_to(commands: Subparsers) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "evaluate",
        help="how good a model is",
        description="Evaluate a model on records whose outcome is known. --json prints the evaluation document.",
    )
    add_model_argument(parser)
    add_data_arguments(parser, target=False)
    add_split_argument(parser, "the records that are evaluated on (default: all)")
    parser.add_argument("--report", metavar="FILE", help="write one HTML page there, with errors by segment and week")
    parser.add_argument("-o", "--output", metavar="FILE", help="write the evaluation document there")
    parser.add_argument("--threshold", type=share, metavar="T", help="BINARY: the label is 1 from this score on")
    parser.add_argument(
        "--save-threshold", action="store_true", help="keep --threshold in the model directory, for predictions"
    )
    parser.set_defaults(run_command=run, usage_error=parser.error)


def run(options: argparse.Namespace) -> None:
    """Evaluate, print the evaluation, and write what was asked for."""
    from nightcast.cli.model_folder import opened_for
    from nightcast.datasource.rearrangement import Rearrangement
    from nightcast.mlmodel.scoring import for_model
    from nightcast.registry.model_folder import loaded

    if options.save_threshold and options.threshold is None:
        options.usage_error("--save-threshold needs --threshold")
    storage = storage_of(options)
    taken = Rearrangement.from_json(options.split or "")
    model = _with_threshold(loaded(storage, options.model), options.threshold)
    datasource = opened_for(options, storage, model).datasource
    with pooled(options, datasource) as mapper:
        resolved = taken.resolved(datasource, storage, mapper)
        insights = None
        if options.report:
            insights = _insights(for_model(model, datasource), resolved, storage, mapper)
        evaluation = evaluate_on(model, datasource, resolved, storage, mapper, insights)
    if options.output:
        storage.write_bytes(options.output, evaluation.to_json().encode(), "application/json")
    if options.report:
        write_report(storage, options.report, model, evaluation, name_of(options.data))
    if options.save_threshold:
        _save(storage, options.model, model)
    _print(options, evaluation)


def evaluate_on(
    model: MLModel,
    datasource: Datasource,
    taken: Rearrangement,
    storage: Storage,
    mapper: Mapper,
    insights: Insights | None = None,
) -> Evaluation:
    """Evaluate on the records that a resolved data rearrangement takes.

    Parameters
    ----------
    mapper
        Without a progress bar.
    insights
        What segments and weeks are chosen by; None for no segments.
    """
    from nightcast.evaluation.evaluate import evaluate
    from nightcast.evaluation.segments import segment_attributes, week_attribute

    with progress.shown(mapper, "evaluation") as counted:
        return evaluate(
            model,
            datasource,
            taken,
            storage,
            counted,
            segments=() if insights is None else segment_attributes(datasource.schema, insights),
            dates=None if insights is None else week_attribute(datasource.schema, insights),
        )


def write_report(storage: Storage, place: str, model: MLModel, evaluation: Evaluation, name: str) -> None:
    """Write the page of a model and its evaluation."""
    from nightcast.artifacts import HTML
    from nightcast.report.model_page import render_model

    page = render_model(model, json.loads(evaluation.to_json()), name)
    storage.write_bytes(place, page.encode(), HTML)


def _insights(datasource: Datasource, taken: Rearrangement, storage: Storage, mapper: Mapper) -> Insights:
    from nightcast.datasource.insights import compute_insights

    with progress.shown(mapper, "insights") as counted:
        return compute_insights(datasource, storage, counted, rearrangement=taken)


def _with_threshold(model: MLModel, threshold: float | None) -> MLModel:
    if threshold is None:
        return model
    if model.model_type.value != "BINARY":
        raise ModelError(f"--threshold belongs to a BINARY model, and this one is {model.model_type}: leave it out")
    return replace(model, score_threshold=threshold)


def _save(storage: Storage, folder: str, model: MLModel) -> None:
    from nightcast.cli.folders import laid
    from nightcast.mlmodel.files import save_model
    from nightcast.registry.model_folder import MODEL

    with laid(storage, folder, [MODEL]) as made:
        save_model(model, made)


def _print(options: argparse.Namespace, evaluation: Evaluation) -> None:
    if options.json:
        print(evaluation.to_json(), end="")
        return
    from nightcast.cli.model_tables import print_evaluation
    from nightcast.cli.tables import Printer

    printer = Printer()
    print_evaluation(printer, evaluation)
    written = [("Report", options.report), ("Evaluation", options.output)]
    written += [("Score threshold", f"{options.threshold:g} in {options.model}")] if options.save_threshold else []
    if any(place for _, place in written):
        printer.heading("Written")
        printer.pairs([(what, place) for what, place in written if place])
