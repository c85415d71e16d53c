from __future__ import annotations

import json

import pytest
from airflow.providers.amazon.aws.hooks.s3 import S3Hook

from nightcast.hooks.s3 import S3ConnectionHook


class SomeOperator:
    """Calls a hook as operators do."""

    def execute(self, hook):
        return hook._get_caller()


@pytest.fixture
def connection(monkeypatch):
    known = {"conn_type": "aws", "login": "someone", "password": "secret", "extra": {"region_name": "us-east-1"}}
    monkeypatch.setenv("AIRFLOW_CONN_ANOTHER_AWS", json.dumps(known))
    return "another_aws"


def test_the_caller_is_the_one_that_the_provider_finds(connection):
    found = [SomeOperator().execute(hook(aws_conn_id=connection)) for hook in (S3ConnectionHook, S3Hook)]
    assert found == ["SomeOperator", "SomeOperator"]


def test_without_an_operator_it_is_unknown(connection):
    assert S3ConnectionHook(aws_conn_id=connection)._get_caller("nobody_is_called_so") == "Unknown"


def test_the_caller_stands_in_the_user_agent(connection):
    class Client:
        def execute(self):
            return S3ConnectionHook(aws_conn_id=connection).conn.meta.config.user_agent_extra

    assert "Caller/Client" in Client().execute()
