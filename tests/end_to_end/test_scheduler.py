"""The pipeline through real processes: sandbox, API server, scheduler, DAG processor, LocalExecutor."""

from __future__ import annotations

import gzip
import json
import re
import time
from datetime import date

import psutil
import pytest

from nightcast.sandbox.account import BUCKET
from nightcast.sandbox.commands import DAG
from nightcast.sandbox.stack import Stack

pytestmark = pytest.mark.timeout(480)
LAST = date(2008, 12, 31)
SCORE = re.compile(r"-?\d(\.\d{1,6})?E-?\d+")


@pytest.fixture(scope="module")
def stack(project, tmp_path_factory):
    home = tmp_path_factory.mktemp("stack")
    with Stack(project, home, year_end=LAST, scheduled=False, keep=False) as stack:
        yield stack
        started = [process.pid for process in psutil.Process().children(recursive=True)]
    assert len(started) >= 4
    assert not [pid for pid in started if psutil.pid_exists(pid)], "processes were left behind"


@pytest.fixture(scope="module")
def s3(stack):
    return stack.client("s3")


@pytest.fixture(scope="module")
def runs(stack):
    """Run ids by purpose; all runs have ended."""

    def trigger(**conf):
        day = {"period_start": "2008-12-31", "period_end": "2009-01-01"}
        given = {**day, "learner": "linear", **conf}
        return stack.api.post(f"/dags/{DAG}/dagRuns", {"logical_date": None, "conf": given})["dag_run_id"]

    ids = {"first": trigger()}
    stack.processes.run(
        "backfill",
        stack.airflow(
            *("backfill", "create", "--dag-id", DAG, "--max-active-runs", "2"),
            *("--dag-run-conf", '{"learner": "linear"}'),
            *("--from-date", "2008-12-28", "--to-date", "2008-12-30T23:59:59"),
        ),
        stack.environment,
    )
    deadline = time.monotonic() + 420
    while time.monotonic() < deadline:
        stack.processes.check()
        states = {
            run["dag_run_id"]: run["state"] for run in stack.api.get(f"/dags/{DAG}/dagRuns?limit=100")["dag_runs"]
        }
        if len(states) in (4, 6) and set(states.values()) <= {"success", "failed"}:
            assert set(states.values()) == {"success"}, states
            if len(states) == 6:
                return ids
            # Now that all former periods are done: both have the same champion.
            ids |= {"second": trigger(), "training": trigger(score="training_datasource")}
        time.sleep(1)
    raise AssertionError(f"the runs have not ended: {states}")


@pytest.fixture(scope="module")
def published(s3, runs):
    """run.json by base URI."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=f"forecasts/{DAG}/")
    keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
    found = {}
    for key in keys:
        if key.endswith("/run.json"):
            run = json.loads(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())
            found[run["run_id"]] = {**run, "keys": [k for k in keys if k.startswith(key.removesuffix("run.json"))]}
    return found


@pytest.fixture(scope="module")
def read(s3):
    def read_uri(uri: str) -> bytes:
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        return s3.get_object(Bucket=bucket, Key=key)["Body"].read()

    return read_uri


def lines_of(run, read) -> list[list[str]]:
    manifest = json.loads(read(run["artifacts"]["predictions"]["uri"]))
    assert len(manifest) >= 1
    return [gzip.decompress(read(result)).decode().split("\n") for result in manifest.values()]


def test_predictions_of_the_next_period_have_amazon_mls_layout(runs, published, read):
    run = published[runs["first"]]
    bp_id = run["batchPrediction"]["batchPredictionId"]
    manifest = json.loads(read(run["artifacts"]["predictions"]["uri"]))
    for source, result in manifest.items():
        assert f"batch-prediction/result/{bp_id}-{source.rsplit('/', 1)[-1]}.gz" in result
    records = 0
    for lines in lines_of(run, read):
        assert lines[0] == "tag,score"
        assert lines[-1] == ""
        for line in lines[1:-1]:
            tag, score = line.split(",")
            assert re.fullmatch(r"\d+-20090101", tag)
            assert SCORE.fullmatch(score)
        records += len(lines) - 2
    assert records == run["batchPrediction"]["totalRecordCount"] > 500
    assert run["batchPrediction"]["invalidRecordCount"] == 0


def test_the_training_datasource_can_be_scored_with_its_labels(runs, published, read):
    run = published[runs["training"]]
    assert 27_000 < run["batchPrediction"]["totalRecordCount"] < 33_000
    squares = 0.0
    for lines in lines_of(run, read):
        assert lines[0] == "tag,trueLabel,score"
        for line in lines[1:-1]:
            _, label, score = line.split(",")
            assert SCORE.fullmatch(label)
            assert SCORE.fullmatch(score)
            squares += (float(label) - float(score)) ** 2
    evaluation = json.loads(read(run["artifacts"]["evaluation"]["uri"]))
    rmse = (squares / run["batchPrediction"]["totalRecordCount"]) ** 0.5
    assert rmse == pytest.approx(evaluation["performanceMetrics"]["RegressionRMSE"], rel=0.5)


def test_the_model_beats_the_baseline_on_held_out_records(runs, published, read):
    evaluation = json.loads(read(published[runs["first"]]["artifacts"]["evaluation"]["uri"]))
    rmse, baseline = (evaluation[kind]["RegressionRMSE"] for kind in ("performanceMetrics", "baseline"))
    assert 0 < rmse < 0.9 * baseline
    assert 8_000 < evaluation["recordsSeen"] < 10_000


def test_a_second_run_of_one_period_gives_the_same_bytes(runs, published, read):
    first, second = published[runs["first"]], published[runs["second"]]
    base = [
        next(key for key in run["keys"] if key.endswith("/run.json")).removesuffix("run.json")
        for run in (first, second)
    ]
    files = [
        {key.removeprefix(prefix) for key in run["keys"]} for run, prefix in zip((first, second), base, strict=True)
    ]
    # The first run may have begun before the period before it was predicted; its accuracy is not measured then.
    assert {name for name in files[0] ^ files[1] if not name.startswith(("actuals/", "accuracy.json"))} == set()
    # Manifests and run.json name places, and so the run; the report names the run. The second run's champion is the
    # first one's model.
    named = ("manifest", "run.json", "report.html", "batch-prediction.json", "champion.json", "gate.json")
    same = {name for name in files[0] & files[1] if not name.endswith(named)}
    assert {"schema.json", "insights.json", "recipe.json", "evaluation.json", "model/model.json"} <= same
    assert sum("/result/" in name for name in same) >= 1
    for name in sorted(same):
        contents = [read(f"s3://{BUCKET}/{prefix}{name}") for prefix in base]
        assert contents[0] == contents[1], name


def test_a_backfill_gives_each_period_its_own_artifacts(runs, published):
    backfilled = [run for run in published.values() if run["run_type"] == "backfill"]
    assert sorted(run["period"]["start"] for run in backfilled) == ["2008-12-28", "2008-12-29", "2008-12-30"]
    for run in backfilled:
        assert run["period"]["end"] > run["period"]["start"]
        bases = {reference["uri"].split("/run=")[0] for reference in run["artifacts"].values()}
        assert bases == {f"s3://{BUCKET}/forecasts/{DAG}/period={run['period']['label']}"}
    assert len({run["artifacts"]["model"]["sha256"] for run in backfilled}) == 3


def test_in_a_backfill_each_run_meets_the_champion_of_the_period_before(runs, published, read):
    """Though several run at once: each waits for the promotion, and the publication, of the one before."""
    first, second, third = sorted(
        (run for run in published.values() if run["run_type"] == "backfill"), key=lambda run: run["period"]["start"]
    )
    assert json.loads(read(first["artifacts"]["champion"]["uri"]))["champion"] is None
    for before, run in ((first, second), (second, third)):
        champion = json.loads(read(run["artifacts"]["champion"]["uri"]))["champion"]
        assert champion["runKey"] == before["run_key"]
        rows = json.loads(read(run["artifacts"]["accuracy"]["uri"]))["rows"]
        assert [(row["period"], row["run"]) for row in rows][-1] == (run["period"]["label"], before["run_key"])


def test_nothing_unpublished_is_left(published):
    assert [key for run in published.values() for key in run["keys"] if "unpublished" in key] == []


def test_every_reference_is_true(published, read):
    import hashlib

    for run in published.values():
        made = {"schema", "insights", "data-alerts", "recipe", "model", "evaluation", "batch-prediction", "report"}
        assert set(run["artifacts"]) - {"accuracy"} == {*made, "champion", "gate", "predictions"}
        for reference in run["artifacts"].values():
            content = read(reference["uri"])
            assert hashlib.sha256(content).hexdigest() == reference["sha256"]
            assert len(content) == reference["bytes"]


def test_xcom_carries_small_references_only(stack, runs):
    path = f"/dags/{DAG}/dagRuns/{runs['first']}/taskInstances"
    tasks = stack.api.get(path)["task_instances"]
    assert len(tasks) == 15
    skipped = {task["task_id"] for task in tasks if task["state"] == "skipped"}
    assert skipped - {"batch_prediction.measure_accuracy"} == {"ml_model.approve"}
    for task in tasks:
        # An empty task runs in no process, so it returns nothing.
        if task["task_id"] in {*skipped, "batch_prediction.accuracy_ended"}:
            continue
        entries = stack.api.get(f"{path}/{task['task_id']}/xcomEntries")["xcom_entries"]
        assert any(entry["key"] == "return_value" for entry in entries)
        for entry in entries:
            value = stack.api.get(f"{path}/{task['task_id']}/xcomEntries/{entry['key']}")["value"]
            assert len(json.dumps(value)) < 10_000
        if task["task_id"] != "resolve_period":
            value = stack.api.get(f"{path}/{task['task_id']}/xcomEntries/return_value")["value"]
            assert {"uri", "sha256", "rows", "bytes", "media_type"} <= set(value)


def test_every_server_listens_on_loopback_only(stack):
    family = psutil.Process().children(recursive=True)
    listening = [
        connection.laddr.ip
        for process in family
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert len(listening) >= 2
    assert set(listening) == {"127.0.0.1"}
