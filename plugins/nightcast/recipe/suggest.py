"""The recipe that is used when none is given, in the shape in which Amazon ML suggested its own."""

from __future__ import annotations

import json
from collections.abc import Sequence

from nightcast.datasource.insights import CategoricalInsights, Insights, NumericInsights, TextInsights
from nightcast.datasource.schema import AttributeType, Schema
from nightcast.errors import RecipeError
from nightcast.recipe.bins import bin_edges, variance_within
from nightcast.recipe.document import MAX_RECIPE_CHARACTERS
from nightcast.recipe.expressions import Call, ValueType, Variable, quoted
from nightcast.recipe.number_statistics import distribution

BIN_COUNTS = (10, 20, 50, 100, 200, 500)
_LEAST_EXPLAINED = 0.25
# A bin whose neighbours tell most of its weight costs that share of one that stands alone.
_COST = 0.001
_RECORDS_A_BIN = 7
# Of all numbers together.
_MOST_BINS = 2_000
# Share of the unexplained variance that a line within bins may be expected to explain.
_WORTH_A_LINE = 0.002
# Of coarse bins, attributes may explain together what none does alone, and all but that share.
_COARSE_BINS, _LEFT = 100, 0.1
# A line that explains that share goes on beyond the training records, by that share of their range.
_STEADY, _BEYOND = 0.9, 0.5


def suggest_recipe(schema: Schema, insights: Insights, *, extensions: bool = True) -> str:
    """Suggest a recipe: all binary and categorical attributes, each number in bins, the tokens of all texts.

    Parameters
    ----------
    schema
        Says what is learnt from: its inputs.
    insights
        Statistics of the training datasource; :func:`bin_count` says what they decide.
    extensions
        Whether to add what Amazon ML never suggested: weekday, month and bins of the days since the first one for each
        attribute that holds dates, which it could not read, and ``normalize`` of each number that varies within its
        bins so much that a line is likely to tell more (:func:`line_within`), clipped to the training records' range,
        or where it explains nine tenths of the target to one that is half as wide again on either side.

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
    lines: list[tuple[float, str]] = []
    most = _most_bins(schema, insights)
    for attribute in schema.inputs:
        found = insights.attributes.get(attribute.name)
        if attribute.type is AttributeType.NUMERIC and isinstance(found, NumericInsights) and found.distinct:
            values = insights.records - found.missing - found.invalid
            bins = bin_count(values, found.quantiles, found.correlation, most)
            groups.setdefault(bins, []).append(quoted(attribute.name, always=True))
            if extensions and _varies_within(bins, found):
                lines.append((line_within(bins, found.quantiles, found.correlation), str(_line(attribute.name, found))))
    types = {attribute.type for attribute in schema.inputs}
    first = [f"ALL_{kind}" for kind in (AttributeType.BINARY, AttributeType.CATEGORICAL) if kind in types]
    first += [f"quantile_bin(NUMERIC_VARS_QB_{bins},{bins})" for bins in sorted(groups, reverse=True)]
    last = ["ALL_TEXT"] if AttributeType.TEXT in types else []
    last += _date_outputs(schema, insights, most) if extensions else []
    if not (first or last):
        raise RecipeError("the schema has no attribute to learn from: exclude fewer, or select more columns.")
    named = {f"NUMERIC_VARS_QB_{bins}": f"group({','.join(groups[bins])})" for bins in sorted(groups, reverse=True)}
    return _with_lines(named, first, [line for line in lines if line[0] >= _WORTH_A_LINE], last)


def _with_lines(groups: dict[str, str], first: list[str], lines: list[tuple[float, str]], last: list[str]) -> str:
    """The recipe with as many of the lines as it has room for, those of most worth."""
    kept = sorted((worth for worth, _ in lines), reverse=True)
    while True:
        between = [line for worth, line in lines if kept and worth >= kept[-1]]
        recipe = {"groups": groups, "assignments": {}, "outputs": [*first, *between, *last]}
        text = json.dumps(recipe, indent=2, ensure_ascii=False) + "\n"
        if len(text) <= MAX_RECIPE_CHARACTERS or not kept:
            return text
        del kept[-(1 + len(kept) // 10) :]


def _date_outputs(schema: Schema, insights: Insights, most: int) -> list[str]:
    outputs: list[str] = []
    for attribute in schema.inputs:
        found = insights.attributes.get(attribute.name)
        dates = found.dates if isinstance(found, CategoricalInsights | TextInsights) else None
        # Of one day there is nothing to learn.
        if dates is not None and dates.first < dates.last:
            variable = Variable(attribute.name, ValueType(attribute.type.value))
            since = Call("days_since", (variable,), (dates.first,))
            bins = bin_count(dates.values, distribution(since, insights).quantiles, None, most)
            parts = [Call("weekday", (variable,)), Call("month", (variable,)), Call("quantile_bin", (since,), (bins,))]
            outputs += [str(part) for part in parts]
    return outputs


def _varies_within(bins: int, found: NumericInsights) -> bool:
    """Whether there are more values than bins."""
    return found.distinct > len(bin_edges(found.quantiles, bins)) + 1


def _line(name: str, found: NumericInsights) -> Call:
    """``normalize`` of a number that varies, within what the training records hold.

    A line goes on for ever: a value that is a hundred deviations off, a slip of the decimal point, would be predicted
    as far off. Where it explains nearly all, new records somewhat beyond the training records are likely to be on it.
    A number that was never negative is not expected to be.
    """
    low, high = found.min or 0.0, found.max or 0.0
    beyond = _BEYOND * (high - low) if (found.correlation or 0.0) ** 2 >= _STEADY else 0.0
    ends = (low - beyond if low < 0 else max(low - beyond, 0.0), high + beyond)
    return Call("normalize", (Call("clip", (Variable(name, ValueType.NUMERIC),), ends),))


def line_within(bins: int, quantiles: Sequence[float], correlation: float | None) -> float:
    """Share of the target's unexplained variance that a line within bins may explain: that of a long tail's last bin.

    With squared correlation r2: ``r2 * (share of the attribute's variance that lies within bins) / (1 - r2)``. Of up to
    100 bins r2 counts as 0.25 at least, and what is left unexplained as 0.1 at most: few records make few bins, which a
    steady effect crosses in great steps.

    Examples
    --------
    >>> even = [permille / 1000 for permille in range(1001)]
    >>> line_within(20, even, None) > 0.002 > line_within(50, even, None)
    True
    """
    explained = min((correlation or 0.0) ** 2, 0.999)
    left = 1 - explained
    if bins <= _COARSE_BINS:
        explained, left = max(explained, _LEAST_EXPLAINED), min(left, _LEFT)
    return explained * variance_within(quantiles, bin_edges(quantiles, bins)) / left


def _most_bins(schema: Schema, insights: Insights) -> int:
    """The largest number of bins of which all numbers may have so many."""
    numbers = sum(
        attribute.type is AttributeType.NUMERIC
        or getattr(insights.attributes.get(attribute.name), "dates", None) is not None
        for attribute in schema.inputs
    )
    return max(bins for bins in BIN_COUNTS if bins * numbers <= _MOST_BINS or bins == BIN_COUNTS[0])


def bin_count(values: int, quantiles: Sequence[float], correlation: float | None, most: int = BIN_COUNTS[-1]) -> int:
    """How many bins a numeric attribute gets: 10, 20, 50, 100, 200 or 500.

    A model that is constant in each bin misses what the attribute varies within bins, and has a weight to estimate for
    each of them, of which its neighbours tell most (`nightcast.mlmodel.shapes`). In units of the target's variance, b
    bins of n values cost

        r2 * (share of the attribute's variance that lies within bins) + (1 - r2) * 0.001 * b / n

    where r2 is the squared correlation with the target, but at least 0.25: an effect need not be linear. The count of
    least cost is taken, of equals the smallest, among those that leave 7 values a bin. So there are more bins for more
    records, for attributes that tell more, and for those with long tails; and no more than give each distinct value
    its own bin. Nothing in it depends on the order of the records, hence neither does the recipe.

    Parameters
    ----------
    values
        Records that have the number; at least 1.
    quantiles
        The 1001 permilles of its insights.
    correlation
        Pearson's correlation with the target, or None.
    most
        The largest count that may be taken. A suggested recipe has 2,000 bins at most, or 10 a number.

    Examples
    --------
    >>> even = [permille / 1000 for permille in range(1001)]
    >>> [bin_count(values, even, 0.7) for values in (100, 700, 5_000, 1_000_000)]
    [10, 100, 200, 500]
    >>> bin_count(30_000, even, 0.7, 50), bin_count(30_000, [value > 0.5 for value in even], 0.7)
    (50, 10)
    """
    explained = max((correlation or 0.0) ** 2, _LEAST_EXPLAINED)

    def cost(bins: int) -> float:
        edges = bin_edges(quantiles, bins)
        return explained * variance_within(quantiles, edges) + (1 - explained) * _COST * (len(edges) + 1) / values

    within = [bins for bins in BIN_COUNTS if bins <= min(values / _RECORDS_A_BIN, most)]
    return min(within or BIN_COUNTS[:1], key=cost)
