"""The Redshift Data API: its operations, over the JSON 1.1 protocol, as boto3 and Airflow call them."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Any

import botocore.session
from botocore.validate import ParamValidator

from nightcast.sandbox.api_requests import (
    ApiError,
    bind_all,
    check_target,
    check_texts,
    count_statements,
    first_of,
    invalid,
    not_found,
    target_of,
)
from nightcast.sandbox.results import ResultSet, as_text, column_metadata, field, page_token
from nightcast.sandbox.runner import Runner
from nightcast.sandbox.statements import ENDED, Part, Statement, StatementStore, new_statement

_STATUSES = ("SUBMITTED", "PICKED", "STARTED", "FINISHED", "ABORTED", "FAILED", "ALL")
_model = botocore.session.get_session().get_service_model("redshift-data")
_validator = ParamValidator()


class DataApi:
    """Answers the operations on statements; `nightcast.sandbox.metadata_api` adds those on the catalogue."""

    def __init__(self, runner: Runner, store: StatementStore, page_rows: int) -> None:
        self._runner = runner
        self._store = store
        self._page_rows = page_rows
        self.operations: dict[str, Callable[[dict[str, Any], str], dict[str, Any]]] = {
            "ExecuteStatement": self.execute_statement,
            "BatchExecuteStatement": self.batch_execute_statement,
            "DescribeStatement": self.describe_statement,
            "GetStatementResult": self.get_statement_result,
            "GetStatementResultV2": self.get_statement_result_v2,
            "CancelStatement": self.cancel_statement,
            "ListStatements": self.list_statements,
        }

    def call(self, operation: str, request: dict[str, Any], region: str) -> dict[str, Any]:
        """Check a request against the service's model and answer it.

        Raises
        ------
        ApiError
            For an unknown operation, a malformed request, and whatever the operation refuses.
        """
        answer = self.operations.get(operation)
        if answer is None:
            if operation in _model.operation_names:
                raise invalid(f"Nightcast sandbox: {operation} is not supported")
            raise ApiError("UnknownOperationException", f"unknown operation {operation}")
        shape = _model.operation_model(operation).input_shape
        problems = _validator.validate(request, shape)
        if problems.has_errors():
            raise invalid(problems.generate_report())
        wait = request.get("WaitTimeSeconds")
        if wait is not None and not 1 <= wait <= 30:
            raise invalid("WaitTimeSeconds must be between 1 and 30")
        return answer(request, region)

    def execute_statement(self, request: dict[str, Any], region: str) -> dict[str, Any]:
        sql = request["Sql"]
        check_texts([sql])
        if count_statements(sql) > 1:
            raise invalid("Multiple sql statements are not allowed; use BatchExecuteStatement")
        return self._submit(request, [sql], region, is_batch=False)

    def batch_execute_statement(self, request: dict[str, Any], region: str) -> dict[str, Any]:
        sqls = request["Sqls"]
        check_texts(sqls)
        if not 1 <= len(sqls) <= 40:
            raise invalid("Sqls must have between 1 and 40 statements")
        if any(count_statements(sql) > 1 for sql in sqls):
            raise invalid("Multiple sql statements in one of Sqls are not allowed")
        if request.get("ExecutionMode", "TRANSACTION") not in ("TRANSACTION", "AUTO_COMMIT"):
            raise invalid("ExecutionMode must be TRANSACTION or AUTO_COMMIT")
        return self._submit(request, sqls, region, is_batch=True)

    def _submit(self, request: dict[str, Any], sqls: list[str], region: str, is_batch: bool) -> dict[str, Any]:
        check_target(request)
        try:
            statement = self._store.by_token(request)
        except ValueError as error:
            raise invalid(str(error)) from error
        if statement is None:
            bound = bind_all(sqls, request.get("Parameters") or [])
            # Like the client's request in all but what the session already knows.
            asked = {"Database": self._session_database(request), **request}
            statement = new_statement(asked, bound, is_batch)
            statement.session_id = self._session(request, region)
            self._runner.submit(statement, region)
        if request.get("WaitTimeSeconds"):
            self._store.wait(statement, request["WaitTimeSeconds"])
        return self._submitted(statement)

    def _session_database(self, request: dict[str, Any]) -> str:
        return str(request.get("Database") or self._runner.database)

    def _session(self, request: dict[str, Any], region: str) -> str | None:
        identity = request.get("SessionId")
        if identity is None:
            keep = request.get("SessionKeepAliveSeconds", 0)
            identity = self._runner.hold_session(keep, region) if keep else None
            if identity is None:
                return None
        if not self._runner.take_session(identity):
            raise invalid(f"Session is not available: {identity} is unknown, expired, or runs another statement")
        return str(identity)

    def _submitted(self, statement: Statement) -> dict[str, Any]:
        shown = {"Id": statement.id, "CreatedAt": statement.whole.created, "Status": statement.status}
        if statement.session_id is not None:
            shown["SessionId"] = statement.session_id
        return shown | target_of(statement.request)

    def _find(self, identity: str) -> tuple[Statement, Part]:
        found = self._store.find(identity)
        if found is None:
            raise not_found("Query does not exist.", identity)
        return found

    def describe_statement(self, request: dict[str, Any], region: str) -> dict[str, Any]:
        statement, part = self._find(request["Id"])
        if request.get("WaitTimeSeconds"):
            self._store.wait(statement, request["WaitTimeSeconds"])
        with self._store.changed:
            shown = part.describe() | target_of(statement.request)
            shown |= {"RedshiftPid": 1_073_000_000 + part.query_id % 100_000}
            shown |= {"ResultFormat": statement.request.get("ResultFormat", "JSON")}
            if statement.session_id is not None:
                shown["SessionId"] = statement.session_id
            if request_parameters := statement.request.get("Parameters"):
                shown["QueryParameters"] = request_parameters
            if statement.is_batch and part is statement.whole:
                del shown["QueryString"]
                shown |= {
                    "HasResultSet": statement.has_result,
                    "SubStatements": [p.describe() for p in statement.parts],
                }
            return shown

    def cancel_statement(self, request: dict[str, Any], region: str) -> dict[str, Any]:
        statement, _ = self._find(request["Id"])
        if not self._runner.cancel(statement):
            raise invalid(
                f"Could not cancel a query that is already in {statement.status} state with ID: {statement.id}"
            )
        return {"Status": True}

    def list_statements(self, request: dict[str, Any], region: str) -> dict[str, Any]:
        status = request.get("Status", "FINISHED")
        if status not in _STATUSES:
            raise invalid(f"Status must be one of {', '.join(_STATUSES)}")
        limit = request.get("MaxResults") or 100
        if not 0 <= limit <= 100:
            raise invalid("MaxResults must be between 0 and 100")
        first = first_of(request)
        wanted = [s for s in self._store.newest_first() if status in ("ALL", s.status) and _matches(s, request)]
        shown: dict[str, Any] = {"Statements": [_listed(s) for s in wanted[first : first + limit]]}
        return shown | ({"NextToken": page_token(first + limit)} if first + limit < len(wanted) else {})

    def _result(self, request: dict[str, Any], result_format: str) -> tuple[ResultSet, int]:
        statement, part = self._find(request["Id"])
        if request.get("WaitTimeSeconds"):
            self._store.wait(statement, request["WaitTimeSeconds"])
        if part.result is None or part.status != "FINISHED" or statement.status not in ENDED:
            raise not_found("Query does not have result. Please check query status with DescribeStatement.", part.id)
        if statement.request.get("ResultFormat", "JSON") != result_format:
            other = "GetStatementResultV2" if result_format == "JSON" else "GetStatementResult"
            raise invalid(f"The result is not in {result_format} format; read it by {other}")
        return part.result, first_of(request)

    def get_statement_result(self, request: dict[str, Any], region: str) -> dict[str, Any]:
        result, first = self._result(request, "JSON")
        records = [[field(value) for value in row] for row in result.page(first, self._page_rows)]
        return self._page(result, first) | {"Records": records}

    def get_statement_result_v2(self, request: dict[str, Any], region: str) -> dict[str, Any]:
        result, first = self._result(request, "CSV")
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\r\n")
        if first == 0:
            writer.writerow([name for name, _ in result.columns])
        for row in result.page(first, self._page_rows):
            writer.writerow(["" if value is None else as_text(value) for value in row])
        return self._page(result, first) | {"Records": [{"CSVRecords": text.getvalue()}], "ResultFormat": "CSV"}

    def _page(self, result: ResultSet, first: int) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "ColumnMetadata": [column_metadata(name, kind) for name, kind in result.columns],
            "TotalNumRows": result.rows,
        }
        following = first + self._page_rows
        return shown | ({"NextToken": page_token(following)} if following < result.rows else {})


def _matches(statement: Statement, request: dict[str, Any]) -> bool:
    name = request.get("StatementName")
    if name is not None and not statement.request.get("StatementName", "").startswith(name):
        return False
    return all(
        request.get(key) in (None, statement.request.get(key))
        for key in ("Database", "ClusterIdentifier", "WorkgroupName")
    )


def _listed(statement: Statement) -> dict[str, Any]:
    shown = {
        "Id": statement.id,
        "Status": statement.status,
        "CreatedAt": statement.whole.created,
        "UpdatedAt": statement.whole.updated,
        "IsBatchStatement": statement.is_batch,
        "StatementName": statement.request.get("StatementName", ""),
        "SecretArn": statement.request.get("SecretArn", ""),
    }
    return shown | (
        {"QueryStrings": [part.sql for part in statement.parts]}
        if statement.is_batch
        else {"QueryString": statement.whole.sql}
    )
