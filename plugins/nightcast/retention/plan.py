"""A plan of what may go, from a listing, what the registry refers to, and an instant.

What lies beside ``period=*/run=*/`` (the registry, the accuracy history) is never looked at.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from nightcast.errors import SettingsError
from nightcast.retention.references import References, place_of

if TYPE_CHECKING:
    from nightcast.storage import StoredObject

STAGING = ("training", "scoring", "actuals")
COMMIT = "run.json"
_RUN_BELOW = re.compile(r"(period=[^/]+/run=[^/]+)/(.+)")


class Kind(StrEnum):
    """Why something may go."""

    STAGING = "staging"
    INCOMPLETE = "incomplete"
    RUN = "run"


@dataclass(frozen=True)
class RetentionRules:
    """From which age on something may go, in days; ``run_days`` None: whole runs never do.

    Raises
    ------
    SettingsError
        If an age is below one day: what is younger may belong to a run that has not ended.
    """

    staging_days: int = 30
    incomplete_days: int = 7
    run_days: int | None = None

    def __post_init__(self) -> None:
        for name, days in asdict(self).items():
            if days is not None and days < 1:
                raise SettingsError(
                    f"{name} is {days}: younger than a day may be a run's that goes on. Give 1 or more."
                )


@dataclass(frozen=True)
class Removal:
    """Objects of one run that may go, and why."""

    kind: Kind
    run: str
    reason: str
    objects: tuple[StoredObject, ...]

    @property
    def bytes(self) -> int:
        """Bytes of all of them."""
        return sum(item.bytes for item in self.objects)


@dataclass(frozen=True)
class Protected:
    """Objects of one run that are old enough to go, and stay; ``registry`` names the documents that hold them."""

    run: str
    reason: str
    objects: tuple[StoredObject, ...]
    registry: tuple[str, ...] = ()


@dataclass(frozen=True)
class RetentionPlan:
    """What goes and what stays, by run."""

    removals: tuple[Removal, ...]
    protected: tuple[Protected, ...]

    @property
    def objects(self) -> list[StoredObject]:
        """All objects that go."""
        return [item for removal in self.removals for item in removal.objects]

    def totals(self) -> dict[str, dict[str, int]]:
        """Runs, objects and bytes of each kind."""
        by_kind = {kind: [removal for removal in self.removals if removal.kind == kind] for kind in Kind}
        return {
            str(kind): {
                "runs": len(removals),
                "objects": sum(len(removal.objects) for removal in removals),
                "bytes": sum(removal.bytes for removal in removals),
            }
            for kind, removals in by_kind.items()
        }

    def to_document(self) -> dict[str, Any]:
        """The plan as JSON: totals, then each run with the URIs of its objects."""
        return {
            "totals": self.totals(),
            "removals": [
                {"kind": str(r.kind), "run": r.run, "reason": r.reason, "bytes": r.bytes, **_listed(r.objects)}
                for r in self.removals
            ],
            "protected": [
                {
                    "run": p.run,
                    "reason": p.reason,
                    "registry": list(p.registry),
                    "objects": len(p.objects),
                    "bytes": sum(item.bytes for item in p.objects),
                }
                for p in self.protected
            ],
        }


def _listed(objects: Iterable[StoredObject]) -> dict[str, Any]:
    uris = [item.uri for item in objects]
    return {"objects": len(uris), "uris": uris}


def plan_removal(
    objects: Iterable[StoredObject], references: References, rules: RetentionRules, *, base: str, now: datetime
) -> RetentionPlan:
    """Tell what may go.

    Parameters
    ----------
    objects
        Everything below ``base``, in any order.
    references
        What the registry names; whole runs of it stay, but for their staging parts.
    rules
        Ages. A run is as old as its ``run.json`` or, where it has none, as its newest object.
    base
        ``<root>/<pipeline>/``.
    now
        The present, with a time zone.
    """
    removals, protected = list[Removal](), list[Protected]()
    pipeline = base.rstrip("/").rsplit("/", 1)[-1]
    for run in _runs(objects, base):
        held = references.runs.get((pipeline, run.name), ())
        for kind, reason, items in _due(run, rules, bool(held), now):
            if run.idle(now) <= timedelta(days=rules.incomplete_days):
                protected.append(Protected(run.name, "it was written to lately, and may be running again", items))
                continue
            if kind is not Kind.STAGING and held:
                protected.append(Protected(run.name, "the registry refers to it", items, held))
                continue
            free, kept = _without_named(run.name, items, references)
            protected.extend(kept)
            if free:
                removals.append(Removal(kind, run.name, reason, free))
    return RetentionPlan(tuple(removals), tuple(protected))


@dataclass(frozen=True)
class _Run:
    """Objects of one run, by their name below it."""

    name: str
    objects: Mapping[str, StoredObject]

    @property
    def commit(self) -> StoredObject | None:
        return self.objects.get(COMMIT)

    @property
    def staging(self) -> tuple[StoredObject, ...]:
        return tuple(item for name, item in self.objects.items() if name.partition("/")[0] in STAGING and "/" in name)

    @property
    def rest(self) -> tuple[StoredObject, ...]:
        staging = set(self.staging)
        return tuple(item for item in self.objects.values() if item not in staging)

    def idle(self, now: datetime) -> timedelta:
        return now - max(item.modified for item in self.objects.values())


def _due(
    run: _Run, rules: RetentionRules, held: bool, now: datetime
) -> Iterator[tuple[Kind, str, tuple[StoredObject, ...]]]:
    """What is old enough to go. Staging parts of a run that is held back are a piece of their own."""
    if run.commit is None:
        idle = run.idle(now)
        if idle > timedelta(days=rules.incomplete_days):
            reason = f"no run.json, and nothing written for {idle.days} days"
            yield Kind.INCOMPLETE, reason, tuple(run.objects.values())
        return
    age = now - run.commit.modified
    reason = f"published {age.days} days ago"
    whole = rules.run_days is not None and age > timedelta(days=rules.run_days)
    if whole and not held:
        yield Kind.RUN, reason, tuple(run.objects.values())
        return
    if whole:
        yield Kind.RUN, reason, run.rest
    if run.staging and age > timedelta(days=rules.staging_days):
        yield Kind.STAGING, reason, run.staging


def _without_named(
    run: str, items: tuple[StoredObject, ...], references: References
) -> tuple[tuple[StoredObject, ...], list[Protected]]:
    """Leave out what the registry names singly, and what tells the accuracy of a period."""
    free, kept = [], []
    for item in items:
        place = place_of(item.uri)
        name = place.partition(f"/{run}/")[2]
        if place in references.places:
            kept.append(Protected(run, "the registry refers to it", (item,), references.places[place]))
        elif name.startswith("accuracy"):
            kept.append(Protected(run, "it belongs to the accuracy history", (item,)))
        else:
            free.append(item)
    return tuple(free), kept


def _runs(objects: Iterable[StoredObject], base: str) -> list[_Run]:
    """The runs below the pipeline, sorted; what lies elsewhere is no run's."""
    below, runs = place_of(base).rstrip("/") + "/", defaultdict[str, dict[str, Any]](dict)
    for item in objects:
        place = place_of(item.uri)
        match = _RUN_BELOW.fullmatch(place.removeprefix(below)) if place.startswith(below) else None
        if match:
            runs[match[1]][match[2]] = item
    return [_Run(name, runs[name]) for name in sorted(runs)]
