from __future__ import annotations

import asyncio
import json
import threading
import time

import pyarrow.parquet as pq
import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, TaskDeferred
from jinja2.exceptions import UndefinedError

from nightcast.operators.base import storage_of
from nightcast.operators.unload import _TRANSIENT, RedshiftUnloadOperator

QUERY = """
select 1::integer as id, 'it''s'::varchar(10) as note, null::decimal(8, 2) as price,
    '{{ period_end }}'::timestamp as until
union all
select 2, '', 2.5, '{{ period_end }}'::timestamp
order by id
"""
DIGITS = "with d as (select 0 as i union all " + " union all ".join(f"select {i}" for i in range(1, 10)) + ")\n"


def slow(powers: int) -> str:
    """A query that looks at 10 ** powers rows."""
    joins = " cross join ".join(f"d as d{number}" for number in range(powers))
    return f"{DIGITS}select sum({'+'.join(f'd{number}.i' for number in range(powers))}) as n from {joins}"


@pytest.fixture
def unload(sandbox, run_facts):
    def make(query=QUERY, **arguments):
        return RedshiftUnloadOperator(
            task_id="unload",
            run=run_facts,
            query=query,
            dataset="training",
            poll_interval=0.05,
            **arguments,
        )

    return make


def test_unload_returns_the_manifests_reference_with_rows_bytes_and_columns(unload, context, execute, run_facts):
    reference = execute(unload(), context())
    assert reference["uri"] == f"{run_facts['base']}training/try=1/training_manifest"
    assert reference["rows"] == 2
    assert reference["format"] == "PARQUET"
    assert reference["columns"] == {
        "id": "integer",
        "note": "character varying",
        "price": "numeric",
        "until": "timestamp without time zone",
    }
    storage = storage_of("aws_default")
    manifest = json.loads(storage.read_artifact(reference))
    assert sum(entry["meta"]["content_length"] for entry in manifest["entries"]) == reference["bytes"]
    (entry,) = manifest["entries"]
    with storage.local_copy(entry["url"]) as path:
        rows = pq.read_table(path).to_pylist()
    assert [(row["id"], row["note"], row["price"] is None) for row in rows] == [(1, "it's", True), (2, "", False)]
    assert str(rows[0]["until"]) == "2009-01-01 00:00:00"


def test_csv_is_unloaded_on_request(unload, context, execute):
    reference = execute(unload(), context(unload_format="CSV"))
    assert reference["format"] == "CSV"
    (entry,) = json.loads(storage_of("aws_default").read_artifact(reference))["entries"]
    assert entry["url"].endswith(".gz")


def test_each_try_writes_below_a_prefix_of_its_own(unload, context, execute):
    first, second = context(), context()
    second["ti"].try_number = 2
    references = [execute(unload(), told) for told in (first, second)]
    assert [reference["uri"].split("/")[-2] for reference in references] == ["try=1", "try=2"]


def test_executing_twice_changes_nothing_in_the_operator(unload, context, execute):
    operator, told = unload(), context()
    first = execute(operator, told)
    rendered = operator.query
    told["ti"].try_number = 2
    assert execute(operator, told)["columns"] == first["columns"]
    assert operator.query == rendered


def test_wrong_sql_fails_at_once_with_redshifts_message_and_the_statements_id(unload, context, execute):
    with pytest.raises(
        AirflowFailException, match=r"statement [0-9a-f-]{36} of task unload: .*nosuchtable.*does not exist"
    ):
        execute(unload("select * from nosuchtable"), context())


def test_a_query_without_rows_is_an_error_of_its_own(unload, context, execute):
    with pytest.raises(AirflowFailException, match=r"returned no rows for .*2009-01-01"):
        execute(unload("select 1 as a where 1 = 0"), context())


def test_what_is_not_wanted_is_skipped(unload, context, execute):
    operator = unload(only_if="{{ params.score == 'next_period' }}")
    with pytest.raises(AirflowSkipException):
        execute(operator, context(score="training_datasource"))


def test_an_unknown_name_in_the_query_fails_before_redshift_is_asked(unload, context, execute):
    with DAG("strict", schedule=None):
        operator = unload("select '{{ period_ende }}'")
    with pytest.raises(UndefinedError, match="period_ende"):
        execute(operator, context())


def test_a_retry_takes_up_the_statement_of_the_try_that_died(unload, context, execute, redshift_data):
    """The worker dies after submitting; the next try reads what the first one unloaded."""
    told = context()
    operator = unload()
    operator.render_template_fields(told)
    dead = unload()
    dead.render_template_fields(told)
    dead._destination = dead._destination_of(told)
    from nightcast.warehouse.statements import UnloadOptions, unload_statement

    dead.sql = unload_statement(dead.query, dead._destination, dead.hook.iam_role, UnloadOptions())
    told["task_state_store"].set(dead.external_id_key, dead.submit_job(told))
    told["ti"].try_number = 2
    before = len(redshift_data.list_statements(Status="ALL", MaxResults=100)["Statements"])
    reference = operator.execute(told)
    assert reference["uri"].endswith("training/try=1/training_manifest")
    assert len(redshift_data.list_statements(Status="ALL", MaxResults=100)["Statements"]) == before


def test_a_retry_after_a_refused_statement_unloads_below_its_own_prefix(unload, context, execute):
    """The SQL is corrected and the task cleared: the store still names the statement that failed."""
    told = context()
    with pytest.raises(AirflowFailException, match="nosuchtable"):
        execute(unload("select * from nosuchtable"), told)
    assert told["task_state_store"]
    told["ti"].try_number = 2
    reference = execute(unload(), told)
    assert "/try=2/" in reference["uri"]
    assert reference["rows"] == 2


def test_names_that_look_like_a_passing_fault_are_not_retried(unload, context, execute):
    with pytest.raises(AirflowFailException, match="timeout_503"):
        execute(unload("select connection from timeout_503"), context())


@pytest.mark.parametrize(
    ("answer", "passing"),
    [
        ("ERROR: 1023 DETAIL: Serializable isolation violation on table - 1", True),
        ("ERROR: S3ServiceException:Slow Down,Status 503,Error SlowDown", True),
        ("ERROR: S3ServiceException:Access Denied,Status 403,Error AccessDenied", False),
        ('ERROR: column "internal error" does not exist', False),
    ],
)
def test_which_refusals_may_pass(answer, passing):
    assert bool(_TRANSIENT.search(answer)) is passing


def test_a_cleared_task_unloads_anew(unload, context, execute):
    told = context()
    execute(unload(), told)
    assert told["task_state_store"] == {}
    told["ti"].try_number = 2
    assert "try=2" in execute(unload(), told)["uri"]


def test_killing_the_task_cancels_the_statement(unload, context, redshift_data):
    operator, told = unload(slow(10)), context()
    operator.render_template_fields(told)
    failures: list[BaseException] = []

    def work() -> None:
        try:
            operator.execute(told)
        except BaseException as error:
            failures.append(error)

    worker = threading.Thread(target=work)
    worker.start()
    deadline = time.monotonic() + 20
    while not hasattr(operator, "statement_id") and time.monotonic() < deadline:
        time.sleep(0.05)
    operator.on_kill()
    worker.join(30)
    assert failures
    assert redshift_data.describe_statement(Id=operator.statement_id)["Status"] == "ABORTED"


def test_deferred_unloads_come_back_with_the_same_reference(unload, context):
    told = context()
    operator = unload(slow(8), deferrable=True)
    operator.render_template_fields(told)
    with pytest.raises(TaskDeferred) as deferred:
        operator.execute(told)

    async def first_event():
        async for event in deferred.value.trigger.run():
            return event

    event = asyncio.run(first_event())
    resumed = unload(slow(8), deferrable=True)
    resumed.render_template_fields(told)
    reference = resumed.execute_complete(told, event.payload)
    assert reference["rows"] == 1
    assert reference["columns"] == {"n": "bigint"}


def test_a_deferred_statement_that_redshift_refuses_fails_at_once(unload, context, redshift_data):
    operator, told = unload(deferrable=True), context()
    operator.render_template_fields(told)
    sql = "select * from nosuchtable"
    statement = redshift_data.execute_statement(Sql=sql, Database="dev", WorkgroupName="nightcast")["Id"]
    while redshift_data.describe_statement(Id=statement)["Status"] not in ("FAILED", "FINISHED"):
        time.sleep(0.05)
    event = {"status": "error", "type": "FAILED", "statement_id": statement, "message": "..."}
    with pytest.raises(AirflowFailException, match=f"statement {statement}.*nosuchtable"):
        operator.execute_complete(told, event)
