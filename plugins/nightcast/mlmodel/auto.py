"""The learner ``auto``: tries several learners and keeps the best."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from nightcast.artifacts import finite
from nightcast.datasource.parts import Mapper
from nightcast.errors import ModelError
from nightcast.mlmodel.boosting import BoostingLearner
from nightcast.mlmodel.learners import Fit, Learner, TrainingTask
from nightcast.mlmodel.linear_learner import LinearLearner
from nightcast.mlmodel.parameters import Number, read_parameters

_PARAMETERS = {"timeLimit": Number(1, 86_400)}
_TIME_LIMIT = 600.0
_KINDS = {"validationLoss": "validation loss", "crossValidatedLoss": "cross-validated loss"}
# Cells (records x attributes x outputs) that boosting learns from a second on one core, searches included.
_BOOSTED_CELLS = 150_000.0


@dataclass(frozen=True)
class AutoLearner:
    """Fits ``linear`` and ``boosting``, and keeps the one with the lower loss on records that did not fit.

    These are six folds, the same for both, where records are so few that both were judged by them; else the validation
    slice. ``sgd`` is not among them: ``linear`` is at the optimum of the models that it approaches.

    Parameters
    ----------
    time_limit
        Seconds that training may take. It is kept by estimate and not by the clock, so that the same records give the
        same model on every machine: boosting learns from as many records as fit, and is left out below 1,000.
    """

    time_limit: float = _TIME_LIMIT

    @classmethod
    def from_parameters(cls, given: Mapping[str, Any]) -> Self:
        """Read ``auto.timeLimit``, seconds from 1 to 86,400; ModelError for anything else."""
        found = read_parameters("auto", _PARAMETERS, given)
        return cls(float(found.get("timeLimit") or _TIME_LIMIT))

    def fit(self, task: TrainingTask, mapper: Mapper) -> Fit:
        """See `nightcast.mlmodel.learners.Learner`."""
        fits: dict[str, Fit] = {}
        refusals: dict[str, str] = {}
        for name, learner in self._candidates(task).items():
            try:
                fits[name] = learner.fit(task, mapper)
            except ModelError as fault:
                # One that can not learn from these records is no reason to have no model.
                refusals[name] = str(fault)
        if not fits:
            raise ModelError("no learner could learn from these records: " + "; ".join(refusals.values()))
        folded = all(fit.facts.get("folds", 1) > 1 for fit in fits.values())
        kind = "crossValidatedLoss" if folded else "validationLoss"
        chosen = min(fits, key=lambda name: _loss(fits[name], kind))
        return replace(
            fits[chosen],
            learner=chosen,
            facts={**fits[chosen].facts, "auto": self._report(fits, refusals, chosen, kind)},
            log=(
                *(f"{name}: {line}" for name, fit in fits.items() for line in (_summary(fit), *fit.log)),
                f"kept {chosen}, which has the lowest {_KINDS[kind]}",
            ),
        )

    def _candidates(self, task: TrainingTask) -> dict[str, Learner]:
        found: dict[str, Learner] = {"linear": LinearLearner()}
        columns = max(len(task.recipe.columns), 1)
        rows = int(self.time_limit * _BOOSTED_CELLS / (columns * task.target.outputs))
        if rows >= 1_000:
            found["boosting"] = BoostingLearner(row_budget=min(rows, BoostingLearner().row_budget))
        return found

    def _report(self, fits: Mapping[str, Fit], refusals: Mapping[str, str], chosen: str, kind: str) -> dict[str, Any]:
        candidates = [
            {
                "learner": name,
                "validation": dict(fit.facts["validation"]),
                "validationLoss": finite(fit.facts["validationLoss"]),
                "crossValidatedLoss": finite(fit.facts.get("crossValidatedLoss")),
                "parameters": dict(fit.parameters),
            }
            for name, fit in fits.items()
        ]
        refused = [{"learner": name, "refused": message} for name, message in refusals.items()]
        return {
            "timeLimit": self.time_limit,
            "chosen": chosen,
            "comparedBy": kind,
            "candidates": [*candidates, *refused],
        }


def _loss(fit: Fit, kind: str) -> float:
    loss = finite(fit.facts[kind])
    return math.inf if loss is None else loss


def _summary(fit: Fit) -> str:
    metrics = ", ".join(f"{name} {value:.6g}" for name, value in fit.facts["validation"].items())
    return f"validation {metrics}"
