"""``nightcast predict``: a batch prediction."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nightcast.cli.arguments import Subparsers, add_data_arguments, share, storage_of, working
from nightcast.cli.model_folder import add_model_argument

if TYPE_CHECKING:
    from nightcast.datasource.parts import Datasource, Mapper
    from nightcast.mlmodel.model import MLModel
    from nightcast.prediction.batch import BatchPrediction
    from nightcast.storage import Storage

_FOLDER, _RESULT, _REJECTED = "batch-prediction", "batch-prediction/result", "rejected"


def add_to(commands: Subparsers) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "predict",
        help="a batch prediction",
        description="Score all records; write batch-prediction/ and rejected/ in Amazon ML's layout.",
    )
    add_model_argument(parser)
    add_data_arguments(parser, target=False)
    parser.add_argument("--intervals", type=share, metavar="P", help="REGRESSION: add lower and upper, such as for 0.9")
    parser.add_argument("--id", metavar="BP", help="of the batch prediction (default: follows from model and data)")
    parser.add_argument("-o", "--output", metavar="FOLDER", required=True, help="where the files go; disk or s3://")
    parser.set_defaults(run_command=run)


def run(options: argparse.Namespace) -> None:
    """Predict, write the files, and tell the counts."""
    from nightcast.cli.folders import laid
    from nightcast.cli.model_folder import opened_for
    from nightcast.compute import local_compute
    from nightcast.registry.model_folder import loaded, model_digest

    storage = storage_of(options)
    model = loaded(storage, options.model)
    datasource = opened_for(options, storage, model).datasource
    bp_id = options.id or prediction_id(datasource, model_digest(storage, options.model), options.intervals)
    with (
        laid(storage, options.output, [manifest_name(bp_id)]) as made,
        # The result files are written to this machine's disk, which a cluster's workers do not share.
        working(options, datasource, "predictions", local_compute) as mapper,
    ):
        result = predict_into(made, options.output, model, datasource, bp_id, storage, mapper, options.intervals)
    if options.json:
        print(json.dumps(prediction_document(result, options.output), ensure_ascii=False))
        return
    from nightcast.cli.tables import Printer

    printer = Printer()
    printer.pairs(prediction_pairs(result, options.output))


def prediction_id(datasource: Datasource, digest: str, level: float | None) -> str:
    """An id that follows from what goes in: the same prediction again writes the same file names.

    Parameters
    ----------
    digest
        Of the model.
    level
        Of intervals.
    """
    from nightcast.artifacts import object_id
    from nightcast.mlmodel.train import datasource_digest

    return object_id("bp", datasource_digest(datasource), digest, "" if level is None else repr(level))


def manifest_name(bp_id: str) -> str:
    """Where the manifest lies below the output folder; it says that the other files are complete."""
    return f"{_FOLDER}/{bp_id}.manifest"


def predict_into(
    made: Path,
    folder: str,
    model: MLModel,
    datasource: Datasource,
    bp_id: str,
    storage: Storage,
    mapper: Mapper,
    level: float | None,
) -> BatchPrediction:
    """Write manifest, results and rejected records into an empty folder.

    Parameters
    ----------
    made
        The empty folder.
    folder
        Where its files will lie; the manifest names this place. Rejected records of the same prediction made earlier
        are deleted there.
    """
    from nightcast.prediction.batch import manifest, predict

    result = predict(model, datasource, bp_id, made / _RESULT, storage, mapper, level=level)
    base = _base_uri(folder)
    places = {part.uri: f"{base}/{_RESULT}/{part.path.name}" for part in result.results}
    (made / manifest_name(bp_id)).write_bytes(manifest(places))
    if (made / _RESULT / _REJECTED).is_dir():
        (made / _RESULT / _REJECTED).rename(made / _REJECTED)
    earlier = storage.names_below(f"{folder.rstrip('/')}/{_REJECTED}/")
    storage.delete([uri for uri in earlier if uri.rsplit("/", 1)[-1].startswith(f"{bp_id}-")])
    return result


def delete_prediction(storage: Storage, folder: str, bp_id: str) -> None:
    """Delete the files of a batch prediction, its manifest first."""
    names = storage.names_below(f"{folder.rstrip('/')}/{_FOLDER}/")
    storage.delete([f"{folder.rstrip('/')}/{manifest_name(bp_id)}"])
    storage.delete([uri for uri in names if uri.rsplit("/", 1)[-1].startswith(f"{bp_id}-")])


def prediction_document(result: BatchPrediction, folder: str) -> dict[str, Any]:
    """What is told of a batch prediction for machines."""
    base = folder.rstrip("/")
    return {
        "batchPredictionId": result.batch_prediction_id,
        "recordsSeen": result.records_seen,
        "recordsFailed": result.records_failed,
        "manifest": f"{base}/{manifest_name(result.batch_prediction_id)}",
        "results": [f"{base}/{_RESULT}/{part.path.name}" for part in result.results],
        "rejected": [f"{base}/{_REJECTED}/{path.name}" for path in result.rejected],
    }


def prediction_pairs(result: BatchPrediction, folder: str) -> list[tuple[str, str]]:
    """What is told of a batch prediction to people."""
    told = prediction_document(result, folder)
    return [
        ("Batch prediction", result.batch_prediction_id),
        ("Records seen", f"{result.records_seen:,}"),
        ("Records failed to process", f"{result.records_failed:,}"),
        ("Manifest", told["manifest"]),
        *(("Rejected", place) for place in told["rejected"]),
    ]


def _base_uri(folder: str) -> str:
    from nightcast.storage import is_s3, local_path

    base = folder.rstrip("/")
    return base if is_s3(base) else local_path(base).absolute().as_uri()
