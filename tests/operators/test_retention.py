"""The maintenance operator against the sandbox's S3."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from airflow.sdk.exceptions import AirflowFailException

from nightcast.operators import retention
from nightcast.operators.retention import RemoveExpiredRunsOperator

PARAMS = {"delete": False, "staging_days": 30, "incomplete_days": 7, "run_days": None}
RUN = "period=2026-10-01/run=a"
STAGING = {f"{RUN}/training/try=1/part_00", f"{RUN}/training/try=1/manifest"}
BROKEN = {"period=2026-10-02/run=b/schema.json"}
OTHERS = {f"{RUN}/run.json", f"{RUN}/model/model.json"}


@pytest.fixture
def pipeline(sandbox, s3, request):
    """A pipeline of the test's own, with a published run and a broken one."""
    name = "retention_" + re.sub(r"[^a-z_]", "", request.node.name)
    for key in (*STAGING, *BROKEN, *OTHERS):
        s3.put_object(Bucket="nightcast", Key=f"{name}/{key}", Body=b"12345")
    return name


@pytest.fixture
def left(s3, pipeline):
    """Names of the pipeline's objects."""

    def names() -> set[str]:
        found = s3.list_objects_v2(Bucket="nightcast", Prefix=f"{pipeline}/").get("Contents", [])
        return {item["Key"].removeprefix(f"{pipeline}/") for item in found}

    return names


@pytest.fixture
def run(pipeline, execute, context, monkeypatch):
    """Execute the operator so many days from now; keyword arguments are Params."""

    class Later(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) + timedelta(days=40)

    def with_params(run_type="manual", try_number=1, **params):
        monkeypatch.setattr(retention, "datetime", Later)
        given = context() | {"params": PARAMS | params}
        given["ti"].try_number = try_number
        given["dag_run"] = SimpleNamespace(run_id=f"{run_type}__x", dag_id=f"maintain_{pipeline}", run_type=run_type)
        return execute(RemoveExpiredRunsOperator(task_id="remove_expired_runs", pipeline=pipeline), given)

    return with_params


@pytest.fixture
def report(s3):
    def read(reference):
        return json.loads(
            s3.get_object(Bucket="nightcast", Key=reference["uri"].removeprefix("s3://nightcast/"))["Body"].read()
        )

    return read


def test_a_run_lists_first_and_removes_nothing(run, report, left, pipeline, capsys):
    reference = run()
    log = capsys.readouterr().out
    assert left() == STAGING | BROKEN | OTHERS
    assert reference["rows"] == 3
    assert reference["uri"] == f"s3://nightcast/maintain_{pipeline}/run=manual__x/{pipeline}/try=1.json"
    content = report(reference)
    assert content["deleted"] is False
    assert content["pipeline"] == pipeline
    assert content["rules"] == {"staging_days": 30, "incomplete_days": 7, "run_days": None}
    assert content["totals"]["staging"] == {"runs": 1, "objects": 2, "bytes": 10}
    assert content["totals"]["incomplete"] == {"runs": 1, "objects": 1, "bytes": 5}
    assert f"dry run: would remove 3 objects, 15 bytes, of 2 runs of {pipeline}" in log
    assert "trigger a run with the Param delete" in log


def test_a_run_that_is_to_delete_removes_what_a_fresh_plan_says(run, report, left, s3, pipeline, capsys):
    listed = report(run())
    # Since then another broken run has come to age.
    s3.put_object(Bucket="nightcast", Key=f"{pipeline}/period=2026-10-03/run=c/schema.json", Body=b"1")
    content = report(run(delete=True, try_number=2))
    log = capsys.readouterr().out
    assert content["deleted"] is True
    assert sum(kind["objects"] for kind in content["totals"].values()) == 4
    assert {removal["run"] for removal in listed["removals"]} < {removal["run"] for removal in content["removals"]}
    assert left() == OTHERS
    assert "removed 4 objects, 16 bytes, of 3 runs" in log
    assert report(run(delete=True, try_number=3))["removals"] == []


def test_what_the_registry_refers_to_stays(run, report, left, s3, pipeline):
    model = f"s3://nightcast/{pipeline}/{RUN}/model/model.json"
    key = f"registry/{pipeline}/2026-10-02/a.json"
    s3.put_object(Bucket="nightcast", Key=key, Body=json.dumps({"model": {"uri": model}}).encode())
    try:
        content = report(run(delete=True, run_days=31))
    finally:
        s3.delete_object(Bucket="nightcast", Key=key)
    assert left() == OTHERS
    assert [(kept["run"], kept["registry"]) for kept in content["protected"]] == [(RUN, [f"s3://nightcast/{key}"])]


def test_an_unreadable_registry_fails_at_once_and_removes_nothing(run, left, s3, pipeline):
    key = f"registry/{pipeline}/2026-10-02/a.json"
    s3.put_object(Bucket="nightcast", Key=key, Body=b"{")
    try:
        with pytest.raises(AirflowFailException, match=rf"RetentionError: nothing is removed.*{key}"):
            run(delete=True)
    finally:
        s3.delete_object(Bucket="nightcast", Key=key)
    assert left() == STAGING | BROKEN | OTHERS


@pytest.mark.parametrize(
    ("run_type", "variable", "deleted"),
    [("scheduled", "true", True), ("scheduled", "no", False), ("manual", "true", False)],
)
def test_the_variable_lets_scheduled_runs_delete(run, report, run_type, variable, deleted, monkeypatch):
    monkeypatch.setenv("AIRFLOW_VAR_NIGHTCAST_RETENTION_DELETE", variable)
    assert report(run(run_type=run_type))["deleted"] is deleted


def test_an_age_below_a_day_is_refused(run, left):
    with pytest.raises(AirflowFailException, match="incomplete_days is 0"):
        run(delete=True, incomplete_days=0)
    assert left() == STAGING | BROKEN | OTHERS


def test_a_connection_without_a_bucket_is_named(execute, context, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_NOWHERE", json.dumps({"conn_type": "aws", "extra": {"region_name": "us-east-1"}}))
    operator = RemoveExpiredRunsOperator(task_id="t", pipeline="p", aws_conn_id="nowhere")
    with pytest.raises(AirflowFailException, match="extra of the connection nowhere a `bucket`"):
        execute(operator, context() | {"params": PARAMS})


def test_the_present_is_in_utc(run, report):
    assert datetime.fromisoformat(report(run())["now"]).tzinfo == UTC
