"""The model of an endpoint: one that stays, or whichever is champion."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from nightcast.errors import ModelError, NightcastError, RegistryError
from nightcast.prediction.single import RecordPredictor
from nightcast.registry.model_folder import loaded, model_digest, promoted
from nightcast.registry.model_registry import ModelRegistry, Promotion

if TYPE_CHECKING:
    from nightcast.mlmodel.model import MLModel
    from nightcast.storage import Storage

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ServedModel:
    """A loaded model, ready to predict.

    Parameters
    ----------
    folder
        The model directory.
    since
        When it was loaded; UTC.
    """

    predictor: RecordPredictor
    folder: str
    since: datetime


class ModelFolder:
    """A model that stays.

    Parameters
    ----------
    folder
        Its directory, on disk or ``s3://``.
    level
        As of `RecordPredictor`.

    Raises
    ------
    NightcastError
        If it can not be loaded, or has no intervals and some are wanted.
    """

    trouble: str | None = None

    def __init__(self, storage: Storage, folder: str, level: float | None = None) -> None:
        self.current = _served(loaded(storage, folder), folder, level)
        self.name = f"ml-{model_digest(storage, folder)[:12]}"

    def refresh(self) -> None:
        """Nothing: it stays."""


class ChampionOf:
    """The champion of a registry, as of now: after a promotion or a withdrawal `refresh` takes another one.

    As in the pipeline, a champion whose files are gone gives way to the one before.

    Parameters
    ----------
    root
        Of the registry.
    name
        Of the model there, such as ``sales_forecast``.
    level
        As of `RecordPredictor`.

    Attributes
    ----------
    trouble
        Why the last look for a champion has changed nothing, though something is wrong; None where all is well.

    Raises
    ------
    RegistryError
        If there is no champion that can be loaded.
    NightcastError
        If the registry can not be read, or the model has no intervals and some are wanted.
    """

    def __init__(self, storage: Storage, root: str, name: str, level: float | None = None) -> None:
        self._storage, self._registry, self._level = storage, ModelRegistry(storage, root), level
        self.name = name
        self.trouble: str | None = None
        self._digest = ""
        self._told: set[str] = set()
        self._lock = threading.Lock()
        self.current = self._newest()

    def refresh(self) -> None:
        """Look who is champion. Where that can not be told, or there is none, the last one goes on."""
        with self._lock:
            try:
                self.current = self._newest()
                self.trouble = None
            except NightcastError as fault:
                if str(fault) != self.trouble:
                    log.warning("%s goes on with the model of %s: %s", self.name, self.current.folder, fault)
                self.trouble = str(fault)

    def _newest(self) -> ServedModel:
        for promotion in self._registry.champions_as_of(self.name, datetime.now(UTC)):
            reference = promotion.entry.model
            if self._digest == reference["sha256"]:
                return self.current
            try:
                model = promoted(self._storage, reference)
            except ModelError as fault:
                self._pass_over(promotion, fault)
                continue
            found = _served(model, reference["uri"].rpartition("/")[0], self._level)
            log.info("%s is the model of run %s now", self.name, promotion.entry.run_id)
            self._digest = reference["sha256"]
            return found
        raise RegistryError(
            f"no model {self.name!r} that can be loaded is champion below {self._registry.root}: run the pipeline, or "
            "give the directory of a model."
        )

    def _pass_over(self, promotion: Promotion, fault: ModelError) -> None:
        """Say once that a champion can not be used."""
        if promotion.entry.model["sha256"] not in self._told:
            log.warning("the model of run %s is passed over: %s", promotion.entry.run_id, fault)
        self._told.add(promotion.entry.model["sha256"])


def _served(model: MLModel, folder: str, level: float | None) -> ServedModel:
    predictor = RecordPredictor(model, level)
    # What is imported by the first prediction, and made once, is not to keep the first caller waiting.
    predictor.predict({})
    return ServedModel(predictor, folder.rstrip("/"), datetime.now(UTC))
