from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nightcast.mlmodel import pair_counts
from nightcast.mlmodel.count_units import Followers, Kind, Name, combined
from nightcast.mlmodel.gram import Gram
from nightcast.recipe.pieces import ManyHot, OneHot, Piece, to_csr

DAYS = 9


def batch(rng: np.random.Generator, records: int, broken: float, listed: bool) -> list[Piece]:
    """A day, a week day and a month that follow from it but for a share, and two pieces that do not."""
    day = rng.integers(0, DAYS, records)
    odd = rng.random(records) < broken
    week_day = np.where(odd, rng.integers(0, 4, records), day % 4)
    month = np.where(odd, 0, day // 4)
    first: Piece = OneHot(0, DAYS - 1, day)
    if listed:
        first = ManyHot(0, DAYS - 1, day, np.arange(DAYS + 1).clip(1) - 1, np.arange(DAYS - 1))
    return [
        first,
        OneHot(8, 3, week_day),
        OneHot(11, 2, month),
        OneHot(13, 5, rng.integers(0, 6, records)),
        OneHot(18, 30, rng.integers(0, 31, records)),
    ]


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 300), st.sampled_from([0.0, 0.0, 0.01, 0.5])), min_size=1, max_size=4),
    st.booleans(),
    st.booleans(),
    st.integers(0, 99),
)
def test_counts_of_pieces_that_follow_are_those_of_the_matrix(
    batches: list[tuple[int, float]], listed: bool, weighted: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    found, expected = Gram(np.zeros(48)), np.zeros((48, 48))
    for records, broken in batches:
        pieces = batch(rng, records, broken, listed)
        weights = rng.random(records) if weighted else None
        found.add(pieces, np.zeros(records), weights)
        dense = to_csr(pieces, records, 48).toarray()
        expected += (dense if weights is None else dense * weights[:, None]).T @ dense
    np.testing.assert_allclose(found.products(), np.triu(expected), rtol=1e-12, atol=1e-9)


@pytest.mark.parametrize("listed", [False, True])
def test_pieces_that_follow_get_no_counts_of_their_own(listed: bool) -> None:
    found = Gram(np.zeros(48))
    found.add(batch(np.random.default_rng(1), 2_000, 0.0, listed), np.zeros(2_000))
    names = {name for key in found._counts._tables for name in key}
    leading = {name for name in names if len(name.axes) == 3}
    assert [name.axes for name in leading] == [((0, 9), (8, 4), (11, 3))]
    assert {name.kind for name in leading} == {Kind.LISTS if listed else Kind.LED}
    assert {name.axes for name in names - leading} == {((13, 6), (18, 31))}


def test_a_piece_that_no_longer_follows_is_counted_again() -> None:
    rng, found = np.random.default_rng(2), Followers()
    first = batch(rng, 500, 0.0, listed=False)
    pieces = [piece for piece in first if isinstance(piece, OneHot)]
    found.look([(piece.start, piece.codes) for piece in pieces], pieces)
    assert list(found.of(0)) == [8, 11]
    later = [piece for piece in batch(rng, 500, 0.2, listed=False) if isinstance(piece, OneHot)]
    assert found.following(0, later[0].codes, 9, later[1:3]) == []
    assert list(found.of(0)) == []
    assert found.found == {8, 11}


def test_two_columns_of_lists_outgrow_their_room_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pair_counts, "_LEAST_ROOM", 4)
    rng, found, expected = np.random.default_rng(3), Gram(np.zeros(12)), np.zeros((12, 12))
    for _ in range(6):
        pieces: list[Piece] = []
        for start in (0, 6):
            held = rng.random((3, 6)) < 0.5
            offsets = np.concatenate(([0], np.cumsum(held.sum(axis=1))))
            pieces.append(ManyHot(start, 6, rng.integers(0, 3, 300), offsets, np.nonzero(held)[1]))
        found.add(pieces, np.zeros(300))
        dense = to_csr(pieces, 300, 12).toarray()
        expected += dense.T @ dense
    assert (found.products() == np.triu(expected)).all()


def test_small_pieces_are_combined() -> None:
    pieces = [OneHot(0, 2, np.array([0, 2])), OneHot(2, 99, np.array([7, 9])), OneHot(101, 3, np.array([3, 1]))]
    [small, large] = combined(pieces)
    assert small.name == Name(Kind.COMBINED, ((0, 3), (101, 4)))
    assert small.codes.tolist() == [3, 9]
    assert small.name.combined_codes(1)[small.codes].tolist() == [3, 1]
    assert (large.width, large.codes.tolist()) == (100, [7, 9])
