from __future__ import annotations

import numpy as np
import pytest

from nightcast.mlmodel import class_chunks
from nightcast.mlmodel.class_chunks import Chunk, MatrixChunk, PieceChunk, SparseChunk, compact, joined, products, split
from nightcast.recipe.pieces import ManyHot, centered, to_csr
from random_pieces import number_centers, random_pieces

KINDS = ["o", "d", "m", "odmt", "ddoo"]


def same_records(kinds: str, records: int = 70) -> list[Chunk]:
    """The same records in each form."""
    pieces, features = random_pieces(2, records, kinds)
    about = centered(pieces, number_centers(pieces, features))
    targets = np.random.default_rng(1).integers(0, 3, records).astype(float)
    matrix = to_csr(about, records, features)
    return [PieceChunk(about, targets, features), MatrixChunk(matrix.toarray(), targets), SparseChunk(matrix, targets)]


@pytest.mark.parametrize("kinds", KINDS)
@pytest.mark.parametrize("outputs", [1, 3])
def test_the_forms_give_the_same(kinds: str, outputs: int) -> None:
    chunks, rng = same_records(kinds), np.random.default_rng(4)
    matrix = chunks[1].values
    weights, factors = rng.normal(size=(outputs, matrix.shape[1])), rng.normal(size=(outputs, len(matrix)))
    for chunk in chunks:
        for found, expected in [
            (chunk.scores(weights), weights @ matrix.T),
            (chunk.sums(factors), factors @ matrix),
            (chunk.squared_sums(factors), factors @ matrix**2),
        ]:
            np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10)
            assert found.flags.c_contiguous
            assert found.dtype == np.float64


def test_entries_are_those_that_products_go_through() -> None:
    pieces, matrix, sparse = same_records("odo")
    assert pieces.entries == 3 * 70
    assert sparse.entries == np.count_nonzero(matrix.values)
    assert matrix.entries == matrix.values.size // 10


@pytest.mark.parametrize("kinds", KINDS)
def test_weighted_products_are_those_of_the_matrix(kinds: str) -> None:
    chunks, weights = same_records(kinds), np.random.default_rng(5).random(70)
    matrix = chunks[1].values
    expected = np.triu((matrix * weights[:, None]).T @ matrix)
    for chunk in chunks:
        found = np.triu(products([(chunk, weights)], matrix.shape[1]))
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-9)
    # Of several chunks, of whatever form, the sums.
    found = np.triu(products([(chunk, weights) for chunk in chunks], matrix.shape[1]))
    np.testing.assert_allclose(found, 3 * expected, rtol=1e-10, atol=1e-9)


@pytest.mark.parametrize("kinds", KINDS)
def test_joined_chunks_are_the_records_in_order(kinds: str) -> None:
    whole = same_records(kinds)[0]
    assert isinstance(whole, PieceChunk)
    # The one in between has lists of its own numbering, as taken leaves those out that no record has.
    found = joined([whole.taken(np.arange(begin, end)) for begin, end in ((0, 9), (9, 10), (10, 70))])
    np.testing.assert_array_equal(found.targets, whole.targets)
    assert [(piece.start, piece.size) for piece in found.pieces] == [
        (piece.start, piece.size) for piece in whole.pieces
    ]
    difference = to_csr(found.pieces, 70, found.features) != to_csr(whole.pieces, 70, whole.features)
    assert difference.nnz == 0
    for piece in found.pieces:
        if isinstance(piece, ManyHot):
            lists = {tuple(some) for some in np.split(piece.list_members, piece.list_offsets[1:-1])}
            assert len(lists) == piece.lists  # each once, however many chunks have it


@pytest.mark.parametrize(("cells", "form"), [(10**9, MatrixChunk), (0, SparseChunk)])
def test_compact_keeps_the_records_in_order(monkeypatch: pytest.MonkeyPatch, cells: int, form: type) -> None:
    monkeypatch.setattr(class_chunks, "_MATRIX_CELLS", cells)
    whole = same_records("odmt")[0]
    assert isinstance(whole, PieceChunk)
    cut = [whole.taken(np.arange(begin, end)) for begin, end in ((0, 9), (9, 40), (40, 70))]
    [found] = compact(cut)
    assert isinstance(found, form)
    weights = np.random.default_rng(4).normal(size=(2, whole.features))
    np.testing.assert_allclose(found.scores(weights), whole.scores(weights), atol=1e-10)
    np.testing.assert_array_equal(found.targets, whole.targets)
    assert list(compact([])) == []


@pytest.mark.parametrize(("outputs", "sizes"), [(1, [20, 20, 20, 10]), (2, [10] * 7), (50, [1] * 70)])
def test_split_bounds_the_scores(monkeypatch: pytest.MonkeyPatch, outputs: int, sizes: list[int]) -> None:
    monkeypatch.setattr(class_chunks, "_SCORES", 20)
    whole = same_records("om")[0]
    assert isinstance(whole, PieceChunk)
    found = split(whole, outputs)
    assert [len(chunk.targets) for chunk in found] == sizes
    weights = np.random.default_rng(4).normal(size=(1, whole.features))
    np.testing.assert_allclose(np.concatenate([chunk.scores(weights)[0] for chunk in found]), whole.scores(weights)[0])
    monkeypatch.undo()
    assert split(whole, outputs) == [whole]
