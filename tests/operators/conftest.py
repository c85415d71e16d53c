"""Operators run by hand against the sandbox: rendered, then executed, with no metadata database."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from nightcast.settings import dag_params


@dataclass
class TaskInstance:
    """What operators use of a task instance."""

    try_number: int = 1
    pushed: dict[str, Any] = field(default_factory=dict)
    stats_tags: dict[str, str] = field(default_factory=dict)

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value

    def get_first_reschedule_date(self, context: Any) -> None:
        return None


class StateStore(dict[str, Any]):
    """Airflow 3.3's task_state_store, in memory."""

    def set(self, key: str, value: Any) -> None:
        self[key] = value

    def delete(self, key: str) -> None:
        self.pop(key, None)


@pytest.fixture
def run_facts(request) -> dict[str, Any]:
    """What resolve_period returns, with a base of the test's own."""
    name = request.node.name.replace("[", "-").replace("]", "")
    return {
        "pipeline": "sales_forecast",
        "run_id": f"manual__{name}",
        "run_key": name,
        "run_type": "manual",
        "base": f"s3://nightcast/tests/{name}/",
        "root": f"s3://nightcast/tests/{name}",
        "registry": f"s3://nightcast/tests/{name}/registry",
        "period": {
            "label": "2008-12-31",
            "start": "2008-12-31",
            "end": "2009-01-01",
            "source": "params",
            "previous": {"label": "2008-12-30", "start": "2008-12-30", "end": "2008-12-31"},
            "next": {"label": "2009-01-01", "start": "2009-01-01", "end": "2009-01-02"},
        },
        "dates": {"run_type": "manual", "run_after": "2009-01-01T02:00:00+00:00"},
        "sql": {"period_start": "2008-12-31 00:00:00", "period_end": "2009-01-01 00:00:00"},
    }


@pytest.fixture
def context(run_facts):
    """Make an Airflow task context; keyword arguments are Params. The learner is the quickest one."""

    def make(**params: Any) -> dict[str, Any]:
        defaults = {name: param.value for name, param in dag_params().items()}
        return {
            "ti": TaskInstance(),
            "params": {**defaults, "learner": "linear", **params},
            "dag_run": SimpleNamespace(
                run_id=run_facts["run_id"], dag_id="sales_forecast", run_type="manual", run_after=None
            ),
            "task_state_store": StateStore(),
        }

    return make


@pytest.fixture
def execute():
    """Render an operator's templates and execute it."""

    def run(operator: Any, context: dict[str, Any]) -> Any:
        operator.render_template_fields(context)
        return operator.execute(context)

    return run
