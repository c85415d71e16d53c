"""Measure how accurate the predictions were that a former run made for this run's period."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.amazon.aws.hooks.redshift_data import RedshiftDataQueryFailedError
from airflow.sdk.exceptions import AirflowSkipException

from nightcast.artifacts import JSON, ArtifactRef
from nightcast.errors import UnloadError
from nightcast.operators.accuracy_table import row_statements
from nightcast.operators.base import Stage, failing_fast, storage_of
from nightcast.operators.order import is_under_way, let_previous_go_first
from nightcast.operators.unload import RedshiftUnloadOperator, is_transient
from nightcast.period import Period
from nightcast.period_choice import is_unfinished
from nightcast.run_dates import run_dates
from nightcast.settings import Settings

if TYPE_CHECKING:
    from airflow.sdk import Context

    from nightcast.evaluation.accuracy_history import AccuracyRow
    from nightcast.storage import Storage
    from nightcast.warehouse.statements import UnloadOptions

_PERIODS = 60
# It stands in a pool, whose slots other statements need.
_PATIENCE_IN_POOL = timedelta(seconds=10)


@dataclass(frozen=True)
class FormerRun:
    """A published run that has predicted this period: what its ``run.json`` says, and where it lies."""

    base: str
    facts: dict[str, Any]


class MeasureAccuracyOperator(RedshiftUnloadOperator):
    """
    Unload what was sold in the run's period, and compare it with what a former run had predicted for it.

    Of several published runs of the previous period the one counts that the registry would prefer: the scheduled one,
    then one by hand, then a backfilled one. Skipped where none has predicted this period. Writes ``accuracy.json`` with
    the rows of the last 60 periods up to this one, and the run's own row below ``<pipeline>/accuracy/``; with the Param
    ``accuracy_table`` also into a table of the warehouse. Returns the reference of ``accuracy.json``.

    :param publication: id of the task whose end is waited for in the run of the previous period, if that is under way.
    """

    def __init__(self, *, publication: str, dataset: str = "actuals", **kwargs: Any) -> None:
        super().__init__(dataset=dataset, **kwargs)
        self.publication = publication

    def execute(self, context: Context) -> Any:
        """Unload and measure, if there is something to measure."""
        with failing_fast():
            settings = Settings.from_params(context["params"])
            period = self._facts["period"]
            if not settings.accuracy.measure_accuracy:
                raise AirflowSkipException("the Param measure_accuracy is false.")
            whole = Period(date.fromisoformat(period["start"]), date.fromisoformat(period["end"]))
            if is_unfinished(whole, run_dates(context)):
                raise AirflowSkipException(f"the period {period['label']} is not over, its sales are incomplete.")
            storage = storage_of(self.s3_conn_id)
            # In this order: it may publish between the two.
            if not is_under_way(context, self._facts, self.publication) and former_run(storage, self._facts) is None:
                raise AirflowSkipException(_nobody(self._facts))
            if self._unloaded_before(context, storage):
                return self._finish(context, self._options(context))
        return super().execute(context)

    def _unloaded_before(self, context: Context, storage: Storage) -> bool:
        """Whether this try has unloaded, and was then rescheduled to wait."""
        self._destination = self._destination_of(context)
        rescheduled = context["ti"].get_first_reschedule_date(context) is not None
        return rescheduled and storage.size(f"{self._destination}manifest") is not None

    def _finish(self, context: Context, options: UnloadOptions) -> dict[str, Any]:
        manifest = super()._finish(context, options)
        with failing_fast():
            # Only now, for what was sold hangs on no other run: of runs that follow one another the unloads overlap.
            limit = self.execution_timeout / 2 if self.execution_timeout else timedelta(hours=1)
            let_previous_go_first(
                context, self._facts, self.publication, self.log, limit=limit, patience=_PATIENCE_IN_POOL
            )
            settings = Settings.from_params(context["params"])
            stage = Stage(context, self._facts, storage_of(self.s3_conn_id), settings)
            former = former_run(stage.storage, stage.run)
            if former is None:
                raise AirflowSkipException(_nobody(stage.run))
            row = measured(stage, former, manifest)
            reference = self._keep(stage, row)
            if settings.accuracy.accuracy_table:
                self._insert(settings.accuracy.accuracy_table, row)
        self.log.info("predictions of run %s for %s: %s", row.run, row.period, _told(row))
        return dict(reference)

    @staticmethod
    def _keep(stage: Stage, row: AccuracyRow) -> ArtifactRef:
        from nightcast.evaluation.accuracy_history import history_json
        from nightcast.report.accuracy_files import read_rows, write_row

        write_row(stage.storage, stage.run["root"], stage.run["run_key"], row)
        rows = read_rows(stage.storage, stage.run["root"], until=row.period, periods=_PERIODS)
        return stage.storage.write_bytes(
            stage.place("accuracy.json"), history_json(rows).encode(), JSON, rows=len(rows)
        )

    def _insert(self, table: str, row: AccuracyRow) -> None:
        """Replace the row in the warehouse, in one transaction."""
        try:
            self.hook.execute_query(row_statements(table, row), wait_for_completion=True, poll_interval=1)
        except RedshiftDataQueryFailedError as error:
            if is_transient(str(error)):
                raise
            raise UnloadError(
                f"Redshift refused a row of the table {table}: {error}. Give the Param accuracy_table another name, or "
                "the role the right to create and write it; then clear the task."
            ) from error
        self.log.info("wrote the row into the table %s", table)


def former_run(storage: Storage, run: dict[str, Any]) -> FormerRun | None:
    """The published run that has predicted this run's period; None where there is none.

    Parameters
    ----------
    run
        What ``resolve_period`` returned.
    """
    label = run["period"]["label"]
    below = f"{run['root']}/period={run['period']['previous']['label']}/"
    committed = [uri for uri in storage.names_below(below) if uri.endswith("/run.json")]
    # As the registry prefers: by run key: the scheduled run before one by hand, and that before a backfill.
    for uri in sorted(committed, reverse=True):
        facts = json.loads(storage.read_bytes(uri))
        predicted = facts["period"].get("next", {}).get("label")
        tagged = facts.get("model", {}).get("rowId") is not None
        if predicted == label and tagged and facts["settings"]["prediction"]["score"] == "next_period":
            return FormerRun(uri.removesuffix("run.json"), facts)
    return None


def measured(stage: Stage, former: FormerRun, manifest: dict[str, Any]) -> AccuracyRow:
    """Join the predictions of a former run with what was sold.

    Parameters
    ----------
    manifest
        Reference of the manifest of the unloaded actual values.
    """
    from nightcast.compute import mapper_for
    from nightcast.datasource.parts import Datasource
    from nightcast.datasource.schema import Schema
    from nightcast.evaluation.accuracy import measure_accuracy
    from nightcast.evaluation.accuracy_history import Origin
    from nightcast.evaluation.prediction_files import open_predictions
    from nightcast.operators.inputs import manifest_of, parts_of

    model, period = former.facts["model"], stage.run["period"]
    unloaded = manifest_of(stage, manifest)
    schema = Schema.from_columns([(column.name, column.base) for column in unloaded.columns])
    schema = replace(schema, row_id=model["rowId"], target=model["target"])
    actuals = Datasource(schema, parts_of(unloaded, manifest["format"]))
    prediction = json.loads(stage.storage.read_artifact(former.facts["artifacts"]["batch-prediction"]))
    files = [(former.base + file["published"], file["rows"]) for file in prediction["results"]]
    origin = Origin(
        period=period["label"],
        period_start=period["start"],
        run=former.facts["run_key"],
        model_run=model["runKey"],
        training_cutoff=model["trainingCutOff"],
        training=model["training"],
    )
    with mapper_for(len(actuals.parts), actuals.records, compute=stage.compute) as mapper:
        return measure_accuracy(open_predictions(files, stage.storage), actuals, origin, stage.storage, mapper)


def _nobody(run: dict[str, Any]) -> str:
    return f"no published run of {run['period']['previous']['label']} predicted this period."


def _told(row: AccuracyRow) -> str:
    named = {"RMSE": row.rmse, "baseline": row.baseline_rmse, "AUC": row.auc, "log loss": row.log_loss, "F1": row.f1}
    figures = ", ".join(f"{name} {value:.6g}" for name, value in named.items() if value is not None)
    return f"{figures or 'no figure'}, {row.records_matched:,} records matched, {row.missing_actual:,} without actual"
