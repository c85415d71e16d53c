from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nightcast.mlmodel import gram
from nightcast.mlmodel.gram import Gram
from nightcast.recipe.pieces import Dense, ManyHot, OneHot, Piece, linear_scores, to_csr


def random_pieces(seed: int, records: int, kinds: str) -> tuple[list[Piece], int]:
    rng = np.random.default_rng(seed)
    pieces: list[Piece] = []
    start = 0
    for kind in kinds:
        size = 1 if kind == "d" else int(rng.integers(1, 6))
        if kind == "o":
            pieces.append(OneHot(start, size, rng.integers(0, size + 1, records)))
        elif kind == "d":
            pieces.append(Dense(start, rng.normal(100, 3, records)))
        else:
            held = rng.random((records, size)) < 0.4
            offsets = np.concatenate(([0], np.cumsum(held.sum(axis=1))))
            pieces.append(ManyHot(start, size, offsets, np.nonzero(held)[1]))
        start += size
    return pieces, start


def sliced(piece: Piece, begin: int, end: int) -> Piece:
    if isinstance(piece, OneHot):
        return OneHot(piece.start, piece.size, piece.codes[begin:end])
    if isinstance(piece, Dense):
        return Dense(piece.start, piece.values[begin:end])
    offsets = piece.offsets[begin : end + 1]
    return ManyHot(piece.start, piece.size, offsets - offsets[0], piece.members[offsets[0] : offsets[-1]])


@pytest.fixture(params=[(2_000_000, 4_000_000), (0, 3)])
def limits(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gram, "_TABLE_CELLS", request.param[0])
    monkeypatch.setattr(gram, "_PAIRS_AT_ONCE", request.param[1])


@pytest.mark.usefixtures("limits")
@pytest.mark.parametrize("kinds", ["", "o", "d", "m", "oo", "dd", "mm", "od", "do", "om", "mo", "dm", "md", "odmomd"])
@pytest.mark.parametrize("records", [0, 1, 50])
def test_sums_are_those_of_the_matrix(kinds: str, records: int) -> None:
    pieces, features = random_pieces(1, records, kinds)
    target = np.random.default_rng(2).normal(size=records)
    centers = np.zeros(features)
    for piece in pieces:
        if isinstance(piece, Dense):
            centers[piece.start] = 99.5
    dense = to_csr(pieces, records, features).toarray() - centers

    found = Gram(centers)
    found.add(pieces, target)
    expected = dense.T @ dense
    np.testing.assert_allclose(np.triu(found.products), np.triu(expected), rtol=1e-12, atol=1e-9)
    np.testing.assert_allclose(found.with_target, dense.T @ target, rtol=1e-12, atol=1e-9)
    np.testing.assert_allclose(found.sums, dense.sum(axis=0), rtol=1e-12, atol=1e-9)


@settings(max_examples=40, deadline=None)
@given(st.text("odm", max_size=4), st.integers(0, 40), st.lists(st.integers(0, 40), max_size=3), st.integers(0, 9))
def test_merged_parts_are_the_whole(kinds: str, records: int, cuts: list[int], seed: int) -> None:
    pieces, features = random_pieces(seed, records, kinds)
    target = np.arange(records) / 3
    whole, merged = Gram(np.zeros(features)), Gram(np.zeros(features))
    whole.add(pieces, target)
    bounds = [0, *sorted(cut % (records + 1) for cut in cuts), records]
    for begin, end in itertools.pairwise(bounds):
        part = Gram(np.zeros(features))
        part.add([sliced(piece, begin, end) for piece in pieces], target[begin:end])
        merged.merge(part)
    for name in ("products", "with_target", "sums"):
        np.testing.assert_allclose(getattr(merged, name), getattr(whole, name), rtol=1e-12, atol=1e-9)


@settings(max_examples=40, deadline=None)
@given(st.text("odm", max_size=5), st.integers(0, 30), st.integers(0, 9))
def test_scores_are_those_of_the_matrix(kinds: str, records: int, seed: int) -> None:
    pieces, features = random_pieces(seed, records, kinds)
    weights = np.random.default_rng(seed).normal(size=features)
    expected = 0.5 + to_csr(pieces, records, features) @ weights
    np.testing.assert_allclose(linear_scores(pieces, weights, 0.5, records), expected, rtol=1e-12, atol=1e-12)
