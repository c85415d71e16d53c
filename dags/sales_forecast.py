"""The nightly sales forecast: wiring and documentation, no logic."""

from __future__ import annotations

from pathlib import Path

from airflow.sdk import CronDataIntervalTimetable

from nightcast.operators.pipeline import forecast_dag, forecast_tasks
from nightcast.settings import dag_params

DOCS = """\
### Sales forecast

Predicts tomorrow's ticket sales of every event on sale, from the sales that Redshift holds up to the end
of the sales period. What Amazon Machine Learning did by hand: datasource, statistics, ML model, evaluation,
batch prediction.

| | |
| --- | --- |
| **Reads** | Redshift tables `sales`, `listing`, `event`, `venue`, `category`, `date` through UNLOAD (connection `redshift_default`) |
| **Writes** | `s3://<bucket>/<prefix>/sales_forecast/period=<day>/run=<run>/` (connection `aws_default`): `champion.json`, `schema.json`, `insights.json`, `data-alerts.json`, `recipe.json`, `model/`, `evaluation.json`, `gate.json`, `accuracy.json`, `predictions/`, `report.html`, and `run.json` last; beside the periods `registry/` and `accuracy/` |
| **Schedule** | nightly at 02:00 UTC, for the whole UTC day that has just ended |
| **Predicts** | `totalsold` of each event on each day of the next period |

**Which model scores**: the one that the run has trained, if the gate promotes it; else the champion as of the period. With
the Param `retrain` weekly or monthly most runs train nothing.

**Start it by hand**: *Trigger*, and give period start and end where another day than yesterday is meant.
**Backfill**: `airflow backfill create --dag-id sales_forecast --from-date 2008-12-01 --to-date 2008-12-03T23:59:59`
makes one run for each day, each with artifacts of its own.

**When it fails**: a refused statement shows Redshift's message and the statement's id in the unload task's
log; correct the SQL in `include/sql/sales_forecast/` and clear the task. `returned no rows` means that the
period's sales are not loaded yet. Records that can not be read are left out and stand in `rejected/`; too many of
them fail the run. A failed run leaves no predictions visible. Where `measure_accuracy` alone has failed, the predictions
are published all the same: mend the cause, then clear that task with those behind it.
"""  # noqa: E501 -- table rows of Markdown can not be broken

with forecast_dag(
    "sales_forecast",
    project=Path(__file__).resolve().parents[1],
    description="Nightly: Redshift sales to datasource, ML model, evaluation and gzipped batch predictions",
    doc_md=DOCS,
    schedule=CronDataIntervalTimetable("0 2 * * *", timezone="UTC"),
    tags=["nightcast", "sales", "forecast"],
    params=dag_params(),
) as dag:
    # resolve_period, choose_model, then the groups datasource, ml_model and batch_prediction.
    forecast_tasks(
        "sales_forecast",
        # The records' row ids are <eventid>-<YYYYMMDD>.
        series="^(?P<key>[0-9]+)-",
        days="-(?P<key>[0-9]{8})$",
    )
