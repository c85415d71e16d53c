"""Penalties of `sgd` for few records: those that the linear learner chooses.

Many records outvote a penalty, and a few passes over them end near the optimum. Of few records the best penalty differs
by orders of magnitude from one output of a recipe to the next, and no one number for all of them is any good.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from nightcast.datasource.arrow_arrays import Floats
from nightcast.datasource.insights import NumericInsights
from nightcast.datasource.parts import Mapper
from nightcast.mlmodel import linear_regression, logistic
from nightcast.mlmodel.class_records import codes_of
from nightcast.mlmodel.learners import TrainingTask
from nightcast.mlmodel.sgd_coordinates import Coordinates
from nightcast.mlmodel.shapes import LINE
from nightcast.mlmodel.targets import ModelType

# Records, and their codes, times outputs, up to which the linear learner chooses in no more than some seconds.
_FEW, _FEW_CODES = 60_000, 10_000_000
# The penalty at which a parameter's first step is not multiplied.
_USUAL = 10.0
_LEAST = 1e-12


@dataclass(frozen=True)
class ChosenPenalties:
    """What few records tell.

    Parameters
    ----------
    coordinates
        Their paces fit the penalties: a parameter is believed to lie within the inverse root of its penalty, and its
        first step is as long.
    l2
        For `nightcast.mlmodel.sgd_steps.Penalty`; shape (width,). Those of numbers follow when these are mixed.
    records
        How many there are with a target.
    by_output
        As of `nightcast.mlmodel.shapes.Shapes.by_output`.
    """

    coordinates: Coordinates
    l2: Floats
    records: int
    by_output: dict[str, dict[str, float]]

    def mixed(self, found: Coordinates) -> tuple[Coordinates, Floats]:
        """Coordinates whose numbers are measured, with paces for these, and the penalties of all parameters."""
        if found.mixed_l2 is None:
            return found, self.l2
        paces, l2 = found.paces.copy(), self.l2.copy()
        paces[found.columns] = _pace(found.mixed_l2 * self.records)
        l2[found.columns] = found.mixed_l2
        return replace(found, paces=paces), l2


def _pace(penalties: Floats) -> Floats:
    """What first steps are multiplied with, so that they are as long as the penalty lets a parameter be."""
    found: Floats = np.sqrt(_USUAL / penalties)
    return found


def usable_records(task: TrainingTask) -> int:
    """Training records with a target that can be read."""
    found = task.insights.attributes[task.target.name]
    return task.insights.records - found.missing - int(getattr(found, "invalid", 0))


def are_chosen(task: TrainingTask) -> bool:
    """Whether the records are so few that penalties are chosen, and the squares of their numbers within float64."""
    numbers = [found for found in task.insights.attributes.values() if isinstance(found, NumericInsights)]
    known = all(found.std is not None or found.mean is None for found in numbers)
    outputs = task.target.outputs
    return known and task.insights.records * outputs <= _FEW and codes_of(task) * outputs <= _FEW_CODES


def chosen_penalties(task: TrainingTask, coordinates: Coordinates, mapper: Mapper) -> ChosenPenalties:
    """The penalties that are best for the training records; bins of the coordinates share ranks."""
    records = usable_records(task)
    kind = linear_regression if task.target.model_type is ModelType.REGRESSION else logistic
    shapes, by_coefficient = kind.chosen_penalties(task, coordinates.featurizer, mapper)
    basis = shapes.basis
    # The last coefficient of a feature is its own.
    own = by_coefficient[basis.indices[basis.indptr[1:] - 1]]
    levels = coordinates.levels.tocsc()
    shared = own[levels.indices[levels.indptr[:-1]]]
    penalties = np.concatenate([own, shared, np.zeros(coordinates.width - len(own) - len(shared))])
    paces = np.where(penalties > 0, _pace(np.where(penalties > 0, penalties, 1.0)), coordinates.paces)
    penalties[coordinates.columns] = 0.0
    lines = [group.coefficients.start + line for group in shapes.groups if group.columns is not None for line in (0, 1)]
    numbers = coordinates.own_numbers
    units = np.concatenate([basis.data[basis.indptr[numbers]], np.full(len(lines), LINE)])
    of_numbers = np.concatenate([own[numbers], by_coefficient[lines]])
    spans = units / np.sqrt(np.maximum(of_numbers, _LEAST) / records)
    told = shapes.by_output(coordinates.featurizer, by_coefficient)
    return ChosenPenalties(replace(coordinates, paces=paces, spans=spans), penalties / records, records, told)
