"""Penalties of `sgd` for few records: those that the linear learner chooses.

Many records outvote a penalty, and a few passes over them end near the optimum. Of few records the best penalty differs
by orders of magnitude from one output of a recipe to the next, and no one number for all of them is any good.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from nightcast.datasource.arrow_arrays import Floats
from nightcast.datasource.parts import Mapper
from nightcast.mlmodel import linear_regression, logistic
from nightcast.mlmodel.learners import TrainingTask
from nightcast.mlmodel.sgd_coordinates import Coordinates
from nightcast.mlmodel.targets import ModelType

# Records up to which the linear learner chooses quickly beside the passes; of more classes' scores, ten passes end too
# far from the optimum.
_FEW, _FEW_OF_CLASSES = 60_000, 10_000
# Fewer do not tell enough: where passes end, and at which rate, does as well.
_LEAST = 200
# The penalty at which a parameter's first step is not multiplied.
_USUAL = 10.0


@dataclass(frozen=True)
class ChosenPenalties:
    """What few records tell.

    Parameters
    ----------
    coordinates
        Their paces fit the penalties: a parameter is believed to lie within the inverse root of its penalty, and its
        first step is as long.
    l2
        For `nightcast.mlmodel.sgd_steps.Penalty`; shape (width,). Numbers have none: they are mixed.
    by_output
        As of `nightcast.mlmodel.shapes.Shapes.by_output`.
    """

    coordinates: Coordinates
    l2: Floats
    by_output: dict[str, dict[str, float]]


def chosen_penalties(task: TrainingTask, coordinates: Coordinates, mapper: Mapper) -> ChosenPenalties | None:
    """The penalties that are best for the training records; None where they are many, or very few."""
    records, outputs = task.insights.records, task.target.outputs
    if records < _LEAST or records * outputs > (_FEW if outputs == 1 else _FEW_OF_CLASSES):
        return None
    kind = linear_regression if task.target.model_type is ModelType.REGRESSION else logistic
    shapes, by_coefficient = kind.chosen_penalties(task, coordinates.featurizer, mapper)
    # The last coefficient of a feature is its own.
    own = by_coefficient[shapes.basis.indices[shapes.basis.indptr[1:] - 1]]
    levels = coordinates.levels.tocsc()
    shared = own[levels.indices[levels.indptr[:-1]]]
    penalties = np.concatenate([own, shared, np.zeros(coordinates.width - len(own) - len(shared))])
    paces = np.where(penalties > 0, np.sqrt(_USUAL / np.where(penalties > 0, penalties, 1.0)), coordinates.paces)
    penalties[coordinates.columns] = 0.0
    told = shapes.by_output(coordinates.featurizer, by_coefficient)
    return ChosenPenalties(replace(coordinates, paces=paces), penalties / records, told)
