"""The learner ``sgd``: Amazon ML's, linear models by stochastic gradient descent.

Five learners of constant learning rates run side by side over the shuffled training records outside the validation
slice, in mini-batches and passes. The one whose averaged weights are best on the slice, and the number of passes after
which they were, are run again over all training records.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping as Table
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from nightcast.datasource.arrow_arrays import Floats
from nightcast.datasource.insights import BinaryInsights, CategoricalInsights
from nightcast.datasource.parts import Mapper
from nightcast.errors import ModelError
from nightcast.mlmodel.learners import Fit, TrainingTask
from nightcast.mlmodel.linear_predictor import LinearPredictor
from nightcast.mlmodel.model import Link
from nightcast.mlmodel.parameters import Choice, Number, read_parameters
from nightcast.mlmodel.ridge import one_thread
from nightcast.mlmodel.sgd_coordinates import Coordinates, coordinates
from nightcast.mlmodel.sgd_log import BYTES_A_PARAMETER, TrainingLog
from nightcast.mlmodel.sgd_passes import RATES, Passes
from nightcast.mlmodel.sgd_penalties import are_chosen, chosen_penalties, usable_records
from nightcast.mlmodel.sgd_source import source_of
from nightcast.mlmodel.sgd_steps import Penalty
from nightcast.mlmodel.sgd_trimming import trimmed, without_zeros
from nightcast.recipe.featurizer import Featurizer, build_featurizer
from nightcast.recipe.vocabulary import count_vocabularies

_PARAMETERS: dict[str, Number | Choice] = {
    "maxPasses": Number(1, 10_000, whole=True),
    "shuffleType": Choice(("auto", "none")),
    "l1RegularizationAmount": Number(0, sys.float_info.max),
    "l2RegularizationAmount": Number(0, sys.float_info.max),
    "maxMLModelSizeInBytes": Number(100_000, 2_147_483_648, whole=True),
}
_L1, _L2 = "l1RegularizationAmount", "l2RegularizationAmount"
# So many times the features that a model has room for are learnt from; the least important are trimmed.
_TAKEN_UP = 2
_LEAST_RECORDS = 2
# Values or tokens of one attribute.
_MOST_VALUES = 100_000
_DEFAULT_L2 = 1e-6


@dataclass(frozen=True)
class SgdLearner:
    """Squared loss for a NUMERIC target, logistic for a BINARY and softmax for a CATEGORICAL one.

    Parameters
    ----------
    max_passes
        Passes of steps over the training records at most, 1 to 10,000. Training stops before when the best learner's
        progressive loss falls by less than a ten-thousandth in a pass, or no learner's loss on the validation slice in
        two.
    shuffle_type
        ``auto``: the records are shuffled once, all if they fit in memory, else in parts and buffers. ``none``: they
        come as they are.
    l1, l2
        ``l1 * sum(abs(w)) + l2 / 2 * sum(w**2)`` is added to the mean loss; w are the weights of indicators, and of
        numbers in units of their deviation (with L2 mixed so that they correlate less), and the target of a regression
        is in units of its own. Not both above 0.
    max_ml_model_size_in_bytes
        At 96 bytes a parameter. Of values and tokens beyond twice as many the rarest are not learnt from; of the
        weights that were learnt the least important are trimmed.

    Raises
    ------
    ModelError
        If both penalties are above 0.
    """

    max_passes: int = 10
    shuffle_type: str = "auto"
    l1: float = 0.0
    l2: float | None = None
    max_ml_model_size_in_bytes: int = 104_857_600

    def __post_init__(self) -> None:
        if self.l1 > 0 and (self.l2 or 0.0) > 0:
            raise ModelError(
                f"sgd.{_L1} is {self.l1:g} and sgd.{_L2} is {self.l2:g}, and a model takes one of them: set the other "
                "to 0."
            )

    @classmethod
    def from_parameters(cls, given: Table[str, Any]) -> Self:
        """Read ``sgd.maxPasses`` and Amazon ML's other four; values may be strings such as ``"1.0E-06"``.

        An L1 above 0 alone sets L2 to 0.

        Raises
        ------
        ModelError
            For another key, a value out of range, or both L1 and L2 above 0.

        Examples
        --------
        >>> SgdLearner.from_parameters({"sgd.l1RegularizationAmount": "1e-4"}).parameters["l2RegularizationAmount"]
        0.0
        """
        found: dict[str, Any] = read_parameters("sgd", _PARAMETERS, given)
        return cls(
            found.get("maxPasses", cls.max_passes),
            found.get("shuffleType", cls.shuffle_type),
            float(found.get(_L1, cls.l1)),
            float(found[_L2]) if _L2 in found else None,
            found.get("maxMLModelSizeInBytes", cls.max_ml_model_size_in_bytes),
        )

    @property
    def parameters(self) -> dict[str, Any]:
        """All parameters by Amazon ML's keys, without ``sgd.``."""
        values = (self.max_passes, self.shuffle_type, self.l1, self._l2, self.max_ml_model_size_in_bytes)
        return dict(zip(_PARAMETERS, values, strict=True))

    def fit(self, task: TrainingTask, mapper: Mapper) -> Fit:
        """See `nightcast.mlmodel.learners.Learner`."""
        vocabularies = count_vocabularies(
            task.datasource, task.rearrangement, task.recipe, task.insights, task.source, mapper, _MOST_VALUES
        )
        most = max(_TAKEN_UP * self._room // task.target.outputs, 1)
        featurizer = build_featurizer(task.recipe, task.datasource.schema, task.insights, vocabularies, most)
        with np.errstate(over="ignore", invalid="ignore"), one_thread():
            passes, penalties = self._passes(task, featurizer, mapper)
            best, facts = passes.search()
            best, run, consolidation = passes.consolidated(best, passes.final(best))
            validation, loss = passes.validation_facts(best)
            predictor, pruned, left = self._predictor(passes.coordinates, run.parameters, run.shares)
            held_out = {}
            if passes.source.validation is not None:
                held_out[0] = self._predictor(passes.coordinates, best.parameters, run.shares)[0]
        log = passes.log
        log.finished(run.passes, run.progress.records, run.passes * (task.insights.records - usable_records(task)))
        log.event("best-learner", {"learning-rate": RATES[best.learner], "validation-loss": loss})
        consolidation = {"#params": left, "#pruned": pruned, "#pruning-calls": int(pruned > 0)} | consolidation
        log.event("final-consolidation", consolidation)
        log.event("saved-final-learner", {"model-size": BYTES_A_PARAMETER * left, "features": predictor.size})
        facts |= {
            "learningRate": RATES[best.learner],
            "passes": run.passes,
            "updates": run.progress.records,
            "features": predictor.size,
            "trimmedFeatures": featurizer.trimmed,
            "pruned": pruned,
            "size": BYTES_A_PARAMETER * left,
            "validation": validation,
            "validationLoss": loss,
            "penalties": penalties,
        }
        return Fit(predictor, Link.of(task.target.model_type), self.parameters, facts, tuple(log.lines), held_out)

    @property
    def _l2(self) -> float:
        if self.l2 is None:
            return 0.0 if self.l1 > 0 else _DEFAULT_L2
        return self.l2

    @property
    def _room(self) -> int:
        """Parameters that the model has room for."""
        return self.max_ml_model_size_in_bytes // BYTES_A_PARAMETER

    def _passes(
        self, task: TrainingTask, featurizer: Featurizer, mapper: Mapper
    ) -> tuple[Passes, dict[str, dict[str, float]]]:
        """What is left to do, and the penalties by output, where they were chosen."""
        few = self.l2 is None and self.l1 == 0 and are_chosen(task)
        found = coordinates(task, featurizer, ranks=few)
        chosen = chosen_penalties(task, found, mapper) if few else None
        source, found = source_of(
            task, chosen.coordinates if chosen else found, self.shuffle_type == "auto", self.l1 == 0, mapper
        )
        if source is None or source.size < _LEAST_RECORDS:
            raise ModelError(
                f"{0 if source is None else source.size} training record(s) have a target, at least {_LEAST_RECORDS} "
                "are needed: check query, schema and data rearrangement."
            )
        log = TrainingLog()
        log.header(
            {"model-type": task.target.model_type, "features": featurizer.n_features}
            | {"features-left-out": featurizer.trimmed}
            | self.parameters
            | ({_L2: "chosen"} if chosen else {})
        )
        found, l2 = chosen.mixed(found) if chosen else (found, self._l2)
        passes = Passes(
            task.target.model_type,
            found,
            source,
            _start(task),
            Penalty(self.l1, l2),
            self.max_passes,
            log,
            suited=bool(chosen),
        )
        return passes, chosen.by_output if chosen else {}

    def _predictor(self, found: Coordinates, parameters: Floats, shares: Floats) -> tuple[LinearPredictor, int, int]:
        """The predictor within the size, how many weights were trimmed for that, and how many parameters are left."""
        slopes, pruned = trimmed(found.slopes(parameters), *found.moments(shares), self._room)
        weights, intercepts = found.unscaled(slopes)
        if not (np.isfinite(weights).all() and np.isfinite(intercepts).all()):
            raise ModelError(
                "the numbers of the training records are too large for float64: scale the target and the numeric "
                "attributes in the query, or normalize them in the recipe."
            )
        featurizer, weights = without_zeros(found.featurizer, weights)
        return LinearPredictor(featurizer, weights, intercepts), pruned, int(np.count_nonzero(slopes))


def _start(task: TrainingTask) -> Floats:
    """Intercepts of the model that knows nothing but how frequent the classes are; 0 for a regression."""
    found = task.insights.attributes[task.target.name]
    if isinstance(found, BinaryInsights):
        return np.array([np.log(found.true + 0.5) - np.log(found.false + 0.5)])
    if isinstance(found, CategoricalInsights):
        counts = dict(found.values)
        logs = np.log(np.array([counts[value] for value in task.target.classes]) + 0.5)
        return np.asarray(logs - logs.mean())
    return np.zeros(1)
