"""Weekly maintenance: wiring and documentation, no logic."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from airflow.sdk import DAG, CronDataIntervalTimetable, Param, TaskGroup

from nightcast.alerts import FailureNotifier, RunFailureNotifier
from nightcast.operators.pipeline import pipelines
from nightcast.operators.retention import RemoveExpiredRunsOperator

DOCS = """\
### Maintenance

Removes what of old runs is no longer needed, by one task for each pipeline (each folder of `include/sql/`). **A run lists
only**, unless it is asked to delete: look at its reports first, then *Trigger* again with *Delete*.

| | |
| --- | --- |
| **Reads** | the listing of `s3://<bucket>/<prefix>/<pipeline>/` and the documents of `registry/` (connection `aws_default`) |
| **Writes** | `s3://<bucket>/<prefix>/nightcast_maintenance/run=<run>/<pipeline>/try=<n>.json`: what was, or would be, removed, and what was protected and why |
| **Removes** | staging parts (`training/`, `scoring/`, `actuals/`) of published runs older than *Staging days*; runs without `run.json` to which nothing was written for *Incomplete days*; whole runs older than *Run days*, if that is given |
| **Never** | what the model registry refers to, the registry itself, the accuracy history, a run that was written to within *Incomplete days* |
| **Schedule** | Sundays at 05:00 UTC. Scheduled runs list only, too, unless the Airflow variable `nightcast_retention_delete` is `true` |

**When it fails**: nothing is removed where the registry can not be read; restore the object that the message names. A
run that broke off while deleting can be cleared: it plans anew. A cleared run of the pipeline whose staging parts are
gone must begin with its unload tasks.
"""  # noqa: E501 -- table rows of Markdown can not be broken

with (
    DAG(
        dag_id="nightcast_maintenance",
        description="Weekly: lists or removes staging parts and incomplete runs",
        doc_md=DOCS,
        schedule=CronDataIntervalTimetable("0 5 * * 0", timezone="UTC"),
        start_date=datetime(2008, 1, 1),
        catchup=False,
        max_active_runs=1,
        tags=["nightcast", "maintenance"],
        params={
            "delete": Param(False, type="boolean", title="Delete", description="Off: list only. On: remove."),
            "staging_days": Param(
                30,
                type="integer",
                minimum=1,
                title="Staging days",
                description="Age in days from which the unloaded parts of a published run are removed.",
            ),
            "incomplete_days": Param(
                7,
                type="integer",
                minimum=1,
                title="Incomplete days",
                description="Days without a new object after which a run that was never published is removed.",
            ),
            "run_days": Param(
                None,
                type=["null", "integer"],
                minimum=1,
                title="Run days",
                description="Age in days from which whole runs are removed, predictions included. Empty: never.",
            ),
        },
        default_args={
            "owner": "nightcast",
            "retries": 2,
            "retry_delay": timedelta(minutes=5),
            "execution_timeout": timedelta(hours=2),
            "on_failure_callback": FailureNotifier(),
        },
        dagrun_timeout=timedelta(hours=6),
        on_failure_callback=RunFailureNotifier(),
    ) as dag,
    TaskGroup("remove_expired_runs", tooltip="One task a pipeline"),
):
    for name in pipelines(Path(__file__).resolve().parents[1]):
        RemoveExpiredRunsOperator(task_id=name, pipeline=name)
