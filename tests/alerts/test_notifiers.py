from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from airflow.sdk import DAG

from nightcast.alerts import FailureNotifier, RefusedPromotionNotifier, RunFailureNotifier
from nightcast.errors import ModelError

REFUSAL = {"decision": "refused", "reason": "RMSE 4.1 against the champion's 3.9"}


@pytest.fixture
def told(webhook, monkeypatch):
    """What a webhook has got."""
    monkeypatch.delenv("AIRFLOW_CONN_NIGHTCAST_ALERTS", raising=False)
    monkeypatch.setenv("AIRFLOW_VAR_NIGHTCAST_ALERTS", webhook.url)
    return lambda: [content for _, _, content in webhook.received]


def test_a_failed_task_is_told_of(told, context):
    FailureNotifier()(context(exception=ModelError("no records to learn from")))
    (alert,) = told()
    assert alert.pop("text").startswith("a task has failed\nDAG: sales_forecast\nTask: ml_model.train_model\n")
    assert alert.pop("next_step").startswith("Read the log, mend the cause, then clear the failed task")
    assert alert == {
        "event": "failure",
        "title": "a task has failed",
        "dag_id": "sales_forecast",
        "task_id": "ml_model.train_model",
        "run_id": "scheduled__x",
        "run_type": "scheduled",
        "period": "2008-12-31",
        "error": "no records to learn from",
        "log_url": "http://localhost:8080/dags/sales_forecast/runs/x/tasks/y",
    }


def test_a_killed_task_is_told_of_without_an_exception(told, context):
    FailureNotifier(next_step="Call the night shift.")(context())
    (alert,) = told()
    assert "was killed, or lost" in alert["error"]
    assert alert["next_step"] == "Call the night shift."


def test_a_period_that_was_not_resolved_is_told_from_the_runs_dates(told, context):
    dates = {
        "data_interval_start": datetime(2008, 12, 30, 2, tzinfo=UTC),
        "data_interval_end": datetime(2008, 12, 31, 2, tzinfo=UTC),
    }
    run = SimpleNamespace(
        run_id="scheduled__x", dag_id="sales_forecast", run_type="scheduled", run_after=dates["data_interval_end"]
    )
    dates["dag_run"] = run
    FailureNotifier()(context(xcoms={}, **dates))
    FailureNotifier()(context(xcoms={}))
    FailureNotifier()(context(xcoms={}, dag=DAG("nightcast_maintenance", schedule=None), **dates))
    assert [alert["period"] for alert in told()] == ["2008-12-30", None, None]


@pytest.mark.parametrize(
    ("reason", "error"),
    [
        ("timed_out", "The run took longer than the DAG's dagrun_timeout."),
        ("all_tasks_deadlocked", "No task of the run can start any more."),
        ("something new", "something new"),
        (None, "no reason is known"),
    ],
)
def test_a_run_that_fails_without_a_failed_task_is_told_of(told, context, reason, error):
    RunFailureNotifier()(context(reason=reason))
    (alert,) = told()
    assert (alert["event"], alert["error"]) == ("run-failure", error)
    assert (alert["task_id"], alert["log_url"]) == (None, None)


def test_a_run_that_fails_by_a_task_is_left_to_the_task(told, context):
    RunFailureNotifier()(context(reason="task_failure"))
    assert told() == []


def test_the_least_context_of_the_dag_processor_is_enough(told, context):
    RunFailureNotifier()({"dag": context()["dag"], "run_id": "scheduled__x", "reason": "timed_out"})
    (alert,) = told()
    assert (alert["dag_id"], alert["run_id"], alert["period"]) == ("sales_forecast", "scheduled__x", None)


@pytest.mark.parametrize(
    ("decision", "xcoms"),
    [
        (None, {"ml_model.train_model": REFUSAL}),
        ("ml_model.gate", {"ml_model.gate": REFUSAL}),
        (("ml_model.gate", "decision"), {"decision": REFUSAL}),
        (REFUSAL, {}),
    ],
)
def test_a_refused_promotion_is_told_of(told, context, decision, xcoms):
    RefusedPromotionNotifier(decision)(context(xcoms=xcoms))
    (alert,) = told()
    assert (alert["event"], alert["error"]) == ("promotion-refused", REFUSAL["reason"])
    assert "champion goes on scoring" in alert["next_step"]


@pytest.mark.parametrize("decision", [{"decision": "promoted"}, {}, {"reason": "x"}])
def test_another_decision_is_no_alert(told, context, decision):
    RefusedPromotionNotifier(decision)(context())
    assert told() == []


def test_a_refusal_in_a_backfill_is_no_alert(told, context):
    run = SimpleNamespace(run_id="backfill__x", dag_id="sales_forecast", run_type="backfill", run_after=None)
    RefusedPromotionNotifier(REFUSAL)(context(dag_run=run))
    assert told() == []


@pytest.mark.parametrize("notifier", [FailureNotifier(), RunFailureNotifier(), RefusedPromotionNotifier()])
@pytest.mark.parametrize("broken", [{}, {"dag": None}, {"ti": None, "dag": None}])
def test_a_notifier_never_raises(notifier, broken, told, caplog):
    notifier(broken)
    assert told() == []
    assert "could not tell of this event" in caplog.text


def test_an_awaited_notifier_tells_too(told, context):
    async def wait() -> None:
        await RefusedPromotionNotifier(REFUSAL, context=context())

    asyncio.run(wait())
    assert [alert["event"] for alert in told()] == ["promotion-refused"]
