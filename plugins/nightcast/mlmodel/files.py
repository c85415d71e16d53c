"""The model directory: a model in open formats, of which loading runs no code.

``model.json`` says what the model is, and names version and digest of everything; ``featurizer.json`` says how
records become features; ``weights.parquet`` has one row per feature, its name and its weight. The same fit
gives the same bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nightcast import __version__
from nightcast.datasource.arrow_arrays import Floats, fixed_values, float_array
from nightcast.datasource.parts import Batch
from nightcast.datasource.schema import Schema
from nightcast.datasource.strict_json import parse_object
from nightcast.errors import ModelError, RecipeError, SchemaError
from nightcast.recipe.featurizer import Featurizer
from nightcast.recipe.pieces import linear_scores
from nightcast.recipe.tokens import text_array

FORMAT = "nightcast-model"
VERSION = 1
MODEL_FILES = ("featurizer.json", "model.json", "weights.parquet")
_LIBRARIES = ("numpy", "pyarrow", "scipy")


@dataclass(frozen=True)
class MLModel:
    """A trained model.

    Parameters
    ----------
    schema, recipe
        What it was trained on, and the text of the recipe.
    weights, intercept
        float64 of shape (featurizer.n_features,), and the prediction for a record without any feature.
    learner, parameters
        How it was trained.
    training
        What is known of the training records: ``records``, ``invalidRecords``, ``targetMean``, ``targetStd``,
        ``targetMin``, ``targetMax``, ``rmse``, ``rearrangement`` and more.
    """

    schema: Schema
    recipe: str = field(repr=False)
    featurizer: Featurizer = field(repr=False)
    weights: Floats = field(repr=False)
    intercept: float
    learner: str = "linear"
    parameters: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    model_type: str = "REGRESSION"

    def predict(self, batch: Batch) -> Floats:
        """Scores of the records of a batch, which has the featurizer's columns; shape (len(batch),).

        A number beyond the range of float64 gives a score that is infinite or NaN.
        """
        return linear_scores(self.featurizer.pieces(batch), self.weights, self.intercept, len(batch))


def save_model(model: MLModel, directory: Path) -> None:
    """Write the model directory; files of an earlier model are replaced.

    Raises
    ------
    ModelError
        If the directory can not be written.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "featurizer.json").write_text(model.featurizer.to_json(), encoding="utf-8")
        names = text_array(model.featurizer.feature_names)
        weights = pa.Table.from_arrays([names, float_array(model.weights)], names=["feature", "weight"])
        pq.write_table(weights, directory / "weights.parquet")
        document = _document(model)
        document["files"] = {name: _digest(directory / name) for name in MODEL_FILES if name != "model.json"}
        document["sha256"] = _own_digest(document)
        (directory / "model.json").write_text(_canonical(document), encoding="utf-8")
    except OSError as fault:
        raise ModelError(f"the model can not be written to {directory}: {fault}") from fault


def load_model(directory: Path) -> MLModel:
    """Read a model directory.

    Raises
    ------
    ModelError
        If a file is missing or damaged, or the model was written by a newer version of Nightcast.
    """
    document = _read_document(directory)
    for name, digest in document["files"].items():
        if Path(name).name != name or not (directory / name).is_file() or _digest(directory / name) != digest:
            raise ModelError(
                f"{directory / name} is missing or damaged: copy the model directory again, or train again."
            )
    try:
        featurizer = Featurizer.from_json((directory / "featurizer.json").read_text(encoding="utf-8"))
        table = pq.ParquetFile(directory / "weights.parquet").read()
        model = MLModel(
            schema=Schema.from_json(json.dumps(document["schema"])),
            recipe=document["recipe"],
            featurizer=featurizer,
            weights=fixed_values(table.column("weight").combine_chunks(), np.float64),
            intercept=float(document["intercept"]),
            learner=document["learner"],
            parameters=document["parameters"],
            training=document["training"],
            model_type=document["modelType"],
        )
        names = table.column("feature").to_pylist()
    except (KeyError, TypeError, ValueError, OSError, RecipeError, SchemaError, pa.ArrowException) as fault:
        raise ModelError(f"the model in {directory} is damaged ({fault!r:.200}): train again.") from fault
    if names != featurizer.feature_names:
        raise ModelError(f"weights and featurizer in {directory} are not of one model: copy the directory again.")
    return model


def _document(model: MLModel) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "version": VERSION,
        "nightcast": __version__,
        "libraries": {name: version(name) for name in _LIBRARIES},
        "modelType": model.model_type,
        "schema": json.loads(model.schema.to_json()),
        "recipe": model.recipe,
        "learner": model.learner,
        "parameters": model.parameters,
        "training": model.training,
        "intercept": model.intercept,
        "features": model.featurizer.n_features,
    }


def _read_document(directory: Path) -> dict[str, Any]:
    path = directory / "model.json"
    try:
        document = parse_object(path.read_text(encoding="utf-8"), str(path), ModelError)
    except (OSError, UnicodeDecodeError) as fault:
        raise ModelError(f"{path} can not be read ({fault}): give the directory of a trained model.") from fault
    if document.get("format") != FORMAT or type(document.get("version")) is not int:
        raise ModelError(f"{path} is not a model of Nightcast: give the directory of a trained model.")
    if document["version"] > VERSION:
        raise ModelError(
            f"{path} has format version {document['version']}, and this Nightcast reads up to {VERSION}: update it, or "
            "train the model again."
        )
    if document.get("sha256") != _own_digest(document) or not isinstance(document.get("files"), dict):
        raise ModelError(f"{path} is damaged: copy the model directory again, or train again.")
    if set(document["files"]) != set(MODEL_FILES) - {"model.json"}:
        raise ModelError(f"{path} does not name the files of a model: copy the directory again, or train again.")
    return document


def _canonical(document: Mapping[str, Any]) -> str:
    return json.dumps(document, sort_keys=True, indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def _own_digest(document: Mapping[str, Any]) -> str:
    rest = {key: value for key, value in document.items() if key != "sha256"}
    return hashlib.sha256(_canonical(rest).encode()).hexdigest()


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
