"""Mean, deviation and quantiles of what a recipe makes of numbers and dates, from insights alone.

Those of an attribute are exact or as good as its insights. All functions of numbers ascend, so that quantiles of the
argument become quantiles of the result, from which its mean and deviation are estimated: between two permilles, values
are taken to lie at the middle. Dates are known by 101 percentiles.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np

from nightcast.datasource.arrow_arrays import Floats
from nightcast.datasource.attribute_insights import DateInsights
from nightcast.datasource.insights import CategoricalInsights, Insights, NumericInsights, TextInsights
from nightcast.datasource.iso_dates import day_number
from nightcast.errors import RecipeError
from nightcast.recipe.bins import bin_edges
from nightcast.recipe.expressions import FUNCTIONS, Call, Expression, Variable, unscaled
from nightcast.recipe.number_functions import date_part, stepped

_PERMILLES = 1000


@dataclass(frozen=True)
class Distribution:
    """How the values of a number lie in the training records.

    Parameters
    ----------
    quantiles
        1001 values, the 0th to the 1000th permille, ascending; empty without values.
    missing
        Share of the records without a value, 0 to 1.
    mean, std
        0 where there are too few values.
    """

    quantiles: tuple[float, ...]
    missing: float
    mean: float
    std: float


def distribution(expression: Expression, insights: Insights) -> Distribution:
    """Distribution of a NUMERIC expression without ``normalize``.

    Raises
    ------
    RecipeError
        If the insights do not know the attribute as a number, or as dates.
    """
    if isinstance(expression, Variable):
        return _of_attribute(expression.name, insights)
    if FUNCTIONS[expression.function].of_dates:
        return _of_dates(expression, insights)
    return _mapped(expression, distribution(expression.arguments[0], insights))


def quantile_edges(call: Call, insights: Insights) -> tuple[float, ...]:
    """Inner edges of a ``quantile_bin``; see :func:`nightcast.recipe.bins.bin_edges`."""
    [bins] = call.parameters
    return bin_edges(distribution(unscaled(call.arguments[0]), insights).quantiles, cast(int, bins))


def _of_attribute(name: str, insights: Insights) -> Distribution:
    found = insights.attributes.get(name)
    if not isinstance(found, NumericInsights):
        raise RecipeError(
            f"the insights know no NUMERIC attribute {name!r}: compute them with the schema of the recipe."
        )
    missing = (found.missing + found.invalid) / max(insights.records, 1)
    return Distribution(tuple(found.quantiles), missing, found.mean or 0.0, found.std or 0.0)


def known_dates(call: Call, insights: Insights) -> DateInsights:
    """The dates that a part of dates is computed from.

    Raises
    ------
    RecipeError
        If the insights say that the attribute holds none.
    """
    [variable] = call.variables()
    found = insights.attributes.get(variable.name)
    dates = found.dates if isinstance(found, CategoricalInsights | TextInsights) else None
    if dates is None:
        raise RecipeError(
            f"{call} can not be computed: the insights say that {variable.name!r} holds no ISO dates such as "
            "2008-12-31, or that less than 99 % of its values are dates. Leave it out of the recipe."
        )
    return dates


def _of_dates(call: Call, insights: Insights) -> Distribution:
    dates = known_dates(call, insights)
    days = np.array([day_number(day) for day in dates.percentiles])
    parts = date_part(call, days)
    # A percentile may be the last record of a day that has many: the day after it begins there.
    ends = np.flatnonzero((parts[:-2] == parts[1:-1]) & (parts[1:-1] < parts[2:])) + 1
    begun = parts.copy()
    begun[ends] = parts[ends + 1]
    # The nearest percentile, not a day between two that no record need have.
    quantiles = begun[(np.arange(_PERMILLES + 1) + 5) // 10].astype(np.float64)
    return _estimated(quantiles, 1.0 - dates.values / max(insights.records, 1))


def _mapped(call: Call, argument: Distribution) -> Distribution:
    quantiles, missing = np.asarray(argument.quantiles, dtype=np.float64), argument.missing
    if call.function == "impute":
        [value] = call.parameters
        return _estimated(_with_value(quantiles, float(value), missing), 0.0)
    if call.function == "clip" and len(quantiles):
        low, high = cast(tuple[float, float], call.parameters)
        if low <= quantiles[0] and quantiles[-1] <= high:
            # Mean and deviation of the argument may be exact.
            return argument
    values, valid = stepped(call, quantiles, None)
    if valid is None:
        return _estimated(values, missing)
    kept = values[valid]
    places = np.rint(np.linspace(0, max(len(kept) - 1, 0), _PERMILLES + 1)).astype(np.int64)
    return _estimated(kept[places] if len(kept) else kept, 1.0 - (1.0 - missing) * len(kept) / len(values))


def _with_value(quantiles: Floats, value: float, share: float) -> Floats:
    """Quantiles of values of which a share is replaced by one value."""
    if len(quantiles) == 0 or share >= 1.0:
        return np.full(_PERMILLES + 1, value)
    if share <= 0.0:
        return quantiles
    weights = np.append(np.full(len(quantiles), (1.0 - share) / len(quantiles)), share)
    values = np.append(quantiles, value)
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    places = np.searchsorted(reached, np.arange(_PERMILLES + 1) / _PERMILLES * reached[-1])
    return np.asarray(values[order][np.minimum(places, len(values) - 1)])


def _estimated(quantiles: Floats, missing: float) -> Distribution:
    """The distribution that has these quantiles."""
    if len(quantiles) == 0:
        return Distribution((), missing, 0.0, 0.0)
    # In units of the largest value, whose square may be beyond float64.
    unit = float(np.abs(quantiles).max()) or 1.0
    middles = quantiles[:-1] / unit / 2 + quantiles[1:] / unit / 2
    mean, std = float(middles.mean()), float(middles.std())
    return Distribution(tuple(quantiles.tolist()), missing, mean * unit, std * unit)
