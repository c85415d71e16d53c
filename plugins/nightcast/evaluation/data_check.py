"""Whether data are fit to train a model on: data alerts and drift, each with its policy."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from nightcast.datasource.data_alerts import WARNING, DataAlert
from nightcast.datasource.drift import Drift, DriftLevel
from nightcast.evaluation.gate_settings import GateSettings, Policy

_NAMED = 5
Verdict = tuple["Decision", str]


class Decision(StrEnum):
    """What happens with the challenger, or with the run."""

    PROMOTE = "promote"
    KEEP = "keep"
    SKIP = "skip"
    FAIL = "fail"


def check_data(settings: GateSettings, alerts: Sequence[DataAlert] = (), drift: Drift | None = None) -> Verdict | None:
    """Whether the data let a model be trained at all; to be asked before training.

    Parameters
    ----------
    alerts
        Of the training records; notes are no reason.
    drift
        Of the training records against those of the champion.

    Returns
    -------
    (Decision, str) or None
        FAIL or SKIP with the reason; None to go on. Where both apply, the run fails.
    """
    found: list[tuple[Policy, str]] = []
    warnings = [alert for alert in alerts if alert.severity == WARNING]
    if warnings:
        more = f" and {len(warnings) - _NAMED:,} more" if len(warnings) > _NAMED else ""
        listed = "; ".join(f"{alert.code} ({alert.message})" for alert in warnings[:_NAMED])
        found.append((settings.data_alerts, f"{len(warnings):,} data alert(s): {listed}{more}"))
    if drift is not None and drift.level is DriftLevel.MAJOR:
        found.append((settings.drift, f"major drift of {_drifted(drift)} since the champion's training records"))
    for policy, decision, what in (
        (Policy.FAIL, Decision.FAIL, "The run fails"),
        (Policy.SKIP, Decision.SKIP, "Training is skipped, and the champion stays"),
    ):
        reasons = [reason for found_policy, reason in found if found_policy is policy]
        if reasons:
            return decision, f"{what}: {', and '.join(reasons)}."
    return None


def _drifted(drift: Drift) -> str:
    """What drifted most, by name."""
    major = [found for found in drift.attributes if found.level is DriftLevel.MAJOR]
    major.sort(key=lambda found: (-(found.psi or 0.0), found.attribute))
    named = [f"{found.attribute} (index {found.psi:.2f})" for found in major if found.psi is not None]
    named += [f"{name} (gone)" for name in drift.removed] + [f"{name} (of another type)" for name in drift.retyped]
    more = f" and {len(named) - _NAMED:,} more" if len(named) > _NAMED else ""
    return ", ".join(named[:_NAMED]) + more
