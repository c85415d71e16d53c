from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightcast.recipe.logarithm import log_of_one_plus


@given(st.lists(st.floats(-1, exclude_min=True, allow_infinity=False), min_size=1))
def test_it_is_that_of_the_standard_library_but_for_the_last_places(values: list[float]) -> None:
    expected = np.array([math.log1p(value) for value in values])
    found = log_of_one_plus(np.array(values))
    assert (np.abs(found - expected) <= 2 * np.spacing(np.abs(expected))).all()


@pytest.mark.parametrize("count", [0, 1, 8_192, 8_193, 20_000])
def test_values_are_taken_in_chunks(count: int) -> None:
    values = np.random.default_rng(1).gamma(2, 10, count)
    assert np.allclose(log_of_one_plus(values), np.log1p(values), rtol=1e-15, atol=0)


def test_its_bits_are_fixed() -> None:
    values = np.array([1e-9, 0.1, 0.5, 1.0, 2.5, 1e6, 1e300, -0.25, -0.999])
    assert [value.hex() for value in log_of_one_plus(values).tolist()] == BITS


BITS = [
    "0x1.12e0be801f1d9p-30",
    "0x1.8663f793c46c7p-4",
    "0x1.9f323ecbf984cp-2",
    "0x1.62e42fefa39efp-1",
    "0x1.40b512eb53d60p+0",
    "0x1.ba18abb1dedc8p+3",
    "0x1.5963447f87fb5p+9",
    "-0x1.269621134db92p-2",
    "-0x1.ba18a998fff9fp+2",
]
