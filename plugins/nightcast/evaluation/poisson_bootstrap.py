"""How far a difference of two models may be due to chance: the Poisson bootstrap.

The ordinary bootstrap draws n of n records with replacement, so that all of them have to be there at once. The Poisson
bootstrap gives each record a weight of its own in each replicate, drawn from Poisson(1), which has the same limit and
needs no other record: Chamandy, Muralidharan, Najmi and Naidu, Estimating uncertainty for massive data streams, Google,
2012. The weights come from a generator that is a function of seed, unit and replicate and of nothing else, so the
outcome is the same in any order, on any number of workers.

Both models' losses of a record get the same weight: the difference is paired, and what makes a record hard for both
does not count as noise.

What is resampled should be independent. Errors of one day are not: a concert that is announced on that day, a strike
or a holiday moves many records at once, for both models, but not to the same degree. A thousand records of one day then
tell less than a thousand of different days, and the resampling of records would be too sure. So where days are known,
whole days are resampled, or weeks where there are enough (errors of neighbouring days are related, too): the block
bootstrap of Kuensch, The jackknife and the bootstrap for general stationary observations, Annals of Statistics 17
(1989).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
import numpy.typing as npt

from nightcast.artifacts import finite
from nightcast.datasource.arrow_arrays import Floats, Hashes, Ints
from nightcast.datasource.hashing import mixed, seed_hash

REPLICATES = 200
# Of 65,536 equally likely draws how many are 0, 1, 2, ...: Poisson(1) rounded, with a mean of exactly 1 and a variance
# of 1.00009. Four draws come from one 64-bit hash, which makes them cheap.
_DRAWS = (24_109, 24_110, 12_055, 4_018, 1_004, 201, 33, 5, 1)
_WEIGHTS = np.repeat(np.arange(len(_DRAWS), dtype=np.uint8), _DRAWS)
_DRAWS_A_HASH = 4
_STEP = np.uint64(0x9E3779B97F4A7C15)
_CHUNK = 2048


@dataclass(frozen=True)
class Difference:
    """The loss of a challenger less that of a champion; negative where the challenger is better.

    Parameters
    ----------
    value
        On all compared records.
    standard_error
        Of `value`; None where it can not be told.
    lower, upper
        One-sided bounds, each of which the true difference keeps with the confidence that was asked for.
    units
        Number of resampled records, days or weeks.
    """

    value: float
    standard_error: float | None
    lower: float | None
    upper: float | None
    units: int


def record_streams(seed: str, numbers: Ints) -> Hashes:
    """For each record, by its number over all parts, the start of its stream of weights; shape (n,)."""
    return mixed(numbers.astype(np.uint64) ^ seed_hash(seed))


def text_streams(seed: str, texts: Sequence[str]) -> Hashes:
    """The same for blocks, by their names."""
    return np.array([seed_hash(f"{seed}\0{text}") for text in texts], dtype=np.uint64)


def poisson_weights(streams: Hashes, replicates: int) -> npt.NDArray[np.uint8]:
    """Weights of units in replicates; shape (len(streams), replicates).

    The hashes are the outputs of SplitMix64 from each stream's start.
    """
    words = -(-replicates // _DRAWS_A_HASH)
    drawn = mixed(streams[:, None] + np.arange(words, dtype=np.uint64) * _STEP)
    pieces = drawn.astype("<u8").view("<u2")
    found: npt.NDArray[np.uint8] = _WEIGHTS[pieces[:, :replicates]]
    return found


def replicate_means(streams: Hashes, sizes: Ints, sums: Floats, replicates: int) -> Floats:
    """Weighted means of losses in each replicate.

    Parameters
    ----------
    streams, sizes
        Of the units: records (of size 1), or blocks of so many records; shape (units,).
    sums
        Sum of each loss over the unit's records: shape (units, losses).

    Returns
    -------
    numpy.ndarray
        Shape (replicates drawn, losses). A replicate in which all weights are 0 is left out.
    """
    counts, totals = np.zeros(replicates), np.zeros((sums.shape[1], replicates))
    for begin in range(0, len(streams), _CHUNK):
        chosen = slice(begin, begin + _CHUNK)
        weights = poisson_weights(streams[chosen], replicates).astype(np.float64)
        # No BLAS: its sums depend on the number of threads.
        counts += np.einsum("nb,n->b", weights, sizes[chosen].astype(np.float64), optimize=False)
        # Losses in rows: the order of "nb,nm->bm" takes fifteen times as long.
        totals += np.einsum("nb,mn->mb", weights, np.ascontiguousarray(sums[chosen].T), optimize=False)
    drawn = counts > 0
    means: Floats = (totals[:, drawn] / counts[drawn]).T
    return means


def paired_difference(
    streams: Hashes,
    sizes: Ints,
    sums: Floats,
    value: float,
    *,
    root: bool,
    confidence: float,
    replicates: int = REPLICATES,
    share: float = 1.0,
) -> Difference:
    """The difference of two models with its bounds.

    The bounds are ``value`` less and plus t times the standard error, which is the deviation of the replicates: for
    that 200 of them are enough, while quantiles of replicates need thousands (Efron and Tibshirani, An introduction to
    the bootstrap, 1993, sections 6.4 and 13.4). With few units the bootstrap's deviation is too small by
    sqrt((n - 1) / n), and t has n - 1 degrees of freedom (Hesterberg, What teachers should know about the bootstrap,
    American Statistician 69, 2015).

    Parameters
    ----------
    streams, sizes, sums
        As of `replicate_means`; the losses are those of the challenger and of the champion.
    value
        The difference on all compared records.
    root
        Whether a model is judged by the root of its mean loss.
    confidence
        Of each bound, above 0.5 and below 1.
    share
        Share of the compared records that the units are: the standard error falls with the root of their number.
    """
    from scipy.stats import t

    units = len(streams)
    if units < 2:
        return Difference(value, None, None, None, units)
    with np.errstate(over="ignore", invalid="ignore"):
        means = replicate_means(streams, sizes, sums, replicates)
        levels = np.sqrt(means) if root else means
        differences = levels[:, 0] - levels[:, 1]
        deviation = float(differences.std(ddof=1)) if len(differences) > 1 else float("nan")
    error = finite(deviation * sqrt(share * units / (units - 1)))
    if error is None:
        return Difference(value, None, None, None, units)
    reach = float(t.ppf(confidence, units - 1)) * error
    return Difference(value, error, finite(value - reach), finite(value + reach), units)
