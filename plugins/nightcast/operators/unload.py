"""Unload a Redshift query to S3."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from airflow.providers.amazon.aws.hooks.redshift_data import FAILED_STATE, RedshiftDataQueryFailedError
from airflow.providers.amazon.aws.operators.redshift_data import RedshiftDataOperator
from airflow.sdk.exceptions import AirflowSkipException

from nightcast.artifacts import JSON
from nightcast.errors import UnloadError
from nightcast.hooks.redshift import RedshiftConnectionHook
from nightcast.operators.base import Returned, failing_fast, pulled, storage_of, telling_time
from nightcast.settings import Settings
from nightcast.warehouse.manifest import Manifest, read_manifest
from nightcast.warehouse.statements import UnloadFormat, UnloadOptions, unload_statement

if TYPE_CHECKING:
    from airflow.sdk import Context
    from pydantic import JsonValue

# What Redshift may answer to a statement that would succeed a minute later. Whole phrases: the names of
# the user's own tables and columns stand in Redshift's messages too.
_TRANSIENT = re.compile(
    r"serializable isolation violation|S3ServiceException:\s*(slow ?down|service unavailable|internal error)"
    r"|status 50[03]\b|connection (timed out|reset by peer|refused)|cluster is (resuming|restarting)"
    r"|request throttled|rate exceeded",
    re.IGNORECASE,
)
_MAX_XCOM_COLUMNS = 100


class RedshiftUnloadOperator(RedshiftDataOperator):
    """
    Unload the rows of a query to S3, below a prefix of the run and the try.

    Waits as the stock operator does: deferrable, or resumable after a worker's death (Airflow 3.3), and
    cancels the statement when the task is killed. Returns by XCom the reference of the verbose manifest,
    with ``rows`` and ``bytes`` of the data, ``columns`` (name to Redshift type; null above 100 columns) and
    ``format``.

    :param run: what :class:`~nightcast.operators.resolve_period.ResolvePeriodOperator` returned; the names of
        its ``sql`` entry (``period_start``, ``period_end``, ...) may stand in the query.
    :param query: one SELECT, or the path of a ``.sql`` file in the DAG's ``template_searchpath``. It is never
        rewritten, so no quote in it needs doubling.
    :param dataset: name of the datasource below the run: ``training``, ``scoring``.
    :param options: UNLOAD options; format and parallelism are taken from the run's Params.
    :param only_if: a template that gives ``True`` or ``False``; the task is skipped on ``False``.
    :param redshift_conn_id: Airflow connection of type ``aws`` that names workgroup or cluster, database and
        ``iam_role`` in its extra.
    :param s3_conn_id: Airflow connection with which the manifest is read.
    """

    aws_hook_class = RedshiftConnectionHook
    template_fields = (
        "query",
        "dataset",
        "only_if",
        *(field for field in RedshiftDataOperator.template_fields if field != "sql"),
    )
    template_ext = (".sql",)
    template_fields_renderers = {"query": "sql"}  # noqa: RUF012 -- Airflow's own declaration
    ui_color = "#dbe7f3"

    def __init__(
        self,
        *,
        run: Returned = "resolve_period",
        query: str,
        dataset: str,
        options: UnloadOptions | None = None,
        only_if: str = "True",
        redshift_conn_id: str = "redshift_default",
        s3_conn_id: str = "aws_default",
        poll_interval: float = 1,
        **kwargs: Any,
    ) -> None:
        # The statement is made in execute, from the rendered query.
        super().__init__(sql="", aws_conn_id=redshift_conn_id, poll_interval=poll_interval, **kwargs)  # type: ignore[arg-type]
        self.run = run
        self.query = query
        self.dataset = dataset
        self.options = options or UnloadOptions()
        self.only_if = only_if
        self.redshift_conn_id = redshift_conn_id
        self.s3_conn_id = s3_conn_id

    def render_template_fields(self, context: Context, jinja_env: Any = None) -> None:
        """Render with the period's names beside Airflow's own."""
        self._facts = pulled(context, self.run)
        super().render_template_fields({**context, **self._facts["sql"]}, jinja_env)

    def execute(self, context: Context) -> Any:
        """Unload, wait, and return the manifest's reference."""
        with telling_time(self.log):
            return self._execute(context)

    def _execute(self, context: Context) -> Any:
        if self.only_if != "True":
            raise AirflowSkipException(f"{self.task_id}: not wanted by this run's Params.")
        with failing_fast():
            options = self._options(context)
            self._destination = self._destination_of(context)
            self.sql = unload_statement(
                self.query, self._destination, cast("RedshiftConnectionHook", self.hook).iam_role, options
            )
        # Rendered templates in the UI end at 4,096 characters; the log has the whole statement.
        self.log.info("unloading to %s\n%s", self._destination, self.sql)
        with self._refusals_explained():
            super().execute(context)
        return self._finish(context, options)

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> Any:
        """Come back from the triggerer."""
        event = event or {}
        self._destination = self._destination_of(context)
        self.statement_id = str(event.get("statement_id"))
        with self._refusals_explained():
            if event.get("status") == "error" and event.get("type") == FAILED_STATE:
                raise RedshiftDataQueryFailedError(str(event.get("message")))
            super().execute_complete(context, event)
        return self._finish(context, self._options(context))

    # A statement that a retry reconnects to wrote below the prefix of the try that submitted it, so
    # the prefix is kept with the statement's id.

    def submit_job(self, context: Context) -> Any:
        """Submit the statement."""
        # Again, for the mixin has looked at the statement of an earlier try since execute began.
        self._destination = self._destination_of(context)
        return {"statement_id": super().submit_job(context), "destination": self._destination}

    def get_job_status(self, external_id: JsonValue, context: Context) -> str:
        """State of a statement submitted earlier."""
        return super().get_job_status(self._known(external_id), context)

    def poll_until_complete(self, external_id: JsonValue, context: Context) -> None:
        """Wait for a statement."""
        super().poll_until_complete(self._known(external_id), context)

    def get_job_result(self, external_id: JsonValue, context: Context) -> Any:
        """Result of a statement that has ended."""
        return super().get_job_result(self._known(external_id), context)

    def _known(self, external_id: Any) -> str:
        self._destination = external_id["destination"]
        return str(external_id["statement_id"])

    def _destination_of(self, context: Context) -> str:
        return f"{self._facts['base']}{self.dataset}/try={context['ti'].try_number}/{self.dataset}_"

    def _options(self, context: Context) -> UnloadOptions:
        chosen = Settings.from_params(context["params"]).datasource
        return dataclasses.replace(
            self.options, format=UnloadFormat(chosen.unload_format), parallel=chosen.unload_parallel
        )

    @contextmanager
    def _refusals_explained(self) -> Iterator[None]:
        with failing_fast():
            try:
                yield
            except RedshiftDataQueryFailedError as error:
                answer = self.hook.conn.describe_statement(Id=self.statement_id).get("Error") or str(error)
                if is_transient(answer):
                    raise
                raise UnloadError(
                    f"Redshift refused statement {self.statement_id} of task {self.task_id}: {answer} "
                    "Correct the SQL (or the role's rights), then clear the task."
                ) from error

    def _finish(self, context: Context, options: UnloadOptions) -> dict[str, Any]:
        store = context.get("task_state_store")
        if store is not None:
            # Left there, a cleared task would take up the old statement instead of unloading anew.
            store.delete(self.external_id_key)
        storage = storage_of(self.s3_conn_id)
        uri = f"{self._destination}manifest"
        with failing_fast():
            if storage.size(uri) is None:
                # Redshift writes neither files nor manifest for an empty result.
                raise self._no_rows()
            content = storage.read_bytes(uri)
            manifest = read_manifest(content, uri, header=options.header and options.format == "CSV")
            manifest.reconcile(storage.size)
            if not manifest.records:
                raise self._no_rows()
        self.log.info(
            "unloaded %s records in %s files, %s bytes",
            manifest.records,
            len(manifest.entries),
            manifest.bytes,
        )
        return self._reference(manifest, content, options)

    def _no_rows(self) -> UnloadError:
        return UnloadError(
            f"the query of task {self.task_id} returned no rows for {json.dumps(self._facts['sql'])}. "
            "Are the sales of this period loaded? Load them, then clear the task."
        )

    @staticmethod
    def _reference(manifest: Manifest, content: bytes, options: UnloadOptions) -> dict[str, Any]:
        import hashlib

        few = len(manifest.columns) <= _MAX_XCOM_COLUMNS
        return {
            "uri": manifest.uri,
            "sha256": hashlib.sha256(content).hexdigest(),
            "rows": manifest.records,
            "bytes": manifest.bytes,
            "media_type": JSON,
            "columns": {column.name: column.base for column in manifest.columns} if few else None,
            "format": str(options.format),
        }


def is_transient(answer: str) -> bool:
    """Whether Redshift's answer is of a kind that a minute later may not come again."""
    return bool(_TRANSIENT.search(answer))
