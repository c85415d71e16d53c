"""The training log of `sgd`: of the same content as Amazon ML's, in a form of our own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nightcast.datasource.arrow_arrays import Bools, Floats
from nightcast.mlmodel.sgd_progress import Progress

BYTES_A_PARAMETER = 96
_PERCENTS = (10, 50, 90)
# All passes up to here have their block, then those that are powers of two.
_LOGGED_PASSES = 10


class TrainingLog:
    """Lines of the log.

    A block stands at 0, 64, 128, 256 ... updates, an update being one record, and at the ends of passes.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._rates: tuple[float, ...] = ()
        self._last: dict[int, float] = {}

    def header(self, facts: Mapping[str, Any]) -> None:
        """The parameters."""
        self.lines += ["training-configuration:", *(f"  {name}={_text(value)}" for name, value in facts.items())]

    def section(self, title: str, rates: Sequence[float]) -> None:
        """What follows is of learners of these rates, which have seen nothing yet."""
        self.lines.append(f"{title}: {len(rates)} learner(s)")
        self._rates = tuple(rates)
        self._last = {}

    def block(self, progress: Progress, weights: Floats, converged: Bools, where: str) -> None:
        """How the learners stand.

        Parameters
        ----------
        weights
            Shape (parameters, learners * outputs).
        where
            Which pass it is, or that one ends.
        """
        active = progress.active()
        quantiles = zip(_PERCENTS, progress.active_quantiles(_PERCENTS), strict=True)
        self.lines += [
            f"updates={progress.records} {where}",
            "  active-features: " + _pairs(active),
            "  active-features-quantiles: " + _pairs({f"{percent}%": value for percent, value in quantiles}),
        ]
        parameters = np.count_nonzero(weights.reshape(len(weights), len(self._rates), -1), axis=(0, 2))
        for learner, rate in enumerate(self._rates):
            [(name, loss)] = progress.loss(learner).items()
            last = self._last.get(learner)
            convergence = {
                name: loss,
                "delta": "none" if last is None else loss - last,
                "is-converged": bool(converged[learner]),
            }
            size = int(parameters[learner])
            status = {"model-size": BYTES_A_PARAMETER * size, "#params": size, "#pruning-calls": 0}
            self.lines += [
                f"  model-configuration: learning-rate={_text(rate)}",
                "    model-performance: " + _pairs(progress.metrics(learner)),
                "    model-convergence: " + _pairs(convergence),
                "    model-status: " + _pairs(status),
            ]
            if progress.records:
                self._last[learner] = loss

    def finished(self, passes: int, valid: int, invalid: int) -> None:
        """A section ends; records count once a pass."""
        self.event("finished-training", {"total-passes": passes, "valid-records": valid, "invalid-records": invalid})

    def event(self, title: str, facts: Mapping[str, Any]) -> None:
        """One line of facts."""
        self.lines.append(f"{title}: {_pairs(facts)}")


def logged_pass(number: int, last: bool) -> bool:
    """Whether the end of a pass has its block."""
    return last or number <= _LOGGED_PASSES or number & (number - 1) == 0


def _pairs(facts: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={_text(value)}" for name, value in facts.items())


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
