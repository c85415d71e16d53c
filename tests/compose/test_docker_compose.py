"""docker-compose.yaml, run: each test goes on where the one before has ended."""

from __future__ import annotations

import csv
import gzip
import io
import json
import math
import re
from datetime import UTC, datetime, timedelta

import pytest
import yaml

from compose_stack import DAG, SERVICES, until
from docker_engine import run
from nightcast.sandbox.account import DATABASE, WORKGROUP, client
from nightcast.sandbox.stack import answers

pytestmark = pytest.mark.timeout(1200)
ONE_SHOT = ("secrets", "migrate", "sample")
TRAINING = "ml_model.train_model"
# The sample's events, and three copies of each: 1.1 million training records in a year.
ENLARGE = """insert into event select eventid + 20000 * k, venueid, catid, dateid, eventname, starttime from event
cross join (select 1 as k union all select 2 union all select 3 union all select 4) as copies"""


def day(before: int) -> str:
    """So many days ago, UTC; sample sales end yesterday."""
    return (datetime.now(UTC).date() - timedelta(days=before)).isoformat()


def period(before: int) -> dict[str, str]:
    return {"period_start": day(before), "period_end": day(before - 1)}


def test_both_versions_of_compose_read_the_same(stack):
    stack.set(COMPOSE_PROFILES="celery,dask")
    found = {}
    for version in stack.commands:
        stack.version = version
        services = yaml.safe_load(stack.compose("config"))["services"]
        found[version] = {
            name: (service["image"], service.get("command"), sorted(service.get("environment", {}).items()))
            for name, service in services.items()
        }
        assert {*SERVICES, *ONE_SHOT, "broker", "celery-worker", "dask-scheduler", "dask-worker"} == set(services)
    stack.version = min(stack.commands)
    stack.set()
    first, *others = found.values()
    assert all(other == first for other in others)


def test_the_stack_comes_up_without_settings(stack):
    stack.compose("up", "--detach")
    stack.wait_healthy(*SERVICES)
    for service in ONE_SHOT:
        assert [one["State"]["ExitCode"] for one in stack.containers(service)] == [0]


def test_containers_are_held_to_what_they_need(stack):
    secret = stack.compose("exec", "-T", "scheduler", "cat", "/run/nightcast/airflow/sql_alchemy_conn")
    password = re.search(r":([^:@]+)@", secret)[1]
    assert len(password) > 30
    for service in (*SERVICES, *ONE_SHOT):
        [container] = stack.containers(service)
        assert password not in json.dumps(container)
        assert container["Config"]["User"] not in ("", "root", "0")
        assert container["HostConfig"]["Memory"] > 0
        assert container["HostConfig"]["CapDrop"] == ["ALL"]
        assert [mount["Destination"] for mount in container["Mounts"] if mount["Type"] == "bind" and mount["RW"]] == []
        ports = container["NetworkSettings"]["Ports"] or {}
        assert {binding["HostIp"] for bound in ports.values() for binding in bound or []} <= {"127.0.0.1"}
    assert run("git", "-C", stack.project, "status", "--porcelain", "--untracked-files=all", "docker") == ""


def test_a_run_by_rest_gives_predictions(stack):
    stack.api("PATCH", f"/dags/{DAG}", {"is_paused": False})
    run_id = stack.trigger(**period(2), learner="linear")
    stack.wait_success(run_id)
    s3 = client(stack.aws_url, "s3")
    [key] = [key for key in stack.published() if f"period={day(2)}/" in key]
    assert run_id in s3.get_object(Bucket="nightcast", Key=key)["Body"].read().decode()
    listed = s3.list_objects_v2(Bucket="nightcast", Prefix=key.removesuffix("run.json") + "predictions/")["Contents"]
    [result] = [item["Key"] for item in listed if "/result/" in item["Key"]]
    text = gzip.decompress(s3.get_object(Bucket="nightcast", Key=result)["Body"].read()).decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) > 100
    assert all(re.fullmatch(r"\d+-\d{8}", row["tag"]) and math.isfinite(float(row["score"])) for row in rows)


def test_runs_outlive_the_kill_of_each_service(stack):
    runs = []
    # A run for each two, as every kill may cost a task one of its two retries.
    for services in (("dag-processor", "triggerer"), ("api-server", "sandbox"), ("postgres", "scheduler")):
        runs.append(stack.trigger(**period(2), learner="linear"))
        for service, task in zip(services, ("resolve_period", "datasource.unload_training"), strict=True):
            stack.wait_task(runs[-1], task, "running", "deferred", "success", "up_for_retry")
            stack.kill(service)
            stack.wait_healthy(*SERVICES)
    stack.wait_success(*runs, seconds=900)


def test_three_periods_are_backfilled(stack):
    stack.airflow(
        "backfill", "create", "--dag-id", DAG, "--from-date", day(5), "--to-date", f"{day(3)}T23:59:59",
        "--dag-run-conf", '{"learner": "linear"}',
    )  # fmt: skip
    runs = [run_id for run_id in stack.runs() if run_id.startswith("backfill__")]
    assert len(runs) == 3
    stack.wait_success(*runs)
    periods = {re.search(r"period=([^/]+)", key)[1] for key in stack.published()}
    assert {day(5), day(4), day(3)} <= periods


def test_celery_workers_take_over_and_nothing_is_lost(stack):
    before = stack.runs(), sorted(stack.published()), stack.password()
    stack.compose("down")
    stack.version = max(stack.commands)  # volumes and services have the same names in both versions
    stack.set(COMPOSE_PROFILES="celery", NIGHTCAST_EXECUTOR="CeleryExecutor")
    stack.compose("up", "--detach", seconds=900)
    stack.wait_healthy(*SERVICES, "broker", "celery-worker")
    assert (stack.runs(), sorted(stack.published()), stack.password()) == before
    workers = {worker["Config"]["Hostname"] for worker in stack.containers("celery-worker")}
    assert len(workers) == 2
    run_id = stack.trigger(**period(2), learner="linear")
    stack.wait_success(run_id)
    hosts = {task["hostname"] for task in stack.tasks(run_id).values() if task["state"] == "success"}
    assert hosts & workers
    assert hosts <= {*workers, ""}  # the scheduler itself ends what has nothing to do


def test_a_run_outlives_a_killed_broker_and_a_killed_worker(stack):
    run_id = stack.trigger(**period(2), learner="linear")
    stack.wait_task(run_id, "resolve_period", "running", "success")
    stack.kill("broker")
    stack.kill("celery-worker")
    stack.wait_healthy("broker", "celery-worker")
    stack.wait_success(run_id, seconds=900)


def test_the_dask_workers_compute_a_large_datasource(stack):
    stack.set(COMPOSE_PROFILES="celery,dask", NIGHTCAST_EXECUTOR="CeleryExecutor")
    stack.compose("stop", "celery-worker", "broker")
    stack.set(COMPOSE_PROFILES="dask")
    stack.compose("up", "--detach", seconds=900)
    stack.wait_healthy(*SERVICES, "dask-scheduler", "dask-worker")
    stack.airflow(
        "connections", "add", "nightcast_compute", "--conn-type", "generic", "--conn-host", "dask-scheduler",
        "--conn-port", "8786",
    )  # fmt: skip
    data_api = client(stack.aws_url, "redshift-data")
    statement = data_api.execute_statement(Sql=ENLARGE, WorkgroupName=WORKGROUP, Database=DATABASE)["Id"]
    until("more events", lambda: data_api.describe_statement(Id=statement)["Status"] == "FINISHED", 60, lambda: "")
    run_id = stack.trigger(**period(2), learner="linear", training_days=365, unload_parallel=True)
    stack.wait_task(run_id, TRAINING, "running", seconds=300)
    stack.kill("dask-worker")
    stack.wait_success(run_id, seconds=900)
    count = "lambda dask_scheduler: dask_scheduler.transition_counter"
    code = f"from distributed import Client; print(Client('tcp://127.0.0.1:8786').run_on_scheduler({count}))"
    assert int(stack.compose("exec", "-T", "dask-scheduler", "python", "-c", code)) > 20


def test_there_is_no_sandbox_beside_a_real_aws(stack):
    stack.set(AIRFLOW_CONN_AWS_DEFAULT="aws://?bucket=example", AIRFLOW_CONN_REDSHIFT_DEFAULT="")
    stack.compose("up", "--detach", "sample")
    stack.wait_healthy("sandbox")
    assert "no sandbox" in stack.compose("logs", "--no-color", "sandbox").splitlines()[-1]
    assert not answers(f"{stack.aws_url}/health")
    until("sample to end", lambda: not stack.containers("sample")[0]["State"]["Running"], 60, str)
    assert stack.containers("sample")[0]["State"]["ExitCode"] == 0


def test_it_is_taken_down_without_a_trace(stack):
    stack.set(COMPOSE_PROFILES="celery,dask")
    stack.compose("down", "--volumes")
    label = f"--filter=label=com.docker.compose.project={stack.name}"
    for kind in (("ps", "--all"), ("volume", "ls"), ("network", "ls")):
        assert run("docker", *kind, "--quiet", label) == ""
