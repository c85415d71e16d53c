"""Logistic and multinomial logistic regression with an L2 penalty, at the exact optimum.

Minimises the sum over records of the negative log-likelihood, plus ``l2 / 2`` times the sum of squared weights, over
weights and intercepts, which are not penalised: scikit-learn's ``LogisticRegression(C=1 / l2)``. The strength is
chosen, and the descent prepared, on records in memory; where these are a sample, a few passes over all records follow,
of which each needs no more memory than a batch and the weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from nightcast.datasource.arrow_arrays import Floats
from nightcast.datasource.parts import Mapper
from nightcast.errors import ModelError
from nightcast.mlmodel.class_chunks import Chunk
from nightcast.mlmodel.class_loss import loss_and_gradient, probabilities, scores_of
from nightcast.mlmodel.class_records import ClassRecords, gathered, part_curvature, part_loss
from nightcast.mlmodel.class_scaling import class_scaling, factored, gram_scaling
from nightcast.mlmodel.descent import Descent, minimised, newton
from nightcast.mlmodel.gram import Gram
from nightcast.mlmodel.learners import Fit, TrainingTask
from nightcast.mlmodel.linear_predictor import LinearPredictor
from nightcast.mlmodel.model import Link
from nightcast.mlmodel.ridge import one_thread
from nightcast.mlmodel.strengths import DEFAULT_L2, best_strength, tried_strengths
from nightcast.mlmodel.targets import ModelType
from nightcast.mlmodel.validation import validation_facts
from nightcast.recipe.featurizer import Featurizer

_LEAST_L2 = 0.01
# Shares of the loss that a step must be expected to gain.
_ROUGH, _EXACT, _STREAMED = 1e-7, 1e-10, 1e-8
_EVALUATIONS_A_ROUND, _ROUNDS, _DIAGONAL_ROUNDS = 60, 12, 2
_MOST_PASSES = 60
Loss = Callable[[Floats], tuple[float, Floats]]


def fit_logistic(task: TrainingTask, featurizer: Featurizer, l2: float | None, mapper: Mapper) -> Fit:
    """Fit the model of least loss and penalty.

    Parameters
    ----------
    l2
        Penalty, > 0; None: chosen on the validation slice.

    Raises
    ------
    ModelError
        If fewer than 2 records have a target, or numbers are too large.
    """
    with np.errstate(over="ignore", invalid="ignore"), one_thread():
        records = gathered(task, featurizer, mapper)
        if records.held < 2:
            raise ModelError(
                f"{records.held} training record(s) have a target, at least 2 are needed: check query, schema and data "
                "rearrangement."
            )
        search = _Search(task, featurizer, records.sampled(task.seed))
        chosen = search.choose(l2)
        descent = _final(task, featurizer, records, search, chosen, mapper)
    weights = descent.point.reshape(task.target.outputs, -1)
    if not (math.isfinite(descent.value) and np.isfinite(weights).all()):
        raise ModelError(
            "the numbers of the training records are too large for float64: scale the numeric attributes in the query, "
            "or normalize them in the recipe."
        )
    shift = np.einsum("ij,j->i", weights[:, :-1], featurizer.centers)
    predictor = LinearPredictor(featurizer, np.ascontiguousarray(weights[:, :-1].T), weights[:, -1] - shift)
    facts = search.facts | {
        "features": featurizer.n_features,
        "trimmedFeatures": featurizer.trimmed,
        "penalizedLoss": descent.value,
        "converged": descent.converged,
        "evaluations": descent.evaluations,
        "sampledRecords": records.held if records.held < records.seen else 0,
    }
    link = Link.LOGIT if task.target.model_type is ModelType.BINARY else Link.SOFTMAX
    return Fit(predictor, link, {"l2": chosen}, facts)


@dataclass
class _Search:
    """The choice of a strength on records in memory."""

    task: TrainingTask
    featurizer: Featurizer
    records: ClassRecords
    found: dict[float, Floats] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)

    def choose(self, l2: float | None) -> float:
        """The given strength, or the best one."""
        rest, validation = self.records.side(validation=False), self.records.side(validation=True)
        judged = bool(rest and validation)
        if not judged:
            rest = validation = self.records.all()
        last = _start(rest, self.task.target.outputs, self.featurizer)

        def loss(strength: float) -> float:
            nonlocal last
            last = self.found[strength] = self.descended(rest, last, strength, _ROUGH).point
            return self._judged(validation, last)[1]

        if l2 is not None or not judged:
            strength = DEFAULT_L2 if l2 is None else l2
            tried = {strength: loss(strength)}
        else:
            tried = tried_strengths(loss, _LEAST_L2)
        best = best_strength(tried)
        metrics, value = self._judged(validation, self.found[best])
        self.facts = {
            "validation": metrics,
            "validationLoss": value,
            "validationRecords": sum(len(chunk.classes) for chunk in validation) if judged else 0,
            "strengths": [{"l2": one, "logLoss": value} for one, value in tried.items()] if judged else [],
        }
        return best

    def descended(self, chunks: Sequence[Chunk], start: Floats, l2: float, tolerance: float) -> Descent:
        """The minimum over records in memory; what guesses the Hessian is renewed on the way."""
        loss = _penalized(partial(_of_chunks, chunks, self.task.target.outputs), l2, self.task.target.outputs)
        shape, evaluations = (self.task.target.outputs, -1), 0
        for number in range(_ROUNDS):
            scaled = class_scaling(chunks, start.reshape(shape), l2, factor=number >= _DIAGONAL_ROUNDS)
            descent = minimised(loss, start, scaled, tolerance, _EVALUATIONS_A_ROUND)
            evaluations += descent.evaluations
            if descent.converged:
                break
            start = descent.point
        return Descent(descent.point, descent.value, descent.gradient, evaluations, descent.converged)

    def _judged(self, chunks: Sequence[Chunk], flat: Floats) -> tuple[dict[str, float], float]:
        weights = flat.reshape(self.task.target.outputs, -1)
        shares = np.concatenate([probabilities(scores_of(chunk, weights)) for chunk in chunks], axis=1)
        truth = np.concatenate([chunk.classes for chunk in chunks])
        predictions = shares[0] if len(shares) == 1 else np.ascontiguousarray(shares.T)
        return validation_facts(self.task.target.model_type, truth, predictions)


def _final(
    task: TrainingTask, featurizer: Featurizer, records: ClassRecords, search: _Search, l2: float, mapper: Mapper
) -> Descent:
    """The minimum over all training records, from the best one of those in memory."""
    start = search.found[l2]
    if records.held == records.seen:
        return search.descended(records.all(), start, l2, _EXACT)
    times = records.seen / records.held
    # First the minimum over the whole sample: the fewer passes are left.
    start = search.descended(records.chunks, start, l2 / times, _ROUGH).point
    passes = _Passes(task, featurizer, mapper)
    if task.target.outputs > 1 or not factored(1, featurizer.n_features):
        weights = start.reshape(task.target.outputs, -1)
        scaled = class_scaling(records.chunks, weights, l2, times=times, factor=True)
        loss = _penalized(passes.loss, l2, task.target.outputs)
        return minimised(loss, start, scaled, _STREAMED, _MOST_PASSES)
    return newton(partial(passes.derivatives, l2=l2), start, _STREAMED, _MOST_PASSES)


@dataclass(frozen=True)
class _Passes:
    """Passes over all training records."""

    task: TrainingTask
    featurizer: Featurizer
    mapper: Mapper

    def loss(self, flat: Floats) -> tuple[float, Floats]:
        """The loss without penalty, and its gradient."""
        loss, gradient = 0.0, np.zeros(len(flat))
        for some_loss, some_gradient in self._over_parts(part_loss, flat):
            loss += some_loss
            gradient += some_gradient.ravel()
        return loss, gradient

    def derivatives(self, flat: Floats, l2: float) -> tuple[float, Floats, Callable[[Floats], Floats]]:
        """The loss with penalty, its gradient and its inverse Hessian, for one output."""
        gram, total = Gram(np.zeros(self.featurizer.n_features)), 0.0
        loss, gradient = 0.0, np.zeros(len(flat))
        for some_loss, some_gradient, some_gram, some_total in self._over_parts(part_curvature, flat):
            loss += some_loss
            gradient += some_gradient.ravel()
            gram.merge(some_gram)
            total += some_total
        value, slopes = _penalized(lambda _: (loss, gradient), l2, 1)(flat)
        return value, slopes, gram_scaling(gram, total, l2)

    def _over_parts(self, function: Callable[..., Any], flat: Floats) -> Iterator[Any]:
        weights = flat.reshape(self.task.target.outputs, -1)
        of_part = partial(function, task=self.task, featurizer=self.featurizer, weights=weights)
        return self.mapper(of_part, self.task.datasource.numbered())


def _start(chunks: Sequence[Chunk], outputs: int, featurizer: Featurizer) -> Floats:
    """No weights, and the intercepts that give each class its share; flat."""
    counts = np.bincount(
        np.concatenate([chunk.classes for chunk in chunks]).astype(np.int64), minlength=max(outputs, 2)
    )
    logs = np.log(counts + 0.5)
    weights = np.zeros((outputs, featurizer.n_features + 1))
    weights[:, -1] = logs[1] - logs[0] if outputs == 1 else logs - logs.mean()
    return weights.ravel()


def _of_chunks(chunks: Sequence[Chunk], outputs: int, flat: Floats) -> tuple[float, Floats]:
    loss, gradient = loss_and_gradient(chunks, flat.reshape(outputs, -1))
    return loss, gradient.ravel()


def _penalized(function: Loss, l2: float, outputs: int) -> Loss:
    """The loss with half of `l2` times the squared weights, the intercepts' not among them."""

    def penalized(flat: Floats) -> tuple[float, Floats]:
        loss, gradient = function(flat)
        weights = flat.reshape(outputs, -1).copy()
        weights[:, -1] = 0.0
        free = weights.ravel()
        return loss + 0.5 * l2 * float(np.einsum("i,i->", free, free)), gradient + l2 * free

    return penalized
