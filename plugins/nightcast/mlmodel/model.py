"""A trained model, whatever learner made it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np

from nightcast.datasource.arrow_arrays import Floats
from nightcast.datasource.parts import Batch
from nightcast.datasource.schema import Schema
from nightcast.mlmodel.targets import ModelType, Target

DEFAULT_THRESHOLD = 0.5


class Link(StrEnum):
    """How raw scores become predictions."""

    IDENTITY = "identity"
    LOG = "log"
    LOGIT = "logit"
    SOFTMAX = "softmax"

    @classmethod
    def of(cls, model_type: ModelType) -> Link:
        """The link of a model whose raw scores of a regression are the numbers themselves."""
        return {ModelType.REGRESSION: cls.IDENTITY, ModelType.BINARY: cls.LOGIT, ModelType.MULTICLASS: cls.SOFTMAX}[
            model_type
        ]

    def predictions(self, raw: Floats) -> Floats:
        """Numbers, probabilities of 1, or one probability a class; of the shape of `raw`."""
        with np.errstate(over="ignore", invalid="ignore"):
            if self is Link.LOG:
                exponentials: Floats = np.exp(raw)
                return exponentials
            if self is Link.LOGIT:
                # exp of what is not above 0 can not overflow.
                small = np.exp(-np.abs(raw))
                return np.where(raw >= 0, 1.0, small) / (1.0 + small)
            if self is Link.SOFTMAX:
                shifted = np.exp(raw - raw.max(axis=1, keepdims=True))
                shares: Floats = shifted / shifted.sum(axis=1, keepdims=True)
                return shares
        return raw

    def raw(self, predictions: Floats) -> Floats:
        """Raw scores that become these predictions; infinite for a probability of 0 or 1."""
        with np.errstate(divide="ignore"):
            if self is Link.LOGIT:
                logits: Floats = np.log(predictions) - np.log1p(-predictions)
                return logits
            if self in (Link.LOG, Link.SOFTMAX):
                logs: Floats = np.log(predictions)
                return logs
        return predictions


class Predictor(Protocol):
    """What a learner makes: picklable, without state, and stored in open formats."""

    kind: ClassVar[str]

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the attributes that are read."""
        ...

    @property
    def size(self) -> int:
        """Number of features, or of leaves: what a reader takes for the size of the model."""
        ...

    def raw_scores(self, batch: Batch) -> Floats:
        """Scores before the link: shape (len(batch),), with several outputs (len(batch), outputs)."""
        ...

    def save(self, directory: Path) -> tuple[str, ...]:
        """Write files into an existing directory; returns their names."""
        ...


@dataclass(frozen=True)
class MLModel:
    """A trained model.

    Parameters
    ----------
    schema, recipe
        What it was trained on, and the text of the recipe.
    target
        What it predicts.
    predictor, link
        Give the scores.
    learner, parameters
        How it was trained.
    training
        What is known of the training records: ``records``, ``recordsWithoutTarget``, ``recordsWithInvalidTarget``,
        ``badRecords`` of the whole datasource, ``rearrangement``, ``datasource``; of a regression ``targetMean``,
        ``targetStd``, ``targetMin``, ``targetMax``, of a classification ``classCounts``; and what the learner adds.
    score_threshold
        BINARY: the label is 1 where the score is at least this.
    intervals
        What prediction intervals are made of, or None.
    log
        The training log, line by line.
    """

    schema: Schema
    recipe: str = field(repr=False)
    target: Target
    predictor: Predictor = field(repr=False)
    link: Link
    learner: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    score_threshold: float = DEFAULT_THRESHOLD
    intervals: Mapping[str, Any] | None = field(default=None, repr=False)
    log: tuple[str, ...] = field(default=(), repr=False)

    @property
    def model_type(self) -> ModelType:
        """REGRESSION, BINARY or MULTICLASS."""
        return self.target.model_type

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the attributes that are read."""
        return self.predictor.columns

    def predict(self, batch: Batch) -> Floats:
        """Predictions for a batch that holds `columns`.

        Returns
        -------
        numpy.ndarray
            REGRESSION: the number, shape (len(batch),). BINARY: the probability of 1, same shape. MULTICLASS: one
            probability a class in the order of ``target.classes``, shape (len(batch), classes). A number beyond the
            range of float64 gives a prediction that is infinite or NaN.
        """
        return self.link.predictions(self.predictor.raw_scores(batch))
