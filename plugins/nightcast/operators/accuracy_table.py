"""The accuracy history as a table of the warehouse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nightcast.evaluation.accuracy_history import AccuracyRow


def row_statements(table: str, row: AccuracyRow) -> list[str]:
    """What puts a row into a table, to be run in one transaction: the row's own former one is replaced.

    Parameters
    ----------
    table
        ``name`` or ``schema.name``; it is made where there is none.
    """
    from nightcast.evaluation.accuracy_history import REDSHIFT_COLUMNS

    columns = ", ".join(f"{name} {kind}" for name, kind in REDSHIFT_COLUMNS.items())
    values = ", ".join(_literal(getattr(row, name)) for name in REDSHIFT_COLUMNS)
    return [
        f"create table if not exists {table} ({columns})",
        f"delete from {table} where period = {_literal(row.period)} and run = {_literal(row.run)}",  # noqa: S608 -- quoted
        f"insert into {table} ({', '.join(REDSHIFT_COLUMNS)}) values ({values})",  # noqa: S608 -- quoted
    ]


def _literal(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, str):
        return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"
    return repr(value)
