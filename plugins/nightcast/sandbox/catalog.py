"""Which tables and columns the warehouse has, with the types that they were declared with."""

# ruff: noqa: S608 - SQL made of SQL is the work of this module; names are quoted, values bound or literals.

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import duckdb

from nightcast.sandbox.redshift_types import RedshiftType, from_duckdb_type, parse_type

SYSTEM_SCHEMA = "main"


@dataclass(frozen=True)
class TableColumn:
    """One column of a table; ``identity`` is (seed, step)."""

    name: str
    type: RedshiftType
    nullable: bool = True
    default: str | None = None
    identity: tuple[int, int] | None = None


def column_comment(column: TableColumn) -> str:
    """What is stored as the column's comment: all that DuckDB's own catalogue would forget."""
    facts: dict[str, object] = {"type": str(column.type)}
    if column.identity is not None:
        facts["identity"] = list(column.identity)
    return json.dumps(facts)


def table_columns(
    cursor: duckdb.DuckDBPyConnection, name: str, schema: str | None, search_path: list[str]
) -> list[TableColumn] | None:
    """The columns of a table or view in order; None when there is no such table.

    Without a schema, temporary tables come first, then the schemas of the search path.
    """
    rows = cursor.execute(
        "SELECT schema_name, database_name = 'temp', column_name, data_type, is_nullable, column_default, comment"
        " FROM duckdb_columns() WHERE lower(table_name) = ? ORDER BY column_index",
        [name.lower()],
    ).fetchall()
    for wanted, temporary in _places(schema, search_path):
        found = [row for row in rows if bool(row[1]) == temporary and (temporary or row[0] == wanted)]
        if found:
            return [_column(*row[2:]) for row in found]
    return None


def _places(schema: str | None, search_path: list[str]) -> Iterator[tuple[str, bool]]:
    if schema:
        yield schema.lower(), False
        return
    yield "", True
    for place in search_path:
        yield place, False


def _column(name: str, data_type: str, nullable: bool, default: str | None, comment: str | None) -> TableColumn:
    facts = json.loads(comment) if comment else {}
    kind = parse_type(facts["type"]) if "type" in facts else from_duckdb_type(data_type)
    identity = tuple(facts["identity"]) if "identity" in facts else None
    return TableColumn(name, kind, bool(nullable), default, identity)


def list_tables(cursor: duckdb.DuckDBPyConnection) -> list[tuple[str, str, str]]:
    """(schema, name, TABLE or VIEW) of everything that a user made."""
    return cursor.execute(
        "SELECT schema_name, table_name, 'TABLE' AS kind FROM duckdb_tables()"
        f" WHERE NOT internal AND NOT temporary AND schema_name <> '{SYSTEM_SCHEMA}'"
        " UNION ALL SELECT schema_name, view_name, 'VIEW' FROM duckdb_views()"
        f" WHERE NOT internal AND NOT temporary AND schema_name <> '{SYSTEM_SCHEMA}' ORDER BY ALL"
    ).fetchall()


def list_schemas(cursor: duckdb.DuckDBPyConnection) -> list[str]:
    """The schemas, the system's own included as Redshift does."""
    rows = cursor.execute(
        "SELECT DISTINCT schema_name FROM duckdb_schemas() WHERE database_name = current_database()"
        f" AND schema_name <> '{SYSTEM_SCHEMA}' ORDER BY schema_name"
    ).fetchall()
    return [row[0] for row in rows]
