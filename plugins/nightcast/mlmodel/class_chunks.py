"""Records of a classification in memory, as features and classes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np

from nightcast.datasource.arrow_arrays import Floats, Ints
from nightcast.mlmodel.gram import Gram
from nightcast.mlmodel.list_numbers import ListNumbers
from nightcast.recipe.pieces import Dense, ManyHot, OneHot, Piece, column_sums, linear_scores, to_csr, vertical

if TYPE_CHECKING:
    from scipy.sparse import csr_array

# Scores of one chunk: what is computed at once stays near the processor.
_SCORES = 2_000_000
_MATRIX_CELLS = 4_000_000


class Chunk(Protocol):
    """Some records: their features X, numbers about their centers, and their classes.

    Methods take and give a row for each output of the model.
    """

    @property
    def targets(self) -> Floats:
        """Numbers of classes, or 0 and 1; float64 of shape (records,)."""
        ...

    @property
    def entries(self) -> int:
        """About how many entries of X a product goes through; those of a dense matrix are ten times as fast."""
        ...

    def scores(self, weights: Floats) -> Floats:
        """``weights @ X'``: float64 of shape (outputs, records) for weights of shape (outputs, features)."""
        ...

    def sums(self, factors: Floats) -> Floats:
        """``factors @ X``: float64 of shape (outputs, features) for factors of shape (outputs, records)."""
        ...

    def squared_sums(self, factors: Floats) -> Floats:
        """``factors @ X**2``, as `sums`."""
        ...


@dataclass(frozen=True)
class PieceChunk:
    """Records as pieces.

    Parameters
    ----------
    pieces
        Numbers about their centers.
    features
        Columns of all pieces together.
    """

    pieces: Sequence[Piece]
    targets: Floats
    features: int

    @property
    def entries(self) -> int:
        """See `Chunk`."""
        return len(self.pieces) * len(self.targets)

    def taken(self, places: Ints) -> PieceChunk:
        """The records at the given places."""
        return PieceChunk([piece.taken(places) for piece in self.pieces], self.targets[places], self.features)

    def scores(self, weights: Floats) -> Floats:
        """See `Chunk`."""
        return np.stack([linear_scores(self.pieces, row, 0.0, len(self.targets)) for row in weights])

    def sums(self, factors: Floats) -> Floats:
        """See `Chunk`."""
        found = np.zeros((len(factors), self.features))
        for row, factor in zip(found, factors, strict=True):
            for piece in self.pieces:
                row[piece.start : piece.start + piece.size] = column_sums(piece, factor)
        return found

    def squared_sums(self, factors: Floats) -> Floats:
        """See `Chunk`."""
        squared = [Dense(piece.start, piece.values**2) if isinstance(piece, Dense) else piece for piece in self.pieces]
        return PieceChunk(squared, self.targets, self.features).sums(factors)


@dataclass(frozen=True)
class MatrixChunk:
    """Few records with few features, as a matrix: one product of it takes less time than to go through the pieces.

    Parameters
    ----------
    values
        float64 of shape (records, features). Products are the same with any number of BLAS threads only within
        `nightcast.mlmodel.ridge.one_thread`.
    """

    values: Floats
    targets: Floats

    @property
    def entries(self) -> int:
        """See `Chunk`."""
        return self.values.size // 10

    def scores(self, weights: Floats) -> Floats:
        """See `Chunk`."""
        found: Floats = weights @ self.values.T
        return found

    def sums(self, factors: Floats) -> Floats:
        """See `Chunk`."""
        found: Floats = factors @ self.values
        return found

    def squared_sums(self, factors: Floats) -> Floats:
        """See `Chunk`."""
        found: Floats = factors @ self.values**2
        return found


@dataclass(frozen=True)
class SparseChunk:
    """Records as a sparse matrix: a product for all outputs goes through it once.

    Parameters
    ----------
    matrix
        float64 of shape (records, features).
    """

    matrix: csr_array
    targets: Floats

    @cached_property
    def columns(self) -> csr_array:
        """The columns as rows: a product adds each sum in the order of the records."""
        return self.matrix.T.tocsr()

    @property
    def entries(self) -> int:
        """See `Chunk`."""
        return int(self.matrix.nnz)

    def scores(self, weights: Floats) -> Floats:
        """See `Chunk`."""
        return np.ascontiguousarray(np.asarray(self.matrix @ weights.T).T)

    def sums(self, factors: Floats) -> Floats:
        """See `Chunk`."""
        return np.ascontiguousarray(np.asarray(self.columns @ np.ascontiguousarray(factors.T)).T)

    def squared_sums(self, factors: Floats) -> Floats:
        """See `Chunk`."""
        return np.ascontiguousarray(np.asarray(self.columns.power(2) @ np.ascontiguousarray(factors.T)).T)


def joined(chunks: Sequence[PieceChunk]) -> PieceChunk:
    """The records of at least one chunk, in order, as one: many small ones take their time by number, not by size."""
    pieces = [_joined(parts) for parts in zip(*(chunk.pieces for chunk in chunks), strict=True)]
    return PieceChunk(pieces, np.concatenate([chunk.targets for chunk in chunks]), chunks[0].features)


def _joined(parts: Sequence[Piece]) -> Piece:
    """Pieces of the same columns."""
    first = parts[0]
    numbers = [part.values for part in parts if isinstance(part, Dense)]
    if numbers:
        return Dense(first.start, np.concatenate(numbers))
    codes = [part.codes for part in parts if isinstance(part, OneHot)]
    if codes:
        return OneHot(first.start, first.size, np.concatenate(codes))
    texts = [part for part in parts if isinstance(part, ManyHot)]
    lists = ListNumbers(sum(part.lists for part in texts))
    of_records = np.concatenate([lists.numbers(part)[part.codes] for part in texts])
    return replace(lists.piece(first.size), start=first.start, codes=of_records)


def split(chunk: PieceChunk, outputs: int) -> list[PieceChunk]:
    """The records in chunks of which the scores are not too many."""
    records, size = len(chunk.targets), max(_SCORES // outputs, 1)
    if records <= size:
        return [chunk]
    return [chunk.taken(np.arange(begin, min(begin + size, records))) for begin in range(0, records, size)]


def as_matrix(chunks: Sequence[PieceChunk], features: int) -> tuple[csr_array, Floats]:
    """Features of shape (records, features) and targets of shape (records,); there may be no chunk."""
    matrices = [to_csr(chunk.pieces, len(chunk.targets), features) for chunk in chunks]
    return vertical(matrices, features), np.concatenate([np.zeros(0), *(chunk.targets for chunk in chunks)])


def compact(chunks: Sequence[PieceChunk]) -> Sequence[Chunk]:
    """The same records as one matrix, a sparse one unless it is small."""
    if not chunks:
        return chunks
    matrix, targets = as_matrix(chunks, chunks[0].features)
    if matrix.shape[0] * matrix.shape[1] > _MATRIX_CELLS:
        return [SparseChunk(matrix, targets)]
    return [MatrixChunk(matrix.toarray(), targets)]


def products(weighted: Iterable[tuple[Chunk, Floats]], features: int) -> Floats:
    """X'WX in the upper triangle: float64 of shape (features, features).

    Parameters
    ----------
    weighted
        Chunks and how much their records count; shape (records,) each.
    """
    gram, found = Gram(np.zeros(features)), np.zeros((features, features))
    for chunk, weights in weighted:
        if isinstance(chunk, PieceChunk):
            gram.add(chunk.pieces, weights, weights)
        elif isinstance(chunk, MatrixChunk):
            found += (chunk.values * weights[:, None]).T @ chunk.values
        elif isinstance(chunk, SparseChunk):
            weighted_rows = chunk.matrix.multiply(weights[:, None]).tocsr()
            found += (chunk.columns @ weighted_rows).toarray()
    found += gram.products()
    return found
