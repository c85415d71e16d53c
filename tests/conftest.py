"""Airflow in a home of its own, with no network and no example DAGs, for every test."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

pytest_plugins = ["sales_fixtures", "insights_fixtures", "datasource_fixtures", "s3_fixtures"]
PROJECT = Path(__file__).resolve().parents[1]
_HOME = tempfile.TemporaryDirectory(prefix="nightcast-tests-")

# Before anything imports airflow: it reads these at import.
for name in [name for name in os.environ if name.startswith(("AIRFLOW_", "AIRFLOW__", "AWS_"))]:
    del os.environ[name]
os.environ.update(
    {
        "AIRFLOW_HOME": _HOME.name,
        "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        "AIRFLOW__DAG_PROCESSOR__DAG_VERSION_INFLATION_CHECK_LEVEL": "error",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
)


@pytest.fixture(scope="session")
def project() -> Path:
    """The project's folder."""
    return PROJECT


@pytest.fixture(scope="session")
def sandbox():
    """A local AWS for the whole session, with the bucket ``nightcast``; Airflow's connections lead to it."""
    import json

    from nightcast.sandbox.account import BUCKET, DATABASE, IAM_ROLE, WORKGROUP
    from nightcast.sandbox.server import Sandbox

    with Sandbox() as server:
        extra = {"endpoint_url": server.endpoint_url, "region_name": "us-east-1"}
        login = {"conn_type": "aws", "login": "sandbox", "password": "sandbox"}
        target = {"workgroup_name": WORKGROUP, "database": DATABASE, "iam_role": IAM_ROLE}
        os.environ["AIRFLOW_CONN_AWS_DEFAULT"] = json.dumps({**login, "extra": {**extra, "bucket": BUCKET}})
        os.environ["AIRFLOW_CONN_REDSHIFT_DEFAULT"] = json.dumps({**login, "extra": {**extra, **target}})
        client_of("s3", server.endpoint_url).create_bucket(Bucket=BUCKET)
        yield server
        del os.environ["AIRFLOW_CONN_AWS_DEFAULT"], os.environ["AIRFLOW_CONN_REDSHIFT_DEFAULT"]


@pytest.fixture(scope="session")
def s3(sandbox):
    """A boto3 client of the sandbox's S3."""
    return client_of("s3", sandbox.endpoint_url)


@pytest.fixture(scope="session")
def redshift_data(sandbox):
    """A boto3 client of the sandbox's Redshift Data API."""
    return client_of("redshift-data", sandbox.endpoint_url)


def client_of(service: str, endpoint_url: str):
    """A boto3 client with the sandbox's credentials."""
    import boto3

    return boto3.client(
        service,
        endpoint_url=endpoint_url,
        region_name="us-east-1",
        aws_access_key_id="sandbox",
        aws_secret_access_key="sandbox",
    )
