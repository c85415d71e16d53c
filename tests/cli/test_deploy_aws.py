"""The command, against CloudFormation on this machine."""

from __future__ import annotations

import json
import logging

import pytest
from botocore.stub import Stubber

from cloudformation import CREDENTIALS, client, local_aws
from nightcast.cli import deploy_aws, main


@pytest.fixture(scope="module")
def endpoint():
    with local_aws() as address:
        yield address


@pytest.fixture
def deploy(endpoint, project, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", CREDENTIALS["aws_access_key_id"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", CREDENTIALS["aws_secret_access_key"])
    monkeypatch.chdir(project)
    # Where Airflow is imported, its log goes to standard output, and so do the requests to the server.
    logging.disable(logging.INFO)

    def run(*arguments: str) -> int:
        return main(["deploy-aws", "--endpoint-url", endpoint, "--region", "eu-central-1", *arguments])

    yield run
    logging.disable(logging.NOTSET)


def stacks() -> list[str]:
    return [one["StackName"] for one in client("cloudformation").describe_stacks()["Stacks"]]


def test_a_plan_shows_and_changes_nothing(deploy, capsys):
    assert deploy("--stack", "planned", "--cluster", "sales", "--plan") == 0
    shown = capsys.readouterr()
    assert shown.out == ""
    for resource in ("Bucket", "BucketPolicy", "RedshiftRole", "AirflowPolicy", "AssociationPolicy"):
        assert resource in shown.err
    assert "planned" not in stacks()


def test_it_deploys_changes_and_removes(deploy, capsys):
    assert deploy("--stack", "whole", "--workgroup", "sales", "--workgroup-id", "0a1b", "--prefix", "a/b", "--yes") == 0
    shown = capsys.readouterr()
    made = json.loads(shown.out)
    assert made["aws_default"]["extra"]["prefix"] == "a/b"
    assert made["redshift_default"] == {
        "conn_type": "aws",
        "extra": {
            "region_name": "eu-central-1",
            "workgroup_name": "sales",
            "database": "dev",
            "iam_role": made["redshift_default"]["extra"]["iam_role"],
        },
    }
    assert "airflow connections import" in shown.err
    assert deploy("--stack", "whole", "--secret", "--parameter", "Database=sales", "--yes", "--json") == 0
    changed = json.loads(capsys.readouterr().out)["redshift_default"]["extra"]
    assert changed["database"] == "sales" and changed["secret_arn"].startswith("arn:aws:secretsmanager:")
    assert changed["workgroup_name"] == "sales"
    assert deploy("--stack", "whole", "--delete", "--yes") == 0
    assert "whole" not in stacks()


def test_airflow_understands_the_connections(deploy, capsys):
    from airflow.models import Connection

    assert deploy("--stack", "connected", "--cluster", "sales", "--yes", "--json") == 0
    for name, value in json.loads(capsys.readouterr().out).items():
        connection = Connection.from_json(json.dumps(value), conn_id=name)
        assert connection.conn_type == "aws"
        assert connection.extra_dejson == value["extra"]


def test_without_agreement_nothing_is_changed(deploy, capsys):
    assert deploy("--stack", "asked", "--cluster", "sales") == 1
    assert "nobody can be asked here" in capsys.readouterr().err
    assert "asked" not in stacks()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--cluster", "sales", "--parameter", "Colour=red"], "no parameter Colour"),
        (["--cluster", "sales", "--parameter", "Colour"], "has no value"),
        (["--delete"], "there is no stack"),
        (["--template", "nowhere.yaml"], "can not be read"),
        (["--workgroup", "sales"], "give --workgroup-id"),
    ],
)
def test_what_can_not_be_is_refused_with_what_to_do(deploy, capsys, arguments, message):
    assert deploy("--stack", "refused", "--yes", *arguments) == 1
    assert message in capsys.readouterr().err
    assert "refused" not in stacks()


def test_the_id_of_a_workgroup_is_looked_up(deploy, monkeypatch, capsys):
    serverless = client("redshift-serverless")
    made = deploy_aws._client
    monkeypatch.setattr(
        deploy_aws, "_client", lambda name, given: serverless if name == "redshift-serverless" else made(name, given)
    )
    with Stubber(serverless) as answers:
        answers.add_response("get_workgroup", {"workgroup": {"workgroupId": "0a1b-2c"}}, {"workgroupName": "sales"})
        assert deploy("--stack", "looked-up", "--workgroup", "sales", "--yes", "--json") == 0
    assert json.loads(capsys.readouterr().out)["redshift_default"]["extra"]["workgroup_name"] == "sales"
    stack = client("cloudformation").describe_stacks(StackName="looked-up")["Stacks"][0]
    assert {"ParameterKey": "WorkgroupId", "ParameterValue": "0a1b-2c"} in stack["Parameters"]
