"""The sample's `listing` and `sales` tables: tickets offered by sellers, and what buyers took."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from nightcast.sandbox.sample_calendar import SalesYear
from nightcast.sandbox.sample_catalogue import Events
from nightcast.sandbox.sample_demand import Demand

# Listings drawn over the whole time on sale of all events; about 186,000 of them fall into the year.
_LISTINGS = 218_000
# A listing is of nine tickets on average: with this bound, only few events offer more tickets than seats.
_SEATS_PER_LISTING = 16
_USERS = 49_990
_QUANTITIES = np.arange(1, 9)
_QUANTITY_SHARES = np.array([0.37, 0.41, 0.08, 0.10, 0.012, 0.02, 0.003, 0.005])
_COMMISSION_PERCENT = 15
_DAY = 86_400
# Share of a day's sales by hour, UTC.
_HOURS = np.array([2, 1, 1, 1, 1, 1, 2, 3, 4, 6, 7, 7, 7, 6, 6, 6, 6, 6, 7, 8, 8, 7, 5, 3], float)


def _dollars(cents: np.ndarray) -> pa.Array[Any]:
    """Whole cents as DECIMAL(8,2), without a detour over floats."""
    words = np.stack([cents, cents >> 63], axis=1).astype("<i8")
    return pa.Array.from_buffers(pa.decimal128(8, 2), len(cents), [None, pa.py_buffer(words.tobytes())])


def _listing_times(
    rng: np.random.Generator, year: SalesYear, events: Events, demand: Demand
) -> tuple[np.ndarray, np.ndarray]:
    """Event and second of every listing, sorted by event and time.

    Each event is offered from the first hour of its opening day (of the year, if that is later) on. How
    much is offered follows what sellers expect, never what is sold later.
    """
    size = len(events.day)
    weight = demand.expected**0.7
    count = np.minimum(_LISTINGS * weight / weight.sum(), events.seats / _SEATS_PER_LISTING)
    event = np.repeat(np.arange(size), rng.poisson(count))
    opening = demand.on_sale.astype(np.int64) * _DAY
    span = events.start - opening
    second = opening[event] + 3_600 + (rng.beta(0.8, 1.7, len(event)) * (span[event] - 7_200)).astype(np.int64)
    first = np.maximum(opening, 0) + rng.integers(0, 3_600, size)
    event = np.concatenate([np.arange(size), event])
    second = np.concatenate([first, second])
    within = (second >= 0) & (second < year.days * _DAY)
    event, second = event[within], second[within]
    order = np.lexsort((second, event))
    return event[order], second[order]


def _sale_times(rng: np.random.Generator, events: Events, demand: Demand) -> tuple[np.ndarray, np.ndarray]:
    """Event and second of every sale, sorted by time; none before 01:00, none after the event began."""
    event = np.repeat(demand.event, demand.sales)
    day = np.repeat(demand.day, demand.sales)
    edges = np.concatenate([[0.0], np.cumsum(_HOURS[1:] / _HOURS[1:].sum())])
    moment = np.interp(rng.random(len(event)), edges, np.arange(1, 25) / 24)
    closing = np.where(day == events.day[event], events.start[event] % _DAY, _DAY)
    opening = 3_600
    second = day * _DAY + opening + ((moment * 24 - 1) / 23 * (closing - opening - 1)).astype(np.int64)
    order = np.lexsort((event, second))
    return event[order], second[order]


@dataclass(frozen=True)
class _Offers:
    """Listings by row, sorted by event and time; `asked` is whole dollars a ticket."""

    event: np.ndarray
    second: np.ndarray
    asked: np.ndarray
    seller: np.ndarray

    def listids(self) -> np.ndarray:
        """`listid` by row: 1 for the oldest listing of all."""
        numbers = np.empty(len(self.event), np.int32)
        numbers[np.lexsort((self.event, self.second))] = np.arange(1, len(self.event) + 1, dtype=np.int32)
        return numbers


def _make_offers(rng: np.random.Generator, year: SalesYear, events: Events, demand: Demand) -> _Offers:
    event, second = _listing_times(rng, year, events, demand)
    asked = np.round(demand.price[event] * np.exp(rng.normal(0, 0.22, len(event))))
    seller = rng.integers(1, _USERS + 1, len(event))
    return _Offers(event, second, np.clip(asked, 10, 2_500).astype(np.int64), seller)


def _choose_listings(rng: np.random.Generator, offers: _Offers, event: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The listing of each sale: the cheaper of two drawn from those already offered for its event."""
    horizon = max(int(offers.second.max()), int(second.max())) + 1
    first = np.searchsorted(offers.event, event)
    known = np.searchsorted(offers.event * horizon + offers.second, event * horizon + second) - first
    one = first + (rng.random(len(first)) * known).astype(np.int64)
    two = first + (rng.random(len(first)) * known).astype(np.int64)
    chosen: np.ndarray = np.where(offers.asked[two] < offers.asked[one], two, one)
    return chosen


def _listing_table(year: SalesYear, eventid: np.ndarray, offers: _Offers, tickets: np.ndarray) -> pa.Table:
    order = np.argsort(offers.listids())
    second, asked, number = offers.second[order], offers.asked[order], tickets[order]
    return pa.table(
        {
            "listid": pa.array(np.arange(1, len(order) + 1, dtype=np.int32)),
            "sellerid": pa.array(offers.seller[order].astype(np.int32)),
            "eventid": pa.array(eventid[offers.event[order]]),
            "dateid": pa.array((second // _DAY + year.first_dateid).astype(np.int16)),
            "numtickets": pa.array(number.astype(np.int16)),
            "priceperticket": _dollars(asked * 100),
            "totalprice": _dollars(asked * number * 100),
            "listtime": pa.array(year.timestamps(second)),
        }
    )


def make_market(rng: np.random.Generator, year: SalesYear, events: Events, demand: Demand) -> dict[str, pa.Table]:
    """The tables `listing` and `sales`, both numbered by time."""
    offers = _make_offers(rng, year, events, demand)
    event, second = _sale_times(rng, events, demand)
    quantity = rng.choice(_QUANTITIES, len(event), p=_QUANTITY_SHARES / _QUANTITY_SHARES.sum())
    buyer = rng.integers(1, _USERS + 1, len(event))
    chosen = _choose_listings(rng, offers, event, second)
    paid = quantity * offers.asked[chosen]
    # A seller offers what he has, whatever is sold of it later: only rarely is a listing larger for its sales.
    offered = rng.integers(2, 17, len(offers.event))
    tickets = np.maximum(offered, np.bincount(chosen, quantity, len(offers.event)).astype(np.int64))
    eventid = events.table["eventid"].to_numpy()
    sales = pa.table(
        {
            "salesid": pa.array(np.arange(1, len(chosen) + 1, dtype=np.int32)),
            "listid": pa.array(offers.listids()[chosen]),
            "sellerid": pa.array(offers.seller[chosen].astype(np.int32)),
            "buyerid": pa.array(buyer.astype(np.int32)),
            "eventid": pa.array(eventid[event]),
            "dateid": pa.array((second // _DAY + year.first_dateid).astype(np.int16)),
            "qtysold": pa.array(quantity.astype(np.int16)),
            "pricepaid": _dollars(paid * 100),
            "commission": _dollars(paid * _COMMISSION_PERCENT),
            "saletime": pa.array(year.timestamps(second)),
        }
    )
    return {"listing": _listing_table(year, eventid, offers, tickets), "sales": sales}
