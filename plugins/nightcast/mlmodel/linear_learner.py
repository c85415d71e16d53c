"""The learner ``linear``: models that are linear in the features, at the exact optimum of a penalised loss."""

from __future__ import annotations

from collections.abc import Mapping as Table
from dataclasses import dataclass, replace
from typing import Any, Self

from nightcast.datasource.parts import Mapper
from nightcast.errors import ModelError
from nightcast.mlmodel.class_records import codes_of, fits_in_memory
from nightcast.mlmodel.learners import Fit, TrainingTask
from nightcast.mlmodel.linear_regression import fit_regression
from nightcast.mlmodel.logistic import fit_logistic
from nightcast.mlmodel.parameters import Number, read_parameters
from nightcast.mlmodel.strengths import Strengths
from nightcast.mlmodel.targets import ModelType
from nightcast.recipe.featurizer import Featurizer, build_featurizer
from nightcast.recipe.vocabulary import MAX_TOKENS, count_vocabularies

# X'X takes 0.13 GB at this number, 0.8 GB at the greatest one.
_FEATURES = 4_000
_MOST_FEATURES = 10_000
# Of records in memory.
_HELD_FEATURES = 100_000
# Codes of a regression's records up to which they are held: beyond, X'X is the smaller of the two. That of many outputs
# of a recipe is the slower one however many records fit in memory.
_HELD_CODES, _MANY_OUTPUTS = 4_000_000, 150
_PARAMETERS = {
    "l2": Number(0, 1e12, optional=True),
    "l2Numbers": Number(0, 1e12, optional=True),
    "l2Steps": Number(0, 1e12, optional=True),
    "maxFeatures": Number(1, _MOST_FEATURES, whole=True, optional=True),
}


@dataclass(frozen=True)
class LinearLearner:
    """Squared loss for a NUMERIC target, logistic for a BINARY and softmax for a CATEGORICAL one.

    Parameters
    ----------
    l2, l2_numbers, l2_steps
        Penalties on weights of values, on lines over numbers and on the steps of their bins: half of each times the sum
        of squared weights is added to half the sum of squared errors, or to the sum of the records' negative
        log-likelihoods. With equal ones that is ``alpha`` of scikit-learn's Ridge, and ``1 / C`` of its
        LogisticRegression; with different ones, see `nightcast.mlmodel.shapes`. None: chosen by the error on training
        records that did not fit.
    max_features
        Beyond this many features the rarest values and tokens are left out. None: 100,000 where the training records
        fit in memory, else 4,000.
    """

    l2: float | None = None
    l2_numbers: float | None = None
    l2_steps: float | None = None
    max_features: int | None = None

    @classmethod
    def from_parameters(cls, given: Table[str, Any]) -> Self:
        """Read ``linear.l2``, ``l2Numbers``, ``l2Steps`` (numbers from 0, or ``auto``) and ``linear.maxFeatures``.

        ``l2Numbers`` is by default the same as ``l2``, ``l2Steps`` the same as ``l2Numbers``; neither is given alone.

        Raises
        ------
        ModelError
            For another key, or a value out of range.
        """
        found: dict[str, Any] = read_parameters("linear", _PARAMETERS, given)
        l2, numbers, steps = found.get("l2"), found.get("l2Numbers"), found.get("l2Steps")
        for name, value in (("l2Numbers", numbers), ("l2Steps", steps)):
            if l2 is None and value is not None:
                raise ModelError(f"linear.{name} is given and linear.l2 is not: give both, or neither.")
            if l2 is not None and value is not None and l2 != value and not (l2 > 0 and value > 0):
                raise ModelError(f"linear.l2 and linear.{name} differ, and one is 0: give two numbers above 0.")
        return cls(l2, numbers, steps, found.get("maxFeatures"))

    @property
    def _given(self) -> Strengths | None:
        if self.l2 is None:
            return None
        return Strengths(self.l2, self.l2 if self.l2_numbers is None else self.l2_numbers, self.l2_steps)

    def fit(self, task: TrainingTask, mapper: Mapper) -> Fit:
        """See `nightcast.mlmodel.learners.Learner`."""
        classes = task.target.model_type is not ModelType.REGRESSION
        if classes and self.l2 == 0:
            raise ModelError(
                "linear.l2 is 0, and without penalty the weights of classes that can be separated grow without end: "
                "give a number above 0, or auto."
            )
        many = len(task.recipe.outputs) >= _MANY_OUTPUTS
        held = fits_in_memory(task) and (classes or many or codes_of(task) <= _HELD_CODES)
        most = _HELD_FEATURES if held else _FEATURES
        featurizer = self._featurizer(task, mapper, most)
        if not held and featurizer.n_features > _MOST_FEATURES:
            raise ModelError(
                f"the recipe makes {featurizer.n_features:,} features that are no values or tokens, and the linear "
                f"learner takes {_MOST_FEATURES:,}: use fewer bins."
            )
        fit = (
            fit_logistic(task, featurizer, self._given, mapper)
            if classes
            else fit_regression(task, featurizer, self._given, mapper, held=held)
        )
        return replace(fit, parameters={**fit.parameters, "maxFeatures": self.max_features or most})

    def _featurizer(self, task: TrainingTask, mapper: Mapper, most: int) -> Featurizer:
        limit = max(most, MAX_TOKENS)
        counted = count_vocabularies(
            task.datasource, task.rearrangement, task.recipe, task.insights, task.source, mapper, limit
        )
        schema = task.datasource.schema
        return build_featurizer(task.recipe, schema, task.insights, counted, self.max_features or most)
