"""A parsed Redshift query or DML statement, rewritten so that DuckDB runs it with Redshift's meaning."""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp
from sqlglot.errors import ErrorLevel

from nightcast.sandbox.errors import UnsupportedError
from nightcast.sandbox.formats import FORMATTED, rewrite_formatted
from nightcast.sandbox.macros import MACROS
from nightcast.sandbox.redshift_types import VARCHAR_MAXIMUM, from_sqlglot
from nightcast.sandbox.refusals import refuse


def to_duckdb(tree: exp.Expr, database: str) -> str:
    """DuckDB's text of a Redshift statement.

    Parameters
    ----------
    tree
        As `nightcast.sandbox.dialect.parse` gives it; not changed.
    database
        The name that a table may carry in front of its schema.

    Raises
    ------
    RedshiftError
        Where Redshift refuses the statement, or the sandbox can not run it.
    """
    refuse(tree, database)
    return generate(rewrite(tree.copy()))


def name_outputs(tree: exp.Expr) -> None:
    """Give unnamed result columns the names that Redshift gives them; in place."""
    select = tree
    while isinstance(select, exp.Subquery | exp.SetOperation):
        select = select.this
    if not isinstance(select, exp.Select):
        return
    for column in list(select.expressions):
        if not isinstance(column, exp.Alias | exp.Column | exp.Star):
            column.replace(exp.alias_(column.copy(), _output_name(column), quoted=True))


def _output_name(node: exp.Expr) -> str:
    if isinstance(node, exp.Window | exp.WithinGroup | exp.Paren | exp.IgnoreNulls):
        return _output_name(node.this)
    if isinstance(node, exp.Cast):
        return str(node.to.sql("redshift")).lower() if isinstance(node.this, exp.Literal) else _output_name(node.this)
    if isinstance(node, exp.Column):
        return str(node.name).lower()
    if isinstance(node, exp.Case):
        return "case"
    if isinstance(node, exp.Anonymous):
        return node.name.lower()
    if type(node) in _OUTPUT_NAMES:
        return _OUTPUT_NAMES[type(node)]
    return node.sql_name().lower() if isinstance(node, exp.Func) and not isinstance(node, exp.Connector) else "?column?"


_OUTPUT_NAMES: dict[type[exp.Expr], str] = {
    exp.TsOrDsDiff: "date_diff", exp.TsOrDsAdd: "date_add", exp.TimestampTrunc: "date_trunc", exp.Extract: "date_part",
    exp.DecodeCase: "case", exp.Nvl2: "case", exp.ApproxDistinct: "count", exp.Length: "length",
    exp.StddevSamp: "stddev_samp", exp.RegexpExtract: "regexp_substr", exp.StrPosition: "strpos",
}  # fmt: skip


def rewrite(tree: exp.Expr) -> exp.Expr:
    """Apply all rewrites; the tree is changed in place and returned."""
    for name in list(tree.find_all(exp.Identifier)):
        name.set("this", name.this.lower())
    for table in list(tree.find_all(exp.Table)):
        table.set("catalog", None)
    # Children first: a rewritten node may hold its children twice, and they must be rewritten by then.
    for node in reversed(list(tree.walk())):
        changed = _rewrite_node(node)
        if changed is not node:
            tree = changed if node is tree else tree
            node.replace(changed)
    return tree


def table_name(table: exp.Table) -> exp.Table:
    """A copy of a table's name as DuckDB knows it: in lower case, without the database."""
    copied = table.copy()
    rewrite(copied)
    return copied


def generate(tree: exp.Expr) -> str:
    """DuckDB's text of a rewritten tree, every name quoted."""
    return tree.sql("duckdb", identify=True, unsupported_level=ErrorLevel.IGNORE, comments=False)


def _rewrite_node(node: exp.Expr) -> exp.Expr:
    for kind, change in _REWRITES:
        if isinstance(node, kind):
            return change(node)
    return node


def _avg(node: exp.Avg) -> exp.Expr:
    if isinstance(node.parent, exp.Window):
        # The window around it becomes the average of two windows.
        return node
    return _average(exp.Sum(this=node.this.copy()), exp.Count(this=node.this.copy()))


def _average(total: exp.Expr, number: exp.Expr) -> exp.Expr:
    return exp.Anonymous(this="redshift_average", expressions=[total, number])


def _window(node: exp.Window) -> exp.Expr:
    if isinstance(node.this, exp.Avg):
        total, number = node.copy(), node.copy()
        total.set("this", exp.Sum(this=node.this.this.copy()))
        number.set("this", exp.Count(this=node.this.this.copy()))
        return _average(total, number)
    if isinstance(node.this, exp.Anonymous) and node.this.name.lower() == "ratio_to_report":
        value = node.this.expressions[0]
        total = node.copy()
        total.set("this", exp.Sum(this=value.copy()))
        return exp.paren(exp.cast(value.copy(), "DOUBLE") / total)
    return node


def _cast(node: exp.Cast) -> exp.Expr:
    """Casts to a character type of n cut the text at n, as in Redshift; DuckDB ignores the length."""
    kind = from_sqlglot(node.to)
    sized = kind.is_text and bool(node.to.expressions) and kind.length != VARCHAR_MAXIMUM
    node.set("to", exp.DataType.build(kind.duckdb, dialect="duckdb"))
    return exp.func("LEFT", node.copy(), exp.Literal.number(kind.length or 0)) if sized else node


def _anonymous(node: exp.Anonymous) -> exp.Expr:
    name = node.name.lower()
    if name in FORMATTED:
        return rewrite_formatted(node)
    if name == "listagg" and not isinstance(node.parent, exp.WithinGroup):
        return _listagg(node, None)
    if name in MACROS:
        return exp.Anonymous(this=f"redshift_{name}", expressions=node.expressions)
    return node


def _within_group(node: exp.WithinGroup) -> exp.Expr:
    function = node.this
    if isinstance(function, exp.Anonymous) and function.name.lower() == "listagg":
        return _listagg(function, node.expression)
    return node


def _listagg(node: exp.Anonymous, order: exp.Expr | None) -> exp.Expr:
    first, *rest = node.expressions
    distinct = isinstance(first, exp.Distinct)
    value, *more = first.expressions if distinct else [first]
    separator = ([*more, *rest] or [exp.Literal.string("")])[0].copy()
    value = exp.Distinct(expressions=[value.copy()]) if distinct else value.copy()
    if order is not None:
        separator = exp.Order(this=separator, expressions=[o.copy() for o in order.expressions])
    return exp.Anonymous(this="LISTAGG", expressions=[value, separator])


def _extract(node: exp.Extract) -> exp.Expr:
    """Whole numbers in Redshift, 64 bits in DuckDB."""
    return exp.cast(node.copy(), "BIGINT" if node.name.upper() == "EPOCH" else "INT")


def _concat(node: exp.Concat) -> exp.Expr:
    """CONCAT with a NULL is NULL in Redshift; DuckDB's leaves it out."""
    left, *others = node.expressions
    result = left.copy()
    for other in others:
        result = exp.DPipe(this=result, expression=other.copy())
    return exp.paren(result)


def _like(node: exp.Like | exp.ILike) -> exp.Expr:
    """The backslash escapes in Redshift's patterns without being asked to."""
    pattern = node.expression
    escaped = isinstance(node.parent, exp.Escape)
    if isinstance(pattern, exp.Literal) and "\\" in pattern.name and not escaped:
        return exp.Escape(this=node.copy(), expression=exp.Literal.string("\\"))
    return node


def _similar_to(node: exp.SimilarTo) -> exp.Expr:
    """SQL's pattern with % and _ over the whole text; DuckDB takes a regular expression."""
    pattern = node.expression
    if not isinstance(pattern, exp.Literal):
        raise UnsupportedError("SIMILAR TO with a pattern that is no literal")
    expression = pattern.name.replace("%", ".*").replace("_", ".")
    return exp.Anonymous(this="REGEXP_FULL_MATCH", expressions=[node.this, exp.Literal.string(expression)])


def _trunc(node: exp.Trunc) -> exp.Expr:
    arguments = [part for part in (node.this, node.args.get("decimals")) if part is not None]
    return exp.Anonymous(this="redshift_trunc", expressions=arguments)


def _current_timestamp(node: exp.CurrentTimestamp) -> exp.Expr:
    return exp.Anonymous(this="redshift_sysdate") if node.args.get("sysdate") else node


def _integer(node: exp.Expr) -> exp.Expr:
    """Lengths and positions are INTEGER in Redshift, BIGINT in DuckDB."""
    return exp.cast(node.copy(), "INT")


def _last_day(node: exp.LastDay) -> exp.Expr:
    return exp.func("LAST_DAY", exp.cast(node.this, "DATE"))


def _delete(node: exp.Delete) -> exp.Expr:
    """Redshift's DELETE may do without FROM."""
    tables = node.args.get("tables") or []
    if not node.args.get("this") and len(tables) == 1:
        node.set("this", tables[0].copy())
        node.set("tables", None)
    return node


def _regexp_replace(node: exp.RegexpReplace) -> exp.Expr:
    """Redshift replaces every match, DuckDB the first."""
    arguments = [node.this, node.expression, node.args.get("replacement") or exp.Literal.string("")]
    return exp.Anonymous(this="REGEXP_REPLACE", expressions=[*arguments, exp.Literal.string("g")])


_REWRITES: tuple[tuple[type[exp.Expr], Callable[..., exp.Expr]], ...] = (
    (exp.Avg, _avg),
    (exp.Window, _window),
    (exp.WithinGroup, _within_group),
    (exp.Anonymous, _anonymous),
    (exp.Cast, _cast),
    (exp.Extract, _extract),
    (exp.Concat, _concat),
    (exp.Like, _like),
    (exp.ILike, _like),
    (exp.SimilarTo, _similar_to),
    (exp.Trunc, _trunc),
    (exp.CurrentTimestamp, _current_timestamp),
    (exp.RegexpReplace, _regexp_replace),
    (exp.Length, _integer),
    (exp.StrPosition, _integer),
    (exp.LastDay, _last_day),
    (exp.Delete, _delete),
)
