from __future__ import annotations

import doctest
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightcast.errors import RegistryError
from nightcast.registry import keys
from nightcast.registry.keys import Listed, PromotionKey, listed_by_model, utc_day

DAYS = st.dates(date(2008, 1, 1), date(2008, 1, 12))
KEYS = st.builds(PromotionKey, DAYS, st.sampled_from(["backfill__1", "manual__1", "manual__2", "scheduled__1"]))
PROMOTIONS = st.lists(KEYS, max_size=12)


def champion(promoted, instant, excluding=None):
    """The first of the keys in the places that the promotions have."""
    places = [f"m/{key.entry}" for key in promoted]
    return next(iter(listed_by_model(places).get("m", Listed()).newest_first(instant, excluding)), None)


@given(promoted=PROMOTIONS, instant=DAYS, data=st.data())
def test_the_champion_does_not_hang_on_the_order_of_arrival(promoted, instant, data):
    other = data.draw(st.permutations(promoted))
    found = champion(promoted, instant)
    assert found == champion(other, instant) == champion(promoted + other, instant)
    eligible = [key for key in promoted if key.cut_off <= instant]
    assert (found is None) == (eligible == [])
    if found is not None:
        assert found in eligible
        assert all((key.cut_off, key.run_key) <= (found.cut_off, found.run_key) for key in eligible)


@given(promoted=PROMOTIONS, later=PROMOTIONS, instant=DAYS)
def test_later_cut_offs_never_change_an_earlier_champion(promoted, later, instant):
    after = [key for key in later if key.cut_off > instant]
    assert champion(promoted + after, instant) == champion(promoted, instant)


@given(promoted=PROMOTIONS, backfilled=PROMOTIONS, today=DAYS)
def test_earlier_cut_offs_never_displace_a_champion(promoted, backfilled, today):
    before = champion(promoted, today)
    if before is not None:
        assert champion(promoted + [key for key in backfilled if key.cut_off < before.cut_off], today) == before


@given(promoted=PROMOTIONS, instant=DAYS)
def test_a_run_that_is_excluded_might_as_well_not_be_there(promoted, instant):
    others = [key for key in promoted if key.run_key != "manual__1"]
    assert champion(promoted, instant, "manual__1") == champion(others, instant)


def test_places_are_read_back():
    key = PromotionKey(date(2008, 4, 1), "manual__2008-04-01T02-00-00-00-00-1a2b3c4d")
    assert key.entry == "2008-04-01/manual__2008-04-01T02-00-00-00-00-1a2b3c4d.json"
    listed = listed_by_model([f"b/{key.entry}", f"a/{key.entry}", f"a/{key.withdrawal}"])
    assert list(listed) == ["a", "b"]
    assert listed["a"] == Listed(frozenset([key]), frozenset([key]))
    assert listed["b"] == Listed(frozenset([key]))


@pytest.mark.parametrize(
    "place",
    [
        "m/2008-04-01/.r1.json.x7f3",
        "m/2008-04-01/.r1.json",
        "m/2008-04-01/r1.txt",
        "m/2008-04-01/.json",
        "m/2008-04-01/below/r1.json",
        "m/2008-W14-2/r1.json",
        "m/20080401/r1.json",
        "m/2008-04-31/r1.json",
        "m/r1.json",
        "r1.json",
        "m/2008-04-01/",
        "",
        "m n/2008-04-01/r1.json",
        "m/2008-04-01/r1.withdrawn.withdrawn.json",
    ],
)
def test_what_is_no_promotion_is_left_out(place):
    assert listed_by_model([place]) == {}


def test_a_withdrawal_alone_is_no_model():
    assert listed_by_model(["m/2008-04-01/r1.withdrawn.json"]) == {}


@pytest.mark.parametrize("run_key", ["", ".r", "a/b", "a b", "r1.withdrawn"])
def test_run_keys_that_can_not_be_told_apart_are_refused(run_key):
    with pytest.raises(RegistryError, match="run key"):
        PromotionKey(date(2008, 4, 1), run_key)


def test_instants_are_days_of_utc():
    assert utc_day(date(2008, 4, 1)) == date(2008, 4, 1)
    assert utc_day(datetime(2008, 4, 1, tzinfo=UTC)) == date(2008, 4, 1)
    assert utc_day(datetime(2008, 4, 1, 1, tzinfo=timezone(timedelta(hours=2)))) == date(2008, 3, 31)
    with pytest.raises(RegistryError, match="no time zone"):
        utc_day(datetime(2008, 4, 1))


def test_examples_in_docstrings_are_true():
    outcome = doctest.testmod(keys)
    assert outcome.attempted > 0 and outcome.failed == 0
