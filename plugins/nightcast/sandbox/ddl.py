"""CREATE, ALTER, DROP and TRUNCATE: Redshift's data definition as DuckDB statements.

Distribution, sorting, encoding and keys change no result, so they are checked and dropped: Redshift
does not enforce keys either. Lengths of character columns become CHECKs, as DuckDB ignores them, and the
declared type is kept as the column's comment, where the manifest and DescribeTable find it.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from sqlglot import exp
from sqlglot.tokenizer_core import Token

from nightcast.sandbox import dialect
from nightcast.sandbox.catalog import TableColumn, column_comment
from nightcast.sandbox.errors import RedshiftError, UnsupportedError
from nightcast.sandbox.redshift_types import RedshiftType, from_sqlglot
from nightcast.sandbox.translate import generate, name_outputs, rewrite

IDENTITY = re.compile(r"identity\s*\(\s*(-?\d+)\s*,\s*(-?\d+)\s*\)", re.IGNORECASE)


@dataclass
class TableText:
    """A CREATE TABLE whose Redshift-only parts were taken out."""

    sql: str
    keys: list[str] = field(default_factory=list)
    identities: dict[str, tuple[int, int]] = field(default_factory=dict)


@dataclass
class Created:
    """A CREATE TABLE, as DuckDB statements to run in order."""

    table: exp.Table
    statements: list[str]
    unless_exists: bool = False


@dataclass
class CreatedAs:
    """A CREATE TABLE AS: its columns' lengths are known only when the query is."""

    table: exp.Table
    query: exp.Expr
    statement: Callable[[str], str]
    unless_exists: bool = False


def strip_table_text(sql: str) -> TableText:
    """Take DISTKEY, SORTKEY, DISTSTYLE, ENCODE, BACKUP and IDENTITY out of a CREATE TABLE."""
    tokens = dialect.tokenize(sql)
    result = TableText("")
    pieces, copied, depth, index, column = [], 0, 0, 0, ""
    while index < len(tokens):
        word = tokens[index].text.upper()
        if word == "AS" and depth == 0:
            break
        depth += (word == "(") - (word == ")")
        if depth == 1 and word in ("(", ",") and index + 1 < len(tokens):
            column = tokens[index + 1].text.lower()
        end = _redshift_only(tokens, index, sql, column, result) if depth <= 1 else index
        if end > index:
            pieces.append(sql[copied : tokens[index].start])
            copied, index = tokens[end - 1].end + 1, end
        else:
            index += 1
    result.sql = "".join([*pieces, sql[copied:]])
    return result


def _redshift_only(tokens: list[Token], index: int, sql: str, column: str, result: TableText) -> int:
    """The index behind a Redshift-only clause that begins at ``index``; ``index`` itself if none does."""
    words = [token.text.upper() for token in tokens[index : index + 6]] + [""] * 6
    if words[0] in ("COMPOUND", "INTERLEAVED") and words[1] == "SORTKEY":
        return _redshift_only(tokens, index + 1, sql, column, result)
    if words[0] in ("DISTKEY", "SORTKEY") and words[1] == "(":
        close = next(i for i in range(index, len(tokens)) if tokens[i].text == ")")
        result.keys += [token.text.lower() for token in tokens[index + 2 : close] if token.text != ","]
        return close + 1
    if words[0] in ("DISTSTYLE", "ENCODE", "BACKUP") or words[:2] == ["SORTKEY", "AUTO"]:
        return index + 2
    if words[0] in ("DISTKEY", "SORTKEY") and column != words[0].lower():
        return index + 1
    start = index + 4 if words[:4] == ["GENERATED", "BY", "DEFAULT", "AS"] else index
    if start < len(tokens) and tokens[start].text.upper() == "IDENTITY":
        match = IDENTITY.match(sql, tokens[start].start)
        if match:
            result.identities[column] = (int(match[1]), int(match[2]))
            return next(i for i in range(start, len(tokens)) if tokens[i].text == ")") + 1
    return index


def create_table(sql: str, like: Callable[[exp.Table], list[TableColumn]]) -> Created | CreatedAs:
    """Translate a CREATE TABLE.

    Parameters
    ----------
    sql
        Redshift's statement.
    like
        Gives the columns of an existing table, for ``(LIKE other)``.
    """
    text = strip_table_text(sql)
    copied = re.search(
        r"\(\s*like\s+([\w.\"#]+)(?:\s+(?:including|excluding)\s+defaults)?\s*\)", text.sql, re.IGNORECASE
    )
    if copied:
        tree = dialect.parse(text.sql[: copied.start()] + "(nightcast_placeholder int)" + text.sql[copied.end() :])
        defaults = "including" in copied[0].lower()
        columns = like(exp.to_table(copied[1].lower().replace("#", '"#') + ('"' if "#" in copied[1] else "")))
        return _create(tree, [_like_column(column, defaults) for column in columns])
    tree = dialect.parse(text.sql)
    if not isinstance(tree, exp.Create):
        raise RedshiftError(f"syntax error in: {sql.strip()[:60]}")
    if tree.expression is not None:
        return _create_as(tree)
    rewrite(tree)
    columns = [_column(item, text) for item in tree.this.expressions if isinstance(item, exp.ColumnDef)]
    names = {column.name for column in columns}
    for key in text.keys:
        if key not in names and key != "auto":
            raise RedshiftError(f'column "{key}" named in key does not exist')
    return _create(tree, columns)


def _like_column(column: TableColumn, defaults: bool) -> TableColumn:
    keep = defaults and column.identity is None
    return TableColumn(column.name, column.type, column.nullable, column.default if keep else None)


def _column(item: exp.ColumnDef, text: TableText) -> TableColumn:
    kind = item.args.get("kind")
    if kind is None:
        raise RedshiftError(f'column "{item.name}" has no type')
    nullable, default = True, None
    for constraint in item.constraints:
        rule = constraint.kind
        if isinstance(rule, exp.PrimaryKeyColumnConstraint):
            nullable = False
        elif isinstance(rule, exp.NotNullColumnConstraint):
            nullable = bool(rule.args.get("allow_null"))
        elif isinstance(rule, exp.DefaultColumnConstraint):
            default = generate(rule.this)
        elif not isinstance(rule, exp.UniqueColumnConstraint | exp.Reference):
            raise UnsupportedError(f"column constraint {rule.sql('redshift')}")
    identity = text.identities.get(item.name)
    return TableColumn(item.name, from_sqlglot(kind), nullable and identity is None, default, identity)


def _target(tree: exp.Create) -> tuple[exp.Table, bool]:
    table = tree.find(exp.Table)
    assert table is not None  # noqa: S101 - every CREATE TABLE names one
    properties = tree.args.get("properties")
    temporary = properties is not None and properties.find(exp.TemporaryProperty) is not None
    return table, temporary or table.name.startswith("#")


def _create(tree: exp.Expr, columns: list[TableColumn]) -> Created:
    if not isinstance(tree, exp.Create):
        raise RedshiftError("syntax error in CREATE TABLE")
    table, temporary = _target(tree)
    name = _qualified(table)
    before: list[str] = []
    lines: list[str] = []
    comments: list[str] = []
    for column in columns:
        default = column.default
        if column.identity is not None:
            sequence = f"main.identity_{uuid.uuid4().hex[:12]}"
            before.append(
                f"CREATE SEQUENCE {sequence} START {column.identity[0]} INCREMENT {column.identity[1]}"
                f" MINVALUE {-(2**63)} MAXVALUE {2**63 - 1}"
            )
            default = f"nextval('{sequence}')"
        lines.append(_definition(column, default))
        comments.append(f"COMMENT ON COLUMN {name}.{_quote(column.name)} IS '{column_comment(column)}'")
    kind = "TEMPORARY TABLE" if temporary else "TABLE"
    statements = [*before, f"CREATE {kind} {name} ({', '.join(lines)})", *comments]
    return Created(table, statements, bool(tree.args.get("exists")))


def _definition(column: TableColumn, default: str | None) -> str:
    name = _quote(column.name)
    check = f" CHECK (strlen({name}) <= {column.type.length})" if column.type.is_text else ""
    given = f" DEFAULT {_default(default, column.type)}" if default is not None else ""
    return f"{name} {column.type.duckdb}{'' if column.nullable else ' NOT NULL'}{given}{check}"


def _default(default: str, kind: RedshiftType) -> str:
    return default if default.startswith("nextval(") else f"CAST({default} AS {kind.duckdb})"


def _create_as(tree: exp.Create) -> CreatedAs:
    table, temporary = _target(tree)
    query = tree.expression
    name_outputs(query)
    for node in list(table.find_all(exp.Identifier)):
        node.set("this", node.this.lower())
    kind = "TEMPORARY TABLE" if temporary else "TABLE"
    unless_exists = bool(tree.args.get("exists"))
    return CreatedAs(table, query, lambda select: f"CREATE {kind} {_qualified(table)} AS {select}", unless_exists)


def _qualified(table: exp.Table) -> str:
    schema = f"{_quote(table.db)}." if table.db else ""
    return schema + _quote(table.name)


def _quote(name: str) -> str:
    return '"' + name.lower().replace('"', '""') + '"'
