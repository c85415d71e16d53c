"""Callbacks of DAGs and tasks: they tell people, and never fail what they tell of."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseNotifier

from nightcast.alerts.message import Alert, error_text
from nightcast.alerts.targets import tell
from nightcast.errors import PeriodError
from nightcast.period_choice import resolve_period

if TYPE_CHECKING:
    from airflow.sdk import Context

log = logging.getLogger(__name__)

RESOLVE_PERIOD = "resolve_period"
REFUSED = "refused"
_REASONS = {
    "timed_out": "The run took longer than the DAG's dagrun_timeout.",
    "all_tasks_deadlocked": "No task of the run can start any more.",
}


class _AlertNotifier(BaseNotifier):
    """Makes an alert of a context and sends it; whatever goes wrong with that is logged only."""

    def __call__(self, *args: Any) -> None:
        """Tell of the event that a context belongs to."""
        try:
            super().__call__(*args)
        except Exception:
            log.warning("%s could not tell of this event", type(self).__name__, exc_info=True)

    def notify(self, context: Context) -> None:
        """Make the alert and send it."""
        alert = self.alert_of(context)
        if alert is not None:
            tell(alert)

    async def async_notify(self, context: Context) -> None:
        """Make the alert and send it, from the triggerer."""
        from asgiref.sync import sync_to_async

        await sync_to_async(self)(context)

    def alert_of(self, context: Context) -> Alert | None:
        """The alert, or None where there is nothing to tell."""
        raise NotImplementedError(f"{type(self).__name__} makes no alert")


class FailureNotifier(_AlertNotifier):
    """
    Tell that a task has failed for good: an ``on_failure_callback`` of tasks.

    :param next_step: what to do, where the usual advice does not fit.
    """

    def __init__(self, next_step: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.next_step = next_step or (
            "Read the log, mend the cause, then clear the failed task with its downstream tasks. "
            "Nothing of this run is published until it succeeds."
        )

    def alert_of(self, context: Context) -> Alert | None:
        """The failed task, and its exception."""
        error = context.get("exception") or "no exception is known: the task's process was killed, or lost"
        return _alert(context, "failure", "a task has failed", error_text(error), self.next_step)


class RunFailureNotifier(_AlertNotifier):
    """
    Tell that a run has ended without a failed task: an ``on_failure_callback`` of the DAG.

    A run that fails because a task has failed is left to :class:`FailureNotifier`, so that nobody is told twice.

    :param next_step: what to do, where the usual advice does not fit.
    """

    def __init__(self, next_step: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.next_step = next_step or "Look at the run's tasks and at the scheduler, then clear what has not succeeded."

    def alert_of(self, context: Context) -> Alert | None:
        """The run, and why it has ended."""
        reason = str(context.get("reason") or "")
        if reason == "task_failure":
            return None
        # The context's task is the one that came last, and not at fault.
        error = _REASONS.get(reason, reason or "no reason is known")
        return _alert(context, "run-failure", "a run has failed", error, self.next_step, task=False)


class RefusedPromotionNotifier(_AlertNotifier):
    """
    Tell that a challenger was not promoted: an ``on_success_callback`` or ``on_skipped_callback`` of the gate.

    Silent where the decision is another one, and in backfills, where a refusal of the past is no news.

    :param decision: the id of the task, or a tuple of its id and a key, whose XCom is the decision: a mapping with
        ``decision`` (``refused``, or anything else) and ``reason``; or the mapping itself. None: what the task that the
        callback belongs to has returned.
    :param next_step: what to do, where the usual advice does not fit.
    """

    def __init__(self, decision: Any = None, next_step: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.decision = decision
        self.next_step = next_step or (
            "The champion goes on scoring. Compare the two evaluations in the run's report; if the refusal is wrong, "
            "loosen the gate's thresholds and trigger the period again."
        )

    def alert_of(self, context: Context) -> Alert | None:
        """The refusal, and its reason."""
        decision = self._decision(context)
        if decision.get("decision") != REFUSED:
            return None
        if _run_type(context) == "backfill":
            log.info("the promotion was refused: %s", decision.get("reason"))
            return None
        reason = error_text(decision.get("reason") or "no reason is given")
        return _alert(context, "promotion-refused", "a model was not promoted", reason, self.next_step)

    def _decision(self, context: Context) -> dict[str, Any]:
        asked = self.decision if self.decision is not None else context["ti"].task_id
        if isinstance(asked, str):
            asked = context["ti"].xcom_pull(task_ids=asked)
        elif isinstance(asked, tuple):
            asked = context["ti"].xcom_pull(task_ids=asked[0], key=asked[1])
        return dict(asked or {})


def _alert(context: Context, event: str, title: str, error: str, next_step: str, *, task: bool = True) -> Alert:
    ti = context.get("ti")
    run = context.get("dag_run")
    return Alert(
        event=event,
        title=title,
        dag_id=str(context["dag"].dag_id if "dag" in context else context["ti"].dag_id),
        run_id=context.get("run_id") or getattr(run, "run_id", None),
        next_step=next_step,
        task_id=getattr(ti, "task_id", None) if task else None,
        period=_period(context),
        run_type=_run_type(context),
        error=error,
        log_url=getattr(ti, "log_url", None) if task else None,
    )


def _run_type(context: Context) -> str | None:
    run_type = getattr(context.get("dag_run"), "run_type", None)
    return str(getattr(run_type, "value", run_type)) if run_type else None


def _period(context: Context) -> str | None:
    """The period that the run has resolved, or would resolve; None for DAGs that have none."""
    ti, dag = context.get("ti"), context.get("dag")
    try:
        facts = ti.xcom_pull(task_ids=RESOLVE_PERIOD) if ti is not None else None
        if facts:
            return str(facts["period"]["label"])
    except Exception:  # in the DAG processor there may be no XCom to be had
        log.debug("can not pull the period", exc_info=True)
    if dag is None or not dag.has_task(RESOLVE_PERIOD) or context.get("dag_run") is None:
        return None
    try:
        return resolve_period(context).label
    except (PeriodError, KeyError):
        return None
