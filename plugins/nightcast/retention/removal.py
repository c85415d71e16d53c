"""Make a plan from what lies in the storage, and carry it out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nightcast.retention.plan import COMMIT, RetentionPlan, RetentionRules, plan_removal
from nightcast.retention.references import read_references

if TYPE_CHECKING:
    from datetime import datetime

    from nightcast.storage import Storage


def read_plan(storage: Storage, root: str, pipeline: str, rules: RetentionRules, now: datetime) -> RetentionPlan:
    """List the runs below ``<root>/<pipeline>/``, read the registry, and plan.

    Raises
    ------
    StorageError, RetentionError
        If they can not be listed, or the registry can not be read.
    """
    base = f"{root.rstrip('/')}/{pipeline}/"
    objects = storage.objects_below(base)
    # After the listing: a model that was promoted meanwhile is seen.
    references = read_references(storage, f"{root.rstrip('/')}/registry/")
    return plan_removal(objects, references, rules, base=base, now=now)


def remove(storage: Storage, plan: RetentionPlan) -> None:
    """Delete what the plan says; safe to repeat.

    Raises
    ------
    StorageError
        If something can not be deleted; what is left is in the next plan.
    """
    uris = [item.uri for item in plan.objects]
    commits = [uri for uri in uris if uri.endswith(f"/{COMMIT}")]
    # Whoever finds run.json finds everything, so it goes first.
    storage.delete(commits)
    storage.delete([uri for uri in uris if not uri.endswith(f"/{COMMIT}")])
