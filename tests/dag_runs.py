"""Runs of a DAG without Airflow's database: its operators one after the other, with their trigger rules and XComs."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from types import SimpleNamespace
from typing import Any

from airflow.sdk.exceptions import AirflowSkipException, DownstreamTasksSkipped

_BAD = ("failed", "upstream_failed")


@dataclass
class Finished:
    """A run that has ended: state and XComs of each task, and what failed."""

    run_id: str
    states: dict[str, str] = field(default_factory=dict)
    returned: dict[str, dict[str, Any]] = field(default_factory=lambda: defaultdict(dict))
    errors: dict[str, BaseException] = field(default_factory=dict)

    @property
    def facts(self) -> dict[str, Any]:
        """What resolve_period returned."""
        return self.returned["resolve_period"]["return_value"]

    def skipped(self) -> set[str]:
        """Ids of the skipped tasks, without their groups."""
        return {task_id.rsplit(".", 1)[-1] for task_id, state in self.states.items() if state == "skipped"}


class _TaskInstance:
    try_number = 1

    def __init__(self, run: Finished, task_id: str) -> None:
        self.run, self.task_id, self.stats_tags = run, task_id, {}

    def xcom_push(self, key: str, value: Any) -> None:
        self.run.returned[self.task_id][key] = value

    def xcom_pull(self, task_ids: str, key: str = "return_value") -> Any:
        return self.run.returned[task_ids].get(key)

    def get_task_states(self, dag_id: str, run_ids: list[str] | None = None, **_: Any) -> Any:
        return {self.run.run_id: dict(self.run.states)} if run_ids else {}

    def get_dr_count(self, dag_id: str, **_: Any) -> int:
        return 0

    def get_first_reschedule_date(self, context: Any) -> None:
        return None


class DagRuns:
    """Makes runs of a DAG under another id, so that they have a place of their own.

    Parameters
    ----------
    dag
        The DAG.
    name
        The id that its runs go by.
    params
        Of all runs; those of a run go before.

    ``answers`` holds, by task id, what a task that asks a person returns.
    """

    def __init__(self, dag: Any, name: str, **params: Any) -> None:
        self.dag, self.name = dag, name
        self.params = {**dag.params.dump(), **params}
        self.answers: dict[str, Any] = {}

    def day(
        self, start: str, run_type: str = "backfill", *, run_id: str | None = None, days: int = 1, **params: Any
    ) -> Finished:
        """The run of one day, or of several, as a backfill makes it, the scheduler, or a person with dates."""
        first = date.fromisoformat(start)
        logical = datetime.combine(first, time(2), UTC)
        end = logical + timedelta(days=days)
        context: dict[str, Any] = {"logical_date": logical, "data_interval_start": logical, "data_interval_end": end}
        given = {**self.params, **params}
        if run_type == "manual":
            context = {}
            given |= {"period_start": start, "period_end": (first + timedelta(days=days)).isoformat()}
        dag_run = SimpleNamespace(
            run_id=run_id or f"{run_type}__{end.isoformat()}",
            dag_id=self.name,
            run_type=run_type,
            run_after=end,
            start_date=datetime(2026, 1, 1, tzinfo=UTC),
        )
        return self._run(Finished(dag_run.run_id), {**context, "dag_run": dag_run, "params": given})

    def _run(self, run: Finished, context: dict[str, Any]) -> Finished:
        for task in self.dag.topological_sort():
            upstream = [run.states[one] for one in task.upstream_task_ids]
            state = run.states.get(task.task_id) or _without_running(task.trigger_rule.value, upstream)
            run.states[task.task_id] = state or self._execute(task, run, context)
        return run

    def _execute(self, original: Any, run: Finished, context: dict[str, Any]) -> str:
        task = original.prepare_for_execution()
        ti = _TaskInstance(run, task.task_id)
        events = defaultdict(SimpleNamespace)
        given = {**context, "ti": ti, "dag": self.dag, "run_id": run.run_id, "outlet_events": events}
        given["task_state_store"] = None
        if task.task_id in self.answers:
            ti.xcom_push("return_value", self.answers[task.task_id])
            return "success"
        try:
            task.render_template_fields(given)
            ti.xcom_push("return_value", task.execute(given))
        except AirflowSkipException:
            return "skipped"
        except DownstreamTasksSkipped as skip:
            run.states.update(dict.fromkeys(skip.tasks, "skipped"))
        except Exception as error:
            run.errors[task.task_id] = error
            return "failed"
        return "success"


def _without_running(rule: str, upstream: list[str]) -> str | None:
    """The state of a task that its trigger rule keeps from running."""
    if rule == "all_done":
        return None
    if any(state in _BAD for state in upstream):
        return "upstream_failed"
    if rule == "all_success" and "skipped" in upstream:
        return "skipped"
    if rule == "none_failed_min_one_success" and upstream and "success" not in upstream:
        return "skipped"
    assert rule in ("all_success", "none_failed", "none_failed_min_one_success"), rule
    return None
