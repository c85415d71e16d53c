from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from nightcast.sandbox.metadata_database import CONNECT_ARGS, end_jobs


@pytest.mark.parametrize("journal", ["WAL", "DELETE"])
def test_a_savepoint_that_reads_and_then_writes_waits_for_another_writer(tmp_path: Path, journal: str) -> None:
    path = tmp_path / "airflow.db"
    with closing(sqlite3.connect(path)) as first:
        first.execute(f"PRAGMA journal_mode = {journal}")
        first.execute("CREATE TABLE runs (number INTEGER)")
    began, ended = threading.Event(), threading.Event()

    def write() -> None:
        with closing(sqlite3.connect(path, **CONNECT_ARGS)) as other:
            began.wait(10)
            other.execute("INSERT INTO runs VALUES (1)")
            other.commit()
        ended.set()

    thread = threading.Thread(target=write)
    thread.start()
    with closing(sqlite3.connect(path, **CONNECT_ARGS)) as connection:
        cursor = connection.cursor()
        cursor.execute("SAVEPOINT one")
        assert cursor.execute("SELECT count(*) FROM runs").fetchall() == [(0,)]
        began.set()
        assert not ended.wait(0.3)
        cursor.execute("INSERT INTO runs VALUES (2)")
        cursor.execute("RELEASE one")
        connection.commit()
    thread.join(20)
    assert ended.is_set()
    with closing(sqlite3.connect(path)) as last:
        assert sorted(last.execute("SELECT number FROM runs")) == [(1,), (2,)]


def test_jobs_of_killed_processes_are_ended(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "airflow.db")) as connection:
        end_jobs(connection)
        connection.execute("CREATE TABLE job (state TEXT, end_date TEXT, latest_heartbeat TEXT)")
        connection.executemany("INSERT INTO job VALUES (?, NULL, '2008-12-31')", [("running",), ("success",)])
        end_jobs(connection)
        assert connection.execute("SELECT state, end_date FROM job").fetchall() == [
            ("failed", "2008-12-31"),
            ("success", None),
        ]


def test_in_an_event_loop_a_write_waits_for_a_moment_only(tmp_path: Path) -> None:
    path = tmp_path / "airflow.db"
    with closing(sqlite3.connect(path)) as writer, closing(sqlite3.connect(path, **CONNECT_ARGS)) as connection:
        writer.executescript("PRAGMA journal_mode = WAL; CREATE TABLE log (text TEXT)")
        writer.execute("BEGIN IMMEDIATE")

        async def write() -> None:
            connection.cursor().execute("INSERT INTO log VALUES ('x')")

        begun = time.monotonic()
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            asyncio.run(write())
        assert time.monotonic() - begun < 5
        writer.rollback()
        asyncio.run(write())
        cursor = connection.cursor().execute("SELECT text FROM log")
        assert cursor.fetchall() == [("x",)]
        assert connection.execute("PRAGMA busy_timeout").fetchone() == (120_000,)
