"""Whether a newly trained model replaces the champion.

The rule, in the order in which it is asked; the first answer counts:

1. Data alerts of the severity ``warning`` and major drift, where their policy is ``fail`` or ``skip``: fail, or skip.
2. Fewer compared records than required: keep.
3. The challenger fails on more of the champion's records than it may: keep.
4. It is not better than a baseline that it must beat, or that baseline can not be had: keep.
5. There is no champion, or the champion can not read the records any more: promote.
6. Against the champion, with the one-sided bounds ``lower`` and ``upper`` of the difference of the losses (challenger
   less champion) and the margin ``m`` = `min_improvement` percent of the champion's loss:

   - better: ``upper < -m``: promote. A challenger that is in truth not better by the margin passes here with a
     probability of at most 1 - `confidence`.
   - worse: ``lower > -m``: keep. A challenger that is in truth better by the margin is kept out here with a probability
     of at most 1 - `confidence`.
   - undecided, else: as `undecided` says keep; or promote if the difference is at most ``-m``, or, with a margin of 0,
     at most `tolerance` percent of the champion's loss. For of two models that can not be told apart the newer
     one knows more of what will be asked.

"keep" leaves the registry as it is, also where there is no champion yet.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from nightcast.artifacts import finite
from nightcast.datasource.data_alerts import DataAlert
from nightcast.datasource.drift import Drift
from nightcast.evaluation.comparison_figures import Comparison, Figures
from nightcast.evaluation.data_check import Decision, Verdict, check_data
from nightcast.evaluation.gate_settings import GateSettings, Undecided
from nightcast.evaluation.poisson_bootstrap import Difference

FORMAT = "nightcast-gate"
VERSION = 1


@dataclass(frozen=True)
class GateDecision:
    """A decision of the gate with everything that it rests on.

    Parameters
    ----------
    decision, reason
        What is done, and why in one sentence.
    settings
        The thresholds.
    comparison
        The figures; None where the data were refused before there was a model.
    alerts, drift
        What was known of the data; None where drift was not looked at.
    """

    decision: Decision
    reason: str
    settings: GateSettings
    comparison: Comparison | None = None
    alerts: tuple[DataAlert, ...] = ()
    drift: Drift | None = field(default=None, repr=False)

    def to_json(self) -> str:
        """The document ``gate.json``: sorted keys, no NaN, ended by a line end."""
        document = {
            "format": FORMAT,
            "version": VERSION,
            "decision": self.decision.value,
            "reason": self.reason,
            "settings": self.settings.to_document(),
            "comparison": None if self.comparison is None else _figures_document(self.comparison),
            "alerts": [asdict(alert) for alert in self.alerts],
            "drift": None if self.drift is None else _drift_document(self.drift),
        }
        return json.dumps(document, sort_keys=True, indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def refuse_data(
    settings: GateSettings, alerts: Sequence[DataAlert] = (), drift: Drift | None = None
) -> GateDecision | None:
    """`check_data` as a decision that can be stored; None to go on."""
    verdict = check_data(settings, alerts, drift)
    return None if verdict is None else GateDecision(*verdict, settings, None, tuple(alerts), drift)


def decide(
    comparison: Comparison,
    settings: GateSettings,
    *,
    alerts: Sequence[DataAlert] = (),
    drift: Drift | None = None,
) -> GateDecision:
    """Decide by the rule of this module.

    Parameters
    ----------
    comparison
        Of `nightcast.evaluation.comparison.compare`, with the confidence of the settings.
    alerts, drift
        As of `check_data`.
    """
    decision, reason = (
        check_data(settings, alerts, drift)
        or _too_little(comparison, settings)
        or _beaten(comparison, settings)
        or _without_champion(comparison)
        or _against_champion(comparison, settings)
    )
    return GateDecision(decision, reason, settings, comparison, tuple(alerts), drift)


def _too_little(comparison: Comparison, settings: GateSettings) -> Verdict | None:
    records = comparison.records
    if records < settings.min_records or comparison.challenger is None:
        return (
            Decision.KEEP,
            f"Not promoted: {records:,} of {comparison.seen:,} records could be compared, and at least "
            f"{settings.min_records:,} are needed.",
        )
    failed = comparison.failures.get("challengerFailed", 0) if comparison.champion is not None else 0
    known = records + failed
    if failed > settings.max_failed_percent / 100 * known:
        return (
            Decision.KEEP,
            f"The champion stays: the challenger could not score {failed:,} of {known:,} records that the champion "
            f"can ({100 * failed / known:.1f} %, allowed are {settings.max_failed_percent:g} %).",
        )
    return None


def _beaten(comparison: Comparison, settings: GateSettings) -> Verdict | None:
    """The first baseline that the challenger must beat, and does not."""
    loss = _loss(comparison.challenger)
    for name in settings.must_beat:
        baseline = comparison.baseline(name)
        if baseline is None or baseline.loss is None:
            why = "it was not computed" if baseline is None else baseline.reason
            return Decision.KEEP, f"Not promoted: the baseline {name}, which must be beaten, can not be had: {why}."
        if not loss < baseline.loss:
            return (
                Decision.KEEP,
                f"Not promoted: its {comparison.metric} of {loss:.6g} is not below {baseline.loss:.6g}, that of the "
                f"baseline {name}.",
            )
    return None


def _without_champion(comparison: Comparison) -> Verdict | None:
    if comparison.unfit is not None:
        return Decision.PROMOTE, f"Promoted: the champion does not fit the records any more ({comparison.unfit})."
    if comparison.champion is None:
        return (
            Decision.PROMOTE,
            f"Promoted: there is no champion yet, and its {comparison.metric} of {_loss(comparison.challenger):.6g} "
            "beats the baselines that it must beat.",
        )
    return None


def _against_champion(comparison: Comparison, settings: GateSettings) -> Verdict:
    loss, other = _loss(comparison.challenger), _loss(comparison.champion)
    difference = comparison.difference or Difference(loss - other, None, None, None, 0)
    margin = settings.min_improvement / 100 * other
    told = f"its {comparison.metric} of {loss:.6g} is {_percent(loss, other)} the champion's {other:.6g}"
    sure = f"with {100 * comparison.resampling.confidence:g} % confidence"
    least = f" by at least {settings.min_improvement:g} %" if margin else ""
    if difference.upper is not None and difference.upper < -margin:
        return Decision.PROMOTE, f"Promoted: {told}, better{least} {sure}."
    if difference.lower is not None and difference.lower > -margin:
        worse = f"not better{least}" if margin else "worse"
        return Decision.KEEP, f"The champion stays: {told}, {worse} {sure}."
    if settings.undecided is Undecided.KEEP:
        return Decision.KEEP, f"The champion stays: {told}, which chance may explain."
    if margin:
        enough, limit = difference.value <= -margin, f"an improvement of {settings.min_improvement:g} % is required"
    else:
        enough = difference.value <= settings.tolerance / 100 * other
        limit = f"up to {settings.tolerance:g} % worse is tolerated of the newer model"
    if enough:
        return Decision.PROMOTE, f"Promoted: {told}, which chance may explain; {limit}."
    return Decision.KEEP, f"The champion stays: {told}, which chance may explain; {limit}."


def _loss(figures: Figures | None) -> float:
    return float("nan") if figures is None else figures.loss


def _percent(loss: float, other: float) -> str:
    if loss == other:
        return "equal to"
    side = "below" if loss < other else "above"
    return f"{100 * abs(loss - other) / other:.2f} % {side}" if other else side


def _drift_document(drift: Drift) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(drift.to_json())
    return found


def _figures_document(found: Comparison) -> dict[str, Any]:
    champion = _loss(found.champion)
    return {
        "modelType": found.model_type.value,
        "metric": found.metric,
        "recordsSeen": found.seen,
        "recordsCompared": found.records,
        "failures": dict(found.failures),
        "challenger": _model_document(found.challenger),
        "champion": _model_document(found.champion),
        "championUnfit": found.unfit,
        "difference": None if found.difference is None else _difference_document(found.difference, champion),
        "bootstrap": {
            "confidence": found.resampling.confidence,
            "replicates": found.resampling.replicates,
            "seed": found.resampling.seed,
            "resampled": found.resampled,
            "recordsSampled": found.sampled,
        },
        "baselines": [
            {
                "name": one.name,
                "loss": finite(one.loss),
                "recordsKnown": one.known,
                "unavailable": one.reason or None,
                "improvementPercent": _improvement(_loss(found.challenger), one.loss),
            }
            for one in found.baselines
        ],
    }


def _model_document(figures: Figures | None) -> dict[str, Any] | None:
    return None if figures is None else {"loss": finite(figures.loss), **figures.others}


def _difference_document(found: Difference, champion: float) -> dict[str, Any]:
    """The difference, and as improvement in percent of the champion's loss, whose bounds change sides."""
    percent = {
        key: finite(-100 * value / champion) if value is not None and champion else None
        for key, value in (("value", found.value), ("lower", found.upper), ("upper", found.lower))
    }
    return {**asdict(found), "improvementPercent": percent}


def _improvement(loss: float, baseline: float | None) -> float | None:
    return finite(100 * (baseline - loss) / baseline) if baseline else None
