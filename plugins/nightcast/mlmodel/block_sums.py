"""A symmetric matrix of sums, X'X, held as its blocks above the diagonal: one for each two pieces of the features."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nightcast.datasource.arrow_arrays import Floats, Ints

Table = npt.NDArray[Any]
_UNSIGNED = (np.uint8, np.uint16, np.uint32)
_MOST_NARROW = np.iinfo(np.int32).max


class BlockSums:
    """Blocks by the first columns of two pieces, the lower first.

    A block has the shape (left size, right size). That of a piece with itself is symmetric, and where each indicator
    excludes the others only its diagonal, of shape (size,).
    """

    def __init__(self) -> None:
        self._blocks: dict[tuple[int, int], Table] = {}

    def add(self, row: int, column: int, block: Table) -> None:
        """Add the sums of further records of a part.

        Whole numbers stay whole and of their kind, which a part's number of records must fit in: sums of counts are
        exact in any order.
        """
        held = self._blocks.get((row, column))
        if held is None:
            self._blocks[row, column] = block.copy()
        elif held.itemsize < block.itemsize:
            self._blocks[row, column] = held + block
        else:
            held += block

    def merge(self, other: BlockSums) -> None:
        """Add the sums of another part; whole numbers become wider where a sum needs it."""
        for key, block in other._blocks.items():
            held = self._blocks.get(key)
            self._blocks[key] = _copy(block) if held is None else _added(held, block)

    def upper(self, size: int) -> Floats:
        """The upper triangle of the matrix, with zeros below it: float64 of shape (size, size)."""
        found = np.zeros((size, size))
        for (row, column), block in self._blocks.items():
            rows = slice(row, row + len(block))
            if block.ndim == 1:
                found[rows, rows].flat[:: len(block) + 1] = block
            else:
                found[rows, column : column + block.shape[1]] = np.triu(block) if row == column else block
        return found

    def diagonal(self, size: int) -> Floats:
        """The diagonal of the matrix: float64 of shape (size,)."""
        found = np.zeros(size)
        for (row, column), block in self._blocks.items():
            if row == column:
                found[row : row + len(block)] = block if block.ndim == 1 else block.diagonal()
        return found

    def times(self, vector: Floats) -> Floats:
        """The matrix times a vector of shape (size,)."""
        found = np.zeros(len(vector))
        for (row, column), block in self._float_blocks().items():
            rows = slice(row, row + len(block))
            if block.ndim == 1:
                found[rows] += block * vector[rows]
                continue
            columns = slice(column, column + block.shape[1])
            found[rows] += block @ vector[columns]
            if row != column:
                found[columns] += vector[rows] @ block
        return found

    def _float_blocks(self) -> dict[tuple[int, int], Table]:
        """The blocks as float64, which they remain: BLAS multiplies no whole numbers."""
        for key, block in self._blocks.items():
            if block.dtype != np.float64:
                self._blocks[key] = block.astype(np.float64)
        return self._blocks

    def __getstate__(self) -> dict[tuple[int, int], Any]:
        return {key: _packed(block) for key, block in self._blocks.items()}

    def __setstate__(self, state: dict[tuple[int, int], Any]) -> None:
        self._blocks = {key: _unpacked(*packed) for key, packed in state.items()}


def _copy(block: Table) -> Table:
    return block.astype(np.float64 if block.dtype.kind == "f" else np.int64 if block.itemsize == 8 else np.int32)


def _added(held: Table, block: Table) -> Table:
    if held.dtype.kind == block.dtype.kind == "f":
        held += block
        return held
    if "f" in (held.dtype.kind, block.dtype.kind):
        return held + block
    if held.itemsize < 8 and int(held.max(initial=0)) + int(block.max(initial=0)) > _MOST_NARROW:
        held = held.astype(np.int64)
    held += block.astype(held.dtype, copy=False)
    return held


def _packed(block: Table) -> tuple[tuple[int, ...], Ints | None, Table]:
    """A block as few bytes: shape, the places of what is not 0 (None: all), the values."""
    values = block.ravel()
    if block.dtype.kind == "i" and values.size:
        high = int(values.max())
        smallest = next((kind for kind in _UNSIGNED if high <= np.iinfo(kind).max), np.int64)
        values = values.astype(smallest)
    if values.size < 2**31 and np.count_nonzero(values) * (4 + values.itemsize) < values.nbytes:
        # Of bools: numpy finds those ten times as fast.
        places = np.flatnonzero(values != 0).astype(np.int32)
        return block.shape, places, values[places]
    return block.shape, None, values


def _unpacked(shape: tuple[int, ...], places: Ints | None, values: Table) -> Table:
    if places is None:
        return values.reshape(shape)
    found = np.zeros(shape, dtype=values.dtype)
    found.ravel()[places] = values
    return found
