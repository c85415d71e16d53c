"""Measures of association from counts and sums: mutual information, entropy, the correlation ratio."""

from __future__ import annotations

from math import exp, log, sqrt

import numpy as np

from nightcast.artifacts import finite
from nightcast.datasource.arrow_arrays import Floats, Ints
from nightcast.datasource.sketches import Moments

_BITS = 1 / log(2)
_FEWEST_RECORDS = 5


def mutual_information(table: Ints) -> float | None:
    """Bits that rows tell of columns.

    Parameters
    ----------
    table
        Numbers of records of shape (values, classes).

    Returns
    -------
    float or None
        The plug-in estimate less its bias (r - 1) (c - 1) / (2 n) nats for n records in r rows and c columns that are
        not empty, at least 0; None without records. Source: Miller, Note on the bias of information estimates,
        Information Theory in Psychology (1955). That bias is a good one only for rows with some records, so that those
        with less than c, or less than 5, are one row together: ids would else tell all there is to know.

    Examples
    --------
    >>> round(mutual_information(np.array([[500, 0], [0, 500]])), 3)
    0.999
    >>> mutual_information(np.eye(9, dtype=np.int64)), mutual_information(np.zeros((2, 2), dtype=np.int64))
    (0.0, None)
    """
    table = table[:, table.any(axis=0)]
    total = int(table.sum())
    if total == 0:
        return None
    rare = table.sum(axis=1) < max(_FEWEST_RECORDS, table.shape[1])
    table = np.vstack((table[~rare], table[rare].sum(axis=0)))
    table = table[table.any(axis=1)]
    rows, columns = table.sum(axis=1), table.sum(axis=0)
    plug_in = (_sum_of_logs(table) - _sum_of_logs(rows) - _sum_of_logs(columns) + total * log(total)) / total
    bias = (len(rows) - 1) * (len(columns) - 1) / (2 * total)
    return max(0.0, plug_in - bias) * _BITS


def presence_information(with_it: Ints, classes: Ints) -> Floats:
    """Bits that the presence of each of many tokens tells of the class.

    Parameters
    ----------
    with_it
        Records that hold the token, of shape (tokens, classes).
    classes
        Records of each class, of shape (classes,).

    Returns
    -------
    numpy.ndarray
        `mutual_information` of presence and class for each token, of shape (tokens,).
    """
    chosen = classes > 0
    present, classes = with_it[:, chosen], classes[chosen]
    total = int(classes.sum())
    if total == 0:
        return np.zeros(len(with_it))
    absent = classes - present
    inside = present.sum(axis=1)
    whole = total * log(total) - _sum_of_logs(classes)
    joint = _times_log(present).sum(axis=1) + _times_log(absent).sum(axis=1)
    plug_in = (joint - _times_log(inside) - _times_log(total - inside) + whole) / total
    enough = np.minimum(inside, total - inside) >= max(_FEWEST_RECORDS, len(classes))
    return np.asarray(np.where(enough, np.maximum(0.0, plug_in - (len(classes) - 1) / (2 * total)), 0.0) * _BITS)


def presence_entropy(records: Ints, total: int) -> Floats:
    """Entropy in bits of whether a record holds each of many tokens, of shape (tokens,)."""
    share = records / max(total, 1)
    return np.asarray(-(_times_log(share) + _times_log(1 - share)) * _BITS)


def informational_correlation(bits: float | None) -> float | None:
    """Linfoot's informational coefficient of correlation, sqrt(1 - exp(-2 I)) with I in nats: 0..1.

    For two normal variables it equals the magnitude of Pearson's correlation. It reaches 1 only as far as the target's
    entropy allows: 0.866 for two equally frequent classes. Source: Linfoot, An informational measure of correlation,
    Information and Control 1 (1957).

    Examples
    --------
    >>> informational_correlation(0.0), round(informational_correlation(1.0), 3), informational_correlation(None)
    (0.0, 0.866, None)
    """
    return None if bits is None else sqrt(1 - exp(-2 * bits / _BITS))


def correlation_ratio(counts: Ints, sums: Floats, moments: Moments) -> float | None:
    """Kelley's epsilon: the correlation ratio eta of numbers in groups, freed of what chance adds with each group.

    Parameters
    ----------
    counts, sums
        Number and sum of the values of each group, shape (groups,).
    moments
        Of all values.

    Returns
    -------
    float or None
        sqrt(epsilon**2), 0..1, where epsilon**2 = 1 - (1 - eta**2) (n - 1) / (n - k) for n values in k groups; None
        where the values do not vary, or each is its own group (eta would be 1). Source: Kelley, An unbiased correlation
        ratio measure, PNAS 21 (1935).
    """
    filled = counts > 0
    groups, values = int(np.count_nonzero(filled)), moments.count
    if values <= groups or not moments.varies:
        return None
    deviations = sums[filled] / counts[filled] - moments.mean
    between = finite(float((counts[filled] * deviations * deviations).sum()) / moments.squares)
    if between is None:
        return None
    return sqrt(min(1.0, max(0.0, 1.0 - (1.0 - between) * (values - 1) / (values - groups))))


def _times_log(counts: Ints | Floats) -> Floats:
    """x ln x, and 0 for 0."""
    return np.asarray(counts * np.log(np.where(counts > 0, counts, 1)))


def _sum_of_logs(counts: Ints) -> float:
    return float(_times_log(counts).sum())
