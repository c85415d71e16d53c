"""First task of a run: which sales period it is for, and where its artifacts lie."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from nightcast.artifacts import RunLayout, run_key
from nightcast.operators.base import artifact_root, failing_fast
from nightcast.period_choice import is_assumed, is_unfinished, reason_of, resolve_period
from nightcast.run_dates import run_dates
from nightcast.settings import Settings

if TYPE_CHECKING:
    from airflow.sdk import Context

    from nightcast.period import Period


class ResolvePeriodOperator(BaseOperator):
    """
    Resolve the run's sales period once, for all tasks behind.

    Returns by XCom the period (days, UTC, end exclusive) with its source and the reason, the dates that Airflow
    gave to the run, the names for the SQL templates, the base URI below which all artifacts of the run lie, and the
    root of the model registry.

    :param aws_conn_id: Airflow connection of S3; its extra names the ``bucket``, and a ``prefix`` if wanted.
    """

    ui_color = "#f3ead7"

    def __init__(self, *, aws_conn_id: str | None = "aws_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.aws_conn_id = aws_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Resolve, log and return the run's period."""
        with failing_fast():
            dates, period = run_dates(context), resolve_period(context)
            settings = Settings.from_params(context["params"])
            run = context["dag_run"]
            key = run_key(run.run_id)
            layout = RunLayout(artifact_root(self.aws_conn_id), run.dag_id, period.label, key)
            sql = period.sql_names(settings.datasource.training_days)
        reason = reason_of(period, dates)
        say = self.log.warning if is_assumed(period) or is_unfinished(period, dates) else self.log.info
        say("sales period [%s, %s) UTC: %s; artifacts below %s", period.start, period.end, reason, layout.base)
        return {
            "pipeline": run.dag_id,
            "run_id": run.run_id,
            "run_key": key,
            "run_type": dates.run_type,
            "base": layout.base,
            "root": layout.pipeline_root,
            "registry": layout.registry,
            "period": {
                "label": period.label,
                "start": period.start.isoformat(),
                "end": period.end.isoformat(),
                "source": period.source,
                "reason": reason,
                "previous": _facts(period.previous),
                "next": _facts(period.next),
            },
            "dates": dates.facts(),
            "sql": sql,
        }


def _facts(period: Period) -> dict[str, str]:
    return {"label": period.label, "start": period.start.isoformat(), "end": period.end.isoformat()}
