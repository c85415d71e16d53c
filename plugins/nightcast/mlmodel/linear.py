"""Linear regression with squared loss and an L2 penalty, solved exactly.

Minimises ``sum((y - b - x w)**2) + l2 * sum(w**2)`` over weights w and intercept b, which is not penalised:
scikit-learn's ``Ridge(alpha=l2)``, by the normal equations. Their sums are accumulated over parts in
one pass, so that memory depends on the number of features and not on that of records.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from nightcast.datasource.arrow_arrays import Bools, Floats, numbers
from nightcast.datasource.parts import Batch, ByteSource, Datasource, Mapper, NumberedPart
from nightcast.datasource.rearrangement import Rearrangement
from nightcast.datasource.schema import AttributeType, Schema
from nightcast.datasource.selection import filtered, selected_batches
from nightcast.errors import ModelError
from nightcast.mlmodel.gram import Gram
from nightcast.mlmodel.ridge import ridge_weights
from nightcast.recipe.featurizer import Featurizer

MAX_FEATURES = 10_000  # X'X of so many takes 800 MB
_LEAST_RECORDS = 2


@dataclass
class TargetSums:
    """What is known of the targets of some records.

    Parameters
    ----------
    center
        Subtracted from targets before they are summed, the same in every part.
    without_target, invalid_target
        Records that were dropped: without target, and with one that is no number.
    """

    center: float
    records: int = 0
    without_target: int = 0
    invalid_target: int = 0
    total: float = 0.0
    squares: float = 0.0
    low: float = math.inf
    high: float = -math.inf

    def add(self, targets: Floats) -> Floats:
        """Add targets; returns them about the center."""
        centered = targets - self.center
        self.records += len(targets)
        self.total += float(centered.sum())
        self.squares += float(np.einsum("i,i->", centered, centered))
        self.low = min(self.low, float(targets.min()))
        self.high = max(self.high, float(targets.max()))
        return centered

    def merge(self, other: TargetSums) -> None:
        """Add the targets of other records."""
        for name in ("records", "without_target", "invalid_target", "total", "squares"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.low, self.high = min(self.low, other.low), max(self.high, other.high)

    @property
    def mean(self) -> float:
        """Mean of the targets."""
        return self.center + self.total / self.records

    @property
    def deviations(self) -> float:
        """Sum of squared differences from the mean."""
        return max(self.squares - self.total * self.total / self.records, 0.0)


@dataclass
class LinearState:
    """Sums over some records: what a part function returns, and what is merged. No record, no matrix."""

    targets: TargetSums
    gram: Gram | None = None

    def merge(self, other: LinearState) -> None:
        """Add the sums of the records that follow."""
        self.targets.merge(other.targets)
        if self.gram is None:
            self.gram = other.gram
        elif other.gram is not None:
            self.gram.merge(other.gram)


@dataclass(frozen=True)
class LinearFit:
    """A fitted linear model.

    Parameters
    ----------
    weights
        float64 of shape (n_features,), in the order of the featurizer's columns.
    intercept
        Prediction for a record without any feature.
    targets
        Sums of the training targets, with the counts of dropped records.
    rmse
        Root mean squared error on the training records.
    """

    weights: Floats = field(repr=False)
    intercept: float
    targets: TargetSums
    rmse: float


def fit_linear(
    datasource: Datasource,
    rearrangement: Rearrangement,
    featurizer: Featurizer,
    source: ByteSource,
    mapper: Mapper = map,
    *,
    l2: float = 1.0,
    target_center: float = 0.0,
) -> LinearFit:
    """Fit the exact linear model to the records that the rearrangement takes.

    Parameters
    ----------
    datasource, source
        Records and where their bytes are; the schema names a NUMERIC target. Records without target, or with one that
        is no number, are dropped and counted. A number among the inputs that can not be read counts as missing.
    featurizer
        Makes the features; at most 10,000.
    mapper
        Applies the part function. The sums are merged in part order: the fit is the same with any number of workers.
    l2
        Penalty on squared weights, a finite number >= 0. 0 gives least squares; where columns depend on each other, the
        solution of least norm (in units of the columns' deviations) is taken.
    target_center
        A number near the target's mean, for accuracy: it does not change the solution.

    Raises
    ------
    ModelError
        If the schema names no NUMERIC target, `l2` is no such number, the features are too many, or fewer than 2
        records have a target.
    """
    target = regression_target(datasource.schema)
    if not (math.isfinite(l2) and l2 >= 0):
        raise ModelError(f"the L2 regularization is {l2!r}; give a finite number from 0.")
    if featurizer.n_features > MAX_FEATURES:
        raise ModelError(
            f"the recipe makes {featurizer.n_features:,} features, and the linear learner takes {MAX_FEATURES:,}: use "
            "fewer bins, or leave out attributes with many values."
        )
    accumulate = partial(
        part_sums,
        rearrangement=rearrangement,
        featurizer=featurizer,
        target=target,
        target_center=target_center,
        source=source,
    )
    state = LinearState(TargetSums(target_center))
    for part in mapper(accumulate, datasource.numbered()):
        state.merge(part)
    return _solved(state, target, l2)


def regression_target(schema: Schema) -> str:
    """Name of the target; ModelError where the schema has none that a regression can learn."""
    if schema.target is None:
        raise ModelError("the schema names no target: set targetAttributeName to the attribute to predict.")
    kind = schema.type_of(schema.target)
    if kind is not AttributeType.NUMERIC:
        raise ModelError(
            f"the target {schema.target!r} is {kind.value}, and a regression needs a NUMERIC one: "
            "change its type in the schema, or name another target."
        )
    return schema.target


def part_sums(
    numbered: NumberedPart,
    rearrangement: Rearrangement,
    featurizer: Featurizer,
    target: str,
    target_center: float,
    source: ByteSource,
) -> LinearState:
    """The sums over one part."""
    state = LinearState(TargetSums(target_center))
    for batch in selected_batches(numbered, rearrangement, (*featurizer.columns, target), source):
        usable = usable_targets(batch, target, state.targets)
        kept = batch if usable.all() else filtered(batch, usable)
        if len(kept):
            if state.gram is None:
                state.gram = Gram(featurizer.centers)
            centered = state.targets.add(numbers(kept.columns[target])[0])
            state.gram.add(featurizer.pieces(kept), centered)
    return state


def usable_targets(batch: Batch, target: str, counts: TargetSums) -> Bools:
    """Which records have a target; the others are counted."""
    _, valid = numbers(batch.columns[target])
    if valid is None:
        return np.ones(len(batch), dtype=np.bool_)
    invalid = int(batch.invalid[target].sum()) if target in batch.invalid else 0
    counts.invalid_target += invalid
    counts.without_target += int(len(batch) - valid.sum()) - invalid
    return valid


def _solved(state: LinearState, target: str, l2: float) -> LinearFit:
    targets, gram = state.targets, state.gram
    if targets.records < _LEAST_RECORDS or gram is None:
        raise ModelError(
            f"{targets.records} training record(s) have a target, at least {_LEAST_RECORDS} are needed "
            f"({targets.without_target:,} without {target!r}, {targets.invalid_target:,} where it is no number): "
            "check query, schema and data rearrangement."
        )
    means = gram.sums / targets.records
    right = gram.with_target - means * targets.total
    weights = ridge_weights(gram.products(), means, targets.records, right, l2)
    residual = targets.deviations - float(weights @ right) - l2 * float(weights @ weights)
    if not (np.isfinite(weights).all() and math.isfinite(residual)):
        raise ModelError(
            f"the numbers of the training records, or their squares, are too large for float64: scale {target!r} and "
            "the numeric attributes in the query."
        )
    return LinearFit(
        weights=weights,
        intercept=targets.mean - float(weights @ (means + gram.centers)),
        targets=targets,
        rmse=math.sqrt(max(residual, 0.0) / targets.records),
    )
