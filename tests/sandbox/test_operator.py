"""The same statements by Airflow's stock operator as by boto3: the sandbox is no special case to Airflow."""

from __future__ import annotations

import json
from typing import Any

import pytest


class TaskInstance:
    """As much of a task instance as the operator pushes to."""

    def __init__(self) -> None:
        self.pushed: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value


@pytest.fixture
def connection(sandbox, monkeypatch):
    monkeypatch.setenv(
        "AIRFLOW_CONN_SANDBOX",
        json.dumps(
            {
                "conn_type": "aws",
                "login": "sandbox",
                "password": "sandbox",
                "extra": {"endpoint_url": sandbox.endpoint_url, "region_name": "us-east-1"},
            }
        ),
    )
    return "sandbox"


@pytest.fixture
def execute(connection):
    from airflow.providers.amazon.aws.operators.redshift_data import RedshiftDataOperator

    def run(sql, **arguments):
        asked = {"workgroup_name": "nightcast", "database": "dev", "poll_interval": 0.05, "durable": False, **arguments}
        operator = RedshiftDataOperator(task_id="statement", sql=sql, aws_conn_id=connection, **asked)
        instance = TaskInstance()
        context = {"ti": instance, "task_instance": instance}
        operator.render_template_fields(context)
        return operator.execute(context), instance.pushed

    return run


def test_one_statement(execute, redshift_data):
    result, _ = execute("select 1 as one")
    assert redshift_data.get_statement_result(Id=result[0])["Records"] == [[{"longValue": 1}]]


def test_a_cluster_and_its_user(execute, redshift_data):
    result, _ = execute(
        "select 1", workgroup_name=None, cluster_identifier="sales", db_user="analyst", statement_name="by-airflow"
    )
    described = redshift_data.describe_statement(Id=result[0])
    assert (described["ClusterIdentifier"], described["DbUser"]) == ("sales", "analyst")
    assert redshift_data.list_statements(StatementName="by-airflow")["Statements"][0]["Id"] == result[0]


def test_results_and_parameters(execute):
    [result], _ = execute("select :x as x", parameters=[{"name": "x", "value": "it's"}], return_sql_result=True)
    assert result["Records"] == [[{"stringValue": "it's"}]]


def test_a_batch(execute, table):
    results, _ = execute(
        [f"create table {table} (a int)", f"insert into {table} values (1), (2)", f"select count(*) from {table}"]
    )
    assert [identity.rpartition(":")[2] for identity in results] == ["1", "2", "3"]


def test_a_session_over_two_tasks(execute, table):
    _, pushed = execute(f"create temp table {table} as select 7 as a", session_keep_alive_seconds=30)
    [result], _ = execute(
        f"select a from {table}",
        workgroup_name=None,
        database=None,
        session_id=pushed["session_id"],
        return_sql_result=True,
    )
    assert result["Records"] == [[{"longValue": 7}]]


def test_a_failure_shows_redshifts_message(execute):
    from airflow.providers.amazon.aws.hooks.redshift_data import RedshiftDataQueryFailedError

    with pytest.raises(RedshiftDataQueryFailedError, match='relation "nosuch" does not exist'):
        execute("select * from nosuch")


def test_killing_the_task_cancels_the_statement(connection, redshift_data):
    from airflow.providers.amazon.aws.operators.redshift_data import RedshiftDataOperator

    endless = (
        "with recursive n(i) as (select 1 union all select i + 1 from n where i < 100000)"
        " select count(*) from n a cross join n b cross join n c"
    )
    operator = RedshiftDataOperator(
        task_id="endless", sql=endless, aws_conn_id=connection, workgroup_name="nightcast", database="dev",
        wait_for_completion=False, durable=False,
    )  # fmt: skip
    instance = TaskInstance()
    [identity] = operator.execute({"ti": instance, "task_instance": instance})
    operator.statement_id = identity
    operator.on_kill()
    assert redshift_data.describe_statement(Id=identity, WaitTimeSeconds=20)["Status"] == "ABORTED"


def test_deferring_hands_over_to_the_trigger(execute):
    from airflow.sdk.exceptions import TaskDeferred

    endless = (
        "with recursive n(i) as (select 1 union all select i + 1 from n where i < 100000)"
        " select count(*) from n a cross join n b cross join n c"
    )
    with pytest.raises(TaskDeferred) as deferred:
        execute(endless, deferrable=True)
    trigger = deferred.value.trigger
    trigger.hook.conn.cancel_statement(Id=trigger.serialize()[1]["statement_id"])


def test_unload_and_copy(execute, bucket, role, table, s3, api):
    execute(f"create table {table} as select 1 as id, 'a,b' as name")
    execute(f"unload ($$select * from {table}$$) to 's3://{bucket}/x/' {role} csv header manifest verbose parallel off")
    assert s3.get_object(Bucket=bucket, Key="x/000")["Body"].read() == b'id,name\n1,"a,b"\n'
    execute(f"copy {table} from 's3://{bucket}/x/manifest' {role} csv manifest ignoreheader 1")
    assert api.rows(f"select * from {table}") == [(1, "a,b"), (1, "a,b")]
