from __future__ import annotations

import itertools
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nightcast.datasource.parts import Batch, NumberedPart, Part
from nightcast.datasource.rearrangement import Rearrangement
from nightcast.datasource.schema import Attribute, AttributeType, Schema
from nightcast.errors import RearrangementError

ranges = st.tuples(st.integers(0, 100), st.integers(0, 100)).filter(lambda ends: ends[0] < ends[1])
SCHEMA = Schema((Attribute("n", AttributeType.NUMERIC),))
strategies = st.sampled_from(["sequential", "random"])


def taken(rearrangement: Rearrangement, total: int, cuts: list[int], ids: pa.Array | None = None) -> np.ndarray:
    """The mask of all records, read in batches that end at `cuts`."""
    bounds = [0, *sorted(cut % (total + 1) for cut in cuts), total]
    masks = []
    for first, last in itertools.pairwise(bounds):
        columns = {} if ids is None else {"id": ids.slice(first, last - first)}
        masks.append(
            rearrangement.mask(Batch(first, columns, {}, last - first), total, "id" if ids is not None else None)
        )
    return np.concatenate(masks)


@settings(max_examples=60, deadline=None)
@given(ranges, strategies, st.text(max_size=5), st.integers(0, 300), st.lists(st.integers(0, 300), max_size=4))
def test_range_and_complement_part_the_records(
    ends: tuple[int, int], strategy: str, seed: str, total: int, cuts: list[int]
) -> None:
    if ends == (0, 100):
        return
    inside = Rearrangement(*ends, strategy=strategy, seed=seed)

    assert (taken(inside, total, cuts) ^ taken(inside.complemented(), total, [])).all()
    assert inside.complemented().complemented() == inside


@settings(max_examples=60, deadline=None)
@given(st.sets(st.integers(1, 99), max_size=5), strategies, st.integers(0, 300), st.booleans())
def test_neighbouring_ranges_are_disjoint_and_exhaustive(
    cuts: set[int], strategy: str, total: int, with_ids: bool
) -> None:
    ids = pa.array([f"sale-{n}" if n % 7 else None for n in range(total)], pa.string()) if with_ids else None
    ends = [0, *sorted(cuts), 100]
    masks = [
        taken(Rearrangement(begin, end, strategy=strategy), total, [], ids) for begin, end in itertools.pairwise(ends)
    ]

    assert (np.sum(masks, axis=0) == 1).all()


@pytest.mark.parametrize(
    ("total", "begin", "end", "expected"),
    [(10, 0, 70, range(7)), (10, 70, 100, range(7, 10)), (1047, 0, 70, range(732)), (3, 30, 70, range(2)),
     (1, 0, 50, range(0)), (1, 50, 100, range(1))],
)  # fmt: skip
def test_sequential_cuts_are_at_the_floor(total: int, begin: int, end: int, expected: range) -> None:
    found = np.flatnonzero(taken(Rearrangement(begin, end), total, [2, 5]))

    assert found.tolist() == list(expected)


@settings(max_examples=100, deadline=None)
@given(ranges, st.booleans(), st.integers(0, 300), st.integers(0, 300), st.integers(0, 300))
def test_parts_are_left_out_that_no_record_is_taken_of(
    ends: tuple[int, int], complement: bool, total: int, first: int, records: int
) -> None:
    first = min(first, total)
    records = min(records, total - first)
    rearrangement = Rearrangement(*ends, complement=complement and ends != (0, 100))
    numbered = NumberedPart(Part("p", records, 1, "PARQUET"), first, SCHEMA, total)
    mask = rearrangement.mask(Batch(first, {}, {}, records), total, None)

    assert rearrangement.leaves_out(numbered) is not bool(mask.any()) or records == 0
    # What depends on row ids is not known before they are read.
    assert not replace(rearrangement, strategy="random").leaves_out(numbered)


def test_a_sequential_cut_of_many_records_is_exact() -> None:
    total = 10**12 + 7
    cut = total * 29 // 100
    mask = Rearrangement(0, 29).mask(Batch(cut - 2, {}, {}, 4), total, None)

    assert mask.tolist() == [True, True, False, False]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 5000), max_size=6), st.booleans())
def test_a_random_split_does_not_depend_on_parts_and_batches(cuts: list[int], coded: bool) -> None:
    ids = pa.array([f"sale-{n % 1999}" for n in range(5000)])
    split = Rearrangement(0, 70, strategy="random", seed="s")
    whole = taken(split, 5000, [], ids)

    assert (taken(split, 5000, cuts, ids.dictionary_encode() if coded else ids) == whole).all()


def test_the_same_row_id_falls_on_the_same_side_in_any_order() -> None:
    names = np.array([f"sale-{n}" for n in range(2000)])
    order = np.random.default_rng(1).permutation(2000)
    split = Rearrangement(0, 70, strategy="random")

    assert (taken(split, 2000, [], pa.array(names))[order] == taken(split, 2000, [], pa.array(names[order]))).all()


@settings(max_examples=30, deadline=None)
@given(st.permutations(range(200)), st.lists(st.integers(0, 200), max_size=4), ranges)
def test_a_record_keeps_its_side_when_records_move_between_parts(
    order: list[int], cuts: list[int], ends: tuple[int, int]
) -> None:
    names = [f"sale-{n}" for n in range(200)]
    split = Rearrangement(*ends, strategy="random", seed="s")
    sides = dict(zip(names, taken(split, 200, [], pa.array(names)), strict=True))
    moved = [names[place] for place in order]

    assert taken(split, 200, cuts, pa.array(moved)).tolist() == [sides[name] for name in moved]


def test_a_record_without_row_id_is_placed_by_its_number() -> None:
    split = Rearrangement(0, 50, strategy="random", seed="s")
    by_number = taken(split, 400, [])

    assert (taken(split, 400, [], pa.nulls(400, pa.string())) == by_number).all()
    assert (taken(split, 400, [], pa.nulls(400, pa.string()).dictionary_encode()) == by_number).all()


@pytest.mark.parametrize("percent", [1, 30, 70, 99])
@pytest.mark.parametrize("with_ids", [False, True])
def test_the_share_of_a_random_split_is_close_to_the_percentage(percent: int, with_ids: bool) -> None:
    total = 100_000
    ids = pa.array([str(n) for n in range(total)]) if with_ids else None
    share = taken(Rearrangement(0, percent, strategy="random", seed="any"), total, [], ids).mean()

    # Five standard deviations of a fair draw.
    assert abs(share - percent / 100) < 5 * np.sqrt(percent / 100 * (1 - percent / 100) / total)


def test_each_percent_of_a_random_split_is_equally_full() -> None:
    counts = [
        int(taken(Rearrangement(p, p + 1, strategy="random"), 200_000, []).sum()) for p in range(100)
    ]  # fmt: skip
    chi_squared = sum((count - 2000) ** 2 / 2000 for count in counts)

    assert 50 < chi_squared < 160


def test_seeds_give_independent_splits() -> None:
    first, second = (taken(Rearrangement(0, 50, strategy="random", seed=seed), 100_000, []) for seed in ("a", "b"))

    assert abs((first & second).mean() - 0.25) < 0.01


def test_the_random_numbers_are_those_of_every_release() -> None:
    # A model is evaluated on records that an older release left out of its training: the places must never move.
    ids = pa.array(["", "1", "sale-17", "a much longer name of a record, with ü", None])
    batch = Batch(1_000_000, {"id": ids})
    places = [
        next(p for p in range(100) if Rearrangement(p, p + 1, strategy="random", seed="x").mask(batch, 9, "id")[n])
        for n in range(5)
    ]

    assert places == GOLDEN_PLACES


GOLDEN_PLACES = [86, 74, 16, 83, 21]


def test_ids_that_are_numbers_are_placed_by_their_value() -> None:
    ids = pa.array([1.0, 2.0, 1.0, 0.0, -0.0])
    mask = Rearrangement(0, 50, strategy="random", seed="s").mask(Batch(7, {"id": ids}), 12, "id")

    assert mask[0] == mask[2] and mask[3] == mask[4]


def test_a_random_split_needs_the_row_id_column() -> None:
    with pytest.raises(RearrangementError, match="needs the row id 'id'"):
        Rearrangement(0, 70, strategy="random").mask(Batch(0, {}, {}, 3), 3, "id")


def test_the_canonical_string_is_read_and_written() -> None:
    text = (
        '{"splitting": {"percentBegin": 70, "percentEnd": 100, "complement": false, '
        '"strategy": "random", "strategyParams": {"randomSeed": "s3://bucket/sales/"}}}'
    )
    found = Rearrangement.from_json(text)

    assert found == Rearrangement(70, 100, False, "random", "s3://bucket/sales/")
    assert found.to_json() == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Rearrangement()),
        ("{}", Rearrangement()),
        ('{"splitting": {"percentBegin": 70}}', Rearrangement(70, 100)),
        ('{"splitting": {"percentEnd": 70, "complement": "true"}}', Rearrangement(0, 70, True)),
        ('{"splitting": {"percentEnd": 70, "complement": "false"}}', Rearrangement(0, 70)),
    ],
)
def test_defaults_are_filled_in(text: str, expected: Rearrangement) -> None:
    assert Rearrangement.from_json(text) == expected


@settings(max_examples=50)
@given(ranges, strategies, st.text(st.characters(codec="utf-8"), max_size=8))
def test_every_rearrangement_survives_the_round_trip(ends: tuple[int, int], strategy: str, seed: str) -> None:
    complement = ends != (0, 100)
    original = Rearrangement(*ends, complement, strategy, seed if strategy == "random" else "")

    assert Rearrangement.from_json(original.to_json()) == original


@pytest.mark.parametrize(
    ("splitting", "message"),
    [
        ({"percentBegin": 70, "percentEnd": 70}, "percentBegin 70 is not below percentEnd 70"),
        ({"percentBegin": 80, "percentEnd": 70}, "percentBegin 80 is not below percentEnd 70"),
        ({"percentBegin": -1}, "percentBegin must be a whole number from 0 to 100, not -1"),
        ({"percentEnd": 101}, "percentEnd must be a whole number"),
        ({"percentEnd": 33.3}, "percentEnd must be a whole number"),
        ({"percentEnd": "70"}, "percentEnd must be a whole number"),
        ({"percentEnd": True}, "percentEnd must be a whole number"),
        ({"complement": True}, "the complement of 0 to 100 percent holds no record"),
        ({"complement": "yes"}, "complement must be true or false"),
        ({"strategy": "shuffle"}, "strategy must be"),
        ({"strategyParams": {"randomSeed": 7}}, "randomSeed must be a string"),
        ({"strategyParams": {"seed": "7"}}, "unknown key 'seed'"),
        ({"strategyParams": "7"}, '"strategyParams" must be an object'),
        ({"randomSeed": "7"}, "unknown key 'randomSeed'"),
    ],
)
def test_a_fault_is_named(splitting: dict[str, Any], message: str) -> None:
    with pytest.raises(RearrangementError) as caught:
        Rearrangement.from_json(json.dumps({"splitting": splitting}))

    assert message in str(caught.value)


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 105) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)
_keys = st.sampled_from(["percentBegin", "percentEnd", "complement", "strategy", "strategyParams", "x"])


@settings(max_examples=200)
@given(st.dictionaries(_keys, _json, max_size=4), _json, st.text(max_size=30))
@example({"strategy": "chronological", "strategyParams": {"attribute": "t", "cuts": [10**400, None]}}, None, "")
def test_nothing_but_a_rearrangement_error_escapes(splitting: dict[str, Any], other: Any, text: str) -> None:
    chronological = {**splitting, "strategy": "chronological", "strategyParams": {"attribute": "t", "cuts": other}}
    documents = [{"splitting": splitting}, {"splitting": chronological}, {"splitting": other}, other]
    for attempt in (*(json.dumps(document) for document in documents), text):
        try:
            assert isinstance(Rearrangement.from_json(attempt), Rearrangement)
        except RearrangementError:
            continue
