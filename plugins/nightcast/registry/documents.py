"""The documents of the registry: a promotion, and its withdrawal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any, TypeVar, cast

from nightcast.artifacts import ArtifactRef, finite, to_json_bytes
from nightcast.datasource.strict_json import parse_object
from nightcast.errors import RegistryError
from nightcast.registry.keys import PromotionKey, check_name, cut_off_of

ENTRY_FORMAT = "nightcast-registry-entry"
WITHDRAWAL_FORMAT = "nightcast-registry-withdrawal"
VERSION = 1

T = TypeVar("T")
_NUMBER = (int, float)


@dataclass(frozen=True)
class RegistryEntry:
    """A promoted model.

    Parameters
    ----------
    model_name
        What its runs forecast, such as ``sales_forecast``: champions are champions among models of one name.
    cut_off
        Training cut-off: end of the sales period that the model has seen, exclusive; UTC.
    run_id, run_key, run_type
        The run that trained it.
    period
        What that run says of its sales period.
    model
        Reference of ``model/model.json``.
    model_type, learner
        Such as ``REGRESSION`` and ``linear``.
    metric_name, metric, baseline
        Amazon ML's metric on the run's evaluation records, and that of a model without skill; None where undefined.
    decision
        What the gate decided, and why; free, but JSON.
    promoted_at
        When; with a time zone. It has no say in which model is champion.
    code_version
        Nightcast's, of the run.

    Raises
    ------
    RegistryError
        If a name can not stand in a registry, or ``promoted_at`` has no time zone.
    """

    model_name: str
    cut_off: date
    run_id: str
    run_key: str
    run_type: str
    period: Mapping[str, Any]
    model: ArtifactRef
    model_type: str
    learner: str
    metric_name: str
    metric: float | None
    baseline: float | None
    decision: Mapping[str, Any]
    promoted_at: datetime
    code_version: str

    def __post_init__(self) -> None:
        check_name(self.model_name, "model name")
        _check_zone(self.promoted_at, "promoted_at")
        self.key  # noqa: B018 -- checks the run key

    @property
    def key(self) -> PromotionKey:
        """Its name among the promotions of the model."""
        return PromotionKey(self.cut_off, self.run_key)

    def says_the_same_as(self, other: RegistryEntry) -> bool:
        """Whether the two are one promotion, told once or twice: the time of telling does not count."""
        return replace(self, promoted_at=other.promoted_at).to_bytes() == other.to_bytes()

    def document(self) -> dict[str, Any]:
        """The entry as plain JSON."""
        return {
            **_head(ENTRY_FORMAT, self.model_name, self.key),
            "runId": self.run_id,
            "runType": self.run_type,
            "period": dict(self.period),
            "model": dict(self.model),
            "modelType": self.model_type,
            "learner": self.learner,
            "metric": {"name": self.metric_name, "value": finite(self.metric), "baseline": finite(self.baseline)},
            "decision": dict(self.decision),
            "promotedAt": _stamp(self.promoted_at),
            "nightcast": self.code_version,
        }

    def to_bytes(self) -> bytes:
        """The entry as a file: JSON with sorted keys; equal entries give equal bytes."""
        return _bytes(self.document(), f"the promotion of run {self.run_key}")

    @classmethod
    def from_bytes(cls, data: bytes, uri: str) -> RegistryEntry:
        """Read an entry.

        Parameters
        ----------
        uri
            Where it lies, for messages.

        Raises
        ------
        RegistryError
            If it is no entry, damaged, or of another version.
        """
        document = _parsed(data, uri, ENTRY_FORMAT)
        metric = _field(document, "metric", dict, uri)
        model = _field(document, "model", dict, uri)
        for name, kind in (("uri", str), ("sha256", str), ("bytes", int), ("media_type", str)):
            _field(model, name, kind, f"{uri}, model")
        return _built(
            uri,
            lambda: cls(
                model_name=_field(document, "modelName", str, uri),
                cut_off=_day(document, uri),
                run_id=_field(document, "runId", str, uri),
                run_key=_field(document, "runKey", str, uri),
                run_type=_field(document, "runType", str, uri),
                period=_field(document, "period", dict, uri),
                model=cast(ArtifactRef, model),
                model_type=_field(document, "modelType", str, uri),
                learner=_field(document, "learner", str, uri),
                metric_name=_field(metric, "name", str, f"{uri}, metric"),
                metric=_field(metric, "value", (*_NUMBER, type(None)), f"{uri}, metric"),
                baseline=_field(metric, "baseline", (*_NUMBER, type(None)), f"{uri}, metric"),
                decision=_field(document, "decision", dict, uri),
                promoted_at=_instant(document, "promotedAt", uri),
                code_version=_field(document, "nightcast", str, uri),
            ),
        )


@dataclass(frozen=True)
class Withdrawal:
    """Says that a promoted model shall be champion no more, for any instant.

    Parameters
    ----------
    model_name, key
        The promotion.
    model_sha256
        Digest of the model that was withdrawn: when the run trains another one, that is not meant.
    reason
        Why, for people.
    withdrawn_at
        When; with a time zone.
    """

    model_name: str
    key: PromotionKey
    model_sha256: str
    reason: str
    withdrawn_at: datetime

    def __post_init__(self) -> None:
        check_name(self.model_name, "model name")
        _check_zone(self.withdrawn_at, "withdrawn_at")
        if not self.reason.strip():
            raise RegistryError(f"the withdrawal of run {self.key} has no reason: say why, for those who look later.")

    def document(self) -> dict[str, Any]:
        """The withdrawal as plain JSON."""
        return {
            **_head(WITHDRAWAL_FORMAT, self.model_name, self.key),
            "modelSha256": self.model_sha256,
            "reason": self.reason,
            "withdrawnAt": _stamp(self.withdrawn_at),
        }

    def to_bytes(self) -> bytes:
        """The withdrawal as a file: JSON with sorted keys."""
        return _bytes(self.document(), f"the withdrawal of run {self.key.run_key}")

    @classmethod
    def from_bytes(cls, data: bytes, uri: str) -> Withdrawal:
        """Read a withdrawal; raises as `RegistryEntry.from_bytes`."""
        document = _parsed(data, uri, WITHDRAWAL_FORMAT)
        return _built(
            uri,
            lambda: cls(
                model_name=_field(document, "modelName", str, uri),
                key=PromotionKey(_day(document, uri), _field(document, "runKey", str, uri)),
                model_sha256=_field(document, "modelSha256", str, uri),
                reason=_field(document, "reason", str, uri),
                withdrawn_at=_instant(document, "withdrawnAt", uri),
            ),
        )


def damaged(uri: str, why: str) -> RegistryError:
    """The error of an object that is not what its place promises."""
    return RegistryError(
        f"{uri} is no sound document of a model registry: {why}. Bring it back from an older version of the object, or "
        "delete it and promote or withdraw the model of its run again."
    )


def _head(form: str, model_name: str, key: PromotionKey) -> dict[str, Any]:
    return {
        "format": form,
        "version": VERSION,
        "modelName": model_name,
        "trainingCutOff": key.cut_off.isoformat(),
        "runKey": key.run_key,
    }


def _bytes(document: dict[str, Any], what: str) -> bytes:
    try:
        return to_json_bytes(document)
    except (TypeError, ValueError) as fault:
        raise RegistryError(f"{what} can not be written as JSON: {fault}. Give plain, finite values.") from fault


def _parsed(data: bytes, uri: str, form: str) -> dict[str, Any]:
    document = parse_object(data.decode("utf-8", "replace"), uri, lambda message: damaged(uri, message))
    found = document.get("version")
    if document.get("format") != form or type(found) is not int:
        raise damaged(uri, f"its format is not {form}")
    if found != VERSION:
        raise RegistryError(f"{uri} has version {found}, and this Nightcast reads version {VERSION}: update it.")
    return document


def _built(uri: str, build: Callable[[], T]) -> T:
    try:
        return build()
    except RegistryError as fault:
        if uri in str(fault):
            raise
        raise damaged(uri, str(fault).rstrip(".")) from fault


def _field(document: Mapping[str, Any], name: str, kind: type | tuple[type, ...], uri: str) -> Any:
    value = document.get(name)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise damaged(uri, f"{name!r} is {'missing' if name not in document else f'{value!r:.80}'}")
    return value


def _day(document: Mapping[str, Any], uri: str) -> date:
    text = _field(document, "trainingCutOff", str, uri)
    day = cut_off_of(text)
    if day is None:
        raise damaged(uri, f"'trainingCutOff' is {text!r:.80}, and no day as YYYY-MM-DD")
    return day


def _instant(document: Mapping[str, Any], name: str, uri: str) -> datetime:
    text = _field(document, name, str, uri)
    try:
        return datetime.fromisoformat(text)
    except ValueError as fault:
        raise damaged(uri, f"{name!r} is {text!r:.80}, and no instant") from fault


def _stamp(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat(timespec="seconds")


def _check_zone(instant: datetime, name: str) -> None:
    if instant.tzinfo is None:
        raise RegistryError(f"{name} {instant.isoformat()} has no time zone: give an instant of UTC.")
