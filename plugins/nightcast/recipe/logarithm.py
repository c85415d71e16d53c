"""The natural logarithm, the same to the last bit on every machine.

numpy takes its own from what the processor offers, and results differ between processors in the last place. This one
uses nothing but sums, products and quotients, which IEEE 754 defines exactly.
"""

from __future__ import annotations

import numpy as np

from nightcast.datasource.arrow_arrays import Floats

# log(2) in two pieces, and the polynomial of log((1 + s) / (1 - s)): fdlibm 5.3, e_log.c.
_LN2_HIGH, _LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
_POLYNOMIAL = (
    1.479819860511658591e-01,
    1.531383769920937332e-01,
    1.818357216161805012e-01,
    2.222219843214978396e-01,
    2.857142874366239149e-01,
    3.999999999940941908e-01,
    6.666666666666735130e-01,
)
# Values whose intermediate results fit in a processor's second cache.
_CHUNK = 8_192


def log_of_one_plus(values: Floats) -> Floats:
    """Natural logarithm of ``1 + x``, precise for small x too.

    Parameters
    ----------
    values
        float64 of shape (n,), all above -1.

    Returns
    -------
    float64 array
        Of the same shape, within 2 units in the last place.

    Examples
    --------
    >>> log_of_one_plus(np.array([0.0, 1.0, 1e-20])).tolist()
    [0.0, 0.6931471805599453, 1e-20]
    """
    found = np.empty_like(values)
    for begin in range(0, len(values), _CHUNK):
        found[begin : begin + _CHUNK] = _chunk(values[begin : begin + _CHUNK])
    return found


def _chunk(values: Floats) -> Floats:
    sums = values + 1.0
    # What the sum lost, as a share of it.
    lost = np.where(values > 1.0, 1.0 - (sums - values), values - (sums - 1.0)) / sums
    fractions, exponents = np.frexp(sums)
    low = fractions < 0.5**0.5
    fractions = np.where(low, fractions * 2.0, fractions) - 1.0
    powers = (exponents - low).astype(np.float64)
    ratios = fractions / (fractions + 2.0)
    squares = ratios * ratios
    series = np.zeros_like(squares)
    for factor in _POLYNOMIAL:
        series = (series + factor) * squares
    halves = fractions * fractions * 0.5
    found: Floats = powers * _LN2_HIGH - (
        (halves - (ratios * (halves + series) + (powers * _LN2_LOW + lost))) - fractions
    )
    return found
