from __future__ import annotations

import pytest


@pytest.fixture
def dag(loaded):
    return loaded["dags"]["nightcast_maintenance"]


def test_it_runs_weekly_and_one_at_a_time(dag):
    assert dag["timetable"] == "CronDataIntervalTimetable"
    assert dag["catchup"] is False
    assert dag["max_active_runs"] == 1
    assert dag["timeout"]
    assert dag["tags"] == ["maintenance", "nightcast"]


def test_a_run_lists_only_unless_it_is_asked_to_delete(dag):
    assert dag["params"] == {"delete": False, "staging_days": 30, "incomplete_days": 7, "run_days": None}


def test_it_documents_itself(dag):
    for word in ("Reads", "Writes", "Removes", "Never", "nightcast_retention_delete", "When it fails"):
        assert word in dag["doc"]


def test_there_is_a_task_for_each_pipeline(dag, project):
    folders = [path.name for path in (project / "include" / "sql").iterdir() if path.is_dir()]
    assert sorted(dag["tasks"]) == sorted(f"remove_expired_runs.{name}" for name in folders)
    assert "remove_expired_runs.sales_forecast" in dag["tasks"]


def test_nobody_waits_for_it(dag):
    assert dag["deadline"] == []


@pytest.mark.parametrize("name", ["staging_days", "incomplete_days", "run_days"])
def test_the_form_refuses_what_the_rules_refuse(project, name):
    import runpy

    params = runpy.run_path(str(project / "dags" / "nightcast_maintenance.py"))["dag"].params
    assert params.get_param(name).schema["minimum"] == 1
    with pytest.raises(ValueError, match="less than the minimum"):
        params.get_param(name).resolve(0)
