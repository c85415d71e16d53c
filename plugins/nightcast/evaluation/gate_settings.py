"""What a user may choose of the gate."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from nightcast.errors import SettingsError

TRAINING_MEAN = "trainingMean"


class Policy(StrEnum):
    """What is done about data that look wrong."""

    FAIL = "fail"
    WARN = "warn"
    SKIP = "skip"


class Undecided(StrEnum):
    """Which model is taken where chance may explain the difference."""

    PROMOTE = "promote"
    KEEP = "keep"


@dataclass(frozen=True)
class GateSettings:
    """Thresholds of the gate; `nightcast.evaluation.gate` says the rule.

    Parameters
    ----------
    min_improvement
        By how many percent of the champion's loss the challenger must be better, from 0 to below 100.
    confidence
        With which the challenger counts as better or as worse, above 0.5 and below 1.
    undecided
        What to do between the two: ``promote`` the challenger, which knows the newest records, within the tolerance; or
        ``keep`` the champion.
    tolerance
        By how many percent of the champion's loss an undecided challenger may be worse. Counts only where
        `min_improvement` is 0: who asks for an improvement tolerates no loss.
    must_beat
        Baselines whose loss the challenger's must be below.
    min_records
        Fewer compared records than this decide nothing.
    max_failed_percent
        Percent of the records that the champion can score, but the challenger can not, from 0 to 100.
    data_alerts, drift
        What to do about data alerts of the severity ``warning``, and about major drift: ``fail`` the run, ``skip`` the
        training and keep the champion, or ``warn`` and go on.

    Raises
    ------
    SettingsError
        If a value is out of its range.
    """

    min_improvement: float = 0.0
    confidence: float = 0.95
    undecided: Undecided = Undecided.PROMOTE
    tolerance: float = 1.0
    must_beat: tuple[str, ...] = (TRAINING_MEAN,)
    min_records: int = 30
    max_failed_percent: float = 1.0
    data_alerts: Policy = Policy.WARN
    drift: Policy = Policy.WARN

    def __post_init__(self) -> None:
        _check("min_improvement", self.min_improvement, 0.0 <= self.min_improvement < 100.0, "from 0 to below 100")
        _check("confidence", self.confidence, 0.5 < self.confidence < 1.0, "above 0.5 and below 1, such as 0.95")
        _check("tolerance", self.tolerance, 0.0 <= self.tolerance <= 100.0, "from 0 to 100")
        _check("min_records", self.min_records, self.min_records >= 2, "at least 2")
        in_range = 0.0 <= self.max_failed_percent <= 100.0
        _check("max_failed_percent", self.max_failed_percent, in_range, "from 0 to 100")
        for name, kind in (("undecided", Undecided), ("data_alerts", Policy), ("drift", Policy)):
            value = getattr(self, name)
            if value not in list(kind):
                raise SettingsError(f"the gate's {name} must be {' or '.join(kind)}, not {value!r:.80}")
            object.__setattr__(self, name, kind(value))
        object.__setattr__(self, "must_beat", tuple(self.must_beat))

    def to_document(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self) | {"must_beat": list(self.must_beat)}


def _check(name: str, value: object, holds: bool, wanted: str) -> None:
    # NaN fails every comparison, and so is out of every range.
    if not holds:
        raise SettingsError(f"the gate's {name} must be {wanted}, not {value!r:.80}")
