"""Amazon ML's API of a single model: what a request asks for, and its answer, in JSON 1.1.

Clients written for Amazon ML, boto3's among them, need nothing but the address.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from nightcast.datasource.strict_json import parse_object
from nightcast.errors import NightcastError, PredictionError
from nightcast.mlmodel.model import MLModel
from nightcast.mlmodel.targets import ModelType
from nightcast.serving.served_model import ServedModel

MEDIA_TYPE = "application/x-amz-json-1.1"
_PREFIX = "AmazonML_20141212."
# What Amazon ML promised of an endpoint; this one has no limit of its own.
_PEAK_REQUESTS = 200

log = logging.getLogger(__name__)


class Source(Protocol):
    """Where the model comes from."""

    @property
    def name(self) -> str:
        """What the model is called where nothing else is said."""
        ...

    @property
    def current(self) -> ServedModel:
        """The model now; another one perhaps a moment later."""
        ...

    @property
    def trouble(self) -> str | None:
        """Why this may not be the model that it should be; None where all is well."""
        ...

    def refresh(self) -> None:
        """Look for another model."""
        ...


class RefusedError(Exception):
    """A request that can not be answered.

    Parameters
    ----------
    code
        Amazon ML's name of the exception.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Api:
    """Answers requests.

    Parameters
    ----------
    model_id
        Amazon ML's MLModelId.
    """

    source: Source
    model_id: str

    def answer(self, target: str | None, body: bytes, url: str) -> tuple[int, bytes]:
        """Status and body of the answer.

        Parameters
        ----------
        url
            Of the endpoint, as this client has reached it.
        target
            The header ``X-Amz-Target``: ``AmazonML_20141212.`` and the operation.
        body
            Parameters as JSON.
        """
        try:
            return 200, _json(self._operation(target)(_parameters(body), url))
        except RefusedError as refused:
            return 400, refusal(refused.code, str(refused))
        except Exception:
            log.exception("a request could not be answered")
            return 500, refusal("InternalServerException", "the request could not be answered: see the server's log.")

    def _operation(self, target: str | None) -> Callable[[Mapping[str, Any], str], Mapping[str, Any]]:
        operations = {"Predict": self._predict, "GetMLModel": self._get_ml_model}
        name = (target or "").removeprefix(_PREFIX)
        if not (target or "").startswith(_PREFIX) or name not in operations:
            raise RefusedError(
                "UnknownOperationException",
                f"X-Amz-Target is {target!r:.80}; the operations are {', '.join(_PREFIX + one for one in operations)}.",
            )
        return operations[name]

    def _predict(self, parameters: Mapping[str, Any], _: str) -> dict[str, Any]:
        self._check_id(parameters)
        record = parameters.get("Record")
        if not isinstance(record, dict):
            raise RefusedError("InvalidInputException", "Record must be a map from attributes to values.")
        try:
            return {"Prediction": self.source.current.predictor.predict(record)}
        except NightcastError as fault:
            raise RefusedError("InvalidInputException", str(fault)) from fault

    def _get_ml_model(self, parameters: Mapping[str, Any], url: str) -> dict[str, Any]:
        self._check_id(parameters)
        served = self.source.current
        model = served.predictor.model
        found: dict[str, Any] = {
            "MLModelId": self.model_id,
            "Name": self.model_id,
            "Status": "COMPLETED",
            "MLModelType": model.model_type.value,
            "LastUpdatedAt": served.since.timestamp(),
            "TrainingParameters": {name: str(value) for name, value in model.parameters.items()},
            "EndpointInfo": {
                "EndpointUrl": url,
                "EndpointStatus": "READY",
                "PeakRequestsPerSecond": _PEAK_REQUESTS,
                "CreatedAt": served.since.timestamp(),
            },
        }
        if model.model_type is ModelType.BINARY:
            found["ScoreThreshold"] = model.score_threshold
        return {**found, **_verbose(model)} if parameters.get("Verbose") is True else found

    def _check_id(self, parameters: Mapping[str, Any]) -> None:
        asked = parameters.get("MLModelId")
        if asked != self.model_id:
            raise RefusedError(
                "ResourceNotFoundException",
                f"there is no MLModelId {asked!r:.80} here; this endpoint serves {self.model_id!r}.",
            )


def refusal(code: str, message: str) -> bytes:
    """The body of an answer that refuses a request."""
    return _json({"__type": code, "message": message})


def _verbose(model: MLModel) -> dict[str, str]:
    return {"Recipe": model.recipe, "Schema": model.schema.to_json()}


def _parameters(body: bytes) -> Mapping[str, Any]:
    try:
        return parse_object(body.decode(), "the request", PredictionError)
    except (PredictionError, UnicodeDecodeError) as fault:
        raise RefusedError("SerializationException", f"{fault}.") from fault


def _json(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False, allow_nan=False).encode()
