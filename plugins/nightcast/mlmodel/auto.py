"""The learner ``auto``: tries several learners, and keeps the best one or the mean of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from nightcast.artifacts import finite
from nightcast.datasource.parts import Mapper
from nightcast.errors import ModelError
from nightcast.mlmodel.blending import best_share, blended
from nightcast.mlmodel.boosting import BoostingLearner
from nightcast.mlmodel.held_out import held_out_records
from nightcast.mlmodel.learners import Fit, Learner, TrainingTask
from nightcast.mlmodel.linear_learner import LinearLearner
from nightcast.mlmodel.parameters import Number, read_parameters
from nightcast.mlmodel.validation import validation_facts

_PARAMETERS = {"timeLimit": Number(1, 86_400)}
_TIME_LIMIT = 600.0
_KINDS = {"validationLoss": "validation loss", "heldOutLoss": "loss on records held out"}
# Cells (records x attributes x outputs) that boosting learns from a second on one core, searches included.
_BOOSTED_CELLS = 150_000.0
# Iterations a second of all fits of a search side by side, of few records and one output.
_ITERATIONS = 33.0


@dataclass(frozen=True)
class AutoLearner:
    """Fits ``linear`` and ``boosting``, and keeps the weighted mean of their predictions, or one of them.

    The share is what does best on records that did not fit, see `nightcast.mlmodel.blending.best_share`: those of six
    folds, the same for both, where records are so few that both have left out each of them; else those of the
    validation slice. ``sgd`` is not among them: ``linear`` is at the optimum of the models that it approaches.

    Parameters
    ----------
    time_limit
        Seconds that training may take. It is kept by estimate and not by the clock, so that the same records give the
        same model on every machine: boosting learns from as many records, and makes as many iterations, as fit, and is
        left out below 1,000 records.
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
        compared = _compared(task, fits, mapper)
        report = {"timeLimit": self.time_limit, **compared.report()}
        report["candidates"] += [{"learner": name, "refused": message} for name, message in refusals.items()]
        kept = compared.fits[compared.chosen]
        return replace(
            kept, learner=compared.chosen, facts={**kept.facts, "auto": report}, log=tuple(compared.log_lines())
        )

    def _candidates(self, task: TrainingTask) -> dict[str, Learner]:
        found: dict[str, Learner] = {"linear": LinearLearner()}
        columns = max(len(task.recipe.columns), 1)
        rows = int(self.time_limit * _BOOSTED_CELLS / (columns * task.target.outputs))
        iterations = int(self.time_limit * _ITERATIONS / task.target.outputs)
        if rows >= 1_000 and iterations >= 1:
            usual = BoostingLearner()
            found["boosting"] = replace(
                usual,
                row_budget=min(rows, usual.row_budget),
                max_iterations=min(iterations, usual.max_iterations),
            )
        return found


@dataclass(frozen=True)
class _Comparison:
    """Candidates by name, the loss of each, of which kind it is, and which of them was chosen."""

    fits: Mapping[str, Fit]
    losses: Mapping[str, float]
    kind: str
    chosen: str

    def report(self) -> dict[str, Any]:
        candidates = [
            {
                "learner": name,
                "validation": dict(fit.facts["validation"]),
                self.kind: finite(self.losses[name]),
                "parameters": dict(fit.parameters),
                **({"shares": fit.facts["shares"]} if "shares" in fit.facts else {}),
            }
            for name, fit in self.fits.items()
        ]
        return {"chosen": self.chosen, "comparedBy": self.kind, "candidates": candidates}

    def log_lines(self) -> Iterator[str]:
        for name, fit in self.fits.items():
            yield f"{name}: {_summary(fit)}"
            for line in fit.log:
                yield f"{name}: {line}"
        losses = ", ".join(f"{name} {loss:.6g}" for name, loss in self.losses.items())
        yield f"kept {self.chosen}; {_KINDS[self.kind]}: {losses}"


def _compared(task: TrainingTask, fits: Mapping[str, Fit], mapper: Mapper) -> _Comparison:
    """The candidates, with the mean of two of them unless `best_share` leaves one out."""
    records = held_out_records(task, list(fits.values()), mapper) if len(fits) == 2 else None
    if records is None:
        losses = {name: float(fit.facts["validationLoss"]) for name, fit in fits.items()}
        chosen = min(fits, key=lambda name: losses[name] if math.isfinite(losses[name]) else math.inf)
        return _Comparison(fits, losses, "validationLoss", chosen)
    model_type = task.target.model_type
    losses = {
        name: validation_facts(model_type, records.targets, predictions)[1]
        for name, predictions in zip(fits, records.predictions, strict=True)
    }
    share = best_share(model_type, records)
    if share in (0.0, 1.0):
        return _Comparison(fits, losses, "heldOutLoss", list(fits)[share < 1.0])
    mean = blended(model_type, list(fits.values()), share, records)
    loss = mean.facts["heldOutLoss"]
    return _Comparison({**fits, "blend": mean}, {**losses, "blend": loss}, "heldOutLoss", "blend")


def _summary(fit: Fit) -> str:
    metrics = ", ".join(f"{name} {value:.6g}" for name, value in fit.facts["validation"].items())
    shares = "".join(f"{share:g} {name}, " for name, share in fit.facts.get("shares", {}).items())
    return f"{shares}validation {metrics}"
