"""The end of `sgd` where records are few: from where the steps led to the minimum of the penalised loss.

A few passes over few records end near the minimum, and not as near as they would over many: effects almost without
noise, and log odds of classes that can be told apart, take more steps than there are. The loss is convex, and all
records are in memory: some gradients over all of them lead to its minimum.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from nightcast.datasource.arrow_arrays import Floats, Ints
from nightcast.mlmodel.descent import Descent, minimised_in_rounds
from nightcast.mlmodel.sgd_loss import curvatures, losses
from nightcast.mlmodel.sgd_records import Records
from nightcast.mlmodel.targets import ModelType

if TYPE_CHECKING:
    from scipy.sparse import csr_array

# What guesses the Hessian is renewed on the way.
_EVALUATIONS_A_ROUND, _ROUNDS = 60, 4
# Share of the loss that a step must be expected to gain.
_TOLERANCE = 1e-6
# Second derivatives below this share of the greatest possible one are taken for it: where a record is certain.
_LEAST_CURVATURE = 1e-3


@dataclass(frozen=True)
class PenalisedLoss:
    """The mean loss of records with ``l2 / 2 * w**2`` of each parameter.

    Parameters
    ----------
    dense
        Parameters of the columns of `Records.numbers`.
    l2
        Shape (width,).
    """

    model_type: ModelType
    records: Records
    dense: Ints
    l2: Floats

    def __call__(self, flat: Floats) -> tuple[float, Floats]:
        """Value and gradient at parameters of shape (width * outputs,)."""
        weights = flat.reshape(len(self.l2), -1)
        found = losses(self.model_type, self._scores(weights)[:, None, :], self.records.targets)
        residuals = found.residuals[:, 0] / len(self.records)
        gradient = np.asarray(self._columns @ residuals)
        gradient[self.dense] += self.records.numbers.T @ residuals
        gradient += self.l2[:, None] * weights
        penalty = 0.5 * float((self.l2 @ weights**2).sum())
        return float(found.values.mean()) + penalty, gradient.ravel()

    def scaling(self, flat: Floats) -> Callable[[Floats], Floats]:
        """A guess of the inverse Hessian at a point: that of its diagonal."""
        weights = flat.reshape(len(self.l2), -1)
        spreads = np.maximum(curvatures(self.model_type, self._scores(weights)), _LEAST_CURVATURE) / len(self.records)
        diagonal = np.asarray(self._columns @ spreads)
        diagonal[self.dense] += (self.records.numbers**2).T @ spreads
        diagonal += self.l2[:, None]
        # What no record has and nothing penalises has no gradient either.
        inverse = 1.0 / np.where(diagonal > 0, diagonal, 1.0).ravel()
        return lambda gradient: inverse * gradient

    @cached_property
    def _matrix(self) -> csr_array:
        return self.records.matrix(len(self.l2))

    @cached_property
    def _columns(self) -> csr_array:
        return self._matrix.T.tocsr()

    def _scores(self, weights: Floats) -> Floats:
        found = np.asarray(self._matrix @ weights)
        found += self.records.numbers @ weights[self.dense]
        return found


def consolidated(loss: PenalisedLoss, parameters: Floats) -> Descent:
    """Where parameters of shape (width, outputs), flat, lead to: at or near the minimum."""
    start = parameters.ravel()
    return minimised_in_rounds(
        loss, start, lambda point, _: loss.scaling(point), _TOLERANCE, _EVALUATIONS_A_ROUND, _ROUNDS
    )
