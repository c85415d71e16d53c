"""The nightly sales forecast: wiring and documentation, no logic."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Asset, CronDataIntervalTimetable, TaskGroup, TriggerRule, WeightRule

from nightcast.alerts import (
    DeadlineDAG,
    FailureNotifier,
    RefusedPromotionNotifier,
    RunFailureNotifier,
    nightly_deadline,
)
from nightcast.operators.accuracy import MeasureAccuracyOperator
from nightcast.operators.choose import ChooseModelOperator
from nightcast.operators.compare import CompareModelsOperator
from nightcast.operators.evaluate import EvaluateModelOperator
from nightcast.operators.insights import ComputeInsightsOperator
from nightcast.operators.predict import BatchPredictOperator
from nightcast.operators.promote import APPROVE, REJECT, PromoteModelOperator
from nightcast.operators.publish import PublishRunOperator
from nightcast.operators.resolve_period import ResolvePeriodOperator
from nightcast.operators.schema import CreateSchemaOperator
from nightcast.operators.train import TrainModelOperator
from nightcast.operators.unload import RedshiftUnloadOperator
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

POOL = "redshift"
FOREVER = datetime(2008, 1, 1)
# What is skipped in a run that does not train.
TRAINING = (
    "ml_model.train_model",
    "ml_model.evaluate_model",
    "ml_model.compare_models",
    "ml_model.approve",
    "ml_model.promote",
)

with DeadlineDAG(
    dag_id="sales_forecast",
    description="Nightly: Redshift sales to datasource, ML model, evaluation and gzipped batch predictions",
    doc_md=DOCS,
    schedule=CronDataIntervalTimetable("0 2 * * *", timezone="UTC"),
    start_date=FOREVER,
    catchup=False,
    max_active_runs=4,
    tags=["nightcast", "sales", "forecast"],
    params=dag_params(),
    template_searchpath=[str(Path(__file__).resolve().parents[1] / "include" / "sql")],
    default_args={
        "owner": "nightcast",
        "retries": 2,
        "retry_delay": timedelta(minutes=1),
        "retry_exponential_backoff": True,
        "max_retry_delay": timedelta(minutes=15),
        "execution_timeout": timedelta(hours=2),
        "on_failure_callback": FailureNotifier(),
        # Where slots are few, runs under way come to their end before others begin: these may wait for them.
        "weight_rule": WeightRule.UPSTREAM,
    },
    dagrun_timeout=timedelta(hours=6),
    on_failure_callback=RunFailureNotifier(),
    deadline=nightly_deadline(timedelta(hours=4)),
) as dag:
    period = ResolvePeriodOperator(task_id="resolve_period")

    # Not in the group ml_model: the datasource comes between, and groups must not go in a circle.
    choice = ChooseModelOperator(
        task_id="choose_model",
        training=["datasource.create_schema", "datasource.compute_insights", *TRAINING],
        training_data=["datasource.unload_training"],
        promotion="ml_model.promote",
    )

    with TaskGroup("datasource", tooltip="Unload from Redshift; schema and statistics"):
        unload_training = RedshiftUnloadOperator(
            task_id="unload_training", query="sales_forecast/training.sql", dataset="training", pool=POOL
        )
        unload_scoring = RedshiftUnloadOperator(
            task_id="unload_scoring",
            query="sales_forecast/scoring.sql",
            dataset="scoring",
            only_if="{{ params.score == 'next_period' }}",
            pool=POOL,
        )
        schema = CreateSchemaOperator(
            task_id="create_schema", manifest=unload_training.task_id, override="sales_forecast/training.schema"
        )
        insights = ComputeInsightsOperator(
            task_id="compute_insights",
            manifest=unload_training.task_id,
            schema=schema.task_id,
            champion=(choice.task_id, "model"),
            training=TRAINING,
        )

    with TaskGroup("ml_model", tooltip="Train and evaluate; promote the model if it is better than the champion"):
        model = TrainModelOperator(
            task_id="train_model",
            manifest=unload_training.task_id,
            schema=schema.task_id,
            insights=insights.task_id,
        )
        evaluation = EvaluateModelOperator(
            task_id="evaluate_model",
            manifest=unload_training.task_id,
            schema=schema.task_id,
            insights=insights.task_id,
            model=model.task_id,
        )
        comparison = CompareModelsOperator(
            task_id="compare_models",
            manifest=unload_training.task_id,
            schema=schema.task_id,
            insights=insights.task_id,
            model=model.task_id,
            champion=choice.task_id,
            # The records' row ids are <eventid>-<YYYYMMDD>.
            series="^(?P<key>[0-9]+)-",
            days="-(?P<key>[0-9]{8})$",
            approval=["ml_model.approve"],
        )
        approval = HITLOperator(
            task_id="approve",
            subject="Promote the model of {{ dag.dag_id }}, {{ run_id }}?",
            body="{{ ti.xcom_pull(task_ids='ml_model.compare_models', key='decision')['reason'] }}",
            options=[APPROVE, REJECT],
            defaults=REJECT,
            response_timeout=timedelta(hours=4),
            execution_timeout=None,
        )
        promotion = PromoteModelOperator(
            task_id="promote",
            gate=comparison.task_id,
            model=model.task_id,
            evaluation=evaluation.task_id,
            approval=approval.task_id,
            max_active_tis_per_dag=1,
            on_success_callback=RefusedPromotionNotifier(("ml_model.promote", "refusal")),
            # Nobody is asked in most runs.
            trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS,
        )

    with TaskGroup("batch_prediction", tooltip="Score, then publish predictions and report"):
        prediction = BatchPredictOperator(
            task_id="predict",
            manifest=unload_scoring.task_id,
            training_manifest=unload_training.task_id,
            schema=schema.task_id,
            # The promoted model; else the champion; else, where there is none yet, the model that was trained.
            model=[(promotion.task_id, "model"), (choice.task_id, "model"), model.task_id],
            champion=choice.task_id,
            # What is not needed is skipped: the scoring unload, or the training.
            trigger_rule=TriggerRule.NONE_FAILED,
        )
        accuracy = MeasureAccuracyOperator(
            task_id="measure_accuracy",
            query="sales_forecast/actuals.sql",
            publication="batch_prediction.publish",
            pool=POOL,
        )
        # Predictions are published whether or not former ones could be measured.
        measured = EmptyOperator(task_id="accuracy_ended", trigger_rule=TriggerRule.ALL_DONE)
        publication = PublishRunOperator(
            task_id="publish",
            prediction=prediction.task_id,
            artifacts={
                "champion": choice.task_id,
                "schema": [schema.task_id],
                "insights": [insights.task_id],
                "data-alerts": [(insights.task_id, "data_alerts")],
                "recipe": [(model.task_id, "recipe")],
                "model": [model.task_id],
                "evaluation": [evaluation.task_id],
                "accuracy": [accuracy.task_id],
                "gate": [comparison.task_id, (insights.task_id, "gate")],
            },
            outlets=[Asset(name="sales_forecast_predictions", uri="nightcast://sales_forecast/predictions")],
            trigger_rule=TriggerRule.NONE_FAILED,
        )

    period >> choice >> unload_training >> schema >> insights >> model >> [evaluation, comparison]
    comparison >> approval
    [evaluation, comparison, approval] >> promotion
    period >> unload_scoring
    [unload_training, unload_scoring, promotion] >> prediction
    # So late because it may wait for the run before, and then holds a slot of the pool.
    prediction >> accuracy >> measured
    [prediction, measured] >> publication
