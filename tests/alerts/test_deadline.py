from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from airflow.sdk import DAG
from airflow.sdk.definitions.deadline import DeadlineReference

from nightcast.alerts import DeadlineDAG, nightly_deadline, tell_missed_deadline

RUN = {
    "dag_run_id": "scheduled__2026-11-24T02:00:00+00:00",
    "dag_id": "sales_forecast",
    "run_type": "scheduled",
    "state": "running",
    "run_after": "2026-11-25T02:00:00Z",
    "logical_date": "2026-11-24T02:00:00Z",
    "data_interval_start": "2026-11-24T02:00:00Z",
    "data_interval_end": "2026-11-25T02:00:00Z",
    "conf": {},
}
DUE = datetime(2026, 11, 25, 6, tzinfo=UTC)


@pytest.fixture
def told(webhook, monkeypatch):
    """What a webhook has got."""
    monkeypatch.delenv("AIRFLOW_CONN_NIGHTCAST_ALERTS", raising=False)
    monkeypatch.setenv("AIRFLOW_VAR_NIGHTCAST_ALERTS", webhook.url)
    return lambda: [content for _, _, content in webhook.received]


def miss(due=DUE, **facts) -> str:
    context = {"dag_run": RUN | facts, "deadline": {"id": "1", "deadline_time": due}}
    return asyncio.run(tell_missed_deadline(context=context))


@pytest.mark.parametrize("due", [DUE, "2026-11-25T06:00:00+00:00"])
def test_a_late_nightly_run_is_told_of(told, due):
    assert miss(due) == "told of scheduled__2026-11-24T02:00:00+00:00"
    (alert,) = told()
    assert (alert["event"], alert["period"], alert["task_id"]) == ("deadline-missed", "2026-11-24", None)
    assert alert["error"] == "It has not succeeded by 2026-11-25T06:00:00+00:00; its state is running."
    assert alert["log_url"].endswith("/dags/sales_forecast/runs/scheduled__2026-11-24T02%3A00%3A00%2B00%3A00")
    assert "which task is slow" in alert["next_step"]


@pytest.mark.parametrize("run_type", ["backfill", "manual", "asset_triggered"])
def test_other_runs_are_never_late(told, run_type):
    assert miss(run_type=run_type).startswith("silent")
    assert told() == []


@pytest.mark.parametrize(
    ("state", "advice"), [("queued", "has not begun"), ("failed", "clear its failed tasks"), ("new", "Look at the run")]
)
def test_what_to_do_follows_from_the_state(told, state, advice):
    miss(state=state)
    assert advice in told()[0]["next_step"]


def test_a_period_that_the_conf_names_goes_first(told):
    miss(conf={"period_start": "2026-11-01", "period_end": "2026-11-08"})
    miss(conf={"period_start": "2026-11-01"})
    assert [alert["period"] for alert in told()] == ["2026-11-01_2026-11-07", None]


@pytest.mark.parametrize("context", [None, {}, {"dag_run": {}, "deadline": {}}])
def test_the_triggerer_is_never_failed(told, context, caplog):
    assert asyncio.run(tell_missed_deadline(context=context)).startswith("failed")
    assert "could not be told of" in caplog.text


def test_the_deadline_counts_from_the_queue():
    deadline = nightly_deadline(timedelta(hours=4))
    assert deadline.reference == DeadlineReference.DAGRUN_QUEUED_AT
    assert deadline.interval in (timedelta(hours=4), 14_400.0)
    assert deadline.callback.path == "nightcast.alerts.deadline.tell_missed_deadline"


def test_a_test_run_has_no_deadline_and_gives_it_back(monkeypatch):
    seen = []

    def run(self, **options):
        seen.append((self.deadline, options))
        raise RuntimeError("a task is broken")

    monkeypatch.setattr(DAG, "test", run)
    dag = DeadlineDAG("nightly", schedule=None, deadline=nightly_deadline(timedelta(hours=4)))
    with pytest.raises(RuntimeError, match="broken"):
        dag.test(run_conf={"x": 1})
    assert seen == [(None, {"run_conf": {"x": 1}})]
    assert len(dag.deadline) == 1
