"""Stable hashes of numbers and strings, whole arrays at a time.

The same value has the same hash in every process, on every machine and in every release: which side of a random split
a record falls on hangs on it.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt

from nightcast.datasource.arrow_arrays import Array, Floats, Hashes, string_spans

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)


def mixed(values: npt.NDArray[Any]) -> Hashes:
    """Splitmix64 of 64-bit whole numbers, a bijection.

    Source: Steele, Lea, Flood, Fast splittable pseudorandom number generators, OOPSLA 2014; the constants are those of
    Vigna's splitmix64.c.
    """
    state: Hashes = values.astype(np.uint64) + _GOLDEN
    state ^= state >> np.uint64(30)
    state *= _FIRST
    state ^= state >> np.uint64(27)
    state *= _SECOND
    state ^= state >> np.uint64(31)
    return state


def float_hashes(values: Floats) -> Hashes:
    """Hashes of float64 values; 0.0 and -0.0 have the same."""
    return mixed((values + 0.0).view(np.uint64))


def seed_hash(seed: str) -> np.uint64:
    """A 64-bit digest of a seed string."""
    return np.uint64(int.from_bytes(blake2b(seed.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little"))


def string_hashes(strings: Array) -> Hashes:
    """Hashes of the UTF-8 bytes of a string array, shape (len(strings),); null cells hash as the empty string."""
    data, offsets = string_spans(strings)
    return span_hashes(data, offsets[:-1], offsets[1:] - offsets[:-1])


def span_hashes(data: npt.NDArray[np.uint8], starts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]) -> Hashes:
    """Hashes of the bytes ``data[starts[i]:starts[i] + lengths[i]]``.

    Eight bytes at a time are mixed in, for all values that are that long; the length is part of the hash.
    """
    hashes = mixed(lengths)
    if len(data) == 0:
        return hashes
    # A word may begin at any byte; seven bytes more let the last one be read whole.
    padded = np.zeros(len(data) + 8, dtype=np.uint8)
    padded[: len(data)] = data
    words = np.ndarray(shape=(len(data) + 1,), dtype="<u8", buffer=padded.data, strides=(1,))
    active: npt.NDArray[np.int64] | slice = slice(None)
    left = lengths
    place = starts
    while True:
        if not (left > 0).all():
            kept = np.flatnonzero(left > 0)
            active = kept if isinstance(active, slice) else active[kept]
            left, place = left[kept], place[kept]
        if len(left) == 0:
            return hashes
        word = words[place]
        unused = np.uint64(8) * np.maximum(8 - left, 0).astype(np.uint64)
        word = (word << unused) >> unused
        hashes[active] = mixed(hashes[active] ^ word)
        left, place = left - 8, place + 8
