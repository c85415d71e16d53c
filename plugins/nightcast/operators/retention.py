"""Remove what of old runs is no longer needed."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator, Variable

from nightcast.artifacts import JSON, ArtifactRef, run_key, to_json_bytes
from nightcast.errors import SettingsError
from nightcast.operators.base import artifact_root, failing_fast, storage_of
from nightcast.retention.plan import Kind, RetentionPlan, RetentionRules
from nightcast.retention.removal import read_plan, remove

if TYPE_CHECKING:
    from airflow.sdk import Context

    from nightcast.storage import Storage

DELETE_VARIABLE = "nightcast_retention_delete"


class RemoveExpiredRunsOperator(BaseOperator):
    """
    List, or remove, staging parts and runs that are older than the run's Params say.

    Lists only, unless the Param ``delete`` is true or, in a scheduled run, the Airflow variable
    ``nightcast_retention_delete`` is ``true``. What the model registry refers to stays. Returns the reference of the
    report (``rows``: objects removed, or to be removed).

    :param pipeline: DAG id of the pipeline whose runs are looked at.
    :param aws_conn_id: Airflow connection of S3; its extra names the ``bucket``.
    """

    template_fields = ("pipeline",)
    ui_color = "#f0e4e4"

    def __init__(self, *, pipeline: str, aws_conn_id: str | None = "aws_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.pipeline = pipeline
        self.aws_conn_id = aws_conn_id

    def execute(self, context: Context) -> ArtifactRef:
        """Plan, report, remove if asked to, and report again."""
        with failing_fast():
            root, storage = artifact_root(self.aws_conn_id), storage_of(self.aws_conn_id)
            if not root:
                raise SettingsError(
                    f"no place for artifacts is set: give the extra of the connection {self.aws_conn_id} a `bucket`."
                )
            rules, delete = _rules(context["params"]), self._delete(context)
            now = datetime.now(UTC)
            plan = read_plan(storage, root, self.pipeline, rules, now)
            run = context["dag_run"]
            # A retry's report must not hide what the try before it removed.
            base = f"{root}/{run.dag_id}/run={run_key(run.run_id)}"
            place = f"{base}/{self.pipeline}/try={context['ti'].try_number}.json"
            facts = {"pipeline": self.pipeline, "now": now.isoformat(timespec="seconds"), "rules": asdict(rules)}
            reference = self._report(storage, place, plan, {**facts, "deleted": False})
            if delete:
                remove(storage, plan)
                reference = self._report(storage, place, plan, {**facts, "deleted": True})
        self._log_summary(plan, delete, reference["uri"])
        return reference

    def _delete(self, context: Context) -> bool:
        if context["params"].get("delete"):
            return True
        run_type = context["dag_run"].run_type
        if str(getattr(run_type, "value", run_type)) != "scheduled":
            return False
        return str(Variable.get(DELETE_VARIABLE, default="")).strip().lower() == "true"

    @staticmethod
    def _report(storage: Storage, place: str, plan: RetentionPlan, facts: dict[str, Any]) -> ArtifactRef:
        content = to_json_bytes({"version": 1, **facts, **plan.to_document()})
        return storage.write_bytes(place, content, JSON, rows=len(plan.objects))

    def _log_summary(self, plan: RetentionPlan, delete: bool, report: str) -> None:
        totals = plan.totals()
        self.log.info(
            "%s %s objects, %s bytes, of %s runs of %s (objects: %s); protected: %s runs; report %s",
            "removed" if delete else "dry run: would remove",
            len(plan.objects),
            sum(kind["bytes"] for kind in totals.values()),
            len({removal.run for removal in plan.removals}),
            self.pipeline,
            ", ".join(f"{kind} {totals[kind]['objects']}" for kind in Kind),
            len({protected.run for protected in plan.protected}),
            report,
        )
        if plan.objects and not delete:
            self.log.info("to remove them, trigger a run with the Param delete")


def _rules(params: Any) -> RetentionRules:
    return RetentionRules(params["staging_days"], params["incomplete_days"], params["run_days"])
