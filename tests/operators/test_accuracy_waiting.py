"""Measuring the accuracy gives its slot away while the run before goes on, and unloads once only."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from airflow.sdk.exceptions import AirflowRescheduleException, AirflowSkipException

from nightcast.operators import accuracy
from nightcast.operators.accuracy import MeasureAccuracyOperator
from nightcast.operators.base import storage_of

TWO = datetime(2008, 12, 31, 2, tzinfo=UTC)


@pytest.fixture
def before(context, run_facts, monkeypatch):
    """The context of a backfilled run, whose run before is in the state of ``before.state``."""
    given = context()
    given["dag_run"] = SimpleNamespace(
        run_id=run_facts["run_id"], dag_id="sales_forecast", run_type="backfill", run_after=TWO + timedelta(days=1)
    )
    given |= {"logical_date": TWO, "data_interval_start": TWO, "data_interval_end": TWO + timedelta(days=1)}
    ti = given["ti"]
    found = SimpleNamespace(context=given, state="running", rescheduled=None)
    ti.get_dr_count = lambda *_, **__: int(found.state == "running")
    ti.get_task_states = lambda *_, **__: {"before": {"publish": "running" if found.state == "running" else "failed"}}
    ti.get_first_reschedule_date = lambda _: found.rescheduled
    monkeypatch.setattr(accuracy, "_PATIENCE_IN_POOL", timedelta(0))
    return found


@pytest.fixture
def operator(sandbox, run_facts):
    return MeasureAccuracyOperator(
        task_id="measure_accuracy", run=run_facts, query="select 1 as recordid, 2 as totalsold", publication="publish"
    )


def unloaded(run_facts):
    return storage_of("aws_default").names_below(f"{run_facts['base']}actuals/")


def test_it_unloads_before_it_waits_and_not_again(operator, execute, before, run_facts):
    with pytest.raises(AirflowRescheduleException):
        execute(operator, before.context)
    first = unloaded(run_facts)
    assert any(uri.endswith("/try=1/actuals_manifest") for uri in first)
    # UNLOAD refuses a place where there is something: a second one would fail.
    before.rescheduled = datetime.now(UTC)
    with pytest.raises(AirflowRescheduleException):
        execute(operator, before.context)
    assert unloaded(run_facts) == first
    before.state = "failed"
    with pytest.raises(AirflowSkipException, match="no published run of 2008-12-30 predicted this period"):
        execute(operator, before.context)


def test_without_a_run_before_it_unloads_nothing(operator, execute, before, run_facts):
    before.state = "failed"
    with pytest.raises(AirflowSkipException, match="no published run of 2008-12-30"):
        execute(operator, before.context)
    assert unloaded(run_facts) == []
