"""Logistic and multinomial logistic regression with an L2 penalty, at the exact optimum.

Minimises the sum over records of the negative log-likelihood, plus a penalty on weights, over weights and intercepts,
which are not penalised. With given strength the penalty is ``l2 / 2`` times the sum of squared weights: scikit-learn's
``LogisticRegression(C=1 / l2)``. Otherwise it is that of `nightcast.mlmodel.shapes`, with strengths that are chosen, as
the descent is prepared, on records in memory; where these are a sample, a few passes over all records follow, of
which each needs no more memory than a batch and the weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from nightcast.datasource.arrow_arrays import Floats
from nightcast.datasource.parts import Mapper
from nightcast.errors import ModelError
from nightcast.mlmodel.class_records import ClassRecords, gathered, part_curvature, part_loss
from nightcast.mlmodel.class_scaling import class_scaling, gram_scaling
from nightcast.mlmodel.class_search import EXACT, ROUGH, ClassSearch, Coefficients, relevance_of
from nightcast.mlmodel.descent import Descent, minimised, newton
from nightcast.mlmodel.gram import Gram
from nightcast.mlmodel.learners import Fit, TrainingTask
from nightcast.mlmodel.linear_predictor import LinearPredictor
from nightcast.mlmodel.model import Link
from nightcast.mlmodel.ridge import one_thread
from nightcast.mlmodel.shapes import Shapes, plain_shapes, shapes_of
from nightcast.mlmodel.strengths import Strengths
from nightcast.recipe.featurizer import Featurizer

# Share of the loss that a step must be expected to gain.
_STREAMED = 1e-8
_MOST_PASSES = 60


def fit_logistic(task: TrainingTask, featurizer: Featurizer, given: Strengths | None, mapper: Mapper) -> Fit:
    """Fit the model of least loss and penalty.

    Parameters
    ----------
    given
        Penalties, > 0; with equal ones on all kinds that of LogisticRegression; None: chosen.

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
        search, chosen = _chosen(task, featurizer, records, given)
        space = search.space
        descent = _final(task, featurizer, records, search, chosen, mapper)
        predictor = _predictor(featurizer, space, descent.point)
    if not (math.isfinite(descent.value) and np.isfinite(predictor.weights).all()):
        raise ModelError(
            "the numbers of the training records are too large for float64: scale the numeric attributes in the query, "
            "or normalize them in the recipe."
        )
    facts = search.facts | {
        "features": featurizer.n_features,
        "trimmedFeatures": featurizer.trimmed,
        "penalizedLoss": descent.value,
        "converged": descent.converged,
        "evaluations": descent.evaluations,
        "sampledRecords": records.held if records.held < records.seen else 0,
    }
    link = Link.of(task.target.model_type)
    held_out = {fold: _predictor(featurizer, space, point) for fold, point in search.held_out(chosen).items()}
    return Fit(predictor, link, chosen.told(), facts, held_out=held_out)


def _predictor(featurizer: Featurizer, space: Coefficients, point: Floats) -> LinearPredictor:
    weights = space.weights(point).reshape(space.outputs, -1)
    return LinearPredictor.about_centers(featurizer, weights[:, :-1], weights[:, -1])


def chosen_penalties(task: TrainingTask, featurizer: Featurizer, mapper: Mapper) -> tuple[Shapes, Floats]:
    """The penalty on half the square of each coefficient that is best for records which are held in memory."""
    with np.errstate(over="ignore", invalid="ignore"), one_thread():
        search, chosen = _chosen(task, featurizer, gathered(task, featurizer, mapper), None)
        return search.space.shapes, np.broadcast_to(search.penalties(chosen), search.space.shapes.size)


def _chosen(
    task: TrainingTask, featurizer: Featurizer, records: ClassRecords, given: Strengths | None
) -> tuple[ClassSearch, Strengths]:
    plain = given is not None and given.plain
    shapes = plain_shapes(featurizer) if plain else shapes_of(featurizer, task.insights)
    sample = records.sampled(task.seed)
    relevance = 1.0 if given is not None else relevance_of(shapes, sample, task.target.outputs, task.seed)
    search = ClassSearch(task.target, Coefficients(shapes, task.target.outputs), sample, relevance)
    return search, search.choose(given)


def _final(
    task: TrainingTask,
    featurizer: Featurizer,
    records: ClassRecords,
    search: ClassSearch,
    chosen: Strengths,
    mapper: Mapper,
) -> Descent:
    """The minimum over all training records, from the best one of those in memory."""
    start, space = search.start_of(chosen), search.space
    penalties = search.penalties(chosen)
    if records.held == records.seen:
        return search.descended(records.all(), start, penalties, EXACT)
    times = records.seen / records.held
    # First the minimum over the whole sample: the fewer passes are left.
    start = search.descended(records.all(), start, penalties / times, ROUGH).point
    passes = _Passes(task, featurizer, space, mapper)
    if task.target.outputs > 1:
        weights = space.weights(start).reshape(task.target.outputs, -1)
        scaled = class_scaling(records.chunks, weights, space.shapes, penalties, times=times, factor=True)
        return minimised(space.penalized(passes.loss, penalties), start, scaled, _STREAMED, _MOST_PASSES)
    return newton(partial(passes.derivatives, penalties=penalties), start, _STREAMED, _MOST_PASSES)


@dataclass(frozen=True)
class _Passes:
    """Passes over all training records."""

    task: TrainingTask
    featurizer: Featurizer
    space: Coefficients
    mapper: Mapper

    def loss(self, flat: Floats) -> tuple[float, Floats]:
        """The loss of weights without penalty, and its gradient."""
        loss, gradient = 0.0, np.zeros(len(flat))
        for some_loss, some_gradient in self._over_parts(part_loss, flat):
            loss += some_loss
            gradient += some_gradient.ravel()
        return loss, gradient

    def derivatives(self, flat: Floats, penalties: Floats) -> tuple[float, Floats, Callable[[Floats], Floats]]:
        """The loss of coefficients with penalty, its gradient and its inverse Hessian, for one output."""
        gram, total = Gram(np.zeros(self.featurizer.n_features)), 0.0
        weights = self.space.weights(flat)
        loss, gradient = 0.0, np.zeros(len(weights))
        for some_loss, some_gradient, some_gram, some_total in self._over_parts(part_curvature, weights):
            loss += some_loss
            gradient += some_gradient.ravel()
            gram.merge(some_gram)
            total += some_total
        value, slopes = self.space.penalized(lambda _: (loss, gradient), penalties)(flat)
        return value, slopes, gram_scaling(gram, total, self.space.shapes, penalties)

    def _over_parts(self, function: Callable[..., Any], flat: Floats) -> Iterator[Any]:
        weights = flat.reshape(self.task.target.outputs, -1)
        of_part = partial(function, task=self.task, featurizer=self.featurizer, weights=weights)
        return self.mapper(of_part, self.task.datasource.numbered())
