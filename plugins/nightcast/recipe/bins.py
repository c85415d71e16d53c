"""Bins of equal frequency, from the quantiles of a datasource's insights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nightcast.datasource.arrow_arrays import Bools, Floats, Ints
from nightcast.recipe.bin_table import bin_table

_PERMILLES = 1000


def bin_edges(quantiles: Sequence[float], bins: int) -> tuple[float, ...]:
    """Inner edges of ``bins`` bins of about equal frequency.

    Parameters
    ----------
    quantiles
        1001 values, the 0th to the 1000th permille, ascending; or none at all.
    bins
        2 to 1000. An edge that falls between two permilles is taken from the nearest one.

    Returns
    -------
    tuple of float
        Ascending and distinct: edges that coincide are merged, and those at the minimum are left out, as they
        would make a bin without values. An attribute with fewer distinct values than bins gets fewer bins.

    Examples
    --------
    >>> bin_edges([permille / 10 for permille in range(1001)], 4)
    (25.0, 50.0, 75.0)
    """
    if not quantiles:
        return ()
    found = {_edge(quantiles, round(_PERMILLES * number / bins)) for number in range(1, bins)}
    return tuple(sorted(edge for edge in found if edge > quantiles[0]))


def _edge(quantiles: Sequence[float], place: int) -> float:
    """The quantile; the value above it, if it was interpolated just below a value that many records have."""
    if place + 2 <= _PERMILLES and quantiles[place] < quantiles[place + 1] == quantiles[place + 2]:
        return quantiles[place + 1]
    return quantiles[place]


def variance_within(quantiles: Sequence[float], edges: Sequence[float]) -> float:
    """Share of the variance of an attribute that lies within bins: 0 where each value has its own, 1 without edges.

    Parameters
    ----------
    quantiles
        Its 1001 permilles; what lies between two of them stands at their middle.
    edges
        Inner edges of the bins.
    """
    ends = np.asarray(quantiles, dtype=np.float64)
    low, high = ends[0], ends[-1]
    if not high > low:
        return 0.0
    # Scaled to the range, whose square may be beyond float64; so may be the range itself.
    values = ends[:-1] / 2 + ends[1:] / 2
    middles = (values / 2 - low / 2) / (high / 2 - low / 2)
    codes = bin_codes(values, None, edges)
    counts = np.bincount(codes)
    means = np.bincount(codes, weights=middles) / np.maximum(counts, 1)
    spread = float(((middles - middles.mean()) ** 2).sum())
    return float(((middles - means[codes]) ** 2).sum()) / spread if spread > 0 else 0.0


def bin_codes(values: Floats, valid: Bools | None, edges: Sequence[float]) -> Ints:
    """Number of the bin of each value: 1 to ``len(edges) + 1``, and 0 where ``valid`` is false.

    Bins are closed on the left: a value equal to an edge is in the upper bin. Values below the first edge or
    above the last are in the first or last bin, however far they lie from the values that made the edges.
    """
    codes = bin_table(tuple(edges))(values)
    codes += 1
    if valid is not None:
        codes[~valid] = 0
    return codes
