"""Arrow arrays seen as numpy arrays, and back, without a copy where there can be none.

Everything goes through buffers: ``pyarrow.array``, ``pyarrow.scalar`` and ``Array.to_numpy`` would each import
pandas, which alone takes longer than the insights of 30,000 records.
"""

from __future__ import annotations

from typing import Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Array: TypeAlias = Any
"""A ``pyarrow.Array``, whose stubs lack buffers, dictionaries and what the compute functions return."""
Buffer: TypeAlias = Any

T = TypeVar("T", bound=np.generic)

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Hashes = npt.NDArray[np.uint64]
Ints = npt.NDArray[np.signedinteger[Any]]


def valid_mask(array: Array) -> Bools | None:
    """Which cells are not null: shape (len(array),), or None when none is null."""
    if array.null_count == 0:
        return None
    if pa.types.is_null(array.type):
        return np.zeros(len(array), dtype=np.bool_)
    return _bits(array.buffers()[0], array.offset, len(array))


def fixed_values(array: Array, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Values of an array of fixed width, null cells undefined; a read-only view of shape (len(array),)."""
    width = np.dtype(dtype).itemsize
    buffer = array.buffers()[1]
    if buffer is None or len(array) == 0:
        return np.zeros(len(array), dtype=dtype)
    values: npt.NDArray[Any] = np.frombuffer(buffer, dtype=dtype, count=len(array), offset=array.offset * width)
    return values


def numbers(array: Array) -> tuple[Floats, Bools | None]:
    """Values and validity of a float64 or bool array.

    Returns
    -------
    values
        float64 of shape (len(array),); what stands in a null cell is undefined.
    valid
        As of `valid_mask`.
    """
    if pa.types.is_boolean(array.type):
        return bool_values(array).astype(np.float64), valid_mask(array)
    return fixed_values(array, np.float64), valid_mask(array)


def bool_values(array: Array) -> Bools:
    """Values of a bool array, null cells undefined; shape (len(array),)."""
    buffer = array.buffers()[1]
    if buffer is None or len(array) == 0:
        return np.zeros(len(array), dtype=np.bool_)
    return _bits(buffer, array.offset, len(array))


def coded(array: Array) -> tuple[npt.NDArray[np.int32], Array]:
    """A string array as codes into its distinct values.

    Returns
    -------
    codes
        int32 of shape (len(array),); a null cell has the code ``len(distinct)``.
    distinct
        String array without nulls; it may hold values that no cell has.
    """
    if not pa.types.is_dictionary(array.type):
        array = array.dictionary_encode()
    distinct = array.dictionary
    codes = fixed_values(array.indices, np.int32)
    valid = valid_mask(array.indices)
    if valid is not None:
        codes = np.where(valid, codes, np.int32(len(distinct)))
    return codes, distinct


def each_once(values: npt.NDArray[T]) -> npt.NDArray[T]:
    """Distinct values, ascending; numpy's own ``unique`` builds a hash table and takes three times as long."""
    ordered = np.sort(values)
    return ordered[_begins_run(ordered)]


def run_starts(ordered: npt.NDArray[Any]) -> Ints:
    """Where each run of equal values begins in sorted values."""
    return np.flatnonzero(_begins_run(ordered))


def string_spans(strings: Array) -> tuple[npt.NDArray[np.uint8], Ints]:
    """Bytes of a string array, and where each value begins.

    Returns
    -------
    data
        All bytes of the buffer.
    offsets
        int64 of shape (len(strings) + 1,): value i is ``data[offsets[i]:offsets[i + 1]]``.
    """
    wide = pa.types.is_large_string(strings.type)
    dtype = np.int64 if wide else np.int32
    _, offsets, data = strings.buffers()
    if len(strings) == 0 or offsets is None:
        return np.zeros(0, dtype=np.uint8), np.zeros(len(strings) + 1, dtype=np.int64)
    places = np.frombuffer(
        offsets, dtype=dtype, count=len(strings) + 1, offset=strings.offset * np.dtype(dtype).itemsize
    )
    content = np.zeros(0, dtype=np.uint8) if data is None else np.frombuffer(data, dtype=np.uint8)
    return content, places.astype(np.int64)


def float_array(values: npt.NDArray[Any], valid: Bools | None = None) -> Array:
    """A float64 Arrow array of `values`; null where `valid` is false."""
    content = np.ascontiguousarray(values, dtype=np.float64)
    return pa.Array.from_buffers(pa.float64(), len(content), [_packed(valid), _buffer(content)])


def bool_array(values: Bools, valid: Bools | None = None) -> Array:
    """A bool Arrow array of `values`; null where `valid` is false."""
    return pa.Array.from_buffers(pa.bool_(), len(values), [_packed(valid), _packed(values)])


def int_array(values: npt.NDArray[Any]) -> Array:
    """An int64 Arrow array of `values`, such as ``Array.take`` wants it."""
    content = np.ascontiguousarray(values, dtype=np.int64)
    return pa.Array.from_buffers(pa.int64(), len(content), [None, _buffer(content)])


def _begins_run(ordered: npt.NDArray[Any]) -> Bools:
    starts = np.ones(len(ordered), dtype=np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=starts[1:])
    return starts


def _bits(buffer: Buffer, offset: int, length: int) -> Bools:
    start, skipped = divmod(offset, 8)
    octets = np.frombuffer(buffer, dtype=np.uint8, count=(skipped + length + 7) // 8, offset=start)
    return np.unpackbits(octets, count=skipped + length, bitorder="little")[skipped:].view(np.bool_)


def _packed(mask: Bools | None) -> Buffer:
    return None if mask is None else _buffer(np.packbits(mask, bitorder="little"))


def _buffer(content: Any) -> Buffer:
    return pa.py_buffer(content)
