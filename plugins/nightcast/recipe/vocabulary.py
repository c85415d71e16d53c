"""Counting the tokens that insights do not hold: those of a recipe's transformations of text.

One pass, as insights are: a part function counts, two counts are merged in part order, and the
memory is bounded by keeping the most frequent tokens only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial

import numpy as np

from nightcast.datasource.arrow_arrays import int_array
from nightcast.datasource.insights import CategoricalInsights, Insights, TextInsights
from nightcast.datasource.parts import Batch, ByteSource, Datasource, Mapper, NumberedPart
from nightcast.datasource.rearrangement import Rearrangement
from nightcast.datasource.selection import selected_batches
from nightcast.datasource.string_counts import LISTED_VALUES
from nightcast.recipe.expressions import Call, Expression, ValueType, Variable, calls
from nightcast.recipe.grammar import Recipe
from nightcast.recipe.number_statistics import quantile_edges
from nightcast.recipe.values import BatchValues

MAX_TOKENS = 10_000
# Beyond this many distinct tokens of an expression, the rarest are forgotten while counting.
_KEPT_WHILE_COUNTING = 200_000
Edges = dict[str, tuple[float, ...]]


def counted_expressions(recipe: Recipe) -> tuple[Call, ...]:
    """The outputs whose tokens are not in the insights."""
    return tuple(
        output
        for output in recipe.outputs
        if isinstance(output, Call) and output.type in (ValueType.TEXT, ValueType.TOKENS)
    )


def count_vocabularies(
    datasource: Datasource,
    rearrangement: Rearrangement,
    recipe: Recipe,
    insights: Insights,
    source: ByteSource,
    mapper: Mapper = map,
    limit: int = MAX_TOKENS,
) -> dict[str, list[tuple[str, int]]]:
    """Count the tokens of :func:`counted_expressions` in the records that are taken.

    Parameters
    ----------
    insights
        Give the edges of bins that are multiplied with other values.
    limit
        How many values or tokens are kept of each. If that is more than insights list, so are those of the attributes
        of which they list as many as they can.

    Returns
    -------
    dict
        By the text of the expression, at most `limit` pairs of token and number of records that hold it, most frequent
        first, then by token. Exact while no part, and not the whole, has more than 200,000 distinct tokens.
        Empty, without a look at the data, for a recipe that needs none.
    """
    expressions: tuple[Expression, ...] = counted_expressions(recipe)
    if limit > LISTED_VALUES:
        expressions += tuple(output for output in recipe.outputs if _cut_short(output, insights))
    if not expressions:
        return {}
    edges = product_edges(expressions, insights)
    count = partial(part_tokens, rearrangement=rearrangement, expressions=expressions, edges=edges, source=source)
    totals = [Counter[str]() for _ in expressions]
    for counts in mapper(count, datasource.numbered()):
        merge_tokens(totals, counts)
    return {
        str(expression): _most_frequent(total, limit) for expression, total in zip(expressions, totals, strict=True)
    }


def _cut_short(output: Expression, insights: Insights) -> bool:
    """Whether it is an attribute of which the insights list as many values or tokens as they can."""
    found = insights.attributes.get(output.name) if isinstance(output, Variable) else None
    if isinstance(found, CategoricalInsights):
        return len(found.values) >= LISTED_VALUES
    return isinstance(found, TextInsights) and len(found.tokens) >= LISTED_VALUES


def part_tokens(
    numbered: NumberedPart,
    rearrangement: Rearrangement,
    expressions: Sequence[Expression],
    edges: Edges,
    source: ByteSource,
) -> list[Counter[str]]:
    """Token counts of one part, in the order of the expressions."""
    columns = tuple(dict.fromkeys(variable.name for one in expressions for variable in one.variables()))
    totals = [Counter[str]() for _ in expressions]
    for batch in selected_batches(numbered, rearrangement, columns, source):
        merge_tokens(totals, [_batch_tokens(batch, expression, edges) for expression in expressions])
    return totals


def merge_tokens(totals: Sequence[Counter[str]], counts: Sequence[Counter[str]]) -> None:
    """Add counts to totals, in place."""
    for total, count in zip(totals, counts, strict=True):
        total.update(count)
        if len(total) > _KEPT_WHILE_COUNTING:
            kept = dict(_most_frequent(total, _KEPT_WHILE_COUNTING // 2))
            total.clear()
            total.update(kept)


def product_edges(expressions: Sequence[Expression], insights: Insights) -> Edges:
    """Edges of the bins inside the expressions, by the text of the ``quantile_bin``."""
    return {
        str(call): quantile_edges(call, insights)
        for expression in expressions
        for call in calls(expression, "quantile_bin")
    }


def _batch_tokens(batch: Batch, expression: Expression, edges: Edges) -> Counter[str]:
    entries = BatchValues(batch, edges).entries(expression)
    lists = entries.lists
    records = np.bincount(entries.codes, minlength=len(lists.offsets) - 1)
    # A record that holds a token twice counts once, so the pairs of list and token are made distinct.
    encoded = lists.tokens.dictionary_encode()
    width = max(len(encoded.dictionary), 1)
    codes = np.frombuffer(encoded.indices.buffers()[1] or b"", dtype=np.int32, count=len(encoded))
    pairs = np.unique(lists.owners() * width + codes)
    counts = np.bincount(pairs % width, weights=records[pairs // width], minlength=width).astype(np.int64)
    held = np.flatnonzero(counts)
    tokens: list[str] = encoded.dictionary.take(int_array(held)).to_pylist() if len(held) else []
    return Counter(dict(zip(tokens, counts[held].tolist(), strict=True)))


def _most_frequent(counts: Counter[str], limit: int) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:limit]
