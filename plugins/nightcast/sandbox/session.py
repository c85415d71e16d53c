"""One connection to the warehouse: runs Redshift statements, in transactions, until it is told to stop."""

# ruff: noqa: S608 - SQL made of SQL is the work of this module; names are quoted, values bound or literals.

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
from sqlglot import exp

from nightcast.sandbox import dialect
from nightcast.sandbox.catalog import SYSTEM_SCHEMA, TableColumn, table_columns
from nightcast.sandbox.copy_from import Copy, LoadFailedError
from nightcast.sandbox.copy_options import parse_copy
from nightcast.sandbox.definitions import define
from nightcast.sandbox.errors import CancelledError, RedshiftError, UnsupportedError, from_duckdb
from nightcast.sandbox.lengths import text_types
from nightcast.sandbox.redshift_types import RedshiftType, from_duckdb_type
from nightcast.sandbox.results import ResultSet, write_result
from nightcast.sandbox.s3_access import S3Access
from nightcast.sandbox.translate import name_outputs, to_duckdb
from nightcast.sandbox.unload import BoundQuery, Unload, parse_unload_query
from nightcast.sandbox.unload_options import parse_unload
from nightcast.sandbox.warehouse import LOAD_ERRORS, Warehouse

_RESULT_BATCH_ROWS = 4096
_CANCELLED = "Query cancelled on user's request"


@dataclass(frozen=True)
class Outcome:
    """What a statement gave: a result set, or the number of records it changed (-1: none to tell)."""

    rows: int = -1
    result: ResultSet | None = None


class Session:
    """Runs statements one after the other on a connection of its own. `interrupt` may come from any thread."""

    def __init__(self, warehouse: Warehouse, s3: Callable[[], S3Access], results: Path) -> None:
        self.database = warehouse.settings.database
        self.search_path = ["public"]
        self.query_id = 0
        self._warehouse = warehouse
        self._slices = warehouse.settings.slices
        self._s3 = s3
        self._results = results
        self._open_transaction = False
        self._cancelled = threading.Event()
        self.connection = warehouse.connect()

    def close(self) -> None:
        self.connection.close()

    def arm(self) -> None:
        """Forget an interrupt that was meant for a statement before."""
        self._cancelled.clear()

    def interrupt(self) -> None:
        """Stop the statement that runs, and all that would follow."""
        self._cancelled.set()
        self.connection.interrupt()

    def check(self) -> None:
        """Raise when the session was interrupted."""
        if self._cancelled.is_set():
            raise CancelledError(_CANCELLED)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All statements within are committed together, or not at all."""
        self.begin()
        try:
            yield
        except BaseException:
            self.rollback()
            raise
        self.check()
        self.commit()

    def begin(self) -> None:
        if not self._open_transaction:
            self.connection.execute("BEGIN TRANSACTION")
            self._open_transaction = True

    def commit(self) -> None:
        if self._open_transaction:
            self._open_transaction = False
            try:
                self.connection.execute("COMMIT")
            except duckdb.InterruptException as error:
                raise CancelledError(_CANCELLED) from error
            except duckdb.Error as error:
                raise from_duckdb(error) from error

    def rollback(self) -> None:
        if self._open_transaction:
            self._open_transaction = False
            try:
                self.connection.execute("ROLLBACK")
            except duckdb.InterruptException:
                # A cancel's repeated interrupt may hit the roll-back that it caused.
                self.connection.execute("ROLLBACK")

    def run(self, sql: str) -> Outcome:
        """Run one statement inside the open transaction.

        Raises
        ------
        RedshiftError
            When the statement fails; the transaction must then be rolled back.
        CancelledError
            When the session was interrupted.
        """
        self.check()
        word = dialect.first_word(sql)
        run = _STATEMENTS.get(word)
        if word in _OTHER_COMMANDS:
            raise UnsupportedError(f"statement {word}")
        if run is None:
            raise RedshiftError(f'syntax error at or near "{word.lower()}" Position: 1' if word else "empty statement")
        try:
            return run(self, sql)
        except duckdb.InterruptException as error:
            raise CancelledError(_CANCELLED) from error
        except OSError as error:
            # DuckDB's errors come so through an Arrow stream.
            self.check()
            raise from_duckdb(duckdb.Error(str(error))) from error
        except duckdb.Error as error:
            self.check()
            raise from_duckdb(error) from error

    def bind(self, tree: exp.Expr) -> BoundQuery:
        """Have DuckDB accept a query, and tell its columns with Redshift's types.

        Integers wider than Redshift's, as DuckDB's sums are, are cast; everything else stays as it is.
        """
        tree = tree.copy()
        name_outputs(tree)
        sql = to_duckdb(tree, self.database)
        relation = self.connection.sql(sql)
        types = [str(kind) for kind in relation.types]
        texts = text_types(tree, self._declared)
        texts = texts if len(texts) == len(types) else [None] * len(types)
        kinds = [from_duckdb_type(name, text) for name, text in zip(types, texts, strict=True)]
        columns = list(zip([name.lower() for name in relation.columns], kinds, strict=True))
        if any(_needs_cast(name, kind) for name, kind in zip(types, kinds, strict=True)):
            sql = _normalised(sql, columns)
        return BoundQuery(sql, columns)

    def table(self, table: exp.Table) -> list[TableColumn]:
        """The columns of a table.

        Raises
        ------
        RedshiftError
            When it does not exist.
        """
        columns = table_columns(self.connection, table.name, table.db or None, self.search_path)
        if columns is None:
            raise RedshiftError(f'relation "{table.name.lower()}" does not exist')
        return columns

    def exists(self, table: exp.Table) -> bool:
        """Whether a CREATE TABLE of this name would meet one: in the named schema, or a temporary one, or
        in the first schema of the path."""
        return table_columns(self.connection, table.name, table.db or None, self.search_path[:1]) is not None

    def _declared(self, table: exp.Table) -> dict[str, RedshiftType] | None:
        columns = table_columns(self.connection, table.name, table.db or None, self.search_path)
        return None if columns is None else {column.name: column.type for column in columns}

    def _query(self, sql: str) -> Outcome:
        tree = dialect.parse(sql)
        if tree.args.get("into") is not None:
            return self._define(sql)
        query = self.bind(tree)
        names = [f"c{number}" for number in range(len(query.columns))]
        positional = f"SELECT * FROM ({query.sql}) AS result({', '.join(names)})"
        with self.connection.sql(positional).to_arrow_reader(_RESULT_BATCH_ROWS) as reader:
            result = write_result(reader, reader.schema, query.columns, self._results, self.check)
        return Outcome(result.rows, result)

    def _change(self, sql: str) -> Outcome:
        rows = self.connection.execute(to_duckdb(dialect.parse(sql), self.database)).fetchall()
        return Outcome(int(rows[0][0]) if rows else -1)

    def _define(self, sql: str) -> Outcome:
        define(self, sql)
        return Outcome()

    def _truncate(self, sql: str) -> Outcome:
        """TRUNCATE commits the transaction that it runs in, in Redshift as here."""
        tree = dialect.parse(sql)
        for table in tree.find_all(exp.Table):
            self.table(table)
            self.connection.execute(to_duckdb(exp.Delete(this=table.copy()), self.database))
        self.commit()
        self.begin()
        return Outcome()

    def _unload(self, sql: str) -> Outcome:
        options = parse_unload(sql)
        query = self.bind(parse_unload_query(options.query))
        return Outcome(Unload(options, query, self.connection, self._s3(), self._slices, self.check).run())

    def _copy(self, sql: str) -> Outcome:
        options = parse_copy(sql)
        columns = table_columns(self.connection, options.table, options.schema, self.search_path)
        if columns is None:
            raise RedshiftError(f"Cannot COPY into nonexistent table {options.table}")
        return Outcome(Copy(options, columns, self.connection, self._s3(), self.check).run())

    def keep_load_error(self, error: LoadFailedError) -> None:
        """Keep a COPY's failure in the system table, in a transaction of its own."""
        detail = error.detail
        self.connection.execute(
            f"INSERT INTO {LOAD_ERRORS} VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [self.query_id, detail.table, detail.file, detail.line, detail.column, detail.type, detail.length,
             detail.raw[:1024], detail.code, detail.reason],
        )  # fmt: skip

    def _control(self, sql: str) -> Outcome:
        word = dialect.first_word(sql)
        if word in ("COMMIT", "END"):
            self.commit()
        elif word in ("ROLLBACK", "ABORT"):
            self.rollback()
        self.begin()
        return Outcome()

    def _maintain(self, sql: str) -> Outcome:
        """ANALYZE and VACUUM change no result, and DuckDB needs neither."""
        return Outcome()

    def _set(self, sql: str) -> Outcome:
        match = re.fullmatch(
            r"\s*set\s+(?:session\s+|local\s+)?(\w+)\s*(?:to|=)\s*(.+?)\s*;?\s*", sql, re.IGNORECASE | re.DOTALL
        )
        name = match[1].lower() if match else ""
        if match is None or name not in ("search_path", "query_group", "statement_timeout", "timezone"):
            raise UnsupportedError(f"SET {name or sql.strip()[4:40]}")
        if name == "timezone" and match[2].strip("'\"").upper() != "UTC":
            raise UnsupportedError("a time zone other than UTC")
        if name == "search_path":
            places = [place.strip(" '\"").lower() for place in match[2].split(",")]
            path = ",".join([*places, SYSTEM_SCHEMA]).replace("'", "''")
            self.connection.execute(f"SET search_path = '{path}'")
            self.search_path = places
        return Outcome()


_STATEMENTS: dict[str, Callable[[Session, str], Outcome]] = {
    **dict.fromkeys(("SELECT", "WITH", "(", "VALUES"), Session._query),
    **dict.fromkeys(("INSERT", "UPDATE", "DELETE", "MERGE"), Session._change),
    **dict.fromkeys(("CREATE", "DROP", "ALTER"), Session._define),
    **dict.fromkeys(("BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT"), Session._control),
    **dict.fromkeys(("ANALYZE", "VACUUM"), Session._maintain),
    "TRUNCATE": Session._truncate,
    "UNLOAD": Session._unload,
    "COPY": Session._copy,
    "SET": Session._set,
}
_OTHER_COMMANDS = frozenset(
    """
    GRANT REVOKE EXPLAIN SHOW CALL COMMENT RESET LOCK PREPARE EXECUTE DEALLOCATE DECLARE FETCH CLOSE CANCEL USE DESC
    REFRESH ATTACH DETACH REASSIGN DO
    """.split()  # noqa: SIM905 - a list of words reads better as words
)


def _needs_cast(name: str, kind: RedshiftType) -> bool:
    """Whether DuckDB's type is none of Redshift's and a cast to the type shown is needed."""
    return name.split("(")[0] not in (kind.duckdb.split("(")[0], "FLOAT", "TIMESTAMP WITH TIME ZONE")


def _normalised(sql: str, columns: list[tuple[str, RedshiftType]]) -> str:
    names = [f"c{number}" for number in range(len(columns))]
    casts = [
        f'CAST({name} AS {kind.duckdb}) AS "{shown.replace(chr(34), chr(34) * 2)}"'
        for name, (shown, kind) in zip(names, columns, strict=True)
    ]
    return f"SELECT {', '.join(casts)} FROM ({sql}) AS bound({', '.join(names)})"
