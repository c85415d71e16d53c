"""Running data definition statements: tables, views, schemas."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from sqlglot import exp

from nightcast.sandbox import dialect
from nightcast.sandbox.catalog import TableColumn, column_comment
from nightcast.sandbox.ddl import CreatedAs, create_table
from nightcast.sandbox.errors import RedshiftError, UnsupportedError
from nightcast.sandbox.redshift_types import RedshiftType, from_sqlglot
from nightcast.sandbox.refusals import refuse
from nightcast.sandbox.translate import generate, rewrite, table_name

if TYPE_CHECKING:
    from nightcast.sandbox.session import Session

_CREATE_TABLE = re.compile(
    r"(?:--[^\n]*\n|/\*.*?\*/|\s)*create\s+(?:local\s+)?(?:temp(?:orary)?\s+)?table\b", re.IGNORECASE | re.DOTALL
)


def define(session: Session, sql: str) -> None:
    """Run a CREATE, DROP, ALTER, or a SELECT INTO.

    Raises
    ------
    RedshiftError
        In Redshift's words, or naming what is not supported.
    """
    if _CREATE_TABLE.match(sql):
        planned = create_table(sql, session.table)
        if planned.unless_exists and session.exists(planned.table):
            return
        if isinstance(planned, CreatedAs):
            _create_as(session, planned)
            return
        for statement in planned.statements:
            session.connection.execute(statement)
        return
    tree = dialect.parse(sql)
    if isinstance(tree, exp.Select):
        _select_into(session, tree)
    elif isinstance(tree, exp.Create):
        _create_other(session, tree)
    elif isinstance(tree, exp.Drop):
        _drop(session, tree)
    elif isinstance(tree, exp.Alter):
        _alter(session, tree)
    else:
        raise UnsupportedError(" ".join(sql.split()[:3]).upper())


def _create_as(session: Session, planned: CreatedAs) -> None:
    query = session.bind(planned.query)
    session.connection.execute(planned.statement(query.sql))
    name = generate(exp.Table(this=planned.table.this.copy(), db=planned.table.args.get("db")))
    _comment(session, name, query.columns)


def _comment(session: Session, table: str, columns: Iterable[tuple[str, RedshiftType]]) -> None:
    """Keep the Redshift types of columns that DuckDB has just made from a query."""
    for column, kind in columns:
        comment = column_comment(TableColumn(column, kind))
        quoted = column.lower().replace('"', '""')
        session.connection.execute(f"COMMENT ON COLUMN {table}.\"{quoted}\" IS '{comment}'")


def _select_into(session: Session, tree: exp.Select) -> None:
    into = tree.args["into"]
    tree = tree.copy()
    tree.set("into", None)
    temporary = bool(into.args.get("temporary")) or into.this.name.startswith("#")
    kind = "TEMPORARY TABLE" if temporary else "TABLE"
    table = table_name(into.this)
    name = generate(table)
    _create_as(session, CreatedAs(table, tree, lambda select: f"CREATE {kind} {name} AS {select}"))


def _create_other(session: Session, tree: exp.Create) -> None:
    kind = str(tree.args["kind"]).upper()
    tree = tree.copy()
    tree.set("no_schema_binding", None)
    if kind == "VIEW" and not tree.args.get("materialized") and not tree.args.get("properties"):
        query = session.bind(tree.expression)
        target = generate(rewrite(tree.this.copy()))
        replace = "OR REPLACE " if tree.args.get("replace") else ""
        session.connection.execute(f"CREATE {replace}VIEW {target} AS {query.sql}")
        view = table_name(next(tree.find_all(exp.Table)))
        names = [column.name for column in tree.this.expressions] or [name for name, _ in query.columns]
        _comment(session, generate(view), zip(names, (kind for _, kind in query.columns), strict=False))
    elif kind == "SCHEMA":
        exists = "IF NOT EXISTS " if tree.args.get("exists") else ""
        session.connection.execute(f'CREATE SCHEMA {exists}"{(tree.this.db or tree.this.name).lower()}"')
    else:
        raise UnsupportedError(f"CREATE {kind}" if kind != "VIEW" else "CREATE MATERIALIZED VIEW")


def _drop(session: Session, tree: exp.Drop) -> None:
    kind = str(tree.args["kind"]).upper()
    if kind not in ("TABLE", "VIEW", "SCHEMA"):
        raise UnsupportedError(f"DROP {kind}")
    for name in tree.args["tables"]:
        exists = "IF EXISTS " if tree.args.get("exists") else ""
        cascade = " CASCADE" if tree.args.get("cascade") else ""
        target = f'"{(name.db or name.name).lower()}"' if kind == "SCHEMA" else generate(rewrite(name.copy()))
        session.connection.execute(f"DROP {kind} {exists}{target}{cascade}")


def _alter(session: Session, tree: exp.Alter) -> None:
    table = table_name(tree.this)
    columns = {column.name for column in session.table(table)}
    name = generate(table)
    for action in tree.args.get("actions") or []:
        if isinstance(action, exp.ColumnDef):
            _add_column(session, name, action)
        elif isinstance(action, exp.AlterRename):
            session.connection.execute(f'ALTER TABLE {name} RENAME TO "{action.this.name.lower()}"')
        elif isinstance(action, exp.RenameColumn):
            old, new = action.this.name.lower(), action.args["to"].name.lower()
            if old not in columns:
                raise RedshiftError(f'column "{old}" does not exist')
            session.connection.execute(f'ALTER TABLE {name} RENAME COLUMN "{old}" TO "{new}"')
        elif isinstance(action, exp.Drop) and str(action.args.get("kind")).upper() == "COLUMN":
            dropped = action.args["tables"][0].name.lower()
            session.connection.execute(f'ALTER TABLE {name} DROP COLUMN "{dropped}"')
        else:
            raise UnsupportedError(f"ALTER TABLE {action.sql('redshift')}")


def _add_column(session: Session, table: str, action: exp.ColumnDef) -> None:
    refuse(action, session.database)
    kind = from_sqlglot(action.args["kind"])
    column = action.name.lower()
    default = next((c.kind.this for c in action.constraints if isinstance(c.kind, exp.DefaultColumnConstraint)), None)
    given = "" if default is None else f" DEFAULT CAST({generate(rewrite(default.copy()))} AS {kind.duckdb})"
    session.connection.execute(f'ALTER TABLE {table} ADD COLUMN "{column}" {kind.duckdb}{given}')
    _comment(session, table, [(column, kind)])
