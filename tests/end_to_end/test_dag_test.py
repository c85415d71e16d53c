"""The DAG in one process by dag.test(), against the sandbox."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from datetime import date

import pytest

from nightcast.sandbox.account import BUCKET, DATABASE, IAM_ROLE, WORKGROUP

pytestmark = pytest.mark.timeout(300)


# In a process of its own: Airflow's in-process API warns of its own libraries, and here warnings are errors.
SCRIPT = """
import json, runpy
dag = runpy.run_path({dag!r})["dag"]
run = dag.test(run_conf={{"period_start": "2008-12-31", "period_end": "2009-01-01"}})
states = {{instance.task_id: str(instance.state) for instance in run.get_task_instances()}}
print("RESULT " + json.dumps({{"run_id": run.run_id, "state": str(run.state), "tasks": states}}))
"""


@pytest.fixture(scope="module")
def dag_run(project, sandbox, s3, redshift_data):
    """The last period's run; all tasks have ended."""
    from nightcast.sandbox.sample import load

    where = {"bucket": BUCKET, "database": DATABASE, "workgroup_name": WORKGROUP, "iam_role": IAM_ROLE}
    load(redshift_data, s3, **where, year_end=date(2008, 12, 31))
    script = SCRIPT.format(dag=str(project / "dags" / "sales_forecast.py"))
    for command in (
        ["-m", "airflow", "db", "migrate"],
        ["-m", "airflow", "pools", "set", "redshift", "4", "tests"],
        ["-c", script],
    ):
        done = subprocess.run([sys.executable, *command], capture_output=True, text=True, env=dict(os.environ))
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    (result,) = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    return {**json.loads(result.removeprefix("RESULT ")), "log": done.stdout + done.stderr}


def test_every_task_succeeds(dag_run):
    assert len(dag_run["tasks"]) == 15
    skipped = {"ml_model.approve", "batch_prediction.measure_accuracy"}
    expected = {task_id: "skipped" if task_id in skipped else "success" for task_id in dag_run["tasks"]}
    assert dag_run["tasks"] == expected, dag_run["log"][-3000:]
    assert dag_run["state"] == "success"


def test_the_predictions_are_read_back_from_s3(dag_run, s3):
    keys = [
        item["Key"]
        for item in s3.list_objects_v2(Bucket=BUCKET, Prefix="sales_forecast/period=2008-12-31/")["Contents"]
    ]
    (committed,) = [key for key in keys if key.endswith("/run.json")]
    run = json.loads(s3.get_object(Bucket=BUCKET, Key=committed)["Body"].read())
    assert run["run_id"] == dag_run["run_id"]
    results = [key for key in keys if "/batch-prediction/result/" in key]
    lines = 0
    for key in results:
        text = gzip.decompress(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()).decode()
        assert text.startswith("tag,score\n")
        lines += text.count("\n") - 1
    assert lines == run["batchPrediction"]["totalRecordCount"] > 500
    # floor(0.7 * 31,807): the training records.
    assert run["artifacts"]["insights"]["rows"] == 22_264
