"""The text types of a query's result: CHAR or VARCHAR, and how long in bytes, as a verbose manifest tells it.

DuckDB knows neither, so they are followed through the query: columns, sub-queries, CTEs,
unions and the functions that keep or add lengths. What can not be followed has no known type.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

from nightcast.sandbox.redshift_types import RedshiftType, from_sqlglot

_VARCHAR = "character varying"
Lookup = Callable[[exp.Table], dict[str, RedshiftType] | None]
Columns = list[tuple[str, RedshiftType | None]]

_KEEP = (
    exp.Upper, exp.Lower, exp.Trim, exp.Paren, exp.Min, exp.Max, exp.AnyValue, exp.FirstValue, exp.LastValue, exp.Lag,
    exp.Lead, exp.NthValue, exp.Window, exp.IgnoreNulls, exp.RespectNulls, exp.Right, exp.Substring, exp.Distinct,
    exp.Initcap, exp.Reverse, exp.Nullif,
)  # fmt: skip


def text_types(query: exp.Expr, lookup: Lookup) -> list[RedshiftType | None]:
    """The best known text type of each result column; None for other than text, or when unknown.

    Parameters
    ----------
    query
        A Redshift query as parsed, not yet rewritten.
    lookup
        Gives the declared types of a table's columns.

    Returns
    -------
    list
        Empty when the columns can not be told one by one.
    """
    columns = _query(query, lookup, {})
    return [kind for _, kind in columns] if columns else []


def _query(tree: exp.Expr | None, lookup: Lookup, ctes: dict[str, Columns]) -> Columns | None:
    if tree is None:
        return None
    ctes = dict(ctes)
    with_ = tree.args.get("with_") or tree.args.get("with")
    for cte in with_.expressions if with_ is not None else []:
        columns = _query(cte.this, lookup, ctes)
        if columns is not None:
            ctes[cte.alias.lower()] = _renamed(columns, cte)
    if isinstance(tree, exp.Subquery):
        return _query(tree.this, lookup, ctes)
    if isinstance(tree, exp.SetOperation):
        left, right = _query(tree.this, lookup, ctes), _query(tree.expression, lookup, ctes)
        if not left or not right or len(left) != len(right):
            return None
        return [(name, _widest(a, b)) for (name, a), (_, b) in zip(left, right, strict=True)]
    return _select(tree, lookup, ctes) if isinstance(tree, exp.Select) else None


def _renamed(columns: Columns, aliased: exp.Expr) -> Columns:
    names = [column.name.lower() for column in getattr(aliased.args.get("alias"), "columns", [])]
    return [(names[i] if i < len(names) else name, kind) for i, (name, kind) in enumerate(columns)]


def _select(tree: exp.Select, lookup: Lookup, ctes: dict[str, Columns]) -> Columns | None:
    from_ = tree.args.get("from_") or tree.args.get("from")
    sources: dict[str, Columns] = {}
    for item in [from_, *(tree.args.get("joins") or [])]:
        if item is None:
            continue
        columns = _source(item.this, lookup, ctes)
        if columns is None:
            return None
        sources[item.this.alias_or_name.lower()] = columns
    result: Columns = []
    for column in tree.expressions:
        if isinstance(column, exp.Star):
            result += [pair for columns in sources.values() for pair in columns]
        elif isinstance(column, exp.Column) and isinstance(column.this, exp.Star):
            result += sources.get(column.table.lower(), [])
        else:
            result.append((column.alias_or_name.lower(), _type(column, sources)))
    return result


def _source(tree: exp.Expr, lookup: Lookup, ctes: dict[str, Columns]) -> Columns | None:
    if isinstance(tree, exp.Table):
        if not tree.db and tree.name.lower() in ctes:
            return _renamed(ctes[tree.name.lower()], tree)
        types = lookup(tree)
        return None if types is None else [(name, kind if kind.is_text else None) for name, kind in types.items()]
    columns = _query(tree, lookup, ctes)
    return None if columns is None else _renamed(columns, tree)


def _widest(left: RedshiftType | None, right: RedshiftType | None) -> RedshiftType | None:
    if left == right or left is None or right is None:
        return left if left == right else None
    return RedshiftType(_VARCHAR, length=max(left.length or 0, right.length or 0))


def _type(node: exp.Expr, sources: dict[str, Columns]) -> RedshiftType | None:
    """The text type of one expression: that of a bare column is its own, all others are VARCHAR."""
    if isinstance(node, exp.Alias):
        return _type(node.this, sources)
    if isinstance(node, exp.Column):
        places = [sources.get(node.table.lower(), [])] if node.table else list(sources.values())
        return next((kind for place in places for name, kind in place if name == node.name.lower()), None)
    length = _length(node, sources)
    return None if length is None else RedshiftType(_VARCHAR, length=max(length, 1))


def _length(node: exp.Expr, sources: dict[str, Columns]) -> int | None:
    """The length of one expression's text."""
    if isinstance(node, exp.Column):
        kind = _type(node, sources)
        return None if kind is None else kind.length
    if isinstance(node, exp.Literal):
        return len(node.name.encode()) if node.is_string else None
    if isinstance(node, exp.Cast):
        return from_sqlglot(node.to).length
    if isinstance(node, exp.Null):
        return 0
    if isinstance(node, _KEEP):
        return _length(node.this, sources)
    return _length_of_parts(node, sources)


def _length_of_parts(node: exp.Expr, sources: dict[str, Columns]) -> int | None:
    if isinstance(node, exp.Left) and isinstance(node.expression, exp.Literal):
        inside = _length(node.this, sources)
        return int(node.expression.name) if inside is None else min(inside, int(node.expression.name))
    if isinstance(node, exp.DPipe):
        return _total([_length(node.this, sources), _length(node.expression, sources)])
    if isinstance(node, exp.Concat):
        return _total([_length(part, sources) for part in node.expressions])
    branches: list[exp.Expr] = []
    if isinstance(node, exp.Coalesce):
        branches = [node.this, *node.expressions]
    elif isinstance(node, exp.Case):
        branches = [*(branch.args["true"] for branch in node.args["ifs"]), node.args.get("default") or exp.Null()]
    elif isinstance(node, exp.DecodeCase):
        # search, result, search, result, ..., default
        parts = node.expressions[1:]
        branches = parts[1::2] + (parts[-1:] if len(parts) % 2 else [])
    return _longest([_length(part, sources) for part in branches]) if branches else None


def _longest(lengths: list[int | None]) -> int | None:
    return None if None in lengths else max(length or 0 for length in lengths)


def _total(lengths: list[int | None]) -> int | None:
    return None if None in lengths else sum(length or 0 for length in lengths)
