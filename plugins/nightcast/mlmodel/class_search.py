"""The choice of a classification's penalties, and its minimum over records in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from nightcast.datasource.arrow_arrays import Floats
from nightcast.mlmodel.class_chunks import Chunk, as_matrix
from nightcast.mlmodel.class_loss import loss_and_gradient, probabilities, scores_of
from nightcast.mlmodel.class_records import ClassRecords
from nightcast.mlmodel.class_scaling import class_scaling
from nightcast.mlmodel.descent import Descent, minimised_in_rounds
from nightcast.mlmodel.learners import FOLDS
from nightcast.mlmodel.record_sums import RecordFeatures, RecordSums
from nightcast.mlmodel.regression_search import RegressionSearch
from nightcast.mlmodel.regression_sums import trials_of
from nightcast.mlmodel.shapes import Kind, Shapes
from nightcast.mlmodel.strengths import Strengths, best_strength, tried_kinds
from nightcast.mlmodel.targets import Target
from nightcast.mlmodel.validation import validation_facts

_LEAST_L2 = 0.1
# Shares of the loss that a step must be expected to gain.
ROUGH, EXACT = 1e-6, 1e-10
_EVALUATIONS_A_ROUND, _ROUNDS, _GROUPED_ROUNDS, _ALONE_ROUNDS = 60, 12, 2, 1
# Training records, times outputs, up to which all folds judge.
_FOLDED = 10_000
# Records from which on each output of the recipe has a penalty of its own, and how many are looked at for that.
# With several classes weights are so many that few records mislead.
_RELEVANT, _RELEVANT_SAMPLE = (1_000, 5_000), 10_000
_MOST_LABELS = 20
Loss = Callable[[Floats], tuple[float, Floats]]


@dataclass(frozen=True)
class Coefficients:
    """Weights as functions of coefficients, for each output, with an intercept behind each row.

    Points are flat: weights of shape (outputs, features + 1), coefficients of shape (outputs, coefficients + 1).
    """

    shapes: Shapes
    outputs: int

    @property
    def none(self) -> Floats:
        """The point where all coefficients are 0."""
        return np.zeros(self.outputs * (self.shapes.size + 1))

    def weights(self, point: Floats) -> Floats:
        """The weights that coefficients make."""
        rows = point.reshape(self.outputs, -1)
        return np.column_stack([np.asarray(self.shapes.basis @ rows[:, :-1].T).T, rows[:, -1]]).ravel()

    def gradient(self, by_weights: Floats) -> Floats:
        """Derivatives by coefficients from those by weights."""
        rows = by_weights.reshape(self.outputs, -1)
        return np.column_stack([np.asarray(self.shapes.transposed @ rows[:, :-1].T).T, rows[:, -1]]).ravel()

    def penalized(self, function: Loss, penalties: Floats) -> Loss:
        """A loss of weights as one of coefficients, with half the penalties times their squares, intercepts free."""
        costs = np.tile(np.append(penalties, 0.0), self.outputs)

        def penalized(point: Floats) -> tuple[float, Floats]:
            loss, gradient = function(self.weights(point))
            return loss + 0.5 * float(np.einsum("i,i,i->", costs, point, point)), self.gradient(
                gradient
            ) + costs * point

        return penalized


@dataclass
class ClassSearch:
    """The choice of strengths on records in memory.

    Parameters
    ----------
    relevance
        By what the penalty on each coefficient differs from that of its kind; see `relevance_of`.

    Attributes
    ----------
    facts
        What the model directory is to say of the choice.
    """

    target: Target
    space: Coefficients
    records: ClassRecords
    relevance: Floats | float = 1.0
    facts: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        few = self.records.held * self.target.outputs <= _FOLDED
        folds = range(FOLDS if few else 1)
        sides = {fold: (self.records.side(fold, within=False), self.records.side(fold, within=True)) for fold in folds}
        judged = {fold: (rest, judging) for fold, (rest, judging) in sides.items() if rest and judging}
        self._folds = list(judged)
        self._judged = bool(judged)
        self._trials = list(judged.values()) or [(self.records.all(), self.records.all())]
        self._judging = sum(len(chunk.targets) for _, judging in self._trials for chunk in judging)
        self._last = [self._start(rest) for rest, _ in self._trials]
        self._found: dict[Strengths, list[Floats]] = {}
        self._losses: dict[Strengths, float] = {}

    def choose(self, given: Strengths | None) -> Strengths:
        """The given strengths, or the best ones."""
        shapes = self.space.shapes
        if given is not None or not self._judged:
            chosen = given or Strengths()
            self._loss(chosen)
        else:
            tried = tried_kinds(
                self._doubted_loss,
                values=shapes.has(Kind.VALUE),
                numbers=shapes.has(Kind.LINE),
                # Else regressions have told lines and steps of each output apart.
                steps=shapes.has(Kind.STEP) and np.ndim(self.relevance) == 0,
                least=_LEAST_L2,
            )
            chosen = best_strength(tried)
        judging = self._trials[0][1]
        metrics, value = self._metrics(judging, self._found[chosen][0])
        self.facts = {
            "validation": metrics,
            "validationLoss": value,
            "validationRecords": sum(len(chunk.targets) for chunk in judging) if self._judged else 0,
            "folds": len(self._trials) if self._judged else 0,
            "crossValidatedLoss": self._losses[chosen],
            "strengths": [some.told() | {"logLoss": loss} for some, loss in self._losses.items()]
            if self._judged
            else [],
        }
        return chosen

    def penalties(self, strengths: Strengths) -> Floats:
        """The penalty on each coefficient."""
        return self.space.shapes.penalties(strengths.values, strengths.numbers, strengths.of_steps) * self.relevance

    def start_of(self, chosen: Strengths) -> Floats:
        """Coefficients near those of all records."""
        return self._found[chosen][0]

    def held_out(self, chosen: Strengths) -> dict[int, Floats]:
        """By fold, the coefficients of all records but its own; none without records on both sides."""
        return dict(zip(self._folds, self._found[chosen], strict=False))

    def descended(self, chunks: Sequence[Chunk], start: Floats, penalties: Floats, tolerance: float) -> Descent:
        """The minimum over records in memory; what guesses the Hessian is renewed on the way."""
        loss = self.space.penalized(partial(_of_chunks, chunks, self.target.outputs), penalties)

        def scaling(point: Floats, number: int) -> Callable[[Floats], Floats]:
            weights = self.space.weights(point).reshape(self.target.outputs, -1)
            factor, share = number >= _GROUPED_ROUNDS, number >= _ALONE_ROUNDS
            return class_scaling(chunks, weights, self.space.shapes, penalties, factor=factor, share=share)

        return minimised_in_rounds(loss, start, scaling, tolerance, _EVALUATIONS_A_ROUND, _ROUNDS)

    def _doubted_loss(self, strengths: Strengths) -> float:
        """The loss with what strengths that are no defaults have to gain."""
        return self._loss(strengths) + strengths.doubt / self._judging

    def _loss(self, strengths: Strengths) -> float:
        """Mean log loss of the records that judge."""
        penalties = self.penalties(strengths)
        total = 0.0
        for number, (rest, judging) in enumerate(self._trials):
            self._last[number] = self.descended(rest, self._last[number], penalties, ROUGH).point
            records = sum(len(chunk.targets) for chunk in judging)
            total += records * self._metrics(judging, self._last[number])[1]
        self._found[strengths] = list(self._last)
        self._losses[strengths] = total / self._judging
        return self._losses[strengths]

    def _metrics(self, chunks: Sequence[Chunk], point: Floats) -> tuple[dict[str, float], float]:
        weights = self.space.weights(point).reshape(self.target.outputs, -1)
        shares = np.concatenate([probabilities(scores_of(chunk, weights)) for chunk in chunks], axis=1)
        truth = np.concatenate([chunk.targets for chunk in chunks])
        predictions = shares[0] if len(shares) == 1 else np.ascontiguousarray(shares.T)
        return validation_facts(self.target.model_type, truth, predictions)

    def _start(self, chunks: Sequence[Chunk]) -> Floats:
        """No weights, and the intercepts that give each class its share."""
        outputs = self.target.outputs
        classes = np.concatenate([chunk.targets for chunk in chunks]).astype(np.int64)
        logs = np.log(np.bincount(classes, minlength=max(outputs, 2)) + 0.5)
        point = self.space.none.reshape(outputs, -1)
        point[:, -1] = logs[1] - logs[0] if outputs == 1 else logs - logs.mean()
        return point.ravel()


def relevance_of(shapes: Shapes, records: ClassRecords, outputs: int, seed: str) -> Floats | float:
    """Penalties in units of those of their kind, for outputs of a recipe that tell less or more than others do.

    They are those that regressions of the 0 and 1 of the classes find best, all of them together: which attributes tell
    something is much the same for both losses, and for squares it is found in a fraction of the time. Of several
    classes the twenty most frequent ones count. Few records do not tell: all have 1.
    """
    if records.held < _RELEVANT[outputs > 1]:
        return 1.0
    labels = [1.0]
    if outputs > 1:
        records = records.sampled(seed, _RELEVANT_SAMPLE)
        counts = np.bincount(np.concatenate([chunk.targets for chunk in records.chunks]).astype(np.int64))
        labels = np.argsort(-counts, kind="stable")[:_MOST_LABELS].astype(np.float64).tolist()
    matrix, targets = as_matrix(records.chunks, shapes.basis.shape[0])
    features = RecordFeatures(matrix)
    one_hot = [RecordSums(features, (targets == label).astype(np.float64)) for label in labels]
    trials = [trial for sums in one_hot for trial in trials_of(sums, records.all_folds, 0.0).trials]
    search = RegressionSearch(shapes, trials)
    penalties = search.choose()
    return penalties / search.penalties_of(search.strengths)


def _of_chunks(chunks: Sequence[Chunk], outputs: int, flat: Floats) -> tuple[float, Floats]:
    loss, gradient = loss_and_gradient(chunks, flat.reshape(outputs, -1))
    return loss, gradient.ravel()
