from __future__ import annotations

import json

import boto3
import pytest
from moto.server import ThreadedMotoServer

from nightcast.cli import main


@pytest.fixture(scope="module")
def endpoint():
    """The address of an S3 with a bucket."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "x")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "x")
        url = "http://{}:{}".format(*server.get_host_and_port())
        boto3.client("s3", endpoint_url=url).create_bucket(Bucket="models")
        yield url
    server.stop()


def test_models_and_predictions_may_lie_on_s3(labelled, endpoint, capsys):
    options = ["--endpoint-url", endpoint, "--json"]
    command = ["train", labelled.csv, "--schema", labelled.schema("hit"), "--learner", "linear"]
    assert main([*command, "-o", "s3://models/m/", *options]) == 0
    capsys.readouterr()
    assert main(["evaluate", "s3://models/m", labelled.csv, "--threshold", "0.3", "--save-threshold", *options]) == 0
    assert json.loads(capsys.readouterr().out)["scoreThreshold"] == 0.3
    assert main(["predict", "s3://models/m", labelled.csv, "--id", "a", "-o", "s3://models/p", *options]) == 0
    assert json.loads(capsys.readouterr().out)["recordsSeen"] == 600
    objects = boto3.client("s3", endpoint_url=endpoint)
    manifest = objects.get_object(Bucket="models", Key="p/batch-prediction/a.manifest")["Body"].read()
    result = "s3://models/p/batch-prediction/result/a-sales.csv.gz"
    assert json.loads(manifest) == {labelled.csv: result}
    assert objects.head_object(Bucket="models", Key=result.removeprefix("s3://models/"))["ContentLength"] > 1000
    model = json.loads(objects.get_object(Bucket="models", Key="m/model.json")["Body"].read())
    assert model["scoreThreshold"] == 0.3


def test_a_prefix_without_model_is_one_line(labelled, endpoint, capsys):
    assert main(["predict", "s3://models/none", labelled.csv, "-o", "p", "--endpoint-url", endpoint]) == 1
    error = capsys.readouterr().err
    assert "s3://models/none holds no whole model" in error
    assert error.count("\n") == 1
