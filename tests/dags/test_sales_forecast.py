from __future__ import annotations

import pytest

KNOWN_TAGS = {"nightcast", "sales", "forecast", "maintenance"}


@pytest.fixture(scope="module")
def dag(loaded):
    return loaded["dags"]["sales_forecast"]


def test_exactly_the_known_dags_are_found_without_an_error(loaded):
    assert loaded["dag_errors"] == {}
    assert set(loaded["dags"]) == {"sales_forecast", "nightcast_maintenance"}


def test_the_plugin_scanner_loads_the_plugin_and_not_the_package(loaded):
    assert loaded["plugin_errors"] == {}
    assert "nightcast" in loaded["plugins"]
    assert loaded["mean"] == 2, "a file below plugins/ shadows the standard library"


def test_nothing_heavy_is_imported_by_plugins_or_dags(loaded):
    assert loaded["heavy_after"] == loaded["heavy"] == []


def test_the_dag_file_parses_quickly(loaded):
    assert loaded["seconds"] < 5


def test_the_dag_documents_itself(dag):
    assert set(dag["tags"]) <= KNOWN_TAGS
    assert dag["tags"]
    for word in ("Reads", "Writes", "Backfill", "When it fails"):
        assert word in dag["doc"]


def test_the_schedule_has_data_intervals_and_bounds(dag):
    assert dag["timetable"] == "CronDataIntervalTimetable"
    assert dag["catchup"] is False
    assert dag["timeout"]
    assert dag["max_active_runs"] == 4


def test_failures_and_late_nightly_runs_are_told_of(dag):
    assert dag["on_failure"] == ["RunFailureNotifier"]
    assert {tuple(task["on_failure"]) for task in dag["tasks"].values()} == {("FailureNotifier",)}
    assert dag["deadline"] == [["DagRunQueuedAtDeadline", 14400, "nightcast.alerts.deadline.tell_missed_deadline"]]


def test_every_task_retries_and_ends(dag):
    for task_id, task in dag["tasks"].items():
        assert task["retries"] >= 1, task_id
        # A person is given hours, and a timeout of their own.
        assert task["timeout"] or task_id == "ml_model.approve", task_id
        assert task["owner"] == "nightcast", task_id


def test_only_tasks_that_use_redshift_stand_in_its_pool(dag):
    pooled = {task_id for task_id, task in dag["tasks"].items() if task["pool"] == "redshift"}
    assert pooled == {
        "datasource.unload_training",
        "datasource.unload_scoring",
        "batch_prediction.measure_accuracy",
    }


def test_the_chain_is_the_one_of_amazon_ml(dag):
    upstream = {task_id: task["upstream"] for task_id, task in dag["tasks"].items()}
    assert upstream == {
        "resolve_period": [],
        "choose_model": ["resolve_period"],
        "datasource.unload_training": ["choose_model"],
        "datasource.unload_scoring": ["resolve_period"],
        "datasource.create_schema": ["datasource.unload_training"],
        "datasource.compute_insights": ["datasource.create_schema"],
        "ml_model.train_model": ["datasource.compute_insights"],
        "ml_model.evaluate_model": ["ml_model.train_model"],
        "ml_model.compare_models": ["ml_model.train_model"],
        "ml_model.approve": ["ml_model.compare_models"],
        "ml_model.promote": ["ml_model.approve", "ml_model.compare_models", "ml_model.evaluate_model"],
        "batch_prediction.predict": [
            *("datasource.unload_scoring", "datasource.unload_training", "ml_model.promote"),
        ],
        "batch_prediction.measure_accuracy": ["batch_prediction.predict"],
        "batch_prediction.accuracy_ended": ["batch_prediction.measure_accuracy"],
        "batch_prediction.publish": ["batch_prediction.accuracy_ended", "batch_prediction.predict"],
    }


def test_groups_do_not_go_in_a_circle(project):
    import runpy

    dag = runpy.run_path(str(project / "dags" / "sales_forecast.py"))["dag"]
    assert dag.topological_sort()[0].task_id == "resolve_period"


def test_a_run_that_does_not_train_skips_tasks_that_there_are(project):
    import runpy

    dag = runpy.run_path(str(project / "dags" / "sales_forecast.py"))["dag"]
    choice, insights, comparison = (
        dag.get_task(name) for name in ("choose_model", "datasource.compute_insights", "ml_model.compare_models")
    )
    named = [*choice.training, *choice.training_data, *insights.training, *comparison.approval]
    assert {*named, choice.promotion, dag.get_task("batch_prediction.measure_accuracy").publication} <= {*dag.task_ids}
    needed = {"datasource.unload_scoring", "batch_prediction.predict", "batch_prediction.publish"}
    assert not needed & {*named}
    # Nothing that is skipped on the way to the predictions skips them.
    for task_id in ("batch_prediction.predict", "batch_prediction.publish"):
        assert dag.get_task(task_id).trigger_rule.value == "none_failed"
    assert dag.get_task("batch_prediction.accuracy_ended").trigger_rule.value == "all_done"


def test_a_scheduled_run_has_valid_defaults(dag):
    from nightcast.settings import Settings

    settings = Settings.from_params(dag["params"])
    assert settings.split.training_percent == 70
    assert settings.split.split_strategy == "sequential"
    assert settings.prediction.score == "next_period"
