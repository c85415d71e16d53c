"""`nightcast serve` as a process, and boto3's own client of Amazon ML."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from endpoints import serving
from nightcast.datasource.parts import ByteSource, Datasource
from nightcast.mlmodel.files import save_model
from nightcast.mlmodel.model import MLModel
from nightcast.prediction.single import RecordPredictor
from nightcast.registry.model_registry import ModelRegistry
from nightcast.serving import server
from nightcast.storage import Storage
from registry_entries import NAME, promote_folder
from trained_models import trained


@pytest.fixture
def model(datasource: Datasource, files: ByteSource) -> MLModel:
    return trained(datasource, files)


@pytest.fixture
def folder(model: MLModel, tmp_path: Path) -> Path:
    made = tmp_path / "model"
    made.mkdir()
    save_model(model, made)
    return made


def client(url: str | None = None) -> Any:
    return boto3.client(
        "machinelearning",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="any",
        aws_secret_access_key="any",
        config=Config(retries={"total_max_attempts": 1}),
    )


def test_clients_of_amazon_ml_need_the_address_only(folder: Path, model: MLModel) -> None:
    with serving(str(folder), "--id", "ml-old", "--intervals", "0.9") as (process, said):
        url = said["endpointUrl"]
        assert said == {"mlModelId": "ml-old", "endpointUrl": url, "model": str(folder)}
        assert url.startswith("http://127.0.0.1:")
        known = client(url).get_ml_model(MLModelId="ml-old", Verbose=True)
        assert known["EndpointInfo"]["EndpointUrl"] == url
        assert known["Recipe"] == model.recipe
        # The endpoint of a request goes before the region's, as it did.
        found = client().predict(
            MLModelId="ml-old", Record={"price": "3"}, PredictEndpoint=known["EndpointInfo"]["EndpointUrl"]
        )
        assert found["Prediction"] == RecordPredictor(model, 0.9).predict({"price": "3"})
        with pytest.raises(ClientError, match="'price' is NUMERIC") as refused:
            client(url).predict(MLModelId="ml-old", Record={"price": "x"}, PredictEndpoint=url)
        assert refused.value.response["Error"]["Code"] == "InvalidInputException"
        with urllib.request.urlopen(f"{url}/health", timeout=10) as answer:
            assert json.load(answer)["mlModelId"] == "ml-old"
        with pytest.raises(urllib.error.HTTPError) as too_long:
            urllib.request.urlopen(url, b"x" * ((1 << 20) + 1), timeout=10)
        with too_long.value as answer:
            assert (answer.code, json.load(answer)["__type"]) == (413, "InvalidInputException")
        process.terminate()
        assert process.wait(20) == -signal.SIGTERM


def test_several_clients_at_once_get_their_own_answers(folder: Path, model: MLModel) -> None:
    single = RecordPredictor(model)
    found: dict[int, float] = {}

    def ask(number: int, url: str) -> None:
        record = {"MLModelId": "m", "Record": {"price": str(number)}}
        headers = {"X-Amz-Target": "AmazonML_20141212.Predict"}
        request = urllib.request.Request(url, json.dumps(record).encode(), headers)
        with urllib.request.urlopen(request, timeout=20) as answer:
            found[number] = json.load(answer)["Prediction"]["predictedValue"]

    with serving(str(folder), "--id", "m") as (_, said):
        threads = [threading.Thread(target=ask, args=(number, said["endpointUrl"])) for number in range(40)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == {number: single.predict({"price": str(number)})["predictedValue"] for number in range(40)}


def test_a_promotion_is_served_without_a_restart(
    folder: Path, datasource: Datasource, files: ByteSource, tmp_path: Path
) -> None:
    registry = ModelRegistry(Storage(), str(tmp_path / "registry"))
    promote_folder(registry, folder, "2009-01-01", "scheduled__1")
    other = tmp_path / "other"
    other.mkdir()
    save_model(trained(datasource, files, l2=1e6), other)
    with serving(str(tmp_path / "registry"), "--champion", NAME, "--refresh", "1") as (_, said):
        assert (said["mlModelId"], said["model"]) == (NAME, folder.as_uri())
        promote_folder(registry, other, "2009-01-02", "scheduled__2")
        health = {}
        for _ in range(100):
            with urllib.request.urlopen(f"{said['endpointUrl']}/health", timeout=10) as answer:
                health = json.load(answer)
            if health["model"] == other.as_uri():
                break
            threading.Event().wait(0.1)
        assert health["model"] == other.as_uri()


def test_a_fault_of_one_look_is_logged_and_is_not_the_last_look() -> None:
    class Failing:
        looks = 0

        def refresh(self) -> None:
            self.looks += 1
            if self.looks < 3:
                raise OSError("no space left")

    async def some() -> int:
        source = Failing()
        task = asyncio.create_task(server.refresh_for_ever(source, 0.01))
        while source.looks < 4:
            await asyncio.sleep(0.01)
        task.cancel()
        return source.looks

    assert asyncio.run(asyncio.wait_for(some(), 20)) >= 4


def test_an_endpoint_is_called_as_its_client_calls_it(folder: Path) -> None:
    with serving(str(folder), "--id", "m", "--host", "0.0.0.0") as (_, said):
        port = said["endpointUrl"].rpartition(":")[2]
        known = client(f"http://localhost:{port}").get_ml_model(MLModelId="m")
        assert known["EndpointInfo"]["EndpointUrl"] == f"http://localhost:{port}"


def test_a_client_that_leaves_in_the_middle_is_no_error(folder: Path) -> None:
    with serving(str(folder)) as (process, said):
        port = int(said["endpointUrl"].rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
            threading.Event().wait(0.2)
        with urllib.request.urlopen(f"{said['endpointUrl']}/health", timeout=10) as answer:
            assert answer.status == 200
        process.terminate()
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()


def test_a_port_in_use_and_a_missing_model_are_said(folder: Path, tmp_path: Path) -> None:
    def refused(*arguments: str) -> str:
        command = [sys.executable, "-m", "nightcast.cli", "serve", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stdout) == (1, "")
        return done.stderr

    with serving(str(folder)) as (_, said):
        port = said["endpointUrl"].rpartition(":")[2]
        assert f"can not listen on 127.0.0.1, port {port}: Address already in use" in refused(
            str(folder), "--port", port
        )
    assert "model" in refused(str(tmp_path / "none"), "--port", "0")
