"""Deadline, alerts and assets with Airflow's metadata database: what the docs and the DAG promise is what happens."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

pytestmark = pytest.mark.timeout(300)

PRODUCER = """
from airflow.sdk import DAG, Asset, task

with DAG("producer"):
    asset = Asset(name="sales_forecast_predictions", uri="nightcast://sales_forecast/predictions")

    @task(outlets=[asset])
    def publish(outlet_events=None):
        outlet_events[asset].extra = {
            "period": "2008-12-31", "run": "s3://b/run.json", "predictions": "s3://b/bp.manifest", "recordsSeen": 538
        }

    publish()
"""

FAILING = """
from airflow.sdk import DAG, task
from nightcast.alerts import FailureNotifier, RunFailureNotifier

with DAG("failing", on_failure_callback=RunFailureNotifier(), default_args={"on_failure_callback": FailureNotifier()}):

    @task
    def resolve_period():
        return {"period": {"label": "2008-12-31"}}

    @task
    def train_model():
        raise ValueError("no records, password=hunter2")

    resolve_period() >> train_model()
"""

# In a process of its own: Airflow's in-process API warns of its own libraries, and here warnings are errors.
SCRIPT = """
import asyncio, json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from sqlalchemy import select
from airflow._shared.module_loading import import_string
from airflow.dag_processing.bundles.manager import DagBundlesManager
from airflow.dag_processing.dagbag import BundleDagBag, sync_bag_to_db
from airflow.jobs.job import Job
from airflow.jobs.scheduler_job_runner import SchedulerJobRunner
from airflow.models.dag import DagModel
from airflow.models.dag_version import DagVersion
from airflow.models.dagrun import DagRun
from airflow.models.deadline import Deadline
from airflow.models.serialized_dag import SerializedDagModel
from airflow.sdk.definitions.dag import _run_task
from airflow.timetables.base import DataInterval
from airflow.utils.db import initdb
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState
from airflow.utils.types import DagRunTriggeredByType, DagRunType

def sync():
    bag = BundleDagBag(dag_folder=dags, bundle_path=Path(dags), bundle_name="dags-folder")
    assert not bag.import_errors, bag.import_errors
    sync_bag_to_db(bag, "dags-folder", None)
    return bag.dags

async def events_of(trigger):
    return [event.payload async for event in trigger.run()]

def missed(session, deadline):
    # What the scheduler does when the time has come, and then the triggerer.
    deadline.handle_miss(session)
    trigger = deadline.callback.trigger
    session.commit()
    return asyncio.run(events_of(import_string(trigger.classpath)(**trigger.kwargs)))[-1]["body"]

initdb()
DagBundlesManager().sync_bundles_to_db()
found = sync()
sync()
found["failing"].test()
found["producer"].test()
with create_session() as session:
    versions = {version.dag_id: version.version_number for version in session.scalars(select(DagVersion))}
    # The consumer's run, as the scheduler makes it of the producer's event.
    model = session.scalar(select(DagModel).where(DagModel.dag_id == "load_predictions"))
    SchedulerJobRunner(Job())._create_dag_runs_asset_triggered(dag_models=[model], session=session)
    session.commit()
    run = session.scalar(select(DagRun).where(DagRun.dag_id == "load_predictions"))
    for instance in run.get_task_instances(session=session):
        result = _run_task(ti=instance, task=found["load_predictions"].get_task(instance.task_id))
        loaded = result.msg.state, instance.xcom_pull(task_ids=instance.task_id, session=session)
    dag = session.scalar(SerializedDagModel.latest_item_select_object("sales_forecast")).dag
    for kind in (DagRunType.SCHEDULED, DagRunType.BACKFILL_JOB):
        at = datetime(2026, 11, 24 if kind == DagRunType.SCHEDULED else 23, 2, tzinfo=UTC)
        end = at + timedelta(days=1)
        dag.create_dagrun(
            run_id=f"{kind.value}__{at:%Y-%m-%d}", logical_date=at, data_interval=DataInterval(at, end), run_after=end,
            run_type=kind, triggered_by=DagRunTriggeredByType.TEST, state=DagRunState.QUEUED, session=session,
        )
    session.commit()
    failed = session.scalar(select(DagRun).where(DagRun.run_type == DagRunType.SCHEDULED))
    failed.state, before = DagRunState.FAILED, failed.queued_at
    session.commit()
    dag.clear(run_id=failed.run_id, session=session)
    session.commit()
    cleared = str(failed.state), failed.queued_at > before
    deadlines = {}
    for deadline in session.scalars(select(Deadline)).all():
        hours = (deadline.deadline_time - deadline.dagrun.queued_at) / timedelta(hours=1)
        deadlines[str(deadline.dagrun.run_type)] = round(hours, 3), missed(session, deadline)
print("RESULT " + json.dumps({"versions": versions, "loaded": loaded, "deadlines": deadlines, "cleared": cleared}))
"""


class _Webhook(BaseHTTPRequestHandler):
    """Keeps what it is sent."""

    def do_POST(self) -> None:
        self.server.received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Requests are no news."""


@pytest.fixture(scope="module")
def consumer(project) -> str:
    """The DAG that docs/operations.md shows."""
    (block,) = re.findall(
        r"^```python\n(from airflow\.sdk import .*?)^```$",
        (project / "docs" / "operations.md").read_text(),
        re.MULTILINE | re.DOTALL,
    )
    return block


@pytest.fixture(scope="module")
def outcome(project, consumer, tmp_path_factory):
    """What the script has found, and the alerts that a webhook has got."""
    home = tmp_path_factory.mktemp("events")
    dags = home / "dags"
    dags.mkdir()
    (dags / "sales_forecast.py").symlink_to(project / "dags" / "sales_forecast.py")
    for name, text in {"producer": PRODUCER, "failing": FAILING, "consumer": consumer}.items():
        (dags / f"{name}.py").write_text(text)
    server = HTTPServer(("127.0.0.1", 0), _Webhook)
    server.received = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        # No run is queued for a paused consumer.
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW_VAR_NIGHTCAST_ALERTS": f"http://127.0.0.1:{server.server_port}/hook",
        **dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1"),
    }
    try:
        done = subprocess.run(
            [sys.executable, "-c", f"dags = {str(dags)!r}\n{SCRIPT}"], capture_output=True, text=True, env=environment
        )
    finally:
        server.shutdown()
        server.server_close()
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-3000:]
    (result,) = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    return {**json.loads(result.removeprefix("RESULT ")), "alerts": server.received}


def test_callbacks_and_deadline_make_no_new_version_at_each_parse(outcome):
    assert outcome["versions"]["sales_forecast"] == 1


def test_a_failed_task_is_told_of_once_and_without_secrets(outcome):
    failures = [alert for alert in outcome["alerts"] if alert["dag_id"] == "failing"]
    assert [(alert["event"], alert["task_id"]) for alert in failures] == [("failure", "train_model")]
    (alert,) = failures
    assert alert["error"] == "no records, password=***"
    assert alert["period"] == "2008-12-31"
    assert alert["run_id"].startswith("manual__")
    assert "/dags/failing/runs/manual__" in alert["log_url"]
    assert "/tasks/train_model" in alert["log_url"]


def test_the_consumer_of_the_docs_is_started_by_the_asset_and_reads_its_event(outcome):
    assert outcome["loaded"] == ["success", ["2008-12-31 s3://b/bp.manifest"]]


def test_a_failed_run_with_a_deadline_can_be_cleared(outcome):
    assert outcome["cleared"] == ["queued", True]


def test_a_missed_deadline_is_told_of_scheduled_runs_only(outcome):
    assert outcome["deadlines"] == {
        "scheduled": [4.0, "told of scheduled__2026-11-24"],
        "backfill": [4.0, "silent: backfill__2026-11-23 is a backfill run"],
    }
    (alert,) = [alert for alert in outcome["alerts"] if alert["event"] == "deadline-missed"]
    assert (alert["dag_id"], alert["period"], alert["run_type"]) == ("sales_forecast", "2026-11-24", "scheduled")
    assert "its state is queued" in alert["error"]
    assert "has not begun" in alert["next_step"]
