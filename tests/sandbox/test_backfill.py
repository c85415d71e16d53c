"""Taking up and following a backfill, against an API of the test's own."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from nightcast.sandbox.backfill import Backfill, BackfillRequest, Progress
from nightcast.sandbox.processes import StackError
from nightcast.sandbox.stack import Stack

REQUEST = BackfillRequest("sales", date(2008, 12, 1), date(2008, 12, 4), {"retrain": "weekly"}, 4)
ACTIVE = {
    "id": 7,
    "completed_at": None,
    "is_paused": True,
    "from_date": "2008-12-01T01:00:00+01:00",
    "to_date": "2008-12-04T23:59:59Z",
    "dag_run_conf": {"retrain": "weekly"},
    "max_active_runs": 4,
}


class Airflow:
    """Runs by day with the states that they have one after the other; API, processes and stack in one."""

    def __init__(self, states: dict[str, list[str]], *backfills: dict) -> None:
        self.states, self.backfills = states, list(backfills)
        self.api = self.processes = self
        self.environment: dict[str, str] = {}
        self.called: list[str] = []

    def now(self) -> dict[str, str]:
        return {day: states[0] for day, states in self.states.items()}

    def step(self, _: float = 0) -> None:
        self.states = {day: states[1:] or states for day, states in self.states.items()}

    def get(self, path: str) -> dict:
        if path.startswith("/backfills?dag_id=sales"):
            return {"backfills": self.backfills}
        if path.endswith("/taskInstances?limit=100"):
            return {"task_instances": [{"task_id": "train", "state": "failed"}, {"task_id": "x", "state": "success"}]}
        return {"state": self.now()[path.rpartition("/run ")[2]]}

    def post(self, path: str, body: dict) -> dict:
        if path == "/backfills/dry_run":
            assert (body["dag_id"], body["reprocess_behavior"]) == ("sales", "failed")
            return {"backfills": [day for day, state in self.now().items() if state in ("failed", "none")]}
        assert (path, body["dag_ids"], body["logical_date_lte"]) == (
            *("/dags/~/dagRuns/list", ["sales"], "2008-12-04T23:59:59Z"),
        )
        found = [day for day, state in self.now().items() if state in body["states"]]
        runs = [{"dag_run_id": f"run {day}", "logical_date": f"{day}T02:00:00Z"} for day in found]
        return {"dag_runs": runs, "total_entries": len(runs)}

    def call(self, method: str, path: str) -> dict:
        self.called.append(f"{method} {path}")
        if path.endswith("/cancel"):
            gone = {"queued": "failed"}
            self.states = {day: [gone.get(one, one) for one in states] for day, states in self.states.items()}
        return {}

    def airflow(self, *arguments: str) -> list[str]:
        return list(arguments)

    def run(self, name: str, command: list[str], environment: dict[str, str]) -> None:
        self.called.append(" ".join(command))

    def check(self) -> None:
        """All processes live."""

    def log_tail(self, dag_id: str, run_id: str, task_id: str) -> str:
        return f"the log of {task_id}, {run_id}"


def test_what_has_not_succeeded_is_created():
    airflow = Airflow({"2008-12-01": ["success"], "2008-12-02": ["failed"], "2008-12-03": ["none"]})
    assert Backfill(airflow, REQUEST).start()
    assert airflow.called == [
        "backfill create --dag-id sales --from-date 2008-12-01T00:00:00Z --to-date 2008-12-04T23:59:59Z "
        '--max-active-runs 4 --reprocess-behavior failed --dag-run-conf {"retrain": "weekly"}'
    ]


def test_where_all_have_succeeded_nothing_is_done():
    airflow = Airflow({"2008-12-01": ["success"]}, ACTIVE)
    assert not Backfill(airflow, REQUEST).start()
    assert airflow.called == []


def test_an_interrupted_backfill_goes_on():
    airflow = Airflow({"2008-12-01": ["success"], "2008-12-02": ["running"], "2008-12-03": ["queued"]}, ACTIVE)
    assert Backfill(airflow, REQUEST).start()
    assert airflow.called == ["PUT /backfills/7/unpause"]


@pytest.mark.parametrize(
    "changes", [{"max_active_runs": 2}, {"dag_run_conf": None}, {"to_date": "2008-12-05T23:59:59Z"}]
)
def test_one_of_other_dates_or_params_is_cancelled_first(changes):
    airflow = Airflow({"2008-12-01": ["running"], "2008-12-02": ["queued"]}, {**ACTIVE, **changes})
    assert Backfill(airflow, REQUEST).start()
    assert airflow.called[0] == "PUT /backfills/7/cancel"
    assert airflow.called[1].startswith("backfill create")


def test_one_that_has_run_to_its_end_with_failures_makes_room():
    airflow = Airflow({"2008-12-01": ["success"], "2008-12-02": ["failed"]}, ACTIVE)
    assert Backfill(airflow, REQUEST).start()
    assert [call.partition(" --")[0] for call in airflow.called] == ["PUT /backfills/7/cancel", "backfill create"]


def test_a_line_is_told_for_each_run_that_ends(capsys):
    airflow = Airflow(
        {
            "2008-12-01": ["success"],
            "2008-12-02": ["running", "success"],
            "2008-12-03": ["queued", "running", "running", "failed"],
        }
    )
    clock = iter(range(0, 1000, 10))
    assert not Backfill(airflow, REQUEST).follow(lambda: next(clock), airflow.step)
    said = capsys.readouterr().out
    assert "[2/3]  2008-12-02  success" in said
    assert "[3/3]  2008-12-03  failed, 1 failed" in said
    assert "train failed:\nthe log of train, run 2008-12-03" in said
    assert "1 of" not in said.splitlines()[0]
    assert "2 of 3 runs succeeded" in said
    assert "failed: 2008-12-03. Mend the cause" in said


def test_the_pace_is_that_of_this_call():
    progress = Progress(total=365, success=100, failed=1)
    line = progress.ended("2008-04-11", "success", 30.0)
    assert line == "     30.0 s  [102/365]  2008-04-11  success, 1 failed  2.0 a minute, 132 min left"
    assert "running: none; is the DAG" in progress.waiting([], 90.0)


@pytest.mark.parametrize(("days", "runs"), [((4, 1), 4), ((1, 4), 0)])
def test_a_senseless_request_is_refused(days, runs):
    with pytest.raises(StackError, match=r"comes after|at least one"):
        BackfillRequest("sales", date(2008, 12, days[0]), date(2008, 12, days[1]), {}, runs)


@pytest.mark.parametrize("keep", [True, False])
def test_a_stack_keeps_what_is_there_only_if_it_is_to(tmp_path: Path, keep: bool) -> None:
    for name in ("airflow/airflow.db", "sandbox/warehouse.duckdb"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    Stack(tmp_path, tmp_path, year_end=date(2008, 12, 31), scheduled=False, keep=keep)._clean()
    assert (tmp_path / "airflow" / "airflow.db").exists() is keep
    assert (tmp_path / "sandbox").is_dir()
