"""What Redshift refuses and DuckDB would run: found in the parsed statement before it is translated."""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

from nightcast.sandbox.dialect import KNOWN_TO_REDSHIFT
from nightcast.sandbox.errors import RedshiftError, UnsupportedError
from nightcast.sandbox.formats import FORMATTED
from nightcast.sandbox.macros import MACROS

_OWN_REWRITES = frozenset({"listagg", "ratio_to_report", *FORMATTED})
_NOT_IN_REDSHIFT: dict[type[exp.Expr], str] = {
    exp.Filter: "FILTER (WHERE ...) on an aggregate",
    exp.TryCast: "TRY_CAST",
    exp.Lambda: "a lambda",
    exp.Array: "an array constructor",
    exp.Struct: "a struct",
    exp.Bracket: "a subscript",
    exp.Lateral: "LATERAL",
    exp.Unnest: "UNNEST",
    exp.TableSample: "TABLESAMPLE",
    exp.Pivot: "PIVOT",
    exp.OnConflict: "ON CONFLICT",
    exp.Returning: "RETURNING",
    exp.Parameter: "a positional or @ parameter",
    exp.MatchRecognize: "MATCH_RECOGNIZE",
}


def refuse(tree: exp.Expr, database: str) -> None:
    """Raise for the first thing in ``tree`` that Redshift, or this sandbox, does not run.

    Raises
    ------
    RedshiftError
        In Redshift's words.
    UnsupportedError
        Where Redshift could and the sandbox can not.
    """
    for node in tree.walk():
        if type(node) in _NOT_IN_REDSHIFT:
            raise UnsupportedError(_NOT_IN_REDSHIFT[type(node)])
        for kind, check in _CHECKS:
            if isinstance(node, kind):
                check(node)
        if isinstance(node, exp.Table):
            _refuse_table(node, database)


def _refuse_function(node: exp.Anonymous) -> None:
    name = node.name.lower()
    if name in MACROS or name in _OWN_REWRITES:
        return
    if name in KNOWN_TO_REDSHIFT:
        raise UnsupportedError(f"function {name.upper()}")
    raise RedshiftError(f"function {name}({', '.join(['unknown'] * len(node.expressions))}) does not exist")


def _refuse_window(node: exp.Window) -> None:
    spec = node.args.get("spec")
    function = node.this.this if isinstance(node.this, exp.IgnoreNulls | exp.RespectNulls) else node.this
    if spec is not None and str(spec.args.get("kind", "")).upper() == "RANGE":
        raise UnsupportedError("a RANGE window frame", "Redshift knows ROWS only")
    if not isinstance(function, exp.Sum | exp.Avg | exp.Count | exp.Min | exp.Max | exp.Stddev | exp.StddevSamp
                      | exp.StddevPop | exp.Variance | exp.VariancePop):  # fmt: skip
        return
    if node.args.get("order") is not None and spec is None:
        raise RedshiftError("Aggregate window functions with an ORDER BY clause require a frame clause")
    if isinstance(function.this, exp.Distinct):
        raise UnsupportedError("DISTINCT in a window function")


def _refuse_placeholder(node: exp.Placeholder) -> None:
    raise RedshiftError(f'syntax error at or near ":{node.name}"; there is no parameter of this name')


def _refuse_distinct_on(node: exp.Distinct) -> None:
    if node.args.get("on") is not None:
        raise UnsupportedError("SELECT DISTINCT ON")


def _refuse_group_by_all(node: exp.Group) -> None:
    if node.args.get("all"):
        raise UnsupportedError("GROUP BY ALL")


def _refuse_if(node: exp.If) -> None:
    if not isinstance(node.parent, exp.Case):
        raise RedshiftError("function if(unknown, unknown, unknown) does not exist")


def _refuse_table(node: exp.Table, database: str) -> None:
    if isinstance(node.this, exp.Func):
        raise UnsupportedError(f"table function {node.this.sql('redshift').split('(')[0].upper()}")
    if node.catalog and node.catalog.lower() != database:
        raise UnsupportedError(f"a query across databases ({node.catalog})")


_CHECKS: tuple[tuple[type[exp.Expr], Callable[..., None]], ...] = (
    (exp.Anonymous, _refuse_function),
    (exp.Window, _refuse_window),
    (exp.Placeholder, _refuse_placeholder),
    (exp.Distinct, _refuse_distinct_on),
    (exp.Group, _refuse_group_by_all),
    (exp.If, _refuse_if),
)
