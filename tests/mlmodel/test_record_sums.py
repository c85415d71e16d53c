from __future__ import annotations

import numpy as np
import pytest

from nightcast.mlmodel.class_chunks import PieceChunk
from nightcast.mlmodel.gram import Gram
from nightcast.mlmodel.record_sums import PieceSums, RecordFeatures, RecordSums
from nightcast.recipe.pieces import centered, to_csr
from random_pieces import number_centers, random_pieces

KINDS = ["", "o", "d", "odmomd", "ottod"]


@pytest.mark.parametrize("kinds", KINDS)
@pytest.mark.parametrize("records", [0, 1, 50])
def test_sums_are_those_of_the_matrix_and_of_its_pieces(kinds: str, records: int) -> None:
    pieces, features = random_pieces(1, records, kinds)
    centers = number_centers(pieces, features)
    matrix = to_csr(centered(pieces, centers), records, features)
    targets = np.random.default_rng(2).normal(size=records)
    dense = matrix.toarray()
    direction = np.random.default_rng(4).normal(size=features)
    found = RecordSums(RecordFeatures(matrix), targets)
    for sums in (found, PieceSums(PieceChunk(centered(pieces, centers), targets, features))):
        for ours, expected in [
            (sums.with_target, dense.T @ targets),
            (sums.sums, dense.sum(axis=0)),
            (sums.diagonal, (dense**2).sum(axis=0)),
            (sums.times(direction), dense.T @ (dense @ direction)),
            (np.triu(sums.products()), np.triu(dense.T @ dense)),
            (sums.scores(direction), dense @ direction),
        ]:
            assert ours.dtype == np.float64
            np.testing.assert_allclose(ours, expected, rtol=1e-10, atol=1e-9)
    streamed = Gram(centers)
    streamed.add(pieces, targets)
    np.testing.assert_allclose(streamed.with_target, found.with_target, atol=1e-9)
    np.testing.assert_allclose(streamed.diagonal, found.diagonal, atol=1e-9)
    np.testing.assert_allclose(streamed.times(direction), found.times(direction), atol=1e-9)


def test_taken_records_sum_up_to_all() -> None:
    pieces, features = random_pieces(5, 80, "odm")
    whole = RecordSums(RecordFeatures(to_csr(pieces, 80, features)), np.arange(80.0))
    inside = np.random.default_rng(0).random(80) < 0.3
    parts = [whole.taken(inside), whole.taken(~inside)]
    assert [part.targets.tolist() for part in parts] == [np.arange(80.0)[side].tolist() for side in (inside, ~inside)]
    np.testing.assert_allclose(sum(part.products() for part in parts), whole.products())
    np.testing.assert_allclose(sum(part.with_target for part in parts), whole.with_target)
    np.testing.assert_allclose(sum(part.sums for part in parts), whole.sums)


def test_sums_of_other_targets_share_what_follows_from_features_alone() -> None:
    pieces, features = random_pieces(5, 80, "odm")
    shared = RecordFeatures(to_csr(pieces, 80, features))
    inside = np.random.default_rng(0).random(80) < 0.3
    first, second = (RecordSums(shared, targets) for targets in (np.arange(80.0), np.ones(80)))
    assert first.taken(inside).features is second.taken(inside).features
    assert first.taken(inside).features is not first.taken(~inside).features
    np.testing.assert_allclose(second.taken(inside).with_target, second.taken(inside).sums)
    np.testing.assert_allclose(first.with_target, shared.matrix.T @ np.arange(80.0))
