"""Model directories on disk and S3."""

from __future__ import annotations

import hashlib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from nightcast.errors import ChangedObjectError, MissingObjectError, ModelError
from nightcast.storage import is_s3, local_path

if TYPE_CHECKING:
    from nightcast.artifacts import ArtifactRef
    from nightcast.mlmodel.model import MLModel
    from nightcast.storage import Storage

MODEL = "model.json"


def loaded(storage: Storage, folder: str) -> MLModel:
    """The model of a directory.

    Raises
    ------
    ModelError
        If it is damaged, or no model.
    """
    from nightcast.mlmodel.files import load_model

    base = folder.rstrip("/")
    if not is_s3(base):
        return load_model(local_path(base))
    try:
        return loaded_beside(storage, base, storage.read_bytes(f"{base}/{MODEL}"))
    except MissingObjectError as fault:
        raise ModelError(f"{folder} holds no whole model ({fault}): give the directory of a trained model.") from fault


def loaded_beside(storage: Storage, folder: str, document: bytes) -> MLModel:
    """The model whose document has been read, with the files that it names, from a copy that is deleted at the end.

    Raises
    ------
    ModelError
        If it is damaged, or this machine has no room for the copy.
    MissingObjectError
        If a file is not there.
    """
    from nightcast.mlmodel.files import load_model, model_file_names

    try:
        with TemporaryDirectory(prefix="nightcast-model-") as copy:
            (Path(copy) / MODEL).write_bytes(document)
            for name in model_file_names(document):
                (Path(copy) / name).write_bytes(storage.read_bytes(f"{folder}/{name}"))
            return load_model(Path(copy))
    except OSError as fault:
        raise ModelError(f"the model of {folder} can not be copied to this machine: {fault}") from fault


def promoted(storage: Storage, model: ArtifactRef) -> MLModel:
    """The model that a promotion speaks of.

    Parameters
    ----------
    model
        Reference of its ``model.json``.

    Raises
    ------
    ModelError
        If a file is gone or damaged, or the directory holds another model.
    """
    uri = model["uri"]
    try:
        return loaded_beside(storage, uri.rpartition("/")[0], storage.read_artifact(model))
    except ChangedObjectError as fault:
        raise ModelError(f"{uri} is not the model that was promoted: its run has trained another one since.") from fault
    except MissingObjectError as fault:
        raise ModelError(f"the model of {uri} is not whole any more: {fault}") from fault


def model_digest(storage: Storage, folder: str) -> str:
    """Tells models apart: the digest of the document that names the digests of all files."""
    return hashlib.sha256(storage.read_bytes(f"{folder.rstrip('/')}/{MODEL}")).hexdigest()
