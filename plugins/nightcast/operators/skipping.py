"""Ending a task well while certain tasks behind it are skipped, and those behind them go on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import DownstreamTasksSkipped

if TYPE_CHECKING:
    from airflow.sdk import Context

# Names of Airflow's own, by which it skips the tasks again where they alone are cleared.
_SKIPMIXIN, _SKIPPED, _RETURNED = "skipmixin_key", "skipped", "return_value"


def end_and_skip(context: Context, returned: Any, task_ids: Sequence[str]) -> Any:
    """Return what an operator returns, or, with tasks to skip, raise what makes Airflow skip exactly these.

    The class of the operator must say ``inherits_from_skipmixin = True``.

    Raises
    ------
    DownstreamTasksSkipped
        If there are tasks to skip. The task itself succeeds.
    """
    if not task_ids:
        return returned
    # Airflow keeps what a task returns only where it does not raise.
    context["ti"].xcom_push(key=_RETURNED, value=returned)
    context["ti"].xcom_push(key=_SKIPMIXIN, value={_SKIPPED: list(task_ids)})
    raise DownstreamTasksSkipped(tasks=list(task_ids))  # type: ignore[no-untyped-call]
