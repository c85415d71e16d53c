"""The recipe that is used when none is given, in the shape in which Amazon ML suggested its own."""

from __future__ import annotations

import json
from collections.abc import Sequence

from nightcast.datasource.insights import Insights, NumericInsights
from nightcast.datasource.schema import AttributeType, Schema
from nightcast.errors import RecipeError
from nightcast.recipe.bins import bin_edges, variance_within
from nightcast.recipe.expressions import quoted

BIN_COUNTS = (10, 20, 50, 100, 200, 500)
_LEAST_EXPLAINED = 0.05


def suggest_recipe(schema: Schema, insights: Insights) -> str:
    """Suggest a recipe: all binary and categorical attributes, each number in bins, the tokens of all texts.

    Parameters
    ----------
    schema
        Says what is learnt from: its inputs.
    insights
        Statistics of the training datasource; :func:`bin_count` says what they decide.

    Returns
    -------
    str
        JSON. Numeric attributes stand in groups ``NUMERIC_VARS_QB_<bins>``, their names in single quotes; a predefined
        group stands there only if it has members. Attributes without any value are left out.

    Raises
    ------
    RecipeError
        If the schema has no attribute to learn from.
    """
    groups: dict[int, list[str]] = {}
    for attribute in schema.inputs:
        found = insights.attributes.get(attribute.name)
        if attribute.type is AttributeType.NUMERIC and isinstance(found, NumericInsights) and found.distinct:
            values = insights.records - found.missing - found.invalid
            bins = bin_count(values, found.quantiles, found.correlation)
            groups.setdefault(bins, []).append(quoted(attribute.name, always=True))
    types = {attribute.type for attribute in schema.inputs}
    outputs = [f"ALL_{kind}" for kind in (AttributeType.BINARY, AttributeType.CATEGORICAL) if kind in types]
    outputs += [f"quantile_bin(NUMERIC_VARS_QB_{bins},{bins})" for bins in sorted(groups, reverse=True)]
    outputs += ["ALL_TEXT"] if AttributeType.TEXT in types else []
    if not outputs:
        raise RecipeError("the schema has no attribute to learn from: exclude fewer, or select more columns.")
    recipe = {
        "groups": {
            f"NUMERIC_VARS_QB_{bins}": f"group({','.join(groups[bins])})" for bins in sorted(groups, reverse=True)
        },
        "assignments": {},
        "outputs": outputs,
    }
    return json.dumps(recipe, indent=2, ensure_ascii=False) + "\n"


def bin_count(values: int, quantiles: Sequence[float], correlation: float | None) -> int:
    """How many bins a numeric attribute gets: 10, 20, 50, 100, 200 or 500.

    A model that is constant in each bin misses what the attribute varies within bins, and has a weight to estimate for
    each of them. In units of the target's variance, b bins of n values cost

        r2 * (share of the attribute's variance that lies within bins) + (1 - r2) * b / n

    where r2 is the squared correlation with the target, but at least 0.05: an effect need not be linear. The count of
    least cost is taken, of equals the smallest. So there are more bins for more records, for attributes that
    tell more, and for those with long tails; and no more than give each distinct value its own bin. Nothing in
    it depends on the order of the records, hence neither does the recipe.

    Parameters
    ----------
    values
        Records that have the number; at least 1.
    quantiles
        The 1001 permilles of its insights.
    correlation
        Pearson's correlation with the target, or None.

    Examples
    --------
    >>> even = [permille / 1000 for permille in range(1001)]
    >>> [bin_count(values, even, 0.7) for values in (700, 30_000, 1_000_000, 100_000_000)]
    [10, 50, 100, 500]
    >>> bin_count(30_000, even, 0.1), bin_count(30_000, [value > 0.5 for value in even], 0.7)
    (20, 10)
    """
    explained = max((correlation or 0.0) ** 2, _LEAST_EXPLAINED)

    def cost(bins: int) -> float:
        edges = bin_edges(quantiles, bins)
        return explained * variance_within(quantiles, edges) + (1 - explained) * (len(edges) + 1) / values

    return min(BIN_COUNTS, key=cost)
