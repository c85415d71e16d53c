"""The weighted mean of two models that errs least on records that neither of them was fitted to.

Source: Wolpert, Stacked generalization, Neural Networks 5 (1992); Breiman, Stacked regressions, Machine Learning 24
(1996), for shares that are not negative.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nightcast.datasource.arrow_arrays import Floats
from nightcast.mlmodel.blend import Blend, Member
from nightcast.mlmodel.held_out import HeldOut
from nightcast.mlmodel.learners import Fit
from nightcast.mlmodel.model import Link
from nightcast.mlmodel.targets import ModelType
from nightcast.mlmodel.validation import log_loss, true_probabilities, validation_facts

# Shares are rounded, and one near 0 or 1 leaves a single model: it is smaller, faster and as good.
_SHARES = np.arange(21) / 20
# A share of 0 or 1 has to gain as much as 2.5 records' loss over the half: few records do not tell models apart. Where
# the better model errs little in all, a quarter of that, and something more the fewer records there are.
_HALF, _FEW = 10.0, 300.0
_KEPT = ("importance", "trainingRecords", "sampledRecords")


def best_share(model_type: ModelType, records: HeldOut) -> float:
    """The share of the first of two models, in twentieths from 0 to 1.

    It minimises the sum of losses over the n records, plus 10 (share - 1/2)**2: squares in units of the models' mean
    squared error, or nats. Where one of them errs less in all, its sum plus 300 / n takes the place of the 10.
    """
    targets, [first, second] = records.targets, records.predictions
    if model_type is ModelType.REGRESSION:
        losses = _squares(targets - first, targets - second)
    else:
        ours, others = (true_probabilities(targets, one) for one in (first, second))
        losses = np.array([_nats(share * ours + (1.0 - share) * others) for share in _SHARES])
    if np.allclose(losses, losses[0], rtol=1e-9, atol=0.0):
        # Of two models that are the same one is enough.
        return 1.0
    losses = np.nan_to_num(losses, nan=np.inf)
    half = min(_HALF, min(losses[0], losses[-1]) + _FEW / len(targets))
    return float(_SHARES[int(np.argmin(losses + half * (_SHARES - 0.5) ** 2))])


def blended(model_type: ModelType, fits: Sequence[Fit], share: float, records: HeldOut) -> Fit:
    """The mean of two fits: of the first one with `share`, above 0 and below 1.

    Parameters
    ----------
    records
        What both have left out; they give the metrics, and the residuals for prediction intervals.
    """
    shares = (share, round(1.0 - share, 2))
    first, second = records.predictions
    predictions = share * first + (1.0 - share) * second
    of_slice = records.folds == records.folds.min()
    metrics, loss = validation_facts(model_type, records.targets[of_slice], predictions[of_slice])
    members = tuple(Member(fit.predictor, fit.link, part) for fit, part in zip(fits, shares, strict=True))
    predictor = Blend(members, Link.of(model_type))
    named = {fit.predictor.kind: fit for fit in fits}
    facts: dict[str, Any] = {
        "validation": metrics,
        "validationLoss": loss,
        "folds": len(np.unique(records.folds)),
        "heldOutLoss": validation_facts(model_type, records.targets, predictions)[1],
        "features": sum(fit.facts["features"] for fit in fits),
        "shares": predictor.shares,
        "members": {name: dict(fit.facts) for name, fit in named.items()},
        # The last fit's, boosting's, of what both have.
        **{key: fit.facts[key] for fit in fits for key in _KEPT if key in fit.facts},
    }
    parameters = {f"{name}.{key}": value for name, fit in named.items() for key, value in fit.parameters.items()}
    regression = model_type is ModelType.REGRESSION
    residuals = (predictions, records.targets - predictions) if regression else None
    return Fit(predictor, Link.of(model_type), parameters, facts, residuals=residuals)


def _squares(first: Floats, second: Floats) -> Floats:
    """Sums of squared residuals by share, in units of the mean of both models' mean squares."""
    largest = max(float(np.abs(first).max()), float(np.abs(second).max())) or 1.0
    first, second = first / largest, second / largest
    scale = float(np.mean(first**2) + np.mean(second**2)) / 2.0 or 1.0
    sums = [float(np.sum((share * first + (1.0 - share) * second) ** 2)) for share in _SHARES]
    return np.array(sums) / scale


def _nats(probabilities: Floats) -> float:
    return len(probabilities) * log_loss(probabilities)
