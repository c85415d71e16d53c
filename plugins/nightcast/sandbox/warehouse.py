"""The DuckDB database behind the sandbox's Redshift."""

# ruff: noqa: S608 - SQL made of SQL is the work of this module; names are quoted, values bound or literals.

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import duckdb

from nightcast.sandbox.catalog import SYSTEM_SCHEMA
from nightcast.sandbox.macros import macro_statements

log = logging.getLogger(__name__)

LOAD_ERRORS = f"{SYSTEM_SCHEMA}.sys_load_error_detail"


@dataclass(frozen=True)
class WarehouseSettings:
    """How the warehouse runs.

    ``threads`` is DuckDB's per query: with one, equal statements give equal bytes, and several statements
    still run at once. ``slices`` is the number of files that a parallel UNLOAD writes at least.
    """

    database: str = "dev"
    slices: int = 2
    threads: int = 1
    memory_limit: str | None = None


class Warehouse:
    """Opens the database and hands out connections; each statement or session gets its own."""

    def __init__(self, path: Path | None, settings: WarehouseSettings) -> None:
        self.settings = settings
        config: dict[str, str | bool | int | float | list[str]] = {
            # SQL must not reach this machine's files or Python's variables.
            "enable_external_access": "false",
            "python_enable_replacements": "false",
            # Redshift divides integers to integers.
            "integer_division": "true",
            "threads": str(settings.threads),
        }
        if settings.memory_limit:
            config["memory_limit"] = settings.memory_limit
        self._connection = duckdb.connect(str(path) if path else ":memory:", config=config)
        self._connection.execute("SET TimeZone = 'UTC'")
        self._connection.execute("CREATE SCHEMA IF NOT EXISTS public")
        for statement in macro_statements():
            self._connection.execute(statement)
        self._connection.execute(
            f"CREATE TABLE IF NOT EXISTS {LOAD_ERRORS} (query_id BIGINT, table_name VARCHAR, file_name VARCHAR,"
            " line_number BIGINT, column_name VARCHAR, column_type VARCHAR, column_length VARCHAR,"
            " raw_field_value VARCHAR, error_code INTEGER, error_message VARCHAR)"
        )
        self._connection.execute(
            f"CREATE OR REPLACE VIEW {SYSTEM_SCHEMA}.stl_load_errors AS SELECT query_id AS query,"
            " file_name AS filename, line_number, column_name AS colname, column_type AS type,"
            " column_length AS col_length, raw_field_value, error_code AS err_code, error_message AS err_reason"
            f" FROM {LOAD_ERRORS}"
        )

    def connect(self) -> duckdb.DuckDBPyConnection:
        """A connection of its own: own transaction, own temporary tables, to be closed by the caller."""
        cursor = self._connection.cursor()
        cursor.execute(f"SET search_path = 'public,{SYSTEM_SCHEMA}'")
        cursor.execute("SET TimeZone = 'UTC'")
        return cursor

    def close(self) -> None:
        """Write everything to the database's file and close it."""
        try:
            self._connection.execute("CHECKPOINT")
        except duckdb.Error as error:
            # A transaction that is still open keeps its changes in the log, which the next start replays.
            log.warning("the warehouse was closed without a checkpoint: %s", error)
        self._connection.close()
