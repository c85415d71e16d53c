"""The learners by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nightcast.errors import ModelError
from nightcast.mlmodel.learners import Learner


def _auto(given: Mapping[str, Any]) -> Learner:
    from nightcast.mlmodel.auto import AutoLearner

    return AutoLearner.from_parameters(given)


def _linear(given: Mapping[str, Any]) -> Learner:
    from nightcast.mlmodel.linear_learner import LinearLearner

    return LinearLearner.from_parameters(given)


def _boosting(given: Mapping[str, Any]) -> Learner:
    from nightcast.mlmodel.boosting import BoostingLearner

    return BoostingLearner.from_parameters(given)


def _sgd(given: Mapping[str, Any]) -> Learner:
    from nightcast.mlmodel.sgd import SgdLearner

    return SgdLearner.from_parameters(given)


# Each is imported when it is asked for: what it needs, such as scikit-learn, takes longer than many a training.
LEARNERS: dict[str, Callable[[Mapping[str, Any]], Learner]] = {
    "auto": _auto,
    "linear": _linear,
    "boosting": _boosting,
    "sgd": _sgd,
}


def learner_of(name: str, parameters: Mapping[str, Any]) -> Learner:
    """The learner of a name, with its parameters.

    Parameters
    ----------
    parameters
        By full key, such as ``sgd.maxPasses``; all of this learner.

    Raises
    ------
    ModelError
        For an unknown name or key, or a value out of range.
    """
    if name not in LEARNERS:
        raise ModelError(f"there is no learner {name!r:.80}; write one of {', '.join(LEARNERS)}")
    return LEARNERS[name](parameters)
