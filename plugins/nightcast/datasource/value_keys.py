"""Quick hashes of values: what distinct counts, tables of strings and fingerprints of columns are made with.

Cheaper than `nightcast.datasource.hashing`, whose numbers decide on which side of a split a record falls and never
change; these may change with the version of the insights format. Two multiplications by odd numbers with shifts
between, in the manner of MurmurHash3's finalizer (Appleby, 2011): a bijection of 64 bits, of which the upper ones are
evenly spread.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nightcast.datasource.arrow_arrays import Array, Hashes, Ints, string_spans
from nightcast.datasource.hashing import mixed

_START = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xFF51AFD7ED558CCD)
_SECOND = np.uint64(0xC4CEB9FE1A85EC53)
_HALF = np.uint64(32)
_THIRD = np.uint64(29)
_MASKS = np.array([(1 << 8 * size) - 1 for size in range(9)], dtype=np.uint64)


def float_keys(values: npt.NDArray[Any]) -> Hashes:
    """Keys of float64 values, shape (n,); 0.0 and -0.0 have the same."""
    # The constant keeps the key of 0 from being 0, which stands for no value.
    keys: Hashes = (values + 0.0).view(np.uint64)
    keys ^= _START
    return _mix(keys)


def string_keys(strings: Array) -> Hashes:
    """Keys of the UTF-8 bytes of a string array, shape (len(strings),); null cells have that of the empty string."""
    data, offsets = string_spans(strings)
    place, left = offsets[:-1], offsets[1:] - offsets[:-1]
    keys: Hashes = left.astype(np.uint64)
    keys += _START
    if len(data) == 0 or len(keys) == 0:
        return keys
    begin, end = int(offsets[0]), int(offsets[-1])
    # Whole words, and one more, so that the last string can be read by words too.
    padded = np.zeros((end - begin) // 8 * 8 + 16, dtype=np.uint8)
    padded[: end - begin] = data[begin:end]
    return _mix_words(keys, padded.view("<u8"), place - begin, left)


def record_weights(first: int, size: int) -> Hashes:
    """Odd numbers that belong to the record numbers ``first`` to ``first + size - 1``, shape (size,)."""
    return mixed(np.arange(first, first + size, dtype=np.uint64)) | np.uint64(1)


def weighted_sum(weights: Hashes, keys: Hashes) -> int:
    """Sum of the products, modulo 2**64: exact, so that it is the same in any order.

    Over the records of a column it is the column's fingerprint: a single changed value always changes it, since an odd
    weight has an inverse; other differences go unseen with a chance of about 1 in 2**64.
    """
    return int((weights * keys).sum(dtype=np.uint64))


def digits(fingerprint: int) -> str:
    """A fingerprint as 16 hexadecimal digits."""
    return f"{fingerprint % 2**64:016x}"


def _mix(keys: Hashes) -> Hashes:
    """Spread the bits of 64-bit whole numbers, in place."""
    keys ^= keys >> _HALF
    keys *= _FIRST
    keys ^= keys >> _THIRD
    keys *= _SECOND
    keys ^= keys >> _HALF
    return keys


def _mix_words(keys: Hashes, words: Hashes, place: Ints, left: Ints) -> Hashes:
    """Mix in eight bytes at a time, for all strings that are that long."""
    active: Ints | None = None
    while True:
        shortest = int(left.min())
        if shortest <= 0:
            kept = np.flatnonzero(left > 0)
            active = kept if active is None else active[kept]
            left, place = left[kept], place[kept]
            if len(left) == 0:
                return keys
        word = _words_at(words, place)
        if shortest < 8:
            word &= _MASKS.take(np.minimum(left, 8))
        if active is None:
            keys = _mix(keys ^ word)
        else:
            keys[active] = _mix(keys[active] ^ word)
        left, place = left - 8, place + 8


def _words_at(words: Hashes, place: Ints) -> Hashes:
    """Eight bytes from any place on, put together from two aligned words: numpy reads unaligned ones slowly."""
    index = place >> 3
    shift = ((place & 7) << 3).astype(np.uint64)
    found = words.take(index)
    found >>= shift
    index += 1
    upper = words.take(index)
    # Twice, since a shift by 64 is undefined.
    upper <<= np.uint64(1)
    upper <<= np.uint64(63) - shift
    found |= upper
    return found


def with_null(keys: Hashes) -> Hashes:
    """Keys of distinct values, and 0 at the end for the code of null cells."""
    return np.append(keys, np.uint64(0))
