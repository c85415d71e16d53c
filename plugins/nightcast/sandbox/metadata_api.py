"""The Data API's operations on the catalogue: databases, schemas, tables and their columns."""

from __future__ import annotations

import re
from typing import Any

import duckdb

from nightcast.sandbox import catalog
from nightcast.sandbox.api_requests import first_of, invalid
from nightcast.sandbox.data_api import DataApi
from nightcast.sandbox.results import column_metadata, page_token
from nightcast.sandbox.warehouse import Warehouse


class MetadataApi:
    """Answers ListDatabases, ListSchemas, ListTables and DescribeTable."""

    def __init__(self, warehouse: Warehouse, api: DataApi) -> None:
        self._warehouse = warehouse
        api.operations |= {
            "ListDatabases": self.list_databases,
            "ListSchemas": self.list_schemas,
            "ListTables": self.list_tables,
            "DescribeTable": self.describe_table,
        }

    def _connect(self, request: dict[str, Any]) -> duckdb.DuckDBPyConnection:
        database = request.get("Database")
        if database not in (None, self._warehouse.settings.database):
            raise invalid(f'FATAL: database "{database}" does not exist')
        if not request.get("ClusterIdentifier") and not request.get("WorkgroupName"):
            raise invalid("Exactly one of ClusterIdentifier and WorkgroupName must be given")
        return self._warehouse.connect()

    def list_databases(self, request: dict[str, Any], region: str) -> dict[str, Any]:
        self._connect(request).close()
        return _page([self._warehouse.settings.database], request, "Databases")

    def list_schemas(self, request: dict[str, Any], region: str) -> dict[str, Any]:
        with self._connect(request) as connection:
            names = [name for name in catalog.list_schemas(connection) if _like(name, request.get("SchemaPattern"))]
        return _page(names, request, "Schemas")

    def list_tables(self, request: dict[str, Any], region: str) -> dict[str, Any]:
        with self._connect(request) as connection:
            tables = catalog.list_tables(connection)
        chosen = [
            {"name": name, "type": kind, "schema": schema}
            for schema, name, kind in tables
            if _like(schema, request.get("SchemaPattern")) and _like(name, request.get("TablePattern"))
        ]
        return _page(chosen, request, "Tables")

    def describe_table(self, request: dict[str, Any], region: str) -> dict[str, Any]:
        table, schema = request.get("Table", ""), request.get("Schema", "public")
        with self._connect(request) as connection:
            columns = catalog.table_columns(connection, table, schema, []) or []
        shown = [
            column_metadata(column.name, column.type, column.nullable)
            | {"schemaName": schema, "tableName": table.lower()}
            | ({"columnDefault": column.default} if column.default is not None else {})
            for column in columns
        ]
        return _page(shown, request, "ColumnList") | {"TableName": table}


def _like(name: str, pattern: str | None) -> bool:
    if pattern is None:
        return True
    expression = "".join({"%": ".*", "_": "."}.get(c, re.escape(c)) for c in pattern.lower())
    return re.fullmatch(expression, name.lower()) is not None


def _page(items: list[Any], request: dict[str, Any], member: str) -> dict[str, Any]:
    limit = request.get("MaxResults") or 1000
    first = first_of(request)
    following = {"NextToken": page_token(first + limit)} if first + limit < len(items) else {}
    return {member: items[first : first + limit], **following}
