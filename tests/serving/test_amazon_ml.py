"""Requests and answers, without HTTP; tests/serving/test_server.py has both."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from nightcast.datasource.parts import ByteSource, Datasource
from nightcast.prediction.single import RecordPredictor
from nightcast.serving.amazon_ml import Api
from nightcast.serving.served_model import ServedModel
from trained_models import trained

PREDICT = "AmazonML_20141212.Predict"


class Fixed:
    """A model that stays, or fails."""

    name = "ml-1"
    trouble = None

    def __init__(self, current: Any) -> None:
        self.current = current

    def refresh(self) -> None:
        """It stays."""


@pytest.fixture
def api(datasource: Datasource, files: ByteSource) -> Api:
    served = ServedModel(RecordPredictor(trained(datasource, files)), "models/m", datetime(2026, 1, 2, tzinfo=UTC))
    return Api(Fixed(served), "ml-1")


def answered(api: Api, target: str | None, parameters: Any) -> tuple[int, dict[str, Any]]:
    body = parameters if isinstance(parameters, bytes) else json.dumps(parameters).encode()
    status, content = api.answer(target, body, "http://127.0.0.1:8765")
    return status, json.loads(content)


def test_a_prediction_is_wrapped_as_amazon_ml_did(api: Api) -> None:
    status, found = answered(api, PREDICT, {"MLModelId": "ml-1", "Record": {"price": "3"}, "PredictEndpoint": "x"})
    assert status == 200
    assert found == {"Prediction": api.source.current.predictor.predict({"price": "3"})}


def test_the_model_is_described(api: Api) -> None:
    status, found = answered(api, "AmazonML_20141212.GetMLModel", {"MLModelId": "ml-1"})
    assert status == 200
    assert found["EndpointInfo"]["EndpointUrl"] == "http://127.0.0.1:8765"
    assert (found["Status"], found["EndpointInfo"]["EndpointStatus"]) == ("COMPLETED", "READY")
    assert (found["MLModelType"], found["LastUpdatedAt"]) == (
        "REGRESSION",
        datetime(2026, 1, 2, tzinfo=UTC).timestamp(),
    )
    # Amazon ML had the threshold of a BINARY model only.
    assert not {"Recipe", "Schema", "ScoreThreshold"} & set(found)
    _, verbose = answered(api, "AmazonML_20141212.GetMLModel", {"MLModelId": "ml-1", "Verbose": True})
    model = api.source.current.predictor.model
    assert (verbose["Recipe"], verbose["Schema"]) == (model.recipe, model.schema.to_json())


@pytest.mark.parametrize(
    ("target", "parameters", "code", "message"),
    [
        (None, {}, "UnknownOperationException", "AmazonML_20141212.Predict, AmazonML_20141212.GetMLModel"),
        ("AmazonML_20141212.CreateMLModel", {}, "UnknownOperationException", "CreateMLModel"),
        ("Predict", {}, "UnknownOperationException", "Predict"),
        (PREDICT, b"{", "SerializationException", "the request is no JSON"),
        (PREDICT, b"\xff", "SerializationException", "can't decode byte 0xff"),
        (PREDICT, b"[" * 100_000, "SerializationException", "can not be read as JSON"),
        (PREDICT, b'{"Record": {"price": "1", "price": "2"}}', "SerializationException", "the key 'price' twice"),
        (PREDICT, [], "SerializationException", "must be a JSON object"),
        (
            PREDICT,
            {"MLModelId": "ml-1", "Record": {"title": "\ud800"}},
            "InvalidInputException",
            "'title' must be a text",
        ),
        (PREDICT, {"MLModelId": "ml-2"}, "ResourceNotFoundException", "no MLModelId 'ml-2' here"),
        (PREDICT, {"Record": {}}, "ResourceNotFoundException", "no MLModelId None here"),
        (PREDICT, {"MLModelId": "ml-1"}, "InvalidInputException", "Record must be a map"),
        (PREDICT, {"MLModelId": "ml-1", "Record": []}, "InvalidInputException", "Record must be a map"),
        (PREDICT, {"MLModelId": "ml-1", "Record": {"price": "x"}}, "InvalidInputException", "'price' is NUMERIC"),
    ],
)
def test_what_can_not_be_answered_has_a_code_and_says_why(
    api: Api, target: str | None, parameters: Any, code: str, message: str
) -> None:
    status, found = answered(api, target, parameters)
    assert (status, found["__type"]) == (400, code)
    assert message in found["message"]


def test_a_bug_is_an_internal_error_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    status, found = answered(Api(Fixed(None), "ml-1"), PREDICT, {"MLModelId": "ml-1", "Record": {}})
    assert (status, found["__type"]) == (500, "InternalServerException")
    assert "AttributeError" in caplog.text
