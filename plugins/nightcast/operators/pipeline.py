"""The wiring of a forecast pipeline: a DAG's tasks from datasource to published predictions."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Asset, BaseOperator, TaskGroup, TriggerRule, WeightRule

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

# What is skipped in a run that does not train.
TRAINING = (
    "ml_model.train_model",
    "ml_model.evaluate_model",
    "ml_model.compare_models",
    "ml_model.approve",
    "ml_model.promote",
)


class Datasource(NamedTuple):
    """Tasks of the group ``datasource``."""

    unload_training: BaseOperator
    unload_scoring: BaseOperator
    schema: BaseOperator
    insights: BaseOperator


class Model(NamedTuple):
    """Tasks of the group ``ml_model``."""

    training: BaseOperator
    evaluation: BaseOperator
    comparison: BaseOperator
    approval: BaseOperator
    promotion: BaseOperator


class BatchPrediction(NamedTuple):
    """Tasks of the group ``batch_prediction``."""

    prediction: BaseOperator
    accuracy: BaseOperator
    measured: BaseOperator
    publication: BaseOperator


def pipelines(project: Path) -> list[str]:
    """Names of all pipelines of a project: each has a folder of its own below ``include/sql/``."""
    return sorted(path.parent.name for path in (project / "include" / "sql").glob("*/training.sql"))


def forecast_dag(dag_id: str, *, project: Path, **arguments: Any) -> DeadlineDAG:
    """
    A DAG for :func:`forecast_tasks`: retries, timeouts, alerts, a deadline, and where its SQL lies.

    :param project: folder that holds ``include/sql/``.
    :param arguments: of :class:`airflow.sdk.DAG`; they go before those that are set here. The schedule must be a
        ``CronDataIntervalTimetable``: with a bare cron string Airflow 3 gives runs no data interval.
    """
    defaults = {
        # Early, so that any period can be backfilled.
        "start_date": datetime(2008, 1, 1),
        "catchup": False,
        "max_active_runs": 4,
        "template_searchpath": [str(project / "include" / "sql")],
        "default_args": {
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
        "dagrun_timeout": timedelta(hours=6),
        "on_failure_callback": RunFailureNotifier(),
        "deadline": nightly_deadline(timedelta(hours=4)),
    }
    return DeadlineDAG(dag_id=dag_id, **{**defaults, **arguments})


def forecast_tasks(
    pipeline: str, *, series: str | None = None, days: str | None = None, pool: str = "redshift"
) -> None:
    """
    Make the 15 tasks of a pipeline in the DAG of the ``with`` statement around, and put them in order.

    =============== ===================================================================
    file            below ``include/sql/<pipeline>/``
    =============== ===================================================================
    training.sql    records to learn from: row id, attributes, target
    scoring.sql     the next period's records: the same columns without the target
    actuals.sql     row id and target of the run's period, to measure earlier predictions
    training.schema what column types can not tell: target, row id, types
    =============== ===================================================================

    :param pipeline: name of the folder with the SQL, and of the asset ``<pipeline>_predictions``: the DAG's id.
    :param series: a regular expression with a group ``key`` that finds in a row id which series a record belongs to,
        for the gate's baselines *last period* and *season ago*; None: no such baselines.
    :param days: a regular expression with a group ``key`` that finds the record's day, YYYYMMDD or YYYY-MM-DD.
    :param pool: Airflow pool in which tasks that use Redshift stand.
    """
    period = ResolvePeriodOperator(task_id="resolve_period")
    # Not in the group ml_model: the datasource comes between, and groups must not go in a circle.
    choice = ChooseModelOperator(
        task_id="choose_model",
        training=["datasource.create_schema", "datasource.compute_insights", *TRAINING],
        training_data=["datasource.unload_training"],
        promotion="ml_model.promote",
    )
    with TaskGroup("datasource", tooltip="Unload from Redshift; schema and statistics"):
        data = _datasource(pipeline, choice, pool)
    with TaskGroup("ml_model", tooltip="Train and evaluate; promote the model if it is better than the champion"):
        model = _model(data, choice, series, days)
    with TaskGroup("batch_prediction", tooltip="Score, then publish predictions and report"):
        result = _batch_prediction(pipeline, data, model, choice, pool)

    period >> choice >> data.unload_training >> data.schema >> data.insights >> model.training
    model.training >> [model.evaluation, model.comparison]
    model.comparison >> model.approval
    [model.evaluation, model.comparison, model.approval] >> model.promotion
    period >> data.unload_scoring
    [data.unload_training, data.unload_scoring, model.promotion] >> result.prediction
    # So late because it may wait for the run before, and then holds a slot of the pool.
    result.prediction >> result.accuracy >> result.measured
    [result.prediction, result.measured] >> result.publication


def _datasource(pipeline: str, choice: BaseOperator, pool: str) -> Datasource:
    unload_training = RedshiftUnloadOperator(
        task_id="unload_training", query=f"{pipeline}/training.sql", dataset="training", pool=pool
    )
    unload_scoring = RedshiftUnloadOperator(
        task_id="unload_scoring",
        query=f"{pipeline}/scoring.sql",
        dataset="scoring",
        only_if="{{ params.score == 'next_period' }}",
        pool=pool,
    )
    schema = CreateSchemaOperator(
        task_id="create_schema", manifest=unload_training.task_id, override=f"{pipeline}/training.schema"
    )
    insights = ComputeInsightsOperator(
        task_id="compute_insights",
        manifest=unload_training.task_id,
        schema=schema.task_id,
        champion=(choice.task_id, "model"),
        training=TRAINING,
    )
    return Datasource(unload_training, unload_scoring, schema, insights)


def _model(data: Datasource, choice: BaseOperator, series: str | None, days: str | None) -> Model:
    made = {
        "manifest": data.unload_training.task_id,
        "schema": data.schema.task_id,
        "insights": data.insights.task_id,
    }
    training = TrainModelOperator(task_id="train_model", **made)
    evaluation = EvaluateModelOperator(task_id="evaluate_model", model=training.task_id, **made)
    comparison = CompareModelsOperator(
        task_id="compare_models",
        model=training.task_id,
        champion=choice.task_id,
        series=series,
        days=days,
        approval=["ml_model.approve"],
        **made,
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
        model=training.task_id,
        evaluation=evaluation.task_id,
        approval=approval.task_id,
        max_active_tis_per_dag=1,
        on_success_callback=RefusedPromotionNotifier(("ml_model.promote", "refusal")),
        # Nobody is asked in most runs.
        trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS,
    )
    return Model(training, evaluation, comparison, approval, promotion)


def _batch_prediction(
    pipeline: str, data: Datasource, model: Model, choice: BaseOperator, pool: str
) -> BatchPrediction:
    prediction = BatchPredictOperator(
        task_id="predict",
        manifest=data.unload_scoring.task_id,
        training_manifest=data.unload_training.task_id,
        schema=data.schema.task_id,
        # The promoted model; else the champion; else, where there is none yet, the model that was trained.
        model=[(model.promotion.task_id, "model"), (choice.task_id, "model"), model.training.task_id],
        champion=choice.task_id,
        # What is not needed is skipped: the scoring unload, or the training.
        trigger_rule=TriggerRule.NONE_FAILED,
    )
    accuracy = MeasureAccuracyOperator(
        task_id="measure_accuracy",
        query=f"{pipeline}/actuals.sql",
        publication="batch_prediction.publish",
        pool=pool,
    )
    # Predictions are published whether or not former ones could be measured.
    measured = EmptyOperator(task_id="accuracy_ended", trigger_rule=TriggerRule.ALL_DONE)
    publication = _publication(pipeline, data, model, choice, prediction.task_id, accuracy.task_id)
    return BatchPrediction(prediction, accuracy, measured, publication)


def _publication(
    pipeline: str,
    data: Datasource,
    model: Model,
    choice: BaseOperator,
    prediction: str,
    accuracy: str,
) -> BaseOperator:
    return PublishRunOperator(
        task_id="publish",
        prediction=prediction,
        artifacts={
            "champion": choice.task_id,
            "schema": [data.schema.task_id],
            "insights": [data.insights.task_id],
            "data-alerts": [(data.insights.task_id, "data_alerts")],
            "recipe": [(model.training.task_id, "recipe")],
            "model": [model.training.task_id],
            "evaluation": [model.evaluation.task_id],
            "accuracy": [accuracy],
            "gate": [model.comparison.task_id, (data.insights.task_id, "gate")],
        },
        outlets=[Asset(name=f"{pipeline}_predictions", uri=f"nightcast://{pipeline}/predictions")],
        trigger_rule=TriggerRule.NONE_FAILED,
    )
