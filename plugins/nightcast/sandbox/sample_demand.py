"""How many sales each event of the sample has on each day: structure, then count noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nightcast.sandbox import sample_names as names
from nightcast.sandbox.sample_calendar import SalesYear, holidays
from nightcast.sandbox.sample_catalogue import Events

SALES = 170_000
# Buyers' weekdays, Monday first, and months, January first, on the log scale.
_BUYING_WEEKDAY = np.array([-0.12, -0.08, -0.02, 0.08, 0.22, 0.12, -0.2])
_BUYING_MONTH = np.array([-0.15, -0.1, 0.0, 0.05, 0.1, 0.12, 0.08, 0.0, 0.02, 0.05, 0.12, 0.2])
_HOLIDAY = -0.45
_PRICE_ELASTICITY = -1.1
_SALES_PER_SEAT = 0.15
_MIN_LEAD, _MAX_LEAD = 14, 36


@dataclass(frozen=True)
class Demand:
    """What buyers do.

    `price` (dollars) and `on_sale` (day, may lie before day 0 or behind the last) are by event;
    `expected` is the mean number of sales by event over its whole time on sale. `event`, `day` and
    `sales` are by event-day with at least one sale, sorted by event and day.
    """

    price: np.ndarray
    on_sale: np.ndarray
    expected: np.ndarray
    event: np.ndarray
    day: np.ndarray
    sales: np.ndarray


def _market(rng: np.random.Generator, days: int, spread: float, memory: float) -> np.ndarray:
    """A slow random walk that returns to 0: the mood of the market, log scale."""
    steps = rng.normal(0, spread * np.sqrt(1 - memory**2), days)
    level = 0.0
    levels = np.empty(days)
    for day, step in enumerate(steps.tolist()):
        level = memory * level + step
        levels[day] = level
    return levels


def _day_effect(rng: np.random.Generator, year: SalesYear, categories: int) -> np.ndarray:
    """Log effect of the day of sale, by category and day of the calendar."""
    days = year.calendar()
    known = {day for number in {day.year for day in days} for day in holidays(number)}
    effect = _BUYING_WEEKDAY[[day.weekday() for day in days]] + _BUYING_MONTH[[day.month - 1 for day in days]]
    effect = effect + np.where([day in known for day in days], _HOLIDAY, 0.0)
    effect = effect + _market(rng, len(days), 0.10, 0.9)
    moods = [_market(rng, len(days), 0.15, 0.93) for _ in range(categories)]
    effects: np.ndarray = effect + np.stack(moods)
    return effects


def _curve(days_left: np.ndarray, days_since: np.ndarray, rise: np.ndarray) -> np.ndarray:
    """Interest by days to the event: a rush when sale opens, a rise towards the end."""
    interest: np.ndarray = 0.2 + 2.0 * np.exp(-days_left / rise) + 0.6 * np.exp(-days_since / 2.5)
    return interest


def make_demand(rng: np.random.Generator, year: SalesYear, events: Events) -> Demand:
    """Draw prices, opening days and the sales of each event-day within the year.

    The counts are Poisson with a gamma-distributed mean (that is: negative binomial) around
    ``exp(event + price + day) * curve``, scaled so that about `SALES` fall into the year.
    """
    size = len(events.day)
    usual = np.array([row[5] for row in names.CATEGORIES], float)[events.category]
    rise = np.array([row[6] for row in names.CATEGORIES], float)[events.category]
    dearer = rng.normal(0, 0.30, size)
    price = usual * np.exp(0.12 * events.interest + dearer)
    interest = events.interest + _PRICE_ELASTICITY * dearer
    lead = rng.integers(_MIN_LEAD, _MAX_LEAD + 1, size)
    category_level = rng.normal(0, 0.3, len(names.CATEGORIES))[events.category]

    event = np.repeat(np.arange(size), lead + 1)
    since = np.arange(len(event)) - np.repeat(np.cumsum(lead + 1) - lead - 1, lead + 1)
    left = lead[event] - since
    day = events.day[event] - left
    mean = np.exp(interest + category_level)[event] * _curve(left, since, rise[event])
    # On its own day an event sells until it starts.
    mean = mean * np.where(left == 0, (events.start % 86_400 / 86_400)[event], 1.0)
    expected = np.bincount(event, mean, size)

    # Small houses bound the demand for popular acts: nobody resells more tickets than there are seats.
    bound = np.minimum(1.0, _SALES_PER_SEAT * events.seats / (expected / expected.mean() * SALES / size))
    mean, expected = mean * bound[event], expected * bound
    within = (day >= 0) & (day < year.days)
    event, day, mean = event[within], day[within], mean[within]
    mean = mean * np.exp(_day_effect(rng, year, len(names.CATEGORIES)))[events.category[event], day]
    scale = SALES / mean.sum()
    sales = rng.poisson(mean * scale * rng.gamma(8.0, 1 / 8.0, len(mean)))
    sold = sales > 0
    return Demand(price, events.day - lead, expected * scale, event[sold], day[sold], sales[sold])
