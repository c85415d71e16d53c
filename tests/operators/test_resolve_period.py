from __future__ import annotations

import json
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from airflow.sdk.exceptions import AirflowFailException
from structlog.testing import capture_logs

from nightcast.operators.resolve_period import ResolvePeriodOperator
from nightcast.settings import dag_params

DUE = datetime(2024, 3, 5, 2, tzinfo=UTC)


@pytest.fixture
def resolve(monkeypatch):
    """Execute the operator for a run that is due at ``DUE``; keyword arguments are Params."""
    connection = {
        "conn_type": "aws",
        "extra": {"bucket": "nightcast", "prefix": "forecasts", "region_name": "us-east-1"},
    }
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection))

    def run(run_type="manual", dates=None, **params):
        facts = {"run_type": run_type, "run_after": DUE, "start_date": DUE, "partition_key": None}
        dag_run = SimpleNamespace(run_id=f"{run_type}__1", dag_id="sales_forecast", **facts)
        defaults = {name: param.value for name, param in dag_params().items()}
        context = {"dag_run": dag_run, "params": {**defaults, **params}, **(dates or {})}
        return ResolvePeriodOperator(task_id="resolve_period").execute(context)

    return run


def own_interval():
    start = datetime(2024, 3, 4, 2, tzinfo=UTC)
    return {"logical_date": start, "data_interval_start": start, "data_interval_end": DUE}


def test_a_scheduled_runs_facts(resolve):
    run = resolve("scheduled", own_interval())
    assert json.loads(json.dumps(run)) == run
    assert (run["pipeline"], run["run_type"]) == ("sales_forecast", "scheduled")
    assert run["base"] == "s3://nightcast/forecasts/sales_forecast/period=2024-03-04/run=scheduled__1/"
    assert run["period"] == {
        "label": "2024-03-04",
        "start": "2024-03-04",
        "end": "2024-03-05",
        "source": "data interval",
        "reason": "the data interval [2024-03-04T02:00:00+00:00, 2024-03-05T02:00:00+00:00) of this scheduled run",
        "previous": {"label": "2024-03-03", "start": "2024-03-03", "end": "2024-03-04"},
        "next": {"label": "2024-03-05", "start": "2024-03-05", "end": "2024-03-06"},
    }
    assert run["dates"] == {
        "run_type": "scheduled",
        "run_after": "2024-03-05T02:00:00+00:00",
        "logical_date": "2024-03-04T02:00:00+00:00",
        "data_interval_start": "2024-03-04T02:00:00+00:00",
        "data_interval_end": "2024-03-05T02:00:00+00:00",
        "partition_key": None,
    }
    assert run["sql"]["history_start"] == "2024-01-09 00:00:00"
    assert run["sql"]["season_ago_end"] == "2023-03-07 00:00:00"


@pytest.mark.parametrize(
    ("arguments", "params", "level", "said"),
    [
        (("scheduled", own_interval()), {}, "info", "the data interval"),
        (("manual",), {"period_start": "2024-03-01", "period_end": "2024-03-02"}, "info", "named by the Params"),
        (("manual",), {}, "warning", "ASSUMED, since nobody named one"),
        (
            ("manual",),
            {"period_start": "2024-03-05", "period_end": "2024-03-06", "allow_unfinished_period": True},
            "warning",
            "NOT OVER YET",
        ),
    ],
)
def test_one_line_says_what_was_decided_and_loudly_where_nobody_did(resolve, arguments, params, level, said):
    with capture_logs() as lines:
        run = resolve(*arguments, **params)
    (line,) = [line for line in lines if "sales period" in line["event"]]
    assert line["log_level"] == level
    assert said in line["event"]
    assert f"[{run['period']['start']}, {run['period']['end']}) UTC: {run['period']['reason']}" in line["event"]


def test_the_period_length_is_a_param(resolve):
    assert resolve(period_length="weekly")["period"]["label"] == "2024-02-26_2024-03-03"
    assert resolve(period_length="monthly")["sql"]["next_period_end"] == "2024-04-01 00:00:00"


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"period_start": "2024-03-05", "period_end": "2024-03-06"}, "PeriodError: .* is not over yet"),
        ({"period_start": "2024-03-05"}, "PeriodError: only one of the Params"),
        ({"period_start": "0001-01-01", "period_end": "0001-01-02"}, "PeriodError: .*end of the calendar"),
    ],
)
def test_what_a_retry_can_not_mend_fails_at_once(resolve, params, message):
    with pytest.raises(AirflowFailException, match=message):
        resolve(**params)
