"""Telling people: failed tasks and runs, refused promotions, nightly runs that are late."""

from __future__ import annotations

from nightcast.alerts.deadline import DeadlineDAG, nightly_deadline, tell_missed_deadline
from nightcast.alerts.notifiers import FailureNotifier, RefusedPromotionNotifier, RunFailureNotifier

__all__ = [
    "DeadlineDAG",
    "FailureNotifier",
    "RefusedPromotionNotifier",
    "RunFailureNotifier",
    "nightly_deadline",
    "tell_missed_deadline",
]
