"""Where promotions lie, and the order that makes one of them the champion.

``<root>/<model name>/<training cut-off>/<run key>.json`` is a promotion, ``<run key>.withdrawn.json`` beside it says
that its model was withdrawn. Names alone say who goes first: nothing here reads an object or a clock.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime

from nightcast.errors import RegistryError

_SAFE = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")
_ENDING = ".json"
_WITHDRAWN = ".withdrawn"


@dataclass(frozen=True, order=True)
class PromotionKey:
    """What names a promotion of a model; the greater of two goes first as champion.

    The order is total and hangs on the names alone: by training cut-off, then by run key, character by character. So of
    Airflow's runs with the same cut-off the scheduled one goes before manual ones, and these go before backfilled ones;
    of two manual ones the later.

    Parameters
    ----------
    cut_off
        End of the sales period that the model has seen, exclusive; UTC.
    run_key
        The run that trained it, see `nightcast.artifacts.run_key`.

    Examples
    --------
    >>> max(PromotionKey(date(2008, 4, 1), "scheduled__1"), PromotionKey(date(2008, 4, 2), "backfill__1")).run_key
    'backfill__1'
    >>> max(PromotionKey(date(2008, 4, 1), "scheduled__1"), PromotionKey(date(2008, 4, 1), "backfill__1")).run_key
    'scheduled__1'
    """

    cut_off: date
    run_key: str

    def __post_init__(self) -> None:
        check_name(self.run_key, "run key")
        if self.run_key.endswith(_WITHDRAWN):
            raise RegistryError(
                f"the run key {self.run_key!r} ends in {_WITHDRAWN!r}, which marks withdrawals: start the run with "
                "another id."
            )

    @property
    def entry(self) -> str:
        """Place of the promotion below the model's folder."""
        return f"{self.cut_off.isoformat()}/{self.run_key}{_ENDING}"

    @property
    def withdrawal(self) -> str:
        """Place of the withdrawal below the model's folder."""
        return f"{self.cut_off.isoformat()}/{self.run_key}{_WITHDRAWN}{_ENDING}"

    def __str__(self) -> str:
        return f"{self.run_key} with the cut-off {self.cut_off.isoformat()}"


@dataclass(frozen=True)
class Listed:
    """The names below one model's folder.

    Parameters
    ----------
    promoted
        All promotions, withdrawn ones too.
    withdrawn
        Those beside which a withdrawal lies.
    """

    promoted: frozenset[PromotionKey] = frozenset()
    withdrawn: frozenset[PromotionKey] = frozenset()

    def newest_first(self, instant: date | datetime | None = None, excluding: str | None = None) -> list[PromotionKey]:
        """The promotions in the order in which they would be champion.

        Parameters
        ----------
        instant
            Only those whose cut-off is not after it: a day stands for its beginning in UTC.
        excluding
            Key of a run whose promotions are left out.
        """
        day = None if instant is None else utc_day(instant)
        taken = (key for key in self.promoted if (day is None or key.cut_off <= day) and key.run_key != excluding)
        return sorted(taken, reverse=True)


def listed_by_model(places: Iterable[str]) -> dict[str, Listed]:
    """Sort places below the registry's root by model; what is no promotion and no withdrawal is left out.

    Parameters
    ----------
    places
        Such as ``sales_forecast/2008-04-01/scheduled__1.json``.
    """
    promoted: dict[str, set[PromotionKey]] = {}
    withdrawn: dict[str, set[PromotionKey]] = {}
    for name, key, is_withdrawal in _read(places):
        (withdrawn if is_withdrawal else promoted).setdefault(name, set()).add(key)
    return {name: Listed(frozenset(promoted[name]), frozenset(withdrawn.get(name, set()))) for name in sorted(promoted)}


def check_name(name: str, what: str) -> None:
    """Refuse a name that can not stand in a place.

    Raises
    ------
    RegistryError
        If it is empty, begins with a dot, or has other characters than ASCII letters, digits, ``_``, ``-`` and ``.``.
    """
    if not _SAFE.fullmatch(name):
        raise RegistryError(
            f"the {what} {name!r} can not stand in a registry: take letters, digits, '_', '-' and '.' (not in front)."
        )


def utc_day(instant: date | datetime) -> date:
    """The UTC day that holds an instant.

    A cut-off is the beginning of a day, so it is not after the instant just when it is not after this day.

    Raises
    ------
    RegistryError
        If the instant has no time zone.
    """
    if not isinstance(instant, datetime):
        return instant
    if instant.tzinfo is None:
        raise RegistryError(f"the instant {instant.isoformat()} has no time zone: give one, or a day of UTC.")
    return instant.astimezone(UTC).date()


def cut_off_of(text: str) -> date | None:
    """The day that a text names as YYYY-MM-DD, and in no other way; None where it names none."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if day.isoformat() == text else None


def _read(places: Iterable[str]) -> Iterator[tuple[str, PromotionKey, bool]]:
    for place in places:
        name, _, rest = place.partition("/")
        folder, _, file = rest.partition("/")
        stem = file.removesuffix(_ENDING)
        if stem == file or not (_SAFE.fullmatch(name) and _SAFE.fullmatch(stem)):
            continue
        day = cut_off_of(folder)
        if day is not None and (run_key := stem.removesuffix(_WITHDRAWN)) and not run_key.endswith(_WITHDRAWN):
            yield name, PromotionKey(day, run_key), run_key != stem
