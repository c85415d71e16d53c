"""What the linear learner believes of weights before it sees records: the bins of a number follow a smooth shape.

Weights of features are made of coefficients, ``w = B u``, and the coefficients are penalised alone. An indicator of a
value or token has a coefficient of its own. The bins of a number share some: a line over the bins' mean values and one
over their ranks, which cost little; the halves, quarters, eighths ... of the bins, each a coefficient; and each bin
has one. So a fine cut costs nothing where the effect is a line or slow, and bins differ where the records say so. This
is ridge regression under a normal prior with covariance ``B B'``: a sum of kernels, each of them one way to be alike.

Sources: Hoerl and Kennard, Ridge regression, Technometrics 12 (1970); the halving is that of Haar's basis; Fahrmeir and
Lang, Bayesian inference for generalized additive mixed models, JRSS C 50 (2001), for priors on the weights of bins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import TYPE_CHECKING, TypeGuard

import numpy as np

from nightcast.datasource.arrow_arrays import Floats, Ints
from nightcast.datasource.insights import Insights
from nightcast.recipe.bins import bin_codes
from nightcast.recipe.blocks import BinBlock, Block, NumberBlock, VocabularyBlock, block_starts
from nightcast.recipe.expressions import Expression, ValueType, Variable, is_calendar, unscaled
from nightcast.recipe.featurizer import Featurizer
from nightcast.recipe.number_statistics import distribution
from nightcast.recipe.values import inner_edges

if TYPE_CHECKING:
    from scipy.sparse import csr_array

# A line of slope 1 costs as much as a bin that is off by a third of the deviation.
LINE = 3.0
# Columns of a number's basis that are lines; the others are steps.
_LINES = 2
# Powers of two: how many parts of the bins learners of steps share.
_SHARED_HALVINGS = range(1, 7)


class Kind(IntEnum):
    """What a coefficient shapes: the weight of a value or token, a line over a number, or steps of its bins."""

    VALUE = 0
    LINE = 1
    STEP = 2


_PENALTIES = {Kind.VALUE: "l2", Kind.LINE: "l2Numbers", Kind.STEP: "l2Steps"}


@dataclass(frozen=True)
class Group:
    """The features of one output of a recipe that exclude each other, and their coefficients.

    Parameters
    ----------
    features, coefficients
        Where they stand.
    columns
        The basis of these features, shape (features, coefficients); None: each has a coefficient of its own.
    """

    features: slice
    coefficients: slice
    columns: Floats | None


@dataclass(frozen=True)
class Shapes:
    """How weights are made of coefficients.

    Parameters
    ----------
    basis
        float64 of shape (features, coefficients).
    kinds
        The `Kind` of each coefficient; shape (coefficients,).
    owners
        Number of the penalty that each coefficient has, where outputs have penalties of their own; shape
        (coefficients,).
    groups
        Those of which a record has one feature at most.
    """

    basis: csr_array
    kinds: Ints
    owners: Ints
    groups: tuple[Group, ...] = ()

    @cached_property
    def transposed(self) -> csr_array:
        """The basis' rows as columns, by rows: a product adds each sum in the features' order."""
        return self.basis.T.tocsr()

    @property
    def size(self) -> int:
        """Number of coefficients."""
        return int(self.basis.shape[1])

    def turned(self, products: Floats) -> Floats:
        """``B' P B`` for a symmetric matrix P of shape (features, features), of which the upper triangle counts."""
        whole = symmetric(products)
        return np.asarray(self.transposed @ np.ascontiguousarray((self.transposed @ whole).T))

    def has(self, kind: Kind) -> bool:
        """Whether there are coefficients of the kind."""
        return bool((self.kinds == kind).any())

    def penalties(self, values: float, numbers: float, steps: float | None = None) -> Floats:
        """A penalty for each coefficient, by its kind; that of steps is by default that of lines; (coefficients,)."""
        return np.array([values, numbers, numbers if steps is None else steps])[self.kinds]

    def by_output(self, featurizer: Featurizer, penalties: Floats) -> dict[str, dict[str, float]]:
        """The penalties on values, lines and steps, by the text of the recipe's output."""
        found: dict[str, dict[str, float]] = {}
        starts, basis = block_starts(featurizer.blocks), self.basis
        for block, start, end in zip(featurizer.blocks, starts, starts[1:], strict=False):
            places = np.unique(basis.indices[basis.indptr[start] : basis.indptr[end]])
            for kind, name in _PENALTIES.items():
                chosen = places[self.kinds[places] == kind]
                if len(chosen):
                    found.setdefault(str(block.expression), {})[name] = float(f"{penalties[chosen[-1]]:.4g}")
        return found

    def by_owner(self, penalties: Floats) -> Floats:
        """The penalty of each owner; all of its coefficients have the same; shape (owners,)."""
        found = np.zeros(int(self.owners.max(initial=-1)) + 1)
        found[self.owners] = penalties
        return found


def symmetric(products: Floats) -> Floats:
    """The symmetric matrix whose upper triangle is that of the given one."""
    upper = np.triu(products)
    return upper + np.triu(upper, 1).T


def plain_shapes(featurizer: Featurizer) -> Shapes:
    """Each feature has a coefficient of its own, as in scikit-learn's Ridge."""
    return _laid([(len(block.names), _exclusive(block), None) for block in featurizer.blocks])


def shapes_of(featurizer: Featurizer, insights: Insights) -> Shapes:
    """The shapes that the recipe's outputs suggest; numbers themselves are taken in units of their deviation."""
    found: list[tuple[int, bool, Floats | None]] = []
    for block in featurizer.blocks:
        features = len(block.names)
        if _is_number(block):
            found.append((block.bins, True, _bins(_mean_values(block, featurizer, insights))))
            found.append((features - block.bins, True, None))
        elif isinstance(block, NumberBlock):
            known = distribution(unscaled(block.expression), insights)
            found.append((1, False, np.array([[LINE * block.scale / (known.std or 1.0)]])))
            found.append((features - 1, True, None))
        else:
            found.append((features, _exclusive(block), None))
    return _laid(found)


def _exclusive(block: Block) -> bool:
    if isinstance(block, VocabularyBlock):
        return isinstance(block.expression, Variable) and block.expression.type is ValueType.CATEGORICAL
    return isinstance(block, BinBlock)


def _laid(pieces: Sequence[tuple[int, bool, Floats | None]]) -> Shapes:
    """Shapes of pieces one behind the other: number of features, whether they exclude each other, their basis."""
    from scipy.sparse import block_diag, csr_array, eye_array

    groups: list[Group] = []
    matrices: list[csr_array] = []
    kinds: list[Ints] = []
    feature = coefficient = 0
    for size, exclusive, columns in pieces:
        if not size:
            continue
        width = size if columns is None else columns.shape[1]
        if exclusive:
            places = slice(feature, feature + size), slice(coefficient, coefficient + width)
            groups.append(Group(*places, columns))
        matrices.append(eye_array(size, format="csr") if columns is None else csr_array(columns))
        shaped = np.where(np.arange(width) < _LINES, Kind.LINE, Kind.STEP)
        kinds.append(np.full(width, Kind.VALUE) if columns is None else shaped)
        feature, coefficient = feature + size, coefficient + width
    if not matrices:
        return Shapes(csr_array((0, 0)), np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))
    # Where a piece or a kind ends, the next owner begins.
    starts = np.concatenate([np.append(True, np.diff(piece) != 0) for piece in kinds])
    return Shapes(csr_array(block_diag(matrices)), np.concatenate(kinds), np.cumsum(starts) - 1, tuple(groups))


@dataclass(frozen=True)
class SharedShapes:
    """Coefficients that bins share, for learners that keep the bins' own weights beside them.

    Parameters
    ----------
    lines
        The mean values of the bins of a number, and then, if wanted, their ranks from 1 to 3; shape (features, lines).
    levels
        Halves, quarters ... 64ths of the bins as indicators, of shape (features, levels).
    shares
        Which share of a number's bins each feature, and then each level, holds; 1 for what is no bin. Where a recipe
        bins dates, the dates themselves count as bins. Shape (features + levels,).
    """

    lines: csr_array
    levels: csr_array
    shares: Floats


def shared_shapes(featurizer: Featurizer, insights: Insights, *, ranks: bool = False) -> SharedShapes:
    """What the bins of a recipe's numbers share; with both lines of `shapes_of`, or the one over mean values alone."""
    from scipy.sparse import block_diag, csr_array

    lines, levels = [np.zeros((0, 0))], [np.zeros((0, 0))]
    own, shared = [np.zeros(0)], [np.zeros(0)]
    dates = _binned_dates(featurizer.blocks)
    for block in featurizer.blocks:
        features = len(block.names)
        means, parts, shares = np.zeros((0, 0)), np.zeros((0, 0)), np.ones(features)
        if _is_number(block):
            means = _mean_values(block, featurizer, insights)[:, None]
            if ranks:
                means = np.column_stack([means, _ranks(block.bins) + 2.0])
            parts = np.column_stack(
                [np.zeros((block.bins, 0)), *(_parts(block.bins, 2**power) for power in _SHARED_HALVINGS)]
            )
            shares[: block.bins] /= block.bins
            shared.append(parts.mean(axis=0))
        elif isinstance(block, VocabularyBlock) and block.expression in dates:
            shares /= features
        lines.append(np.vstack([means, np.zeros((features - len(means), means.shape[1]))]))
        levels.append(np.vstack([parts, np.zeros((features - len(parts), parts.shape[1]))]))
        own.append(shares)
    # Of sparse pieces: of dense ones block_diag would hold the zeros too.
    of_lines, of_levels = ([csr_array(piece) for piece in pieces] for pieces in (lines, levels))
    return SharedShapes(csr_array(block_diag(of_lines)), csr_array(block_diag(of_levels)), np.concatenate(own + shared))


def _binned_dates(blocks: Sequence[Block]) -> set[Expression]:
    """The attributes of which days are binned."""
    return {variable for block in blocks if _is_number(block) for variable in block.expression.variables()}


def _is_number(block: Block) -> TypeGuard[BinBlock]:
    """Whether the block's features are bins of a number, or of days, and not of the calendar."""
    return isinstance(block, BinBlock) and not is_calendar(block.expression)


def _parts(bins: int, parts: int) -> Floats:
    """So many equal parts of the bins as indicators, shape (bins, parts); none if bins are no more than parts."""
    if parts >= bins:
        return np.zeros((bins, 0))
    found: Floats = ((np.arange(bins) * parts // bins)[:, None] == np.arange(parts)).astype(np.float64)
    return found


def _ranks(bins: int) -> Floats:
    """Ranks of the bins from -1 to 1."""
    found: Floats = 2.0 * np.arange(bins) / max(bins - 1, 1) - 1.0
    return found


def _bins(means: Floats) -> Floats:
    """The columns for bins of the given mean values, in units of the attribute's deviation; shape (bins, columns)."""
    bins = len(means)
    halves = [_parts(bins, 2**power) for power in range(1, max(bins - 1, 1).bit_length())]
    return np.column_stack([LINE * means, LINE * _ranks(bins), *halves, np.eye(bins)])


def _mean_values(block: BinBlock, featurizer: Featurizer, insights: Insights) -> Floats:
    """The mean value within each bin, about the attribute's mean and in units of its deviation."""
    found = distribution(unscaled(block.expression.arguments[0]), insights)
    edges = inner_edges(block.expression, featurizer.edges)
    quantiles = np.asarray(found.quantiles)
    if not len(quantiles) or not found.std:
        return np.zeros(block.bins)
    middles = (quantiles[:-1] / 2 + quantiles[1:] / 2 - found.mean) / found.std
    codes = bin_codes(quantiles[:-1] / 2 + quantiles[1:] / 2, None, edges) - 1
    counts = np.bincount(codes, minlength=block.bins)
    means = np.bincount(codes, middles, block.bins) / np.maximum(counts, 1)
    # A bin narrower than a permille stands where it begins.
    starts = (np.append(quantiles[0], edges) - found.mean) / found.std
    return np.where(counts > 0, means, starts)
