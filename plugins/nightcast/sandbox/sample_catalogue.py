"""The sample's venues, categories and events: what is on, where, when and how popular it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from nightcast.sandbox import sample_names as names
from nightcast.sandbox.sample_calendar import SalesYear, holidays

EVENTS = 8_800
# Events go on this far behind the last day with sales, so that as many are on sale then as before.
EVENTS_AHEAD_DAYS = 75
_FIRST_VENUEID = 1
ACT_SPREAD = 0.95
_ACTS = {"Musicals": 24, "Plays": 40, "Opera": 18, "Pop": 160, "Jazz": 30, "Classical": 30}
_TEAMS = 8
# A list repeated per weekday, Monday first: how many events fall on it.
_EVENT_WEEKDAYS = np.array([0.55, 0.75, 0.85, 1.0, 1.35, 1.45, 1.05])
_STARTS = ((14, 0), (14, 30), (15, 0), (19, 0), (19, 30), (20, 0))


@dataclass(frozen=True)
class Venues:
    """The venues by row number.

    `seats` are the true ones (the table does not know all of them), `interest` is the log of what the
    place adds to demand.
    """

    table: pa.Table
    kinds: np.ndarray
    seats: np.ndarray
    interest: np.ndarray


@dataclass(frozen=True)
class Events:
    """The events by row number, sorted by day.

    `day` counts from the first day with sales, `start` is seconds since then. `interest` is the log of
    the event's own latent demand: act, venue, weekday; no column tells it.
    """

    table: pa.Table
    day: np.ndarray
    start: np.ndarray
    category: np.ndarray
    seats: np.ndarray
    interest: np.ndarray


def category_table() -> pa.Table:
    """The `category` table."""
    rows = [row[:4] for row in names.CATEGORIES]
    columns = list(zip(*rows, strict=True))
    return pa.table(
        {
            "catid": pa.array(columns[0], pa.int16()),
            "catgroup": pa.array(columns[1]),
            "catname": pa.array(columns[2]),
            "catdesc": pa.array(columns[3]),
        }
    )


def _combine(rng: np.random.Generator, firsts: tuple[str, ...], lasts: tuple[str, ...], size: int) -> list[str]:
    """Draw `size` different pairs of words."""
    drawn = rng.choice(len(firsts) * len(lasts), size, replace=False)
    return [f"{firsts[number // len(lasts)]} {lasts[number % len(lasts)]}" for number in drawn.tolist()]


def make_venues(rng: np.random.Generator) -> Venues:
    """Draw the venues; every fourteenth or so has unknown seats: 0, and two of them NULL."""
    kinds = np.array([kind for kind, count, *_ in names.VENUE_KINDS for _ in range(count)])
    venue_names: list[str] = []
    seats: list[np.ndarray] = []
    for _, count, endings, low, high in names.VENUE_KINDS:
        venue_names += _combine(rng, names.VENUE_WORDS, endings, count)
        seats.append(np.exp(rng.uniform(np.log(low), np.log(high), count)))
    places = np.concatenate(seats)
    rounded = (np.round(places / 10) * 10).astype(np.int32)
    rounded[rng.choice(len(kinds), 14, replace=False)] = 0
    unknown = np.zeros(len(kinds), bool)
    unknown[rng.choice(np.flatnonzero(rounded == 0), 2, replace=False)] = True
    cities = rng.integers(0, len(names.CITIES), len(kinds))
    market = np.array([city[2] for city in names.CITIES])
    table = pa.table(
        {
            "venueid": pa.array(np.arange(_FIRST_VENUEID, _FIRST_VENUEID + len(kinds), dtype=np.int16)),
            "venuename": pa.array(venue_names),
            "venuecity": pa.array([names.CITIES[city][0] for city in cities.tolist()]),
            "venuestate": pa.array([names.CITIES[city][1] for city in cities.tolist()]),
            "venueseats": pa.array(rounded, mask=unknown),
        }
    )
    usual = np.concatenate([np.full(count, np.sqrt(low * high)) for _, count, _, low, high in names.VENUE_KINDS])
    interest = market[cities] + 0.45 * np.log(places / usual) + rng.normal(0, 0.15, len(kinds))
    return Venues(table, kinds, places, interest)


def _acts(rng: np.random.Generator, group: str, name: str) -> tuple[list[str], np.ndarray]:
    """Names of all acts of a category, and the log of their popularity."""
    if group == "Sports":
        places = [names.CITIES[city] for city in rng.permutation(len(names.TEAM_WORDS))[:_TEAMS].tolist()]
        words = rng.permutation(len(names.TEAM_WORDS))[:_TEAMS].tolist()
        teams = [f"{place[0]} {names.TEAM_WORDS[word]}" for place, word in zip(places, words, strict=True)]
        strength = rng.normal(0, 0.75, len(teams))
        home, away = np.nonzero(~np.eye(len(teams), dtype=bool))
        pairs = [f"{teams[one]} vs. {teams[two]}" for one, two in zip(home.tolist(), away.tolist(), strict=True)]
        return pairs, strength[home] + 0.6 * strength[away]
    size = _ACTS[name]
    match name:
        case "Musicals" | "Plays" | "Opera":
            acts = _combine(rng, names.TITLE_OPENINGS, names.TITLE_ENDINGS, size)
        case "Classical":
            acts = _combine(rng, names.VENUE_WORDS, names.ENSEMBLES, size)
        case "Jazz":
            people = _combine(rng, names.FIRST_NAMES, names.LAST_NAMES, size)
            bands = rng.integers(0, len(names.JAZZ_BANDS), size).tolist()
            acts = [f"{person} {names.JAZZ_BANDS[band]}" for person, band in zip(people, bands, strict=True)]
        case _:
            bands = _combine(rng, names.ADJECTIVES, names.NOUNS, size // 2)
            acts = bands + _combine(rng, names.FIRST_NAMES, names.LAST_NAMES, size - size // 2)
    return acts, rng.normal(0, ACT_SPREAD, size)


def _draw_days(rng: np.random.Generator, year: SalesYear, season: tuple[float, ...], size: int) -> np.ndarray:
    days = year.calendar()[: year.days + EVENTS_AHEAD_DAYS]
    weights = np.array([season[day.month - 1] for day in days])
    weights = weights * _EVENT_WEEKDAYS[[day.weekday() for day in days]]
    closed = {day for number in {day.year for day in days} for day in holidays(number)}
    weights = weights * np.where([day in closed for day in days], 0.6, 1.0)
    return rng.choice(len(days), size, p=weights / weights.sum())


def _draw_starts(rng: np.random.Generator, weekdays: np.ndarray) -> np.ndarray:
    """Seconds of the day: afternoons at weekends, evenings mostly."""
    weekend = weekdays >= 5
    afternoon = rng.random(len(weekdays)) < np.where(weekend, 0.45, 0.12)
    number = np.where(afternoon, rng.integers(0, 3, len(weekdays)), rng.integers(3, 6, len(weekdays)))
    seconds = np.array([hour * 3600 + minute * 60 for hour, minute in _STARTS])
    return seconds[number]


def make_events(rng: np.random.Generator, year: SalesYear, venues: Venues) -> Events:
    """Draw the events of all categories over the sales year and 75 days behind it."""
    shares = np.array([row[4] for row in names.CATEGORIES])
    counts = np.floor(shares / shares.sum() * EVENTS).astype(int)
    counts[-3] += EVENTS - counts.sum()  # Pop, the largest
    day, venue, interest, event_names = [], [], [], []
    for (_, group, name, *_, kinds), count in zip(names.CATEGORIES, counts.tolist(), strict=True):
        acts, popularity = _acts(rng, group, name)
        act = rng.integers(0, len(acts), count)
        places = np.flatnonzero(np.isin(venues.kinds, kinds))
        here = places[rng.integers(0, len(places), count)]
        day.append(_draw_days(rng, year, names.SEASONS[name], count))
        venue.append(here)
        interest.append(popularity[act] + venues.interest[here] + rng.normal(0, 0.38, count))
        event_names += [acts[number] for number in act.tolist()]
    order = np.lexsort((rng.random(EVENTS), np.concatenate(day)))
    days = np.concatenate(day)[order]
    category = np.repeat(np.arange(len(counts)), counts)[order]
    weekdays = (days + year.start.weekday()) % 7
    start = days.astype(np.int64) * 86_400 + _draw_starts(rng, weekdays)
    weekday_interest = np.array([-0.25, -0.15, -0.1, 0.0, 0.25, 0.3, 0.0])[weekdays]
    places = np.concatenate(venue)[order]
    table = pa.table(
        {
            "eventid": pa.array(np.arange(1, EVENTS + 1, dtype=np.int32)),
            "venueid": pa.array((places + _FIRST_VENUEID).astype(np.int16)),
            "catid": pa.array(np.array([row[0] for row in names.CATEGORIES], np.int16)[category]),
            "dateid": pa.array((days + year.first_dateid).astype(np.int16)),
            "eventname": pa.array(event_names).take(pa.array(order)),
            "starttime": pa.array(year.timestamps(start)),
        }
    )
    latent = np.concatenate(interest)[order] + weekday_interest
    return Events(table, days, start, category, venues.seats[places], latent)
