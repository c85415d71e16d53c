from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightcast.datasource.parts import Datasource, Part
from nightcast.datasource.rearrangement import Rearrangement
from nightcast.datasource.schema import Attribute, AttributeType, Schema
from nightcast.evaluation.held_out import Training, champion_saw, naive_baselines, unseen_by_champion
from nightcast.evaluation.text_keys import TextKey

FIRST = Rearrangement(0, 70)
RANDOM = Rearrangement(0, 70, strategy="random", seed="s")
DATED = Rearrangement(0, 70, strategy="chronological", attribute="day", cuts=(None, "2008-12-15"))
CHALLENGER = Training(FIRST, 560, date(2009, 1, 1))


def saw(challenger, champion, days=56):
    return champion_saw(challenger, champion, days)


@given(age=st.integers(0, 400), percent=st.integers(1, 99), per_day=st.integers(1, 50), days=st.integers(7, 400))
def test_an_older_champion_of_the_same_settings_has_seen_nothing(age, percent, per_day, days):
    mine = Training(Rearrangement(0, percent), per_day * days, date(2009, 1, 1))
    its = replace(mine, cut_off=date.fromordinal(mine.cut_off.toordinal() - age))
    assert not saw(mine, its, days)


def test_a_champion_that_held_out_fewer_days_has_seen_some_until_it_is_old_enough():
    """Ten records a day: the challenger holds out the last 168, the champion held out the last 56."""
    wide = Training(Rearrangement(0, 90), 560, date(2008, 12, 31))
    assert saw(CHALLENGER, wide)
    assert saw(CHALLENGER, replace(wide, cut_off=date(2008, 12, 21)))
    assert not saw(CHALLENGER, replace(wide, cut_off=date(2008, 12, 20)))
    assert saw(CHALLENGER, replace(wide, rearrangement=FIRST, records=140))


def test_a_random_split_keeps_records_on_their_side_while_seed_and_share_are_the_same():
    mine, its = (replace(CHALLENGER, rearrangement=RANDOM, cut_off=date(2009, 1, day)) for day in (2, 1))
    assert not saw(mine, its)
    assert not saw(mine, replace(its, rearrangement=replace(RANDOM, percent_end=60)))
    assert saw(mine, replace(its, rearrangement=replace(RANDOM, percent_end=80)))
    assert saw(mine, replace(its, rearrangement=replace(RANDOM, seed="t")))
    assert saw(mine, replace(its, row_id=False))
    assert saw(mine, replace(its, rearrangement=FIRST))


@pytest.mark.parametrize(
    ("cuts", "expected"), [((None, "2008-12-15"), False), ((None, "2008-12-16"), True), ((None, "2008-11-01"), False)]
)
def test_of_a_chronological_split_the_cuts_tell(cuts, expected):
    mine = replace(CHALLENGER, rearrangement=DATED)
    its = replace(mine, rearrangement=replace(DATED, cuts=cuts))
    assert saw(mine, its) is expected
    unseen = unseen_by_champion(mine, its)
    assert (unseen.percent_begin, unseen.percent_end, unseen.cuts) == (70, 100, (cuts[1], None))


def test_a_champion_that_held_out_nothing_knows_all_before_its_cut_off():
    mine = replace(CHALLENGER, rearrangement=DATED)
    whole = replace(DATED, percent_end=100, cuts=(None, None))
    its = Training(whole, 560, date(2008, 12, 28))
    assert saw(mine, its)
    assert unseen_by_champion(mine, its).cuts == ("2008-12-28", None)
    assert unseen_by_champion(CHALLENGER, CHALLENGER) is None


def datasource():
    schema = Schema((Attribute("id", AttributeType.CATEGORICAL), Attribute("sold", AttributeType.NUMERIC)), row_id="id")
    return Datasource(schema, (Part("s3://b/p", 560, 1, "PARQUET"),))


def test_the_last_period_lies_just_before_the_held_out_records_and_the_season_a_season_before_them():
    key = TextKey(("id",))
    last, season = naive_baselines(datasource(), FIRST, key, (1000, 7, 364), None)
    assert (last.taken.percent_begin, last.taken.percent_end) == (69, 70)
    assert (season.taken.percent_begin, season.taken.percent_end) == (33, 63)
    _, season = naive_baselines(datasource(), FIRST, key, (400, 1, 364), None)
    assert season.actuals is None
    assert "does not hold the held-out days of 364 days ago" in season.reason


def test_a_random_split_has_no_records_before():
    for one in naive_baselines(datasource(), RANDOM, TextKey(("id",)), (56, 1, 364), None):
        assert one.actuals is None
        assert "random" in one.reason
    assert naive_baselines(datasource(), FIRST, None, (56, 1, 364), None) == []
