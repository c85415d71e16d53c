from __future__ import annotations

from hashlib import blake2b

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from nightcast.datasource.hashing import float_hashes, mixed, seed_hash, string_hashes

MASK = 2**64 - 1


def splitmix64(state: int) -> int:
    state = (state + 0x9E3779B97F4A7C15) & MASK
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & MASK
    return state ^ (state >> 31)


def hash_of(text: str) -> int:
    """What the vectorised hash must give, byte by byte in plain Python."""
    content = text.encode()
    state = splitmix64(len(content))
    for start in range(0, len(content), 8):
        state = splitmix64(state ^ int.from_bytes(content[start : start + 8], "little"))
    return state


def test_splitmix64_gives_its_published_numbers() -> None:
    # The first outputs of splitmix64.c for the seed 1234567.
    states = (1234567 + np.arange(3, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)).astype(np.uint64)

    assert mixed(states).tolist() == [6457827717110365317, 3203168211198807973, 9817491932198370423]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=30), max_size=12), st.integers(0, 12))
def test_strings_hash_as_their_bytes_do_wherever_they_lie(texts: list[str], start: int) -> None:
    array = pa.array(texts, pa.string()).slice(start)

    assert string_hashes(array).tolist() == [hash_of(text) for text in texts[start:]]
    assert string_hashes(array.cast(pa.large_string())).tolist() == [hash_of(text) for text in texts[start:]]


def test_a_length_is_part_of_the_hash() -> None:
    hashes = string_hashes(pa.array(["", "\0", "\0" * 8, "\0" * 9]))

    assert len(set(hashes.tolist())) == 4


def test_both_zeros_have_one_hash() -> None:
    assert float_hashes(np.array([0.0])) == float_hashes(np.array([-0.0]))


def test_a_seed_is_digested_by_blake2() -> None:
    assert int(seed_hash("ü")) == int.from_bytes(blake2b("ü".encode(), digest_size=8).digest(), "little")
