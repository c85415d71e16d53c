"""SQLite connections of Airflow's metadata database that wait for each other's writes."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

# A scheduler loop on a busy machine holds the write lock for longer than the driver's 5 seconds.
LOCK_SECONDS = 120
# The call is refused with status 500, and can be repeated.
LOOP_SECONDS = 0.2


class _Cursor(sqlite3.Cursor):
    """Begins a transaction that will write with the lock, and not with a look at the data.

    The driver begins no transaction before a savepoint, so that SQLite begins one which only reads; when it comes to
    write, and somebody else has written meanwhile, SQLite gives up at once instead of waiting.
    """

    def execute(self, sql: str, *arguments: Any) -> Self:
        """See `sqlite3.Cursor.execute`."""
        with _hurry(self.connection):
            if not self.connection.in_transaction and sql.lstrip()[:9].upper() == "SAVEPOINT":
                super().execute("BEGIN IMMEDIATE")
            return super().execute(sql, *arguments)


@contextmanager
def _hurry(connection: sqlite3.Connection) -> Iterator[None]:
    """Wait for a moment only in a thread that runs an event loop.

    Airflow's API writes its audit log of some calls in there. Whoever holds the lock may be a request that needs the
    loop in order to commit: the two would wait for each other until the time is up, and all other requests with them.
    """
    if connection.in_transaction or asyncio._get_running_loop() is None:
        yield
        return
    # A cursor of its own, for another statement would take the results from the one that is used.
    sqlite3.Cursor(connection).execute(f"PRAGMA busy_timeout = {1000 * LOOP_SECONDS:.0f}")
    try:
        yield
    finally:
        sqlite3.Cursor(connection).execute(f"PRAGMA busy_timeout = {1000 * LOCK_SECONDS}")


class WaitingConnection(sqlite3.Connection):
    """A connection whose cursors wait."""

    def cursor(self, *arguments: Any, **options: Any) -> Any:
        """See `sqlite3.Connection.cursor`."""
        return super().cursor(*arguments, **({"factory": _Cursor} | options))


CONNECT_ARGS: dict[str, Any] = {"factory": WaitingConnection, "isolation_level": "IMMEDIATE", "timeout": LOCK_SECONDS}


def end_jobs(connection: sqlite3.Connection) -> None:
    """Mark the jobs of killed Airflow processes as failed; only where none of them can be alive.

    A scheduler that starts takes back what the jobs of dead ones have left running. By itself it holds a job for dead
    half a minute after its last heartbeat, and looks again five minutes later.
    """
    if connection.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'job'").fetchone():
        connection.execute("UPDATE job SET state = 'failed', end_date = latest_heartbeat WHERE state = 'running'")
        connection.commit()
