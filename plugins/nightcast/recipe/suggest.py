"""The recipe that is used when none is given, in the shape in which Amazon ML suggested its own."""

from __future__ import annotations

import json
from collections.abc import Sequence

from nightcast.datasource.insights import CategoricalInsights, Insights, NumericInsights, TextInsights
from nightcast.datasource.schema import AttributeType, Schema
from nightcast.errors import RecipeError
from nightcast.recipe.bins import bin_edges, variance_within
from nightcast.recipe.expressions import Call, ValueType, Variable, quoted
from nightcast.recipe.number_statistics import distribution

BIN_COUNTS = (10, 20, 50, 100, 200, 500)
_LEAST_EXPLAINED = 0.05


def suggest_recipe(schema: Schema, insights: Insights, *, extensions: bool = False) -> str:
    """Suggest a recipe: all binary and categorical attributes, each number in bins, the tokens of all texts.

    Parameters
    ----------
    schema
        Says what is learnt from: its inputs.
    insights
        Statistics of the training datasource; :func:`bin_count` says what they decide.
    extensions
        Whether to add weekday, month and bins of the days since the first one for each attribute that holds dates,
        which Amazon ML could not read.

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
    outputs += _date_outputs(schema, insights) if extensions else []
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


def _date_outputs(schema: Schema, insights: Insights) -> list[str]:
    outputs: list[str] = []
    for attribute in schema.inputs:
        found = insights.attributes.get(attribute.name)
        dates = found.dates if isinstance(found, CategoricalInsights | TextInsights) else None
        # Of one day there is nothing to learn.
        if dates is not None and dates.first < dates.last:
            variable = Variable(attribute.name, ValueType(attribute.type.value))
            since = Call("days_since", (variable,), (dates.first,))
            bins = bin_count(dates.values, distribution(since, insights).quantiles, None)
            parts = [Call("weekday", (variable,)), Call("month", (variable,)), Call("quantile_bin", (since,), (bins,))]
            outputs += [str(part) for part in parts]
    return outputs


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
