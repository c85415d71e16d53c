"""Numbers as Amazon ML wrote them.

Its output follows the pattern ``0.######E0`` of Java's ``DecimalFormat`` on a 32-bit float: one
digit before the point, at most six after it, trailing zeros dropped, the exponent without plus
sign or padding (``9.96733E-1``, ``1E0``, ``-1.526385E1``). Java rounds the float's exact value,
half to even; so does this module, in every value, without a loop over values.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from nightcast.datasource.arrow_arrays import Array, Buffer, Floats, Ints

_DIGITS = 7  # one before the point, six after it
_MIN_EXPONENT, _MAX_EXPONENT = -45, 38  # decimal exponents of 32-bit floats, subnormals included
_CHUNK = 16_384  # values whose work arrays stay in a core's cache


def _pieces_of(k: int) -> list[float]:
    """10^k as a sum of three doubles of 26 bits, each of which a 24-bit float multiplies exactly."""
    numerator, denominator = 10 ** max(k, 0), 10 ** max(-k, 0)
    # The number of the last of 26 bits, counted from the point.
    last = numerator.bit_length() - denominator.bit_length() - 26
    pieces = []
    for _ in range(3):
        piece = (numerator << -last) // denominator if last < 0 else numerator // (denominator << last)
        pieces.append(math.ldexp(piece, last))
        if last < 0:
            numerator, denominator = (numerator << -last) - piece * denominator, denominator << -last
        else:
            numerator -= piece * denominator << last
        last -= 26
    return pieces


# Multipliers 10^k that bring a value of each decimal exponent to seven digits, and their exact pieces.
_SCALES = [_DIGITS - 1 - exponent for exponent in range(_MIN_EXPONENT, _MAX_EXPONENT + 1)]
_SCALE = np.array([float(f"1e{k}") for k in _SCALES])
_SCALE_PIECES = np.array([_pieces_of(k) for k in _SCALES])
_POWERS = np.array([float(f"1e{e}") for e in range(_MIN_EXPONENT, _MAX_EXPONENT + 2)])

# Decimal exponent of 2^b, by the biased binary exponent of a double.
_BINARY_BIAS = 1023
_EXPONENT_OF_POWER_OF_TWO = np.zeros(2048, dtype=np.int64)
for _binary in range(-149, 128):
    _EXPONENT_OF_POWER_OF_TWO[_binary + _BINARY_BIAS] = (
        int(np.searchsorted(_POWERS, 2.0**_binary, side="right")) - 1 + _MIN_EXPONENT
    )

# A line of text is laid out in 16 bytes, then the bytes that a value does not need are left out:
#   0 '-'   1 digit   2 '.'   3..8 digits   9 'E'   10 '-'   11 12 exponent   13 line end   14 15 never used
_WIDTH = 16


def _words(texts: Iterable[str], place: int) -> npt.NDArray[np.uint64]:
    """Texts at a place of a line's 16 bytes, the others 0, as the line's two words: shape (texts, 2)."""
    laid = b"".join(text.encode().rjust(place + len(text), b"\0").ljust(_WIDTH, b"\0") for text in texts)
    return np.frombuffer(laid, dtype=np.uint64).reshape(-1, 2)


# Lines are put together by words: rows of bytes take four times as long.
_LEADING = _words((f"-{n // 1000}.{n % 1000:03d}" for n in range(10_000)), 0)[:, 0].copy()
_TRAILING = np.ascontiguousarray(_words((f"{n:03d}" for n in range(1000)), 6).T)
_EXPONENT = _words((f"E-{abs(e):02d}\n" for e in range(_MIN_EXPONENT, _MAX_EXPONENT + 1)), 9)[:, 1].copy()
_TRAILING_ZEROS = np.array([len(f"{n:03d}") - len(f"{n:03d}".rstrip("0")) for n in range(1000)])
_EXPONENT_KIND = np.array(
    [2 * (e < 0) + (abs(e) >= 10) for e in range(_MIN_EXPONENT, _MAX_EXPONENT + 1)], dtype=np.int64
)


def _used_bytes() -> npt.NDArray[np.bool_]:
    """Which of the 16 bytes are written, by layout: fraction digits x exponent kind x sign."""
    used = np.zeros((_DIGITS, 4, 2, _WIDTH), dtype=bool)
    used[..., 1] = used[..., 9] = used[..., 12] = True
    for digits in range(1, _DIGITS):
        used[digits, ..., 2 : 3 + digits] = True
    used[:, 2:, :, 10] = True
    used[:, 1::2, :, 11] = True
    used[..., 1, 0] = True
    return np.vstack([used.reshape(-1, _WIDTH), np.zeros((1, _WIDTH), dtype=bool)])


_USED = _used_bytes()
_UNWRITTEN = len(_USED) - 1
_USED_ENDED = _USED.copy()
_USED_ENDED[:_UNWRITTEN, 13] = True


def format_scores(values: npt.ArrayLike, line_end: bool = False) -> Array:
    """Write numbers in Amazon ML's format.

    Parameters
    ----------
    values
        Numbers of shape (n,); they are rounded to 32-bit floats first, as Amazon ML's scores were.
    line_end
        Whether each text ends with a line end.

    Returns
    -------
    Array
        A string array: one text per value, at most 13 bytes. NaN, infinities, and values that a 32-bit float can not
        hold have no form in the output, and are null: a record with such a score has failed.
        A negative zero is ``-0E0``, as Java writes it.

    Examples
    --------
    >>> format_scores([0.996733, 8.359159, -15.26385, 1, 0]).to_pylist()
    ['9.96733E-1', '8.359159E0', '-1.526385E1', '1E0', '0E0']
    """
    with np.errstate(over="ignore"):
        singles = np.asarray(values, dtype=np.float64).astype(np.float32)
    used = _USED_ENDED if line_end else _USED
    offsets = np.zeros(len(singles) + 1, dtype=np.int32)
    pieces = [np.zeros(0, dtype=np.uint8)]
    for start in range(0, len(singles), _CHUNK):
        chunk = singles[start : start + _CHUNK]
        text, layout = _laid_out(chunk)
        pieces.append(text[used[layout]])
        offsets[start + 1 : start + 1 + len(chunk)] = used.sum(axis=1)[layout]
    np.cumsum(offsets, out=offsets)
    written = np.isfinite(singles)
    nulls = int(len(singles) - np.count_nonzero(written))
    validity = _buffer(np.packbits(written, bitorder="little")) if nulls else None
    return pa.StringArray.from_buffers(len(singles), _buffer(offsets), _buffer(np.concatenate(pieces)), validity, nulls)


def _buffer(array: npt.NDArray[Any]) -> Buffer:
    buffer: Buffer = pa.py_buffer(array)  # type: ignore[arg-type]  # the stubs know no numpy
    return buffer


def _laid_out(singles: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.uint8], Ints]:
    """Texts of 16 bytes each, and the number of each one's layout, which says which bytes are written."""
    written = np.isfinite(singles)
    magnitude = np.abs(np.where(written, singles, np.float32(0))).astype(np.float64)
    digits, exponent = _seven_digits(magnitude)
    high, low = np.divmod(digits, 1000)
    fraction = _DIGITS - 1 - _TRAILING_ZEROS[low]
    fraction -= np.where(low == 0, _TRAILING_ZEROS[high % 1000], 0)
    place = exponent - _MIN_EXPONENT

    words = np.empty((len(singles), 2), dtype=np.uint64)
    np.bitwise_or(_LEADING[high], _TRAILING[0][low], out=words[:, 0])
    np.bitwise_or(_TRAILING[1][low], _EXPONENT[place], out=words[:, 1])
    layout = (fraction * 4 + _EXPONENT_KIND[place]) * 2 + np.signbit(singles)
    layout[~written] = _UNWRITTEN
    return words.view(np.uint8), layout


def _seven_digits(magnitude: Floats) -> tuple[Ints, Ints]:
    """The first seven digits as an integer (0, or 1,000,000 to 9,999,999) and the decimal exponent.

    Multiplication by 10^k is exact for 0 <= k <= 12, since a float has 24 bits and 5^12 has 28; the division
    by ten of larger values rounds correctly, and no other k can give a tie (5^|k| would have to
    divide a number below 2^25). Elsewhere a product near a tie is looked at again with all its digits: of all
    32-bit floats, the nearest to a tie is 1.06e-9 from it, beyond what one rounded product can tell.
    """
    binary = (magnitude.view(np.int64) >> 52).astype(np.int64)
    exponent = _EXPONENT_OF_POWER_OF_TWO[binary]
    exponent += magnitude >= _POWERS[exponent + 1 - _MIN_EXPONENT]
    scaled = magnitude * _SCALE[exponent - _MIN_EXPONENT]
    digits = np.rint(scaled)
    outside = np.flatnonzero((magnitude != 0) & ((exponent > _DIGITS - 1) | (exponent < _DIGITS - 1 - 12)))
    if len(outside):
        digits[outside] = _exact_digits(magnitude[outside], exponent[outside], scaled[outside])
    carried = digits == 10**_DIGITS
    digits[carried] = 10 ** (_DIGITS - 1)
    exponent += carried
    return digits.astype(np.int64), exponent


def _exact_digits(magnitude: Floats, exponent: Ints, scaled: Floats) -> Floats:
    """Round to seven digits where ``magnitude * 10^k`` is not exact in a double."""
    digits: Floats = np.rint(np.where(exponent == _DIGITS, magnitude / 10, scaled))
    near = np.flatnonzero((np.abs(scaled - np.floor(scaled) - 0.5) < 1e-6) & (exponent != _DIGITS))
    if len(near):
        pieces = _SCALE_PIECES[exponent[near] - _MIN_EXPONENT]
        leading = magnitude[near] * pieces[:, 0]
        whole = np.floor(leading)
        rest = (leading - whole) + magnitude[near] * pieces[:, 1] + magnitude[near] * pieces[:, 2]
        digits[near] = whole + np.floor(rest + 0.5)
    return digits
