"""What all operators of Nightcast share."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from airflow.sdk import BaseHook, BaseOperator
from airflow.sdk.exceptions import AirflowFailException, AirflowNotFoundException

from nightcast.errors import ComputeError, MissingObjectError, NightcastError, StorageError
from nightcast.hooks.s3 import S3ConnectionHook
from nightcast.settings import Settings
from nightcast.storage import Storage

if TYPE_CHECKING:
    from airflow.sdk import Context

    from nightcast.artifacts import ArtifactRef


# The id of the task that returned a value by XCom, that id and a key, or the value itself; or a list of these, of which
# the first that gave something counts.
Returned = Any

COMPUTE_CONNECTION = "nightcast_compute"
FAILED = ("failed", "upstream_failed")
# Where a task's context keeps the states of its run's tasks.
_STATES = "nightcast_task_states"


@dataclass(frozen=True)
class Stage:
    """What a stage runs in: the run's facts, its settings, and the storage of its artifacts."""

    context: Context
    run: dict[str, Any]
    storage: Storage
    settings: Settings

    def place(self, *pieces: str) -> str:
        """URI of an artifact of this run."""
        return str(self.run["base"]) + "/".join(pieces)

    def pull(self, returned: Returned) -> Any:
        """What a task returned; None where it was skipped."""
        return pulled(self.context, returned)

    @property
    def compute(self) -> str | None:
        """Where large datasources are computed: for ``nightcast.compute.mapper_for``."""
        return connected_compute()

    def committed(self) -> dict[str, Any]:
        """What ``run.json`` says; empty where this run is not published."""
        uri = self.place("run.json")
        return dict(json.loads(self.storage.read_bytes(uri))) if self.storage.size(uri) is not None else {}

    def take_back_unless_same(self, reference: ArtifactRef) -> None:
        """Unpublish an earlier try of this run, unless it was made with this very artifact."""
        artifacts = self.committed().get("artifacts", {}).values()
        if not any((known["uri"], known["sha256"]) == (reference["uri"], reference["sha256"]) for known in artifacts):
            self.take_back()

    def take_back(self) -> None:
        """Unpublish this run: ``run.json`` first, then the predictions."""
        # Two calls: S3 deletes the objects of one in no order.
        self.storage.delete([self.place("run.json")])
        self.storage.delete(self.storage.names_below(self.place("predictions", "")))


class StageOperator(BaseOperator):
    """
    Base of the operators that call a stage.

    Arguments that take what another task returned are given that task's id (as in
    ``manifest="datasource.unload_training"``), or the value itself. The order of the tasks is the DAG's to
    say, so its graph shows the chain and not each artifact's way.

    :param run: what :class:`~nightcast.operators.resolve_period.ResolvePeriodOperator` returned: the
        run's sales period and the place of its artifacts.
    :param aws_conn_id: Airflow connection of S3; its extra names the ``bucket``.
    """

    ui_color = "#e8f0e4"
    publishes = False

    def __init__(
        self, *, run: Returned = "resolve_period", aws_conn_id: str | None = "aws_default", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.run = run
        self.aws_conn_id = aws_conn_id

    def execute(self, context: Context) -> Any:
        """Call the stage; what a retry can not mend fails at once."""
        started = time.monotonic()
        with failing_fast(), telling_time(self.log):
            settings = Settings.from_params(context["params"])
            stage = Stage(context, pulled(context, self.run), storage_of(self.aws_conn_id), settings)
            result = self.run_stage(stage)
            if not self.publishes:
                stage.take_back_unless_same(result)
        context["ti"].xcom_push(key="stage_seconds", value=round(time.monotonic() - started, 3))
        return result

    def run_stage(self, stage: Stage) -> Any:
        """Do the work and return what goes to XCom."""
        raise NotImplementedError(f"{type(self).__name__} has no stage")


def pulled(context: Context, returned: Returned) -> Any:
    """What a task of this run returned: by its id, by id and key, or as it is.

    Of a list it is the first that gave something; tasks that were skipped or have failed give nothing.
    """
    if isinstance(returned, list):
        given = (pulled(context, one) for one in returned if not _gave_nothing(context, one))
        return next((value for value in given if value is not None), None)
    if isinstance(returned, str):
        return context["ti"].xcom_pull(task_ids=returned)
    if isinstance(returned, tuple):
        task_id, key = returned
        return context["ti"].xcom_pull(task_ids=task_id, key=key)
    return returned


def _gave_nothing(context: Context, returned: Returned) -> bool:
    """Whether it is of a task without success; what it returned before its run was cleared may still lie there."""
    return bool({state_of(context, one) for one in tasks_of(returned)} & {"skipped", *FAILED})


def tasks_of(returned: Returned) -> list[str]:
    """Ids of the tasks that may give it."""
    if isinstance(returned, list):
        return [task_id for one in returned for task_id in tasks_of(one)]
    task_id = returned[0] if isinstance(returned, tuple) else returned
    return [task_id] if isinstance(task_id, str) else []


def state_of(context: Context, task_id: str) -> str | None:
    """State of a task of this run that stands before this one; None where it has none.

    Airflow is asked once for all tasks: what stands before a task that runs does not change its state.
    """
    known: dict[str, str | None] | None = cast("dict[str, Any]", context).get(_STATES)
    if known is None:
        run = context["dag_run"]
        found = context["ti"].get_task_states(run.dag_id, run_ids=[run.run_id]).get(run.run_id, {})
        known = {name: None if state is None else str(getattr(state, "value", state)) for name, state in found.items()}
        cast("dict[str, Any]", context)[_STATES] = known
    return known.get(task_id)


@contextmanager
def telling_time(log: Any) -> Iterator[None]:
    """Log what an operator's own work took; the rest of its task's processor time is Airflow's."""
    started, before = time.monotonic(), sum(os.times()[:4])
    try:
        yield
    finally:
        log.info("took %.3f s, %.3f s of processor time", time.monotonic() - started, sum(os.times()[:4]) - before)


@contextmanager
def failing_fast() -> Iterator[None]:
    """Fail a task without a retry on errors that the same inputs would give again.

    S3 and workers may come back, so their errors are retried; an object that is missing will not.
    """
    try:
        yield
    except NightcastError as error:
        if isinstance(error, StorageError | ComputeError) and not isinstance(error, MissingObjectError):
            raise
        raise AirflowFailException(f"{type(error).__name__}: {error}") from error


def storage_of(aws_conn_id: str | None) -> Storage:
    """The S3 storage that an Airflow connection gives access to."""
    hook = S3ConnectionHook(aws_conn_id=aws_conn_id)
    connection = hook.conn_config
    options: dict[str, Any] = {
        "region_name": hook.region_name,
        "endpoint_url": connection.get_service_endpoint_url("s3"),
        "verify": hook.verify,
    }
    if connection.aws_access_key_id or connection.role_arn or connection.profile_name:
        # Worker processes have no Airflow connection, so they get the credentials as they are now.
        credentials = hook.get_session().get_credentials().get_frozen_credentials()
        options["aws_access_key_id"] = credentials.access_key
        options["aws_secret_access_key"] = credentials.secret_key
        options["aws_session_token"] = credentials.token
    given = {name: value for name, value in options.items() if value is not None}
    return Storage(given).with_client(hook.conn)


def artifact_root(aws_conn_id: str | None) -> str:
    """``s3://bucket/prefix`` from the extra of the S3 connection; empty where it names no bucket."""
    extra = S3ConnectionHook(aws_conn_id=aws_conn_id).conn_config.extra_config
    bucket, prefix = str(extra.get("bucket") or ""), str(extra.get("prefix") or "").strip("/")
    return f"s3://{bucket}/{prefix}".rstrip("/") if bucket else ""


def connected_compute() -> str | None:
    """What the connection ``nightcast_compute`` names, else the environment variable ``NIGHTCAST_COMPUTE``.

    Host and port of a Dask scheduler, reached by ``tcp`` unless the connection's type or the URI in its host says
    ``tls``; or ``processes:N`` as host.

    Raises
    ------
    SettingsError
        If it has another form.
    """
    from nightcast.compute import checked_compute, compute_setting

    try:
        connection = BaseHook.get_connection(COMPUTE_CONNECTION)
    except AirflowNotFoundException:
        return compute_setting()
    address = connection.host or ""
    if "://" not in address and not address.startswith("processes:"):
        address = f"{'tls' if connection.conn_type == 'tls' else 'tcp'}://{address}"
    if connection.port:
        address = f"{address.rstrip('/')}:{connection.port}"
    return checked_compute(address, f"the connection {COMPUTE_CONNECTION}")
