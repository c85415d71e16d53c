from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nightcast.evaluation.exact_sums import ExactSums

rows = st.lists(
    st.tuples(st.sampled_from("abc"), st.floats(-1e200, 1e200), st.floats(0, 1e-300)), min_size=1, max_size=40
)


def sums_of(found: list[tuple[str, float, float]]) -> ExactSums:
    sums = ExactSums(2)
    keys = ["c", "unused", "b", "a"]
    codes = np.array([keys.index(key) for key, _, _ in found], dtype=np.int32)
    sums.add(keys, codes, np.array([row[1:] for row in found], dtype=float).reshape(-1, 2))
    return sums


@settings(max_examples=60, deadline=None)
@given(rows)
def test_sums_are_those_of_fractions(found: list[tuple[str, float, float]]) -> None:
    sums = sums_of(found)
    assert sums.records == len(found)
    for column in (0, 1):
        exact = sum(Fraction(row[column + 1]) for row in found)
        assert sums.total(column) == float(exact) == math.fsum(row[column + 1] for row in found)
        assert sums.mean(column) == float(exact / len(found))
    keys, counts, totals = sums.by_key()
    assert keys == sorted({key for key, _, _ in found})
    for place, key in enumerate(keys):
        mine = [row for row in found if row[0] == key]
        assert counts[place] == len(mine)
        assert totals[place, 0] == math.fsum(row[1] for row in mine)


@settings(max_examples=60, deadline=None)
@given(rows, st.lists(st.integers(0, 40), max_size=3), st.randoms(use_true_random=False))
def test_any_parts_in_any_order_give_the_same_bits(found, cuts, random) -> None:
    bounds = [0, *sorted(cut % (len(found) + 1) for cut in cuts), len(found)]
    parts = [sums_of(found[begin:end]) for begin, end in itertools.pairwise(bounds)]
    random.shuffle(parts)
    merged = ExactSums(2)
    for part in parts:
        merged.merge(part)
    assert merged.rows == sums_of(found).rows


def test_no_record_and_no_room() -> None:
    assert ExactSums(1).mean(0) == 0.0
    sums = ExactSums(1)
    sums.add([""], np.zeros(3, dtype=np.int64), np.full((3, 1), 1.7e308))
    assert sums.total(0) == math.inf
    assert sums.mean(0) == 1.7e308
