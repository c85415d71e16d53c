"""The DAGs as a fresh Airflow process finds them."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

HEAVY = ("pandas", "numpy", "sklearn", "scipy", "pyarrow", "duckdb", "moto", "sqlglot")

# In a process of its own: what is imported here must not hide what the DAG imports.
LOAD = """
import json, statistics, sys, time
from airflow.plugins_manager import get_import_errors, get_plugin_info
from airflow.dag_processing.dagbag import DagBag
errors, plugins = get_import_errors(), get_plugin_info({{"name"}})
heavy = [name for name in {heavy!r} if name in sys.modules]
started = time.monotonic()
bag = DagBag({dags!r}, bundle_name="dags-folder")
seconds = time.monotonic() - started
heavy_after = [name for name in {heavy!r} if name in sys.modules]
def facts(task):
    return {{"retries": task.retries, "owner": task.owner, "timeout": task.execution_timeout is not None,
            "pool": task.pool, "upstream": sorted(task.upstream_task_ids),
            "on_failure": [type(callback).__name__ for callback in task.on_failure_callback]}}
def seconds_of(interval):
    return interval.total_seconds() if hasattr(interval, "total_seconds") else interval
def deadlines(dag):
    return [[alert.reference.reference_name, seconds_of(alert.interval), alert.callback.path]
            for alert in dag.deadline or []]
print("RESULT " + json.dumps({{
    "dag_errors": bag.import_errors, "plugin_errors": errors, "plugins": [plugin["name"] for plugin in plugins],
    "heavy": heavy, "heavy_after": heavy_after, "seconds": seconds, "mean": statistics.mean([1, 3]),
    "dags": {{dag.dag_id: {{"tags": sorted(dag.tags), "doc": dag.doc_md, "params": dag.params.dump(),
        "timetable": type(dag.timetable).__name__, "catchup": dag.catchup, "timeout": dag.dagrun_timeout is not None,
        "max_active_runs": dag.max_active_runs, "deadline": deadlines(dag),
        "on_failure": [type(dag.on_failure_callback).__name__],
        "tasks": {{task.task_id: facts(task) for task in dag.tasks}}}} for dag in bag.dags.values()}},
}}))
"""


@pytest.fixture(scope="session")
def loaded(project):
    """What a fresh process finds in the dags folder."""
    script = LOAD.format(heavy=HEAVY, dags=str(project / "dags"))
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=dict(os.environ), timeout=120
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    assert lines, done.stdout + done.stderr
    return json.loads(lines[0].removeprefix("RESULT "))
