"""The statements that the Data API was given: what is known of each, safe to read from any thread."""

from __future__ import annotations

import itertools
import threading
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

from nightcast.sandbox.results import ResultSet
from nightcast.sandbox.session import Outcome, Session

ENDED = ("FINISHED", "FAILED", "ABORTED")
_query_ids = itertools.count(1_000_001)


@dataclass
class Part:
    """One SQL statement's run: the whole of an ExecuteStatement, one of many of a BatchExecuteStatement."""

    id: str
    sql: str
    query_id: int = field(default_factory=lambda: next(_query_ids))
    status: str = "SUBMITTED"
    error: str | None = None
    outcome: Outcome = field(default_factory=Outcome)
    created: float = field(default_factory=time.time)
    updated: float = field(default_factory=time.time)
    started: int = 0
    duration: int = 0

    @property
    def result(self) -> ResultSet | None:
        return self.outcome.result

    def begin(self) -> None:
        self.status, self.started, self.updated = "STARTED", time.monotonic_ns(), time.time()

    def end(self, status: str, error: str | None = None, outcome: Outcome | None = None) -> None:
        """Close the run; a run that never began has no duration."""
        self.status, self.error, self.updated = status, error, time.time()
        self.outcome = outcome or self.outcome
        self.duration = time.monotonic_ns() - self.started if self.started else 0

    def describe(self) -> dict[str, Any]:
        """What the part of a DescribeStatement says that batches and single statements share."""
        result = self.result
        shown: dict[str, Any] = {
            "Id": self.id,
            "Status": self.status,
            "Duration": self.duration,
            "CreatedAt": self.created,
            "UpdatedAt": self.updated,
            "QueryString": self.sql,
            "RedshiftQueryId": self.query_id if self.started else 0,
            "HasResultSet": result is not None,
            "ResultRows": self.outcome.rows,
            "ResultSize": result.bytes if result is not None else 0,
        }
        return shown | ({"Error": self.error} if self.error is not None else {})


@dataclass
class Statement:
    """One ExecuteStatement or BatchExecuteStatement."""

    id: str
    request: dict[str, Any]
    whole: Part
    parts: list[Part]
    is_batch: bool
    auto_commit: bool = False
    session_id: str | None = None
    session: Session | None = None
    cancelled: bool = False

    @property
    def status(self) -> str:
        return self.whole.status

    @property
    def has_result(self) -> bool:
        return any(part.result is not None for part in self.parts)


def new_statement(request: dict[str, Any], sqls: list[str], is_batch: bool) -> Statement:
    """A statement that was just submitted; a batch's parts are called ``<id>:1``, ``<id>:2``, ..."""
    identity = str(uuid.uuid4())
    if not is_batch:
        whole = Part(identity, sqls[0])
        return Statement(identity, request, whole, [whole], False)
    parts = [Part(f"{identity}:{number}", sql) for number, sql in enumerate(sqls, start=1)]
    auto_commit = request.get("ExecutionMode") == "AUTO_COMMIT"
    return Statement(identity, request, Part(identity, ""), parts, True, auto_commit)


class StatementStore:
    """All statements of a sandbox, in the order of their submission. Its lock guards every one of them."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self._statements: dict[str, Statement] = {}
        self._tokens: dict[str, tuple[str, Any]] = {}

    def add(self, statement: Statement) -> None:
        with self.changed:
            self._statements[statement.id] = statement
            token = statement.request.get("ClientToken")
            if token is not None:
                self._tokens[token] = (statement.id, _without_token(statement.request))

    def by_token(self, request: dict[str, Any]) -> Statement | None:
        """The statement that was submitted with this request's ClientToken before.

        Raises
        ------
        ValueError
            When that was another request.
        """
        with self.changed:
            known = self._tokens.get(request.get("ClientToken", ""))
            if known is None:
                return None
            if known[1] != _without_token(request):
                raise ValueError("the ClientToken was used with other parameters")
            return self._statements[known[0]]

    def find(self, identity: str) -> tuple[Statement, Part] | None:
        """The statement of an id, and the part that the id names: the whole of it without ``:n``."""
        with self.changed:
            statement = self._statements.get(identity.partition(":")[0])
            if statement is None:
                return None
            if identity == statement.id:
                return statement, statement.whole
            return next(((statement, part) for part in statement.parts if part.id == identity), None)

    def newest_first(self) -> list[Statement]:
        with self.changed:
            return list(reversed(self._statements.values()))

    def wait(self, statement: Statement, seconds: float) -> None:
        """Wait until the statement has ended, at most ``seconds``."""
        with self.changed:
            self.changed.wait_for(lambda: statement.status in ENDED, timeout=seconds)


def _without_token(request: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in request.items() if name not in ("ClientToken", "WaitTimeSeconds")}
