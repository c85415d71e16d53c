from __future__ import annotations

import json
import time

import pytest

from nightcast.hooks.redshift import RedshiftConnectionHook


@pytest.fixture
def hook(sandbox, monkeypatch):
    """A hook whose connection has the given extra beside the sandbox's endpoint."""

    def make(**extra):
        known = {"endpoint_url": sandbox.endpoint_url, "region_name": "us-east-1", **extra}
        connection = {"conn_type": "aws", "login": "sandbox", "password": "sandbox", "extra": known}
        monkeypatch.setenv("AIRFLOW_CONN_ANOTHER_REDSHIFT", json.dumps(connection))
        return RedshiftConnectionHook(aws_conn_id="another_redshift")

    return make


def described(hook, **arguments):
    statement = hook.execute_query("select 1", wait_for_completion=False, **arguments).statement_id
    deadline = time.monotonic() + 20
    while (answer := hook.conn.describe_statement(Id=statement))["Status"] not in ("FINISHED", "FAILED"):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return answer


def test_statements_run_at_the_workgroup_of_the_connection(hook):
    answer = described(hook(workgroup_name="nightly", database="dev"))
    assert (answer["WorkgroupName"], answer["Database"]) == ("nightly", "dev")


def test_statements_run_at_the_cluster_of_the_connection(hook):
    answer = described(hook(cluster_identifier="warehouse", db_user="analyst", database="dev"))
    assert (answer["ClusterIdentifier"], answer["DbUser"]) == ("warehouse", "analyst")


def test_arguments_go_before_the_connection(hook):
    answer = described(hook(workgroup_name="nightly", database="dev"), cluster_identifier="warehouse", db_user="a")
    assert answer["ClusterIdentifier"] == "warehouse"
    assert "WorkgroupName" not in answer


def test_a_connection_that_names_no_target_is_refused(hook):
    with pytest.raises(ValueError, match="Exactly one of cluster_identifier, workgroup_name"):
        hook(database="dev").execute_query("select 1", wait_for_completion=False)


def test_the_role_is_the_connections_or_the_clusters_default(hook):
    assert hook(iam_role="arn:aws:iam::123456789012:role/R").iam_role == "arn:aws:iam::123456789012:role/R"
    assert hook().iam_role == "default"
