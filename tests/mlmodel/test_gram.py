from __future__ import annotations

import itertools
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nightcast.mlmodel import member_pairs, pair_counts
from nightcast.mlmodel.block_sums import BlockSums
from nightcast.mlmodel.gram import Gram
from nightcast.recipe.pieces import ManyHot, OneHot, linear_scores, to_csr
from random_pieces import number_centers, random_pieces


@pytest.fixture(params=[(4_000_000, 1), (3, 10**9), (3, 0)])
def limits(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(member_pairs, "_PAIRS_AT_ONCE", request.param[0])
    monkeypatch.setattr(member_pairs, "_MEMBERS_AT_ONCE", request.param[0])
    monkeypatch.setattr(pair_counts, "_RECORDS_A_LIST", request.param[1])


KINDS = ["", "o", "d", "m", "oo", "dd", "mm", "mt", "od", "do", "om", "mo", "dm", "md", "odmomd", "ottod"]


@pytest.mark.usefixtures("limits")
@pytest.mark.parametrize("kinds", KINDS)
@pytest.mark.parametrize("records", [0, 1, 50])
@pytest.mark.parametrize("weighted", [False, True])
def test_sums_are_those_of_the_matrix(kinds: str, records: int, weighted: bool) -> None:
    pieces, features = random_pieces(1, records, kinds)
    weights = np.random.default_rng(3).random(records) if weighted else None
    target = np.random.default_rng(2).normal(size=records)
    centers = number_centers(pieces, features)
    dense = to_csr(pieces, records, features).toarray() - centers

    found = Gram(centers)
    found.add(pieces, target, weights)
    heavy = dense if weights is None else dense * weights[:, None]
    np.testing.assert_allclose(found.products(), np.triu(heavy.T @ dense), rtol=1e-12, atol=1e-9)
    np.testing.assert_allclose(found.with_target, heavy.T @ target, rtol=1e-12, atol=1e-9)
    np.testing.assert_allclose(found.sums, heavy.sum(axis=0), rtol=1e-12, atol=1e-9)
    direction = np.random.default_rng(4).normal(size=features)
    np.testing.assert_allclose(found.times(direction), heavy.T @ (dense @ direction), rtol=1e-9, atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(st.text("odmt", max_size=4), st.integers(0, 200), st.lists(st.integers(0, 200), max_size=3), st.integers(0, 9))
def test_merged_parts_are_the_whole(kinds: str, records: int, cuts: list[int], seed: int) -> None:
    pieces, features = random_pieces(seed, records, kinds)
    target = np.arange(records) / 3
    whole, merged = Gram(np.zeros(features)), Gram(np.zeros(features))
    whole.add(pieces, target)
    bounds = [0, *sorted(cut % (records + 1) for cut in cuts), records]
    for begin, end in itertools.pairwise(bounds):
        part = Gram(np.zeros(features))
        part.add([piece.taken(np.arange(begin, end)) for piece in pieces], target[begin:end])
        merged.merge(pickle.loads(pickle.dumps(part)))
    for found, expected in [
        (merged.products(), whole.products()),
        (merged.with_target, whole.with_target),
        (merged.sums, whole.sums),
    ]:
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-9)


def test_lists_beyond_those_that_are_kept_are_counted_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pair_counts, "_MOST_LISTS", 5)
    found, products = Gram(np.zeros(9)), np.zeros((9, 9))
    rng = np.random.default_rng(5)
    for _ in range(4):
        held = rng.random((4, 6)) < 0.5
        offsets = np.concatenate(([0], np.cumsum(held.sum(axis=1))))
        pieces = [
            OneHot(0, 3, rng.integers(0, 4, 400)),
            ManyHot(3, 6, rng.integers(0, 4, 400), offsets, np.nonzero(held)[1]),
        ]
        found.add(pieces, np.zeros(400))
        dense = to_csr(pieces, 400, 9).toarray()
        products += dense.T @ dense
    assert (found.products() == np.triu(products)).all()


def test_counts_do_not_overflow_the_small_numbers_they_travelled_as() -> None:
    sums, total = BlockSums(), BlockSums()
    sums.add(0, 0, np.full(3, 250, dtype=np.int32))
    travelled = pickle.loads(pickle.dumps(sums))
    travelled.add(0, 0, np.full(3, 250, dtype=np.int32))
    assert travelled.diagonal(3).tolist() == [500.0] * 3
    for _ in range(300):
        total.merge(pickle.loads(pickle.dumps(sums)))
    assert total.diagonal(3).tolist() == [75_000.0] * 3


def test_sparse_and_full_blocks_travel_unchanged() -> None:
    sums = BlockSums()
    sums.add(0, 0, np.arange(70_000))
    sums.add(0, 70_000, np.eye(300, dtype=np.int64))
    sums.add(70_000, 70_000, np.full((2, 2), 0.1))
    size = len(pickle.dumps(sums))
    assert size < 70_000 * 4 + 300 * 6 + 1_000
    for key, block in pickle.loads(pickle.dumps(sums))._blocks.items():
        assert (block.dtype.kind == "f") == (key == (70_000, 70_000))
        assert (block == sums._blocks[key]).all()


@settings(max_examples=40, deadline=None)
@given(st.text("odmt", max_size=5), st.integers(0, 30), st.integers(0, 9))
def test_scores_are_those_of_the_matrix(kinds: str, records: int, seed: int) -> None:
    pieces, features = random_pieces(seed, records, kinds)
    weights = np.random.default_rng(seed).normal(size=features)
    expected = 0.5 + to_csr(pieces, records, features) @ weights
    np.testing.assert_allclose(linear_scores(pieces, weights, 0.5, records), expected, rtol=1e-12, atol=1e-12)
