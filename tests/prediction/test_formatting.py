from __future__ import annotations

import doctest
from decimal import ROUND_HALF_EVEN, Context, Decimal

import numpy as np
import pytest

from nightcast.prediction import formatting
from nightcast.prediction.formatting import format_scores

FLOAT32 = np.finfo(np.float32)
SEVEN_DIGITS = Context(prec=7, rounding=ROUND_HALF_EVEN)


def by_decimal(value: np.float32) -> str:
    """The format by exact decimal arithmetic."""
    number = SEVEN_DIGITS.plus(Decimal(float(value)))
    sign, digits, exponent = number.as_tuple()
    text = "".join(map(str, digits))
    place = 0 if not number else exponent + len(text) - 1
    fraction = text[1:].rstrip("0")
    return f"{'-' * sign}{text[0]}{'.' if fraction else ''}{fraction}E{place}"


def assert_all_exact(values: np.ndarray) -> None:
    singles = values[np.isfinite(values)].astype(np.float32)
    singles = singles[np.isfinite(singles)]
    found = format_scores(singles).to_pylist()
    differing = [(value, text) for value, text in zip(singles, found, strict=True) if text != by_decimal(value)]
    assert differing == []
    assert len(found) > 0


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.996733, "9.96733E-1"),
        (1.945252e-5, "1.945252E-5"),
        (6.0554e-9, "6.0554E-9"),
        (1.0, "1E0"),
        (-15.26385, "-1.526385E1"),
        (8.359159, "8.359159E0"),
        (0.0, "0E0"),
        (-0.0, "-0E0"),
        (10.0, "1E1"),
        (1e10, "1E10"),
        (123456789, "1.234568E8"),
        (100, "1E2"),
        (1.05, "1.05E0"),
        (9999999.5, "1E7"),
        (9.9999996e-12, "1E-11"),
        (16777216, "1.677722E7"),
        # Ties go to the even digit: 12345675 and 12345665 are exact floats.
        (12345675, "1.234568E7"),
        (12345665, "1.234566E7"),
        (0.5 + 2**-24, "5.000001E-1"),
        (float(FLOAT32.max), "3.402823E38"),
        (float(FLOAT32.tiny), "1.175494E-38"),
        (float(FLOAT32.smallest_subnormal), "1.401298E-45"),
        (1e-46, "0E0"),
    ],
)
def test_values(value: float, text: str) -> None:
    assert format_scores([value]).to_pylist() == [text]


def test_what_has_no_form_is_null() -> None:
    found = format_scores([1.0, float("nan"), float("inf"), -float("inf"), 3.5e38, 2.0])
    assert found.to_pylist() == ["1E0", None, None, None, None, "2E0"]
    assert found.null_count == 4
    found.validate(full=True)


def test_line_ends() -> None:
    found = format_scores([1.5, float("nan"), -2e-10], line_end=True)
    assert found.to_pylist() == ["1.5E0\n", None, "-2E-10\n"]
    assert bytes(found.buffers()[2]) == b"1.5E0\n-2E-10\n"


def test_no_values_and_many_chunks() -> None:
    assert format_scores([]).to_pylist() == []
    values = np.arange(40_000) / 8
    found = format_scores(values)
    found.validate(full=True)
    assert found.to_pylist() == [by_decimal(np.float32(value)) for value in values]


def test_every_kind_of_float_is_exact() -> None:
    patterns = np.random.default_rng(1).integers(0, 2**32, 120_000, dtype=np.uint32)
    assert_all_exact(patterns.view(np.float32))


def test_usual_scores_are_exact() -> None:
    rng = np.random.default_rng(2)
    assert_all_exact(np.concatenate([rng.gamma(2, 10, 40_000), rng.normal(0, 1e-3, 20_000), rng.random(20_000)]))


def test_values_near_ties_are_exact() -> None:
    rng = np.random.default_rng(3)
    # Seven digits and a half, at every scale: the nearest floats and their neighbours.
    halves = rng.integers(10**6, 10**7, 60_000) + 0.5
    scales = 10.0 ** np.concatenate([rng.integers(-51, 31, 20_000), rng.integers(-13, 3, 40_000)])
    with np.errstate(over="ignore"):
        nearest = (halves * scales).astype(np.float32)
    with np.errstate(over="ignore", under="ignore"):
        assert_all_exact(
            np.concatenate([np.nextafter(nearest, np.float32(0)), nearest, np.nextafter(nearest, np.float32("inf"))])
        )


def test_exact_ties_are_exact() -> None:
    rng = np.random.default_rng(4)
    found = []
    for places in range(1, 11):
        # m * 2^-places with a last decimal digit 5 in the eighth place.
        step = 5**places
        odd = rng.integers(10**6, 10**7, 4000) * 2 + 1
        multiples = odd[odd % step == 0] if places > 1 else odd
        found.append(multiples / 2.0 * 10.0**-places)
    found.append((rng.integers(10**6, 16 * 10**5, 4000) * 10 + 5).astype(float))
    assert_all_exact(np.concatenate(found))


def test_scores_that_only_all_digits_can_tell() -> None:
    # The float that is nearest to a tie of all 2^31: 1.06e-9 of the last digit away.
    found = []
    for exponent in range(-45, 39):
        base = (np.arange(10**6, 10**6 + 2000) + 0.5) * 10.0 ** (exponent - 6)
        with np.errstate(over="ignore", under="ignore"):
            found.append(base.astype(np.float32))
    assert_all_exact(np.concatenate(found))


def test_examples() -> None:
    result = doctest.testmod(formatting)
    assert result.attempted
    assert not result.failed
