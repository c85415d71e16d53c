"""What a learner is given, and what it gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from nightcast.datasource.arrow_arrays import Bools
from nightcast.datasource.hashing import mixed, seed_hash
from nightcast.datasource.insights import Insights
from nightcast.datasource.parts import ByteSource, Datasource, Mapper
from nightcast.datasource.rearrangement import Rearrangement
from nightcast.mlmodel.model import Link, Predictor
from nightcast.mlmodel.targets import Target
from nightcast.recipe.grammar import Recipe

_VALIDATION_SHARE = 0.15
_VALIDATION_SEED = "nightcast validation slice"


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
        The predictor that was fitted without the validation slice, if there is one: prediction intervals of a
        regression are calibrated with it.
    learner
        Name of the learner that was chosen, where there was a choice.
    """

    predictor: Predictor
    link: Link
    parameters: Mapping[str, Any]
    facts: Mapping[str, Any]
    log: tuple[str, ...] = ()
    held_out: Predictor | None = None
    learner: str | None = None


class Learner(Protocol):
    """Fits one family of models."""

    def fit(self, task: TrainingTask, mapper: Mapper) -> Fit:
        """Learn, with part functions run by `mapper`; ModelError when the records do not allow it."""
        ...


def in_validation(first_record: int, size: int, seed: str) -> Bools:
    """Which of `size` records from number `first_record` belong to the validation slice: about 15 %.

    It depends on the number of the record over all parts, and on nothing else but the seed.
    """
    numbers = np.arange(first_record, first_record + size, dtype=np.uint64)
    hashes = mixed(numbers ^ seed_hash(_VALIDATION_SEED + seed))
    return hashes < np.uint64(int(_VALIDATION_SHARE * 2**64))
