"""Waiting for the run of the previous period, with a clock and an Airflow of the test's own."""

from __future__ import annotations

import logging
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace

import pytest
from airflow.sdk.exceptions import AirflowRescheduleException

from nightcast.operators.order import is_under_way, let_previous_go_first, previous_logical_date
from nightcast.run_dates import RunDates

TWO = datetime(2008, 12, 31, 2, tzinfo=UTC)
BEFORE = TWO - timedelta(days=1)
RUN = {"period": {"start": "2008-12-31", "previous": {"start": "2008-12-30"}}}
TASK = "ml_model.promote"


class Airflow:
    """A run of the period before that is in one state after the other, and a clock that only sleeping moves."""

    def __init__(self, *states, waited=None):
        self.states, self.now, self.asked, self.waited = list(states), 0.0, set(), waited
        self.counted = 0

    def get_dr_count(self, dag_id, logical_dates, states):
        assert (dag_id, logical_dates, states) == ("sales_forecast", [BEFORE], ["running"])
        self.counted += 1
        return int(self.run == "running")

    def get_task_states(self, dag_id, task_ids, logical_dates):
        assert (dag_id, task_ids) == ("sales_forecast", [TASK])
        self.asked.update(logical_dates)
        self.run, task = self.states[0]
        if len(self.states) > 1:
            self.states.pop(0)
        return {"the run before": {TASK: task}} if task != "unknown task" else {}

    def get_first_reschedule_date(self, context):
        return None if self.waited is None else datetime.now(UTC) - self.waited

    def context(self, run_type="backfill", logical_date=TWO):
        run = SimpleNamespace(dag_id="sales_forecast", run_type=run_type, run_after=None)
        return {"ti": self, "dag_run": run, "logical_date": logical_date}

    def wait(self, run_type="backfill", logical_date=TWO, **arguments):
        context, log = self.context(run_type, logical_date), logging.getLogger("order")
        return let_previous_go_first(context, RUN, TASK, log, clock=lambda: self.now, sleep=self.sleep, **arguments)

    def sleep(self, seconds):
        self.now += seconds


@pytest.mark.parametrize("state", ["success", "failed", "skipped", "upstream_failed", "removed", "unknown task"])
def test_a_task_that_has_ended_is_not_waited_for(state):
    airflow = Airflow(("running", state))
    assert airflow.wait()
    assert (airflow.now, airflow.asked) == (0.0, {BEFORE})


@pytest.mark.parametrize("run", ["queued", "success", "failed", "none"])
def test_only_a_run_that_is_under_way_is_waited_for(run):
    """A backfill that runs backwards has queued the run of the period before."""
    airflow = Airflow((run, None))
    assert airflow.wait()
    assert airflow.now == 0.0


@pytest.mark.parametrize("run_type", ["scheduled", "backfill"])
def test_it_waits_until_the_promotion_has_ended(run_type, caplog):
    airflow = Airflow(*[("running", None)] * 3, ("running", "queued"), ("running", "running"), ("running", "success"))
    with caplog.at_level("INFO"):
        assert airflow.wait(run_type)
    assert (airflow.now, airflow.counted) == (5.0, 1)
    assert len(caplog.messages) == 1, "it tells of its waiting once a minute"


def test_a_run_that_breaks_off_ends_the_waiting():
    assert Airflow(("running", None), ("failed", None)).wait()


@pytest.mark.parametrize(("run_type", "logical_date"), [("manual", TWO), ("asset_triggered", TWO), ("backfill", None)])
def test_other_runs_wait_for_nobody(run_type, logical_date):
    airflow = Airflow(("running", None))
    assert airflow.wait(run_type, logical_date)
    assert airflow.asked == set()


def test_after_a_while_it_gives_its_slot_away():
    airflow = Airflow(("running", "running"))
    with pytest.raises(AirflowRescheduleException) as raised:
        airflow.wait()
    assert 40 <= airflow.now <= 60
    assert raised.value.reschedule_date > datetime.now(UTC)
    impatient = Airflow(("running", "running"))
    with pytest.raises(AirflowRescheduleException):
        impatient.wait(patience=timedelta(seconds=10))
    assert impatient.now == 10.0


def test_in_the_end_it_goes_on_with_a_warning(caplog):
    airflow = Airflow(("running", "running"), waited=timedelta(minutes=61))
    assert not airflow.wait()
    assert "going on without it" in caplog.text
    assert not Airflow(("running", "running")).wait(limit=timedelta(seconds=6))


@pytest.mark.parametrize(
    ("run", "task", "expected"),
    [
        ("running", None, True),
        ("running", "up_for_reschedule", True),
        ("running", "success", False),
        ("queued", None, False),
        ("none", "unknown task", False),
    ],
)
def test_it_can_be_asked_without_waiting(run, task, expected):
    airflow = Airflow((run, task))
    assert is_under_way(airflow.context(), RUN, TASK) is expected
    assert not is_under_way(airflow.context("manual"), RUN, TASK)


def test_the_run_before_is_as_far_into_its_period_as_this_one():
    march = RunDates("scheduled", None, datetime(2008, 3, 1, 2, tzinfo=UTC), None, None)
    found = previous_logical_date(march, date(2008, 3, 1), date(2008, 2, 1))
    assert found == datetime(2008, 2, 1, 2, tzinfo=UTC)
