from __future__ import annotations

import tempfile
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nightcast.errors import RegistryError, StorageError
from nightcast.registry.keys import PromotionKey
from nightcast.registry.model_registry import ModelRegistry
from nightcast.sandbox.persistence import s3_backend
from nightcast.storage import Storage
from registry_entries import NAME, NOON, entry

LATER = NOON + timedelta(hours=1)


def champion(registry, day, **given):
    """Run key of the champion."""
    found = registry.champion_as_of(NAME, date.fromisoformat(day), **given)
    return found and found.entry.run_key


def objects(registry):
    """Name and content of everything in the registry."""
    names = Storage.names_below(registry.storage, f"{registry.root}/")
    return {name.removeprefix(f"{registry.root}/"): Storage.read_bytes(registry.storage, name) for name in names}


def test_a_registry_that_is_not_there_is_empty(registry):
    assert registry.model_names() == []
    assert registry.keys_of(NAME) == []
    assert list(registry.history(NAME)) == []
    assert registry.champion_as_of(NAME, NOON) is None


def test_a_promotion_is_one_object_under_its_cut_off(registry):
    reference = registry.promote(entry())
    assert objects(registry) == {"sales_forecast/2009-01-01/scheduled__1.json": entry().to_bytes()}
    assert reference["uri"] == f"{registry.root}/sales_forecast/2009-01-01/scheduled__1.json"
    assert registry.storage.read_artifact(reference) == entry().to_bytes()
    found = registry.champion_as_of(NAME, date(2009, 1, 1))
    assert (found.entry, found.reference, found.withdrawal) == (entry(), reference, None)


def test_the_champion_is_the_one_of_the_period(registry):
    """A backfill of March sees neither April's model, nor does it displace it."""
    registry.promote(entry("2009-05-01", "scheduled__april"))
    assert champion(registry, "2009-04-01") is None
    registry.promote(entry("2009-04-01", "backfill__march"))
    assert champion(registry, "2009-03-31") is None
    assert champion(registry, "2009-04-01") == champion(registry, "2009-04-30") == "backfill__march"
    assert champion(registry, "2009-05-01") == champion(registry, "2030-01-01") == "scheduled__april"
    evening = datetime(2009, 4, 30, 23, 59, 59, tzinfo=UTC)
    assert registry.champion_as_of(NAME, evening).entry.run_key == "backfill__march"
    assert registry.champion_as_of("another", NOON) is None
    with pytest.raises(RegistryError, match="no time zone"):
        registry.champion_as_of(NAME, datetime(2009, 4, 30))


def test_a_model_is_not_its_own_champion_but_another_of_its_cut_off_is(registry):
    for key in (("2009-04-01", "manual__1"), ("2009-04-01", "scheduled__1"), ("2009-03-31", "scheduled__0")):
        registry.promote(entry(*key))
    assert champion(registry, "2009-04-01", excluding="scheduled__1") == "manual__1"
    assert champion(registry, "2009-04-01", excluding="manual__1") == "scheduled__1"
    assert champion(registry, "2009-03-31", excluding="scheduled__0") is None


def test_the_same_promotion_again_changes_nothing(registry):
    first = registry.promote(entry())
    assert registry.promote(entry(promoted_at=LATER)) == first
    assert objects(registry) == {"sales_forecast/2009-01-01/scheduled__1.json": entry().to_bytes()}


def test_a_run_that_was_trained_again_replaces_its_own_promotion_alone(registry):
    for key in ("scheduled__0", "scheduled__1", "scheduled__2"):
        registry.promote(entry(run_key=key))
    before = objects(registry)
    again = entry(model="trained again", promoted_at=LATER)
    reference = registry.promote(again)
    assert registry.storage.read_artifact(reference) == again.to_bytes()
    assert objects(registry) == {**before, "sales_forecast/2009-01-01/scheduled__1.json": again.to_bytes()}


def test_a_withdrawn_model_is_champion_for_nobody(registry):
    for key in ("2009-01-01", "2009-01-02", "2009-01-03"):
        registry.promote(entry(key))
    before = objects(registry)
    key = entry("2009-01-02").key
    withdrawn = registry.withdraw(NAME, key, "half of the sales were missing", NOON)
    assert withdrawn.entry == entry("2009-01-02")
    assert withdrawn.withdrawal.reason == "half of the sales were missing"
    assert registry.champion_as_of(NAME, date(2009, 1, 2)).entry == entry("2009-01-01")
    assert registry.champion_as_of(NAME, date(2009, 1, 3)).entry == entry("2009-01-03")
    assert registry.withdraw(NAME, key, "again", LATER) == withdrawn
    added = {"sales_forecast/2009-01-02/scheduled__1.withdrawn.json": withdrawn.withdrawal.to_bytes()}
    assert objects(registry) == {**before, **added}
    # The same model, promoted again, stays withdrawn.
    registry.promote(entry("2009-01-02", promoted_at=LATER))
    assert registry.champion_as_of(NAME, date(2009, 1, 2)).entry == entry("2009-01-01")


def test_another_model_of_a_withdrawn_run_is_not_withdrawn(registry):
    registry.promote(entry(model="bad"))
    registry.withdraw(NAME, entry().key, "bad", NOON)
    assert registry.champion_as_of(NAME, NOON) is None
    registry.promote(entry(model="mended"))
    assert registry.champion_as_of(NAME, NOON).entry == entry(model="mended")
    assert [one.withdrawal for one in registry.history(NAME)] == [None]
    registry.withdraw(NAME, entry().key, "bad again", LATER)
    assert registry.champion_as_of(NAME, NOON) is None
    assert registry.promotion(NAME, entry().key).withdrawal.reason == "bad again"


def test_what_was_not_promoted_can_not_be_withdrawn(registry):
    with pytest.raises(RegistryError, match=r"no model sales_forecast was promoted by run scheduled__1 with"):
        registry.withdraw(NAME, entry().key, "bad", NOON)
    registry.promote(entry())
    with pytest.raises(RegistryError, match="no reason"):
        registry.withdraw(NAME, entry().key, "", NOON)
    assert len(objects(registry)) == 1


def test_history_lists_all_promotions_the_greatest_first(registry):
    for key in (("2009-01-02", "manual__1"), ("2009-01-01", "scheduled__1"), ("2009-01-02", "backfill__1")):
        registry.promote(entry(*key))
    registry.promote(entry(model_name="another"))
    registry.withdraw(NAME, PromotionKey(date(2009, 1, 2), "manual__1"), "bad", NOON)
    history = list(registry.history(NAME))
    assert [one.entry.run_key for one in history] == ["manual__1", "backfill__1", "scheduled__1"]
    assert [one.withdrawal is not None for one in history] == [True, False, False]
    assert [one.entry.key for one in history] == registry.keys_of(NAME)
    assert list(registry.history(NAME, until=date(2009, 1, 1))) == history[2:]
    assert registry.promotions_of(NAME, date(2009, 1, 2)) == history[:2]
    assert registry.promotions_of(NAME, date(2009, 1, 3)) == []
    assert registry.model_names() == ["another", NAME]


def test_the_champion_costs_one_listing_and_one_read(registry):
    for day in range(1, 29):
        registry.promote(entry(f"2009-01-{day:02d}"))
    registry.withdraw(NAME, entry("2009-01-02").key, "bad", NOON)
    registry.storage.listed.clear()
    registry.storage.read.clear()
    assert registry.champion_as_of(NAME, date(2009, 1, 20)).entry == entry("2009-01-20")
    assert registry.storage.listed == [f"{registry.root}/sales_forecast/"]
    assert registry.storage.read == [f"{registry.root}/sales_forecast/2009-01-20/scheduled__1.json"]
    # A withdrawn one that goes before costs its entry and its withdrawal.
    assert registry.champion_as_of(NAME, date(2009, 1, 2)).entry == entry("2009-01-01")
    assert len(registry.storage.read) == 1 + 3


def test_damage_is_told_and_mended_by_promoting_again(registry):
    uri = registry.promote(entry())["uri"]
    registry.storage.write_bytes(uri, b"{}", "application/json")
    with pytest.raises(RegistryError, match=r"scheduled__1\.json is no sound document"):
        registry.champion_as_of(NAME, NOON)
    registry.promote(entry())
    assert registry.champion_as_of(NAME, NOON).entry == entry()


def test_an_entry_in_the_wrong_place_is_told(registry):
    uri = registry.promote(entry())["uri"]
    registry.storage.copy(uri, uri.replace("2009-01-01", "2009-01-02"))
    with pytest.raises(RegistryError, match=r"2009-01-02/scheduled__1\.json.*speaks of .* 2009-01-01"):
        registry.champion_as_of(NAME, NOON)


def test_names_that_can_not_stand_in_a_place_are_refused(registry):
    for name in ("", "a/b", "..", "a b"):
        with pytest.raises(RegistryError, match="model name"):
            registry.champion_as_of(name, NOON)
        with pytest.raises(RegistryError, match="model name"):
            entry(model_name=name)


def test_a_storage_that_fails_is_told(s3_options):
    with pytest.raises(StorageError, match="no-such-bucket"):
        ModelRegistry(Storage(s3_options), "s3://no-such-bucket/registry").promote(entry())
    with pytest.raises(StorageError, match="no-such-bucket"):
        ModelRegistry(Storage(s3_options), "s3://no-such-bucket/registry").champion_as_of(NAME, NOON)


def test_more_than_a_page_of_promotions_is_listed(s3_options, tmp_path):
    """S3 lists 1,000 keys at a time."""
    prefix = f"{tmp_path.name}/registry"
    first = date(2001, 1, 1)
    entries = [entry((first + timedelta(days=day)).isoformat()) for day in range(1_003)]
    for one in entries:
        s3_backend().put_object("nightcast", f"{prefix}/{NAME}/{one.key.entry}", one.to_bytes())
    registry = ModelRegistry(Storage(s3_options), f"s3://nightcast/{prefix}")
    assert len(registry.keys_of(NAME)) == 1_003
    for one in (entries[999], entries[1_002]):
        assert registry.champion_as_of(NAME, one.cut_off).entry == one


PROMOTIONS = st.lists(
    st.tuples(st.integers(1, 5), st.sampled_from(["backfill__1", "manual__1", "scheduled__1"])), max_size=6, unique=True
)


@settings(max_examples=25, deadline=None)
@given(promotions=PROMOTIONS, data=st.data())
def test_arrival_has_no_say_and_the_future_is_not_seen(promotions, data):
    """As of any day the champion is the same for any order of arrival, with and without what comes later."""
    with tempfile.TemporaryDirectory() as folder:
        one, other = (ModelRegistry(Storage(), str(Path(folder) / name)) for name in ("one", "other"))
        for day, key in promotions:
            one.promote(entry(f"2009-01-0{day}", key))
        for day, key in sorted(data.draw(st.permutations(promotions)), key=lambda pair: -pair[0]):
            before = [other.champion_as_of(NAME, date(2009, 1, early)) for early in range(1, day)]
            other.promote(entry(f"2009-01-0{day}", key))
            assert [other.champion_as_of(NAME, date(2009, 1, early)) for early in range(1, day)] == before
        for day in range(1, 6):
            found = [registry.champion_as_of(NAME, date(2009, 1, day)) for registry in (one, other)]
            eligible = [(cut_off, key) for cut_off, key in promotions if cut_off <= day]
            expected = entry(f"2009-01-0{max(eligible)[0]}", max(eligible)[1]) if eligible else None
            assert [each and each.entry for each in found] == [expected, expected]
