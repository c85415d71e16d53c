"""The steps of `sgd`: several learners of different learning rates take them side by side.

A step follows the gradient of a mini-batch. Each weight has its own step size: the learning rate over the root of the
sum of its squared gradients (AdaGrad), but not more than what would carry the records of the step beyond their optimum,
which is why large rates are alike at first and none diverges. Fine bins step more slowly than what they share, see
`nightcast.mlmodel.sgd_coordinates.Coordinates`. What counts is the average of the weights over all steps, of which the
later count more.

Sources: Duchi, Hazan and Singer, Adaptive subgradient methods, JMLR 12, 2011; Ross, Mineiro and Langford, Normalized
online learning, UAI 2013; the bound is that of Richtarik and Takac, Parallel coordinate descent methods, 2016; the
average is that of Shamir and Zhang, Stochastic gradient descent for non-smooth optimization, ICML 2013.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from nightcast.datasource.arrow_arrays import Bools, Floats, Ints
from nightcast.mlmodel.sgd_loss import CURVATURES, Losses, losses
from nightcast.mlmodel.sgd_records import Records
from nightcast.mlmodel.targets import ModelType

_TINY = 1e-150
# First step of the learning rate 1: in deviations of the target, or log odds, a deviation of the feature.
_UNIT_STEP = 0.3
# A weight of a step at record t in the average is proportional to t**_RECENCY.
_RECENCY = 3
_DENSE_SHARE = 4


@dataclass(frozen=True)
class Penalty:
    """``l1 * sum(abs(w)) + sum(l2 / 2 * w**2)``, added to the mean loss of the records; not of the intercepts.

    Parameters
    ----------
    l2
        One number, or one for each parameter; shape (width,).
    """

    l1: float = 0.0
    l2: float | Floats = 0.0


@dataclass
class Steps:
    """Learners that take steps together.

    Parameters
    ----------
    model_type
        Gives the loss.
    rates
        Learning rate of each learner.
    dense
        Parameters of the columns of `Records.numbers`, the last of them the intercept's.
    start
        Intercepts to begin with; shape (outputs,).
    paces
        What the first step of each parameter is multiplied with; shape (width,). None: all with 1.
    """

    model_type: ModelType
    rates: tuple[float, ...]
    dense: Ints
    start: Floats
    penalty: Penalty
    paces: Floats | None = None
    records: int = 0
    weights: Floats = field(init=False, repr=False)

    def __post_init__(self) -> None:
        width, columns = int(self.dense[-1]) + 1, len(self.rates) * len(self.start)
        self.weights = np.zeros((width, columns))
        self.weights[-1] = np.tile(self.start, len(self.rates))
        self._squares, self._lag = np.zeros((width, columns)), np.zeros((width, columns))
        self._last, self._bounds = np.zeros(width), np.zeros(width)
        self._steps = np.repeat(_UNIT_STEP * np.array(self.rates), len(self.start))
        self._paces = (np.ones(width) if self.paces is None else self.paces)[:, None]
        self._l2 = np.broadcast_to(self.penalty.l2, width)[:, None] if np.any(self.penalty.l2) else None
        self._marks, self._places = np.zeros(width, dtype=np.bool_), np.zeros(width, dtype=np.int32)
        self._ones = np.ones(0)
        # Indicators of a record pull together; numbers, about their means, mostly do not.
        numbers = len(self.dense) - 1
        self._dense_overlap = 1.0 + min(numbers, 2.0 * numbers**0.5)

    def step(self, records: Records) -> tuple[Floats, Losses]:
        """Take one step of every learner.

        Returns
        -------
        scores
            Of the records before the step: float64 of shape (records, learners, outputs).
        losses
            The loss of each record before the step, and its derivative by the scores.
        """
        rows, dense, columns, height = self._located(records)
        before = self.weights[rows]
        scores = self._scores(records, before, dense, columns)
        found = losses(self.model_type, scores, records.targets)
        gradient, bound = self._gradient(records, found.residuals, dense, columns, height)
        touched = bound[:, 0] > 0
        self.records += len(records)
        self._bounds[rows] += bound[:, 0]
        # A number that happens to be near 0 in these records is not in all.
        usual = (len(records) / self.records) * self._bounds[rows]
        bound = np.maximum(bound, usual[:, None])
        squares = self._squares[rows]
        squares += gradient * gradient
        sizes = self._paces[rows] * self._steps / (np.sqrt(squares) + _TINY)
        with np.errstate(divide="ignore"):
            np.minimum(sizes, 1.0 / bound, out=sizes)
        after = before - sizes * gradient
        self._penalise(after, sizes, rows, touched)
        self._squares[rows] = squares
        self._lag[rows] += (after - before) * float(self.records - len(records)) ** (_RECENCY + 1)
        self.weights[rows] = after
        return scores, found

    def averages(self) -> Floats:
        """The average over all steps so far, of the shape of the weights.

        With a penalty on absolute weights, those that stand at 0 are 0.
        """
        if not self.records:
            return self.weights.copy()
        found = self.weights - self._lag / float(self.records) ** (_RECENCY + 1)
        if self.penalty.l1 > 0:
            found[:-1][self.weights[:-1] == 0.0] = 0.0
        return found

    def _located(self, records: Records) -> tuple[Ints | slice, Ints, Ints, int]:
        """Rows of the weights that the records touch, and where among them numbers and indicators stand."""
        width = len(self.weights)
        if width <= _DENSE_SHARE * (len(records.columns) + len(self.dense)):
            return slice(None), self.dense, records.columns, width
        self._marks[records.columns] = True
        self._marks[self.dense] = True
        rows = np.flatnonzero(self._marks)
        self._marks[rows] = False
        self._places[rows] = np.arange(len(rows), dtype=np.int32)
        return rows, self._places[self.dense], self._places[records.columns], len(rows)

    def _scores(self, records: Records, weights: Floats, dense: Ints, columns: Ints) -> Floats:
        from scipy.sparse import csr_array

        shape = (len(records), len(weights))
        matrix = csr_array((self._units(len(columns)), columns, records.offsets), shape=shape)
        scores = np.asarray(matrix @ weights)
        scores += records.numbers @ weights[dense]
        return scores.reshape(len(records), len(self.rates), -1)

    def _gradient(
        self, records: Records, residuals: Floats, dense: Ints, columns: Ints, height: int
    ) -> tuple[Floats, Floats]:
        """Sum of the records' gradients, and for each parameter the inverse of the longest step."""
        from scipy.sparse import csc_array

        active = (np.diff(records.offsets) + self._dense_overlap)[:, None]
        factors = np.concatenate([residuals.reshape(len(records), -1), active], axis=1)
        matrix = csc_array((self._units(len(columns)), columns, records.offsets), shape=(height, len(records)))
        sums = np.asarray(matrix @ factors)
        numbers = records.numbers.T
        sums[dense, :-1] = numbers @ factors[:, :-1]
        sums[dense, -1:] = (numbers * numbers) @ active
        return sums[:, :-1], CURVATURES[self.model_type] * sums[:, -1:]

    def _penalise(self, after: Floats, sizes: Floats, rows: Ints | slice, touched: Bools) -> None:
        """Shrink the weights that the records touch, for all records since they were touched last; in place."""
        l1, l2 = self.penalty.l1, self._l2
        if l2 is None and not l1:
            return
        last = self._last[rows]
        elapsed = np.where(touched, self.records - last, 0.0)
        elapsed[-1] = 0.0
        self._last[rows] = np.where(touched, self.records, last)
        amounts = sizes * elapsed[:, None]
        if l2 is not None:
            after /= 1.0 + l2[rows] * amounts
        if l1:
            after[:] = np.sign(after) * np.maximum(np.abs(after) - l1 * amounts, 0.0)

    def _units(self, size: int) -> Floats:
        if size > len(self._ones):
            self._ones = np.ones(2 * size)
        return self._ones[:size]


def scores_of(records: Records, weights: Floats, dense: Ints) -> Floats:
    """Scores of records under weights of shape (parameters, columns): float64 of shape (records, columns)."""
    scores = np.asarray(records.matrix(len(weights)) @ weights)
    scores += records.numbers @ weights[dense]
    return scores
