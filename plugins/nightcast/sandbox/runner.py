"""Running submitted statements in the background, several at once, each on a connection of its own."""

from __future__ import annotations

import logging
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from nightcast.compute.part_task import release_freed_memory
from nightcast.sandbox.copy_from import LoadFailedError
from nightcast.sandbox.errors import CancelledError, RedshiftError, error_text, from_duckdb
from nightcast.sandbox.s3_access import S3Access
from nightcast.sandbox.session import Outcome, Session
from nightcast.sandbox.statements import ENDED, Part, Statement, StatementStore
from nightcast.sandbox.warehouse import Warehouse

log = logging.getLogger(__name__)

_AT_ONCE = 8


@dataclass
class HeldSession:
    """A connection that outlives its statement (SessionKeepAliveSeconds); times are monotonic seconds."""

    session: Session
    keep_alive: float
    expires: float = 0.0
    busy: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)


class Runner:
    """Owns the threads, the sessions and the stored results of a sandbox."""

    def __init__(self, warehouse: Warehouse, store: StatementStore, s3: Callable[[str], S3Access]) -> None:
        self._warehouse = warehouse
        self._store = store
        self._s3 = s3
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="redshift")
        self._results = tempfile.TemporaryDirectory(prefix="nightcast-results-")
        self._held: dict[str, HeldSession] = {}
        self._lock = threading.Lock()

    @property
    def database(self) -> str:
        return self._warehouse.settings.database

    def submit(self, statement: Statement, region: str) -> None:
        self._store.add(statement)
        self._pool.submit(self._run, statement, region)

    def hold_session(self, keep_alive: float, region: str) -> str:
        """Open a session that stays; its id."""
        identity = str(uuid.uuid4())
        session = self._new_session(region)
        with self._lock:
            self._held[identity] = HeldSession(session, keep_alive, time.monotonic() + keep_alive)
        return identity

    def take_session(self, identity: str) -> bool:
        """Claim a held session for one statement; False when it is unknown, expired or busy."""
        with self._lock:
            self._drop_expired()
            held = self._held.get(identity)
            if held is None or held.busy:
                return False
            held.busy = True
            return True

    def cancel(self, statement: Statement) -> bool:
        """Stop a statement; False when it had ended already."""
        with self._store.changed:
            if statement.status in ENDED:
                return False
            if not statement.cancelled:
                statement.cancelled = True
                threading.Thread(target=self._interrupt, args=(statement,), daemon=True).start()
            if statement.status == "SUBMITTED":
                self._abort(statement)
            return True

    def _interrupt(self, statement: Statement) -> None:
        """Interrupt until it works: DuckDB forgets an interrupt that comes just before it begins a query."""
        with self._store.changed:
            while statement.status not in ENDED:
                if statement.session is not None:
                    statement.session.interrupt()
                self._store.changed.wait(timeout=0.05)

    def stop(self) -> None:
        """Cancel what runs, wait for it, and close everything."""
        for statement in self._store.newest_first():
            self.cancel(statement)
        self._pool.shutdown(wait=True)
        with self._lock:
            for held in self._held.values():
                held.session.close()
            self._held.clear()
        self._results.cleanup()

    def _new_session(self, region: str) -> Session:
        return Session(self._warehouse, lambda: self._s3(region), Path(self._results.name))

    def _drop_expired(self) -> None:
        now = time.monotonic()
        for identity in [i for i, held in self._held.items() if held.expires < now and not held.busy]:
            self._held.pop(identity).session.close()

    def _abort(self, statement: Statement) -> None:
        for part in {id(p): p for p in (*statement.parts, statement.whole)}.values():
            if part.status not in ENDED:
                part.end("ABORTED", "ERROR: Query cancelled on user's request")
        self._store.changed.notify_all()

    def _run(self, statement: Statement, region: str) -> None:
        held = self._held.get(statement.session_id or "")
        session = held.session if held is not None else self._new_session(region)
        try:
            with self._store.changed:
                if statement.cancelled:
                    self._abort(statement)
                    return
                session.arm()
                statement.session = session
                statement.whole.begin()
                self._store.changed.notify_all()
            self._run_parts(statement, session)
        except Exception as error:
            # A fault of the sandbox itself must reach the user too, not only the log.
            log.exception("statement %s failed in the sandbox itself", statement.id)
            self._end(statement, statement.whole, "FAILED", f"ERROR: Nightcast sandbox: internal error: {error!r}")
        finally:
            with self._store.changed:
                statement.session = None
            if held is None:
                session.close()
            else:
                with self._lock:
                    held.busy, held.expires = False, time.monotonic() + held.keep_alive
            # A year of UNLOADs would else leave hundreds of megabytes of holes behind.
            release_freed_memory()

    def _run_parts(self, statement: Statement, session: Session) -> None:
        if statement.request["Database"] != session.database:
            error = f'FATAL: database "{statement.request["Database"]}" does not exist'
            self._end_rest(statement)
            self._end(statement, statement.whole, "FAILED", error)
            return
        if statement.auto_commit:
            failed = [part for part in statement.parts if self._run_alone(statement, part, session)]
        else:
            failed = self._run_together(statement, session)
        cancelled = statement.cancelled and any(part.status == "ABORTED" for part in failed)
        status = "ABORTED" if cancelled else "FAILED" if failed else "FINISHED"
        if statement.is_batch:
            number = statement.parts.index(failed[0]) + 1 if failed else 0
            message = f"Query #{number} failed with {failed[0].error}" if failed else None
            self._end(statement, statement.whole, status, message)

    def _run_alone(self, statement: Statement, part: Part, session: Session) -> bool:
        """One statement of an AUTO_COMMIT batch; True when it failed, which leaves the others alone."""
        return bool(self._run_transaction(statement, [part], session))

    def _run_together(self, statement: Statement, session: Session) -> list[Part]:
        failed = self._run_transaction(statement, statement.parts, session)
        if failed:
            self._end_rest(statement)
        return failed

    def _run_transaction(self, statement: Statement, parts: list[Part], session: Session) -> list[Part]:
        current = parts[0]
        outcomes = []
        try:
            with session.transaction():
                for current in parts:
                    if statement.is_batch:
                        with self._store.changed:
                            current.begin()
                    session.query_id = current.query_id
                    outcome = session.run(current.sql)
                    outcomes.append(outcome)
                    if current is not parts[-1]:
                        self._end(statement, current, "FINISHED", None, outcome)
        except CancelledError as error:
            self._end(statement, current, "ABORTED", error_text(error))
            return [current]
        except (RedshiftError, duckdb.Error) as error:
            said = from_duckdb(error) if isinstance(error, duckdb.Error) else error
            if isinstance(said, LoadFailedError):
                session.keep_load_error(said)
            self._end(statement, current, "FAILED", error_text(said))
            return [current]
        # Only now is it committed.
        self._end(statement, parts[-1], "FINISHED", None, outcomes[-1])
        return []

    def _end_rest(self, statement: Statement) -> None:
        with self._store.changed:
            for part in statement.parts:
                if part.status not in ENDED and part is not statement.whole:
                    part.end("ABORTED")

    def _end(
        self, statement: Statement, part: Part, status: str, error: str | None, outcome: Outcome | None = None
    ) -> None:
        with self._store.changed:
            if part.status not in ENDED:
                part.end(status, error, outcome)
            if part is statement.whole:
                statement.session = None
            self._store.changed.notify_all()
