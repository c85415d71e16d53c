"""The learner ``linear``: models that are linear in the features, at the exact optimum of a penalised loss."""

from __future__ import annotations

from collections.abc import Mapping as Table
from dataclasses import dataclass, replace
from typing import Any, Self

from nightcast.datasource.parts import Mapper
from nightcast.errors import ModelError
from nightcast.mlmodel.learners import Fit, TrainingTask
from nightcast.mlmodel.linear_regression import fit_regression
from nightcast.mlmodel.logistic import fit_logistic
from nightcast.mlmodel.parameters import Number, read_parameters
from nightcast.mlmodel.targets import ModelType
from nightcast.recipe.featurizer import build_featurizer
from nightcast.recipe.vocabulary import count_vocabularies

# X'X, its sums and its factor take 0.7 GB at this number, 4 GB at the greatest one.
_FEATURES = 4_000
_MOST_FEATURES = 10_000
_PARAMETERS = {
    "l2": Number(0, 1e12, optional=True),
    "maxFeatures": Number(1, _MOST_FEATURES, whole=True),
}


@dataclass(frozen=True)
class LinearLearner:
    """Squared loss for a NUMERIC target, logistic for a BINARY and softmax for a CATEGORICAL one.

    Parameters
    ----------
    l2
        Penalty: half of it times the sum of squared weights is added to half the sum of squared errors, or to the sum
        of the records' negative log-likelihoods. That is ``alpha`` of scikit-learn's Ridge, and ``1 / C`` of its
        LogisticRegression. None: chosen on the validation slice.
    max_features
        Beyond this many features the rarest values and tokens are left out.
    """

    l2: float | None = None
    max_features: int = _FEATURES

    @classmethod
    def from_parameters(cls, given: Table[str, Any]) -> Self:
        """Read ``linear.l2`` (a number from 0, or ``auto``) and ``linear.maxFeatures`` (1 to 10,000).

        Raises
        ------
        ModelError
            For another key, or a value out of range.
        """
        found = read_parameters("linear", _PARAMETERS, given)
        l2, features = found.get("l2"), found.get("maxFeatures", _FEATURES)
        return cls(None if l2 is None else float(l2), int(features or _FEATURES))

    def fit(self, task: TrainingTask, mapper: Mapper) -> Fit:
        """See `nightcast.mlmodel.learners.Learner`."""
        classes = task.target.model_type is not ModelType.REGRESSION
        if classes and self.l2 == 0:
            raise ModelError(
                "linear.l2 is 0, and without penalty the weights of classes that can be separated grow without end: "
                "give a number above 0, or auto."
            )
        vocabularies = count_vocabularies(
            task.datasource, task.rearrangement, task.recipe, task.insights, task.source, mapper
        )
        featurizer = build_featurizer(
            task.recipe, task.datasource.schema, task.insights, vocabularies, self.max_features
        )
        if featurizer.n_features > _MOST_FEATURES:
            raise ModelError(
                f"the recipe makes {featurizer.n_features:,} features that are no values or tokens, and the linear "
                f"learner takes {_MOST_FEATURES:,}: use fewer bins."
            )
        fit = (fit_logistic if classes else fit_regression)(task, featurizer, self.l2, mapper)
        parameters = {"l2": fit.parameters["l2"], "maxFeatures": self.max_features}
        return replace(fit, parameters=parameters)
