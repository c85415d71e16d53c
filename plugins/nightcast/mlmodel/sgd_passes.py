"""The passes of `sgd`: first all learners, to find the best one, then that one over all training records."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from nightcast.datasource.arrow_arrays import Bools, Floats, Ints
from nightcast.errors import ModelError
from nightcast.mlmodel.model import Link
from nightcast.mlmodel.sgd_consolidation import PenalisedLoss, consolidated
from nightcast.mlmodel.sgd_coordinates import Coordinates
from nightcast.mlmodel.sgd_log import TrainingLog, logged_pass
from nightcast.mlmodel.sgd_loss import losses
from nightcast.mlmodel.sgd_progress import Progress
from nightcast.mlmodel.sgd_records import Records
from nightcast.mlmodel.sgd_source import Source
from nightcast.mlmodel.sgd_steps import Penalty, Steps, scores_of
from nightcast.mlmodel.targets import ModelType
from nightcast.mlmodel.validation import validation_facts

RATES = (0.01, 0.1, 1.0, 10.0, 100.0)
_FIRST_BLOCK = 64
# Steps a pass, and the most records a step: the more records there are, the more a step takes, up to 1,024.
_STEP_SIZES = ((256, 256), (2_048, 1_024))
# In the first steps one more record is taken for so many that have been seen.
_GROWTH = 8
# A loss that falls by a smaller share in a pass no longer falls.
_NOTABLE = 1e-4
# Passes without notable gain on the validation slice after which training stops.
_PATIENCE = 2
Ended = Callable[[int, Progress], tuple[Bools, bool]]


@dataclass
class Best:
    """The learner that was best, and at the end of which pass.

    Parameters
    ----------
    learner
        Its place among the rates.
    parameters
        Its averaged weights; shape (width, outputs).
    gained, gained_loss
        The last pass in which the loss fell notably, and to what.
    """

    learner: int = 0
    passes: int = 0
    loss: float = math.inf
    parameters: Floats = field(default_factory=lambda: np.zeros((0, 1)), repr=False)
    gained: int = 0
    gained_loss: float = math.inf

    def offer(self, number: int, learner: int, loss: float, parameters: Floats) -> None:
        """Take the best learner of a pass, if it is better."""
        if loss < self.loss:
            self.learner, self.passes, self.loss, self.parameters = learner, number, loss, parameters
        if loss < self.gained_loss * (1 - _NOTABLE):
            self.gained, self.gained_loss = number, loss


@dataclass(frozen=True)
class Run:
    """Some passes.

    Parameters
    ----------
    parameters
        Averages of the steps' weights; shape (width, learners * outputs).
    shares
        Share of the records that set each indicator; shape (features,).
    """

    passes: int
    progress: Progress
    parameters: Floats
    shares: Floats


@dataclass
class Passes:
    """Passes over one source.

    Parameters
    ----------
    start
        Intercepts to begin with; shape (outputs,).
    most
        Passes at most.
    suited
        Whether the penalty suits the records. Learners are then ranked by the penalised loss that they are to make
        least, and not by what happens to be right for the slice; if the records are in memory.
    """

    model_type: ModelType
    coordinates: Coordinates
    source: Source
    start: Floats
    penalty: Penalty
    most: int
    log: TrainingLog
    suited: bool = False

    def search(self) -> tuple[Best, dict[str, Any]]:
        """Run all learners until no more can be learnt.

        Raises
        ------
        ModelError
            If numbers are too large.
        """
        best, judge = Best(), self._judge()
        sums, last, seen = np.zeros(len(RATES)), np.full(len(RATES), np.inf), 0

        def ended(number: int, progress: Progress) -> tuple[Bools, bool]:
            nonlocal sums, last, seen
            mean = (progress.loss_sums - sums) / (progress.records - seen)
            # At a loss of 0 too.
            converged = ~(mean < last * (1 - _NOTABLE))
            sums, last, seen = progress.loss_sums, mean, progress.records
            best.offer(number, *judge.best_of(steps))
            return converged, bool(converged[best.learner]) or number - best.gained >= _PATIENCE

        steps = self._steps(RATES)
        self.log.section("training", RATES)
        run = self._run(steps, self.most, ended, everything=False)
        if not math.isfinite(best.loss):
            raise ModelError(
                "the numbers of the training records are too large for float64, so that no learner learns: scale the "
                "target and the numeric attributes in the query, or normalize them in the recipe."
            )
        judged = 0 if self.source.validation is None else len(self.source.validation)
        self.log.event("finished-search", {"total-passes": run.passes, "valid-records": run.progress.records})
        return best, {"searchPasses": run.passes, "searchUpdates": seen, "validationRecords": judged}

    def final(self, best: Best) -> Run:
        """Run the best learner over all training records, for as many passes as were best."""
        steps = self._steps((RATES[best.learner],))
        self.log.section("training on all records", steps.rates)
        return self._run(steps, best.passes, lambda *_: (np.zeros(1, dtype=np.bool_), False), everything=True)

    def consolidated(self, best: Best, run: Run) -> tuple[Best, Run, dict[str, Any]]:
        """Both with parameters at the minimum, where penalties suit records in memory; and what to log of the run's."""
        if not self.suited or self.source.rest is None:
            return best, run, {}
        [everything] = self.source.chunks(everything=True)
        of_best = consolidated(self._loss_of(self.source.rest), best.parameters)
        of_run = consolidated(self._loss_of(everything), run.parameters)
        best = replace(best, parameters=of_best.point.reshape(best.parameters.shape))
        run = replace(run, parameters=of_run.point.reshape(run.parameters.shape))
        return best, run, {"#gradients": of_run.evaluations, "is-converged": of_run.converged}

    def _loss_of(self, records: Records) -> PenalisedLoss:
        l2 = np.broadcast_to(self.penalty.l2, self.coordinates.width)
        return PenalisedLoss(self.model_type, records, self.coordinates.dense, l2)

    def validation_facts(self, best: Best) -> tuple[dict[str, float], float]:
        """Metrics of the best learner on the validation slice, and its loss."""
        scale, center = self.coordinates.target_scale, self.coordinates.target_center
        judged = self._judged()
        scores = scores_of(judged, best.parameters, self.coordinates.dense)
        scores = scores[:, 0] if scores.shape[1] == 1 else scores
        predictions = Link.of(self.model_type).predictions(scores * scale + center)
        return validation_facts(self.model_type, judged.targets * scale + center, predictions)

    def _steps(self, rates: tuple[float, ...]) -> Steps:
        found = self.coordinates
        return Steps(self.model_type, rates, found.dense, self.start, self.penalty, found.paces)

    def _judge(self) -> _Judge:
        if self.suited and self.source.rest is not None:
            return _Judge(self.model_type, self.coordinates.dense, self.source.rest, self.penalty.l2)
        return _Judge(self.model_type, self.coordinates.dense, self._judged())

    def _judged(self) -> Records:
        """The validation slice; with none, all records."""
        if self.source.validation is not None:
            return self.source.validation
        return next(self.source.chunks(everything=True))

    def _run(self, steps: Steps, most: int, ended: Ended, *, everything: bool) -> Run:
        """Passes until `ended` says so, which also tells which learners have converged."""
        progress = Progress(self.model_type, len(steps.rates), self.coordinates.target_scale)
        walk = _Walk(
            steps, progress, self.log, max(min(self.source.size // one, most_a) for one, most_a in _STEP_SIZES)
        )
        walk.block("pass=0")
        counts: Ints = np.zeros(self.coordinates.width - 1, dtype=np.int64)
        for number in range(1, most + 1):
            for chunk in self.source.chunks(everything=everything):
                walk.through(chunk, number)
                if number == 1:
                    counts += np.bincount(chunk.columns, minlength=len(counts))
            walk.converged, done = ended(number, progress)
            done = done or number == most
            if logged_pass(number, last=done):
                walk.block(f"pass={number} (end)")
            if done:
                break
        shares = counts.astype(np.float64) * (number / progress.records)
        return Run(number, progress, steps.averages(), shares)


class _Walk:
    """Mini-batches in order, with a block of the log wherever one is due."""

    def __init__(self, steps: Steps, progress: Progress, log: TrainingLog, size: int) -> None:
        self._steps, self._progress, self._log, self._size = steps, progress, log, max(size, 1)
        self._next_block = _FIRST_BLOCK
        self.converged: Bools = np.zeros(len(steps.rates), dtype=np.bool_)

    def through(self, chunk: Records, number: int) -> None:
        """Step through some records of a pass."""
        begin = 0
        while begin < len(chunk):
            seen = self._steps.records
            size = min(self._size, seen // _GROWTH + 1, self._next_block - seen)
            records = chunk.between(begin, min(begin + size, len(chunk)))
            self._progress.add(records, *self._steps.step(records))
            begin += len(records)
            if self._steps.records == self._next_block:
                self.block(f"pass={number}")
                self._next_block *= 2

    def block(self, where: str) -> None:
        """Log how the learners stand."""
        self._log.block(self._progress, self._steps.weights, self.converged, where)


@dataclass(frozen=True)
class _Judge:
    """Ranks learners by the mean loss of records, and by a penalty as of `Penalty`."""

    model_type: ModelType
    dense: Ints
    records: Records
    l2: float | Floats = 0.0

    def best_of(self, steps: Steps) -> tuple[int, float, Floats]:
        """The best learner, its loss, and its averaged weights."""
        weights = steps.averages()
        shape = (len(self.records), len(steps.rates), -1)
        scores = scores_of(self.records, weights, self.dense).reshape(shape)
        found = losses(self.model_type, scores, self.records.targets).values.mean(axis=0)
        by_output = 0.5 * (np.broadcast_to(self.l2, len(weights)) @ weights**2)
        found = found + by_output.reshape(len(steps.rates), -1).sum(axis=1)
        found = np.where(np.isfinite(found), found, np.inf)
        learner = int(np.argmin(found))
        parameters = weights.reshape(len(weights), len(steps.rates), -1)[:, learner].copy()
        return learner, float(found[learner]), parameters
