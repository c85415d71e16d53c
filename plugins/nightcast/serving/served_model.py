"""The model of an endpoint: one that stays, or whichever is champion."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from nightcast.errors import NightcastError, RegistryError
from nightcast.prediction.single import RecordPredictor
from nightcast.registry.model_folder import loaded, model_digest
from nightcast.registry.model_registry import ModelRegistry

if TYPE_CHECKING:
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

    def __init__(self, storage: Storage, folder: str, level: float | None = None) -> None:
        self.current = _served(storage, folder, level)
        self.name = f"ml-{model_digest(storage, folder)[:12]}"

    def refresh(self) -> None:
        """Nothing: it stays."""


class ChampionOf:
    """The champion of a registry, as of now: after a promotion or a withdrawal `refresh` takes another one.

    Parameters
    ----------
    root
        Of the registry.
    name
        Of the model there, such as ``sales_forecast``.
    level
        As of `RecordPredictor`.

    Raises
    ------
    RegistryError
        If there is no champion.
    NightcastError
        If it can not be loaded.
    """

    def __init__(self, storage: Storage, root: str, name: str, level: float | None = None) -> None:
        self._storage, self._registry, self._level = storage, ModelRegistry(storage, root), level
        self.name = name
        self._digest = ""
        self._lock = threading.Lock()
        self.current = self._newest()

    def refresh(self) -> None:
        """Look who is champion. One that can not be had, or none, leaves all as it is."""
        with self._lock:
            try:
                self.current = self._newest()
            except NightcastError as fault:
                log.warning("%s goes on with the model of %s: %s", self.name, self.current.folder, fault)

    def _newest(self) -> ServedModel:
        champion = self._registry.champion_as_of(self.name, datetime.now(UTC))
        if champion is None:
            raise RegistryError(
                f"no model {self.name!r} is champion below {self._registry.root}: run the pipeline, or give the "
                "directory of a model."
            )
        reference = champion.entry.model
        if self._digest == reference["sha256"]:
            return self.current
        found = _served(self._storage, reference["uri"].rpartition("/")[0], self._level)
        log.info("%s is the model of run %s now", self.name, champion.entry.run_id)
        self._digest = reference["sha256"]
        return found


def _served(storage: Storage, folder: str, level: float | None) -> ServedModel:
    predictor = RecordPredictor(loaded(storage, folder), level)
    # What is imported by the first prediction, and made once, is not to keep the first caller waiting.
    predictor.predict({})
    return ServedModel(predictor, folder.rstrip("/"), datetime.now(UTC))
