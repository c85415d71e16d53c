"""First task of a run: which sales period it is for, and where its artifacts lie."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from nightcast.artifacts import RunLayout, run_key
from nightcast.operators.base import artifact_root, failing_fast
from nightcast.period import resolve_period
from nightcast.settings import Settings

if TYPE_CHECKING:
    from airflow.sdk import Context


class ResolvePeriodOperator(BaseOperator):
    """
    Resolve the run's sales period once, for all tasks behind.

    Returns by XCom the period (days, UTC, end exclusive), the names for the SQL templates, the
    base URI below which all artifacts of the run lie, and the root of the model registry.

    :param aws_conn_id: Airflow connection of S3; its extra names the ``bucket``, and a ``prefix`` if wanted.
    """

    ui_color = "#f3ead7"

    def __init__(self, *, aws_conn_id: str | None = "aws_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.aws_conn_id = aws_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Resolve, log and return the run's period."""
        with failing_fast():
            period = resolve_period(context)
            settings = Settings.from_params(context["params"])
            run = context["dag_run"]
            key = run_key(run.run_id)
            layout = RunLayout(artifact_root(self.aws_conn_id), run.dag_id, period.label, key)
        self.log.info(
            "sales period [%s, %s) UTC, from the run's %s; artifacts below %s",
            period.start,
            period.end,
            period.source,
            layout.base,
        )
        return {
            "pipeline": run.dag_id,
            "run_id": run.run_id,
            "run_key": key,
            "run_type": str(getattr(run.run_type, "value", run.run_type)),
            "base": layout.base,
            "registry": layout.registry,
            "period": {
                "label": period.label,
                "start": period.start.isoformat(),
                "end": period.end.isoformat(),
                "source": period.source,
            },
            "sql": period.sql_names(settings.datasource.training_days),
        }
