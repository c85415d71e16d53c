"""The model directory: a model in open formats, of which loading runs no code.

``model.json`` says what the model is, and names version and digest of everything; ``training.log`` is the log; the
other files are the predictor's: ``featurizer.json`` and ``weights.parquet`` of a linear model, ``encoder.json`` and
``trees.parquet`` of boosted trees; a mean of both has all of these, and ``blend.json``. The same fit gives the same
bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow as pa

from nightcast import __version__
from nightcast.datasource.schema import Schema
from nightcast.datasource.strict_json import parse_object
from nightcast.errors import ModelError, RecipeError, SchemaError
from nightcast.mlmodel.intervals import Intervals
from nightcast.mlmodel.linear_predictor import LinearPredictor
from nightcast.mlmodel.model import Link, MLModel, Predictor
from nightcast.mlmodel.targets import ModelType, Target

FORMAT = "nightcast-model"
VERSION = 2
_LOG = "training.log"
_LIBRARIES = ("numpy", "pyarrow", "scikit-learn", "scipy")


def _load_trees(directory: Path) -> Predictor:
    # A linear model does without.
    from nightcast.mlmodel.trees import BoostedTrees

    return BoostedTrees.load(directory)


def _load_blend(directory: Path) -> Predictor:
    from nightcast.mlmodel.blend import Blend

    return Blend.load(directory, _MEMBERS)


_MEMBERS: dict[str, Callable[[Path], Predictor]] = {"linear": LinearPredictor.load, "boosting": _load_trees}
_LOADERS: dict[str, Callable[[Path], Predictor]] = _MEMBERS | {"blend": _load_blend}


def save_model(model: MLModel, directory: Path) -> tuple[str, ...]:
    """Write the model directory; files of an earlier model are replaced.

    Returns
    -------
    tuple of str
        Names of the files, ``model.json`` last: a directory without it is no model.

    Raises
    ------
    ModelError
        If the directory can not be written.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "model.json").unlink(missing_ok=True)
        (directory / _LOG).write_bytes("".join(f"{line}\n" for line in model.log).encode())
        names = (_LOG, *model.predictor.save(directory))
        document = _document(model)
        document["files"] = {name: _digest(directory / name) for name in names}
        document["sha256"] = _own_digest(document)
        (directory / "model.json").write_text(_canonical(document), encoding="utf-8")
    except OSError as fault:
        raise ModelError(f"the model can not be written to {directory}: {fault}") from fault
    return (*names, "model.json")


def load_model(directory: Path) -> MLModel:
    """Read a model directory.

    Raises
    ------
    ModelError
        If a file is missing or damaged, or the model was written by another version of Nightcast's format.
    """
    document = _read_document(directory / "model.json")
    for name, digest in document["files"].items():
        if not (directory / name).is_file() or _digest(directory / name) != digest:
            raise ModelError(
                f"{directory / name} is missing or damaged: copy the model directory again, or train again."
            )
    try:
        target = document["target"]
        return MLModel(
            schema=Schema.from_json(json.dumps(document["schema"])),
            recipe=document["recipe"],
            target=Target(target["attributeName"], ModelType(document["modelType"]), tuple(target["classes"])),
            predictor=_LOADERS[document["predictor"]](directory),
            link=Link(document["link"]),
            learner=document["learner"],
            parameters=document["parameters"],
            training=document["training"],
            score_threshold=float(document["scoreThreshold"]),
            intervals=_intervals(document["intervals"]),
            log=tuple((directory / _LOG).read_bytes().decode().split("\n")[:-1]),
        )
    except (KeyError, TypeError, ValueError, OSError, RecipeError, SchemaError, pa.ArrowException) as fault:
        raise ModelError(f"the model in {directory} is damaged ({fault!r:.200}): train again.") from fault


def model_file_names(document: bytes) -> tuple[str, ...]:
    """Names of the files that a ``model.json`` speaks of, itself not among them; ModelError when it is damaged."""
    return tuple(_checked(document.decode("utf-8", "replace"), "model.json")["files"])


def _document(model: MLModel) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "version": VERSION,
        "nightcast": __version__,
        "libraries": {name: version(name) for name in _LIBRARIES},
        "modelType": model.model_type.value,
        "schema": json.loads(model.schema.to_json()),
        "recipe": model.recipe,
        "target": {"attributeName": model.target.name, "classes": list(model.target.classes)},
        "learner": model.learner,
        "parameters": dict(model.parameters),
        "training": dict(model.training),
        "predictor": model.predictor.kind,
        "link": model.link.value,
        "size": model.predictor.size,
        "scoreThreshold": model.score_threshold,
        "intervals": None if model.intervals is None else dict(model.intervals),
    }


def _intervals(document: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    if document is not None:
        Intervals.from_document(document)
    return document


def _read_document(path: Path) -> dict[str, Any]:
    try:
        return _checked(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as fault:
        raise ModelError(f"{path} can not be read ({fault}): give the directory of a trained model.") from fault


def _checked(text: str, path: str) -> dict[str, Any]:
    document = parse_object(text, path, ModelError)
    found = document.get("version")
    if document.get("format") != FORMAT or type(found) is not int:
        raise ModelError(f"{path} is not a model of Nightcast: give the directory of a trained model.")
    if found != VERSION:
        remedy = "update it, or train the model again" if found > VERSION else "train the model again"
        raise ModelError(f"{path} has format version {found}, and this Nightcast reads version {VERSION}: {remedy}.")
    if document.get("sha256") != _own_digest(document) or not _names_files(document.get("files")):
        raise ModelError(f"{path} is damaged: copy the model directory again, or train again.")
    return document


def _names_files(files: Any) -> bool:
    return isinstance(files, dict) and all(Path(name).name == name and name != "model.json" for name in files)


def _canonical(document: Mapping[str, Any]) -> str:
    return json.dumps(document, sort_keys=True, indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def _own_digest(document: Mapping[str, Any]) -> str:
    rest = {key: value for key, value in document.items() if key != "sha256"}
    return hashlib.sha256(_canonical(rest).encode()).hexdigest()


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
