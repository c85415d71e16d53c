"""What every DAG of the project must be like, and every pipeline's: yours, too."""

from __future__ import annotations

import runpy

import pytest

KNOWN_TAGS = {"nightcast", "sales", "forecast", "maintenance"}
CHAIN = {
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


def names_of(project_folder) -> list[str]:
    return sorted(path.stem for path in (project_folder / "dags").glob("*.py"))


@pytest.fixture(scope="module")
def pipelines(project):
    """The pipelines' DAGs by name, each with a folder of SQL."""
    names = [path.name for path in (project / "include" / "sql").iterdir() if path.is_dir()]
    return {name: runpy.run_path(str(project / "dags" / f"{name}.py"))["dag"] for name in names}


def test_each_file_is_a_dag_of_its_name_and_there_are_no_errors(loaded, project):
    assert loaded["dag_errors"] == {}
    assert sorted(loaded["dags"]) == names_of(project)
    assert {"sales_forecast", "nightcast_maintenance"} <= set(loaded["dags"])


def test_the_plugin_scanner_loads_the_plugin_and_not_the_package(loaded):
    assert loaded["plugin_errors"] == {}
    assert "nightcast" in loaded["plugins"]
    assert loaded["mean"] == 2, "a file below plugins/ shadows the standard library"


def test_nothing_heavy_is_imported_by_plugins_or_dags(loaded):
    assert loaded["heavy_after"] == loaded["heavy"] == []


def test_the_dag_files_parse_quickly(loaded):
    assert loaded["seconds"] < 5


def test_every_dag_documents_itself(loaded):
    for name, dag in loaded["dags"].items():
        assert {"nightcast"} <= set(dag["tags"]) <= KNOWN_TAGS, name
        for word in ("Reads", "Writes", "When it fails"):
            assert word in dag["doc"], (name, word)


def test_every_schedule_has_data_intervals_and_bounds(loaded):
    for name, dag in loaded["dags"].items():
        assert dag["timetable"] == "CronDataIntervalTimetable", name
        assert dag["catchup"] is False, name
        assert dag["timeout"], name


def test_every_failure_is_told_of(loaded):
    for name, dag in loaded["dags"].items():
        assert dag["on_failure"] == ["RunFailureNotifier"], name
        assert {tuple(task["on_failure"]) for task in dag["tasks"].values()} == {("FailureNotifier",)}, name


def test_every_task_retries_and_ends(loaded):
    for name, dag in loaded["dags"].items():
        for task_id, task in dag["tasks"].items():
            assert task["retries"] >= 1, (name, task_id)
            # A person is given hours, and a timeout of their own.
            assert task["timeout"] or task_id == "ml_model.approve", (name, task_id)
            assert task["owner"] == "nightcast", (name, task_id)


def test_late_scheduled_runs_of_pipelines_are_told_of(loaded, pipelines):
    for name in pipelines:
        deadline = loaded["dags"][name]["deadline"]
        assert deadline == [["DagRunQueuedAtDeadline", 14400, "nightcast.alerts.deadline.tell_missed_deadline"]], name


def test_only_tasks_that_use_redshift_stand_in_its_pool(loaded, pipelines):
    for name in pipelines:
        tasks = loaded["dags"][name]["tasks"]
        assert {task_id for task_id, task in tasks.items() if task["pool"] == "redshift"} == {
            "datasource.unload_training",
            "datasource.unload_scoring",
            "batch_prediction.measure_accuracy",
        }, name


def test_the_chain_is_the_one_of_amazon_ml(loaded, pipelines):
    for name in pipelines:
        upstream = {task_id: task["upstream"] for task_id, task in loaded["dags"][name]["tasks"].items()}
        assert upstream == CHAIN, name


def test_each_pipeline_reads_its_own_queries_and_updates_its_own_asset(pipelines):
    for name, dag in pipelines.items():
        assert dag.get_task("datasource.unload_training").query == f"{name}/training.sql"
        (asset,) = dag.get_task("batch_prediction.publish").outlets
        assert (asset.name, asset.uri) == (f"{name}_predictions", f"nightcast://{name}/predictions")


def test_groups_do_not_go_in_a_circle(pipelines):
    for name, dag in pipelines.items():
        assert dag.topological_sort()[0].task_id == "resolve_period", name


def test_a_run_that_does_not_train_skips_tasks_that_there_are(pipelines):
    for dag in pipelines.values():
        choice, insights, comparison = (
            dag.get_task(name) for name in ("choose_model", "datasource.compute_insights", "ml_model.compare_models")
        )
        named = [*choice.training, *choice.training_data, *insights.training, *comparison.approval]
        assert {*named, choice.promotion, dag.get_task("batch_prediction.measure_accuracy").publication} <= {
            *dag.task_ids
        }
        needed = {"datasource.unload_scoring", "batch_prediction.predict", "batch_prediction.publish"}
        assert not needed & {*named}
        # Nothing that is skipped on the way to the predictions skips them.
        for task_id in ("batch_prediction.predict", "batch_prediction.publish"):
            assert dag.get_task(task_id).trigger_rule.value == "none_failed"
        assert dag.get_task("batch_prediction.accuracy_ended").trigger_rule.value == "all_done"


def test_a_scheduled_run_has_valid_defaults(loaded, pipelines):
    from nightcast.settings import Settings

    for name in pipelines:
        settings = Settings.from_params(loaded["dags"][name]["params"])
        assert settings.split.split_strategy == "sequential", name
        assert settings.prediction.score == "next_period", name
