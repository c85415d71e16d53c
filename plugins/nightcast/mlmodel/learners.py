"""What a learner is given, and what it gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from nightcast.datasource.arrow_arrays import Bools, Floats, Hashes
from nightcast.datasource.hashing import mixed, seed_hash
from nightcast.datasource.insights import Insights
from nightcast.datasource.parts import ByteSource, Datasource, Mapper
from nightcast.datasource.rearrangement import Rearrangement
from nightcast.mlmodel.model import Link, Predictor
from nightcast.mlmodel.targets import Target
from nightcast.recipe.grammar import Recipe

VALIDATION_SHARE = 0.15
_VALIDATION_SEED = "nightcast validation slice"
FOLDS = 6
_FOLD_ENDS = np.array(
    [int((VALIDATION_SHARE + (1 - VALIDATION_SHARE) * fold / (FOLDS - 1)) * 2**64) for fold in range(FOLDS - 1)],
    dtype=np.uint64,
)

# Of records over all parts; never negative.
Numbers = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True)
class TrainingTask:
    """What is learnt from what; picklable, so that part functions take it along.

    Parameters
    ----------
    datasource, source
        The records, and where their bytes are.
    insights
        Statistics of the training records: those that `rearrangement` takes.
    recipe
        Parsed and checked against the schema.
    target
        What is predicted.
    rearrangement
        Which records train; resolved.
    seed
        Any string; whatever a learner draws follows from it.
    """

    datasource: Datasource
    insights: Insights
    recipe: Recipe
    target: Target
    rearrangement: Rearrangement
    source: ByteSource
    seed: str = ""


@dataclass(frozen=True)
class Fit:
    """What a learner found.

    Parameters
    ----------
    predictor, link
        Give predictions.
    parameters
        All parameters with the values that were used.
    facts
        What the model directory is to say of the training, as JSON values: for all learners ``validation`` (metric by
        Amazon ML's property name on the validation slice, of the model before its final fit on all training records)
        and ``features``.
    log
        Lines of the training log.
    held_out
        By fold, the predictor that was fitted without its records; of the validation slice alone if records are many,
        of none if they are too few. Prediction intervals of a regression are calibrated with them, unless `residuals`
        are known already, and models are blended by them.
    residuals
        Predictions for training records by a model that was fitted without them, and true - predicted; shape (n,).
    learner
        Name of the learner that was chosen, where there was a choice.
    """

    predictor: Predictor
    link: Link
    parameters: Mapping[str, Any]
    facts: Mapping[str, Any]
    log: tuple[str, ...] = ()
    held_out: Mapping[int, Predictor] = field(default_factory=dict)
    residuals: tuple[Floats, Floats] | None = None
    learner: str | None = None


class Learner(Protocol):
    """Fits one family of models."""

    def fit(self, task: TrainingTask, mapper: Mapper) -> Fit:
        """Learn, with part functions run by `mapper`; ModelError when the records do not allow it."""
        ...


def in_validation(numbers: Numbers, seed: str) -> Bools:
    """Which records, by their numbers over all parts, belong to the validation slice: about 15 %, those of fold 0."""
    found: Bools = _fold_hashes(numbers, seed) < _FOLD_ENDS[0]
    return found


def fold_of(numbers: Numbers, seed: str) -> npt.NDArray[np.uint8]:
    """The folds, 0 to 5, of records by their numbers; 0 is the validation slice, the others share the rest evenly."""
    return np.searchsorted(_FOLD_ENDS, _fold_hashes(numbers, seed), side="right").astype(np.uint8)


def _fold_hashes(numbers: Numbers, seed: str) -> Hashes:
    return mixed(numbers.astype(np.uint64) ^ seed_hash(_VALIDATION_SEED + seed))
