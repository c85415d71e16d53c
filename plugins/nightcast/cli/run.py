"""``nightcast run``: from records to predictions in one go."""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nightcast.cli import progress
from nightcast.cli.arguments import Subparsers, add_data_arguments, name_of, opened, pooled, share, storage_of
from nightcast.cli.learner_options import add_learner_arguments, add_split_argument, partial_split
from nightcast.errors import PredictionError, StorageError

if TYPE_CHECKING:
    from nightcast.cli.tables import Printer
    from nightcast.datasource.parts import Datasource
    from nightcast.datasource.rearrangement import Rearrangement
    from nightcast.evaluation.evaluate import Evaluation
    from nightcast.mlmodel.model import MLModel
    from nightcast.prediction.batch import BatchPrediction
    from nightcast.storage import Storage

_PERCENT = 70
_SUMMARY, _MODEL = "run.json", "model/model.json"


@dataclass(frozen=True)
class Outcome:
    """What a run has made."""

    model: MLModel
    evaluation: Evaluation
    prediction: BatchPrediction


def add_to(commands: Subparsers) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "run",
        help="schema to predictions in one go, with a report",
        description="Compute insights of the training records, suggest a recipe, train, evaluate on the other records, "
        "and predict all records; write everything, with a report.",
    )
    add_data_arguments(parser)
    add_learner_arguments(parser)
    add_split_argument(parser, f"the records that train (default: the first {_PERCENT} %%); the others evaluate")
    parser.add_argument("--intervals", type=share, metavar="P", help="REGRESSION: add lower and upper, such as for 0.9")
    parser.add_argument("-o", "--output", metavar="FOLDER", required=True, help="where the files go; disk or s3://")
    parser.set_defaults(run_command=run)


def run(options: argparse.Namespace) -> None:
    """Do everything, write it, and print a summary."""
    from nightcast.cli.training import check_choices
    from nightcast.datasource.rearrangement import Rearrangement

    storage = storage_of(options)
    chosen = Rearrangement(0, _PERCENT) if options.split is None else partial_split(options.split)
    datasource = opened(options, storage).datasource
    recipe = check_choices(options, storage, datasource)
    _check_intervals(options, datasource)
    outcome = _outcome(options, storage, datasource, chosen, recipe)
    if options.json:
        print(json.dumps(_document(options, outcome), ensure_ascii=False))
        return
    from nightcast.cli.tables import Printer

    _print(Printer(), options, outcome)


def _check_intervals(options: argparse.Namespace, datasource: Datasource) -> None:
    from nightcast.datasource.schema import AttributeType

    target = datasource.schema.require_target()
    if options.intervals is not None and target.type is not AttributeType.NUMERIC:
        raise PredictionError(f"--intervals belong to numbers, and {target.name!r} is {target.type}: leave them out")


def _outcome(
    options: argparse.Namespace, storage: Storage, datasource: Datasource, chosen: Rearrangement, recipe: str | None
) -> Outcome:
    """All stages, in a folder that becomes visible when it is complete."""
    from nightcast.cli.evaluate import evaluate_on, write_report
    from nightcast.cli.folders import laid
    from nightcast.cli.predict import delete_prediction, predict_into, prediction_id
    from nightcast.cli.training import RESULT_BYTES, train_on
    from nightcast.compute import local_compute
    from nightcast.mlmodel.files import save_model

    earlier = _earlier_prediction(storage, options.output)
    with (
        laid(storage, options.output, [_MODEL, _SUMMARY]) as made,
        # Files on this disk tie the work to this machine.
        pooled(options, datasource, local_compute, RESULT_BYTES) as mapper,
    ):
        taken = chosen.resolved(datasource, storage, mapper)
        trained = train_on(options, storage, datasource, taken, recipe, mapper)
        model, held_out = trained.model, taken.complemented()
        save_model(model, made / "model")
        evaluation = evaluate_on(model, datasource, held_out, storage, mapper, trained.insights)
        for name, text in {
            "schema.json": datasource.schema.to_json(),
            "insights.json": trained.insights.to_json(),
            "recipe.json": trained.recipe,
            "evaluation.json": evaluation.to_json(),
        }.items():
            (made / name).write_text(text, encoding="utf-8")
        write_report(storage, str(made / "report.html"), model, evaluation, name_of(options.data))
        bp_id = prediction_id(datasource, _digest_of(storage, str(made / "model")), options.intervals)
        with progress.shown(mapper, "predictions") as counted:
            prediction = predict_into(
                made, options.output, model, datasource, bp_id, storage, counted, options.intervals
            )
        outcome = Outcome(model, evaluation, prediction)
        summary = json.dumps(_document(options, outcome), ensure_ascii=False, indent=2)
        (made / _SUMMARY).write_text(summary + "\n", encoding="utf-8")
    if earlier not in (None, bp_id):
        delete_prediction(storage, options.output, earlier)
    return outcome


def _earlier_prediction(storage: Storage, folder: str) -> str | None:
    """The id of the batch prediction of a run that wrote to the folder before."""
    try:
        document = json.loads(storage.read_bytes(f"{folder.rstrip('/')}/{_SUMMARY}"))
        return str(document["batchPrediction"]["batchPredictionId"])
    except (StorageError, ValueError, LookupError, TypeError):
        # There was none, or its summary is damaged, and tells nothing of its files.
        return None


def _digest_of(storage: Storage, folder: str) -> str:
    from nightcast.registry.model_folder import model_digest

    return model_digest(storage, folder)


def _document(options: argparse.Namespace, outcome: Outcome) -> dict[str, Any]:
    from nightcast.cli.model_folder import training_document
    from nightcast.cli.predict import prediction_document

    evaluation = outcome.evaluation
    base = options.output.rstrip("/")
    files = ("schema.json", "insights.json", "recipe.json", "model", "evaluation.json", "report.html")
    return {
        "files": {name.split(".", 1)[0]: f"{base}/{name}" for name in files},
        "model": training_document(outcome.model),
        "evaluation": {
            "modelType": evaluation.model_type.value,
            "performanceMetrics": {evaluation.metric_name: evaluation.metric},
            "baseline": {evaluation.metric_name: evaluation.baseline},
            "recordsSeen": evaluation.records_seen,
            "recordsFailed": evaluation.records_failed,
            "alerts": evaluation.alerts,
        },
        "batchPrediction": prediction_document(outcome.prediction, options.output),
    }


def _print(printer: Printer, options: argparse.Namespace, outcome: Outcome) -> None:
    from nightcast.cli.model_tables import print_evaluation, print_training
    from nightcast.cli.predict import prediction_pairs

    print_training(printer, outcome.model)
    print_evaluation(printer, outcome.evaluation)
    printer.heading("Predictions")
    printer.pairs(prediction_pairs(outcome.prediction, options.output))
    printer.heading("Written")
    printer.pairs([("Folder", options.output), ("Report", f"{options.output.rstrip('/')}/report.html")])
