"""Where alerts go: an SNS topic, a webhook, or only the log."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from airflow.sdk import BaseHook, Variable
from airflow.sdk.exceptions import AirflowNotFoundException

from nightcast.alerts.message import Alert, without_secrets
from nightcast.errors import SettingsError

log = logging.getLogger(__name__)

NAME = "nightcast_alerts"
_SECONDS = 10


@dataclass(frozen=True)
class Target:
    """An SNS topic's ARN or a webhook's URL; the URL may be a secret, so only :attr:`name` is ever shown."""

    address: str = field(repr=False)
    headers: dict[str, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if not (self.is_topic or urlsplit(self.address).scheme in ("http", "https")):
            raise SettingsError(
                f"the connection or variable {NAME} names neither an SNS topic nor a webhook; give it the form "
                "arn:aws:sns:<region>:<account>:<topic> or https://<host>/<path>."
            )

    @property
    def is_topic(self) -> bool:
        """Whether it is an SNS topic."""
        return self.address.startswith("arn:") and ":sns:" in self.address

    @property
    def name(self) -> str:
        """What may stand in a log."""
        return self.address if self.is_topic else f"the webhook at {urlsplit(self.address).hostname}"


def tell(alert: Alert) -> None:
    """Log an alert, and send it where the connection or variable ``nightcast_alerts`` says. Never raises."""
    log.error("NIGHTCAST ALERT: %s", alert.text)
    name = NAME
    try:
        target = find_target()
        if target is None:
            log.warning("the alert stands in this log only; set the connection or variable %s to send it", NAME)
            return
        name = target.name
        if target.is_topic:
            _publish(target, alert)
        else:
            _post(target, alert)
        log.info("alert sent to %s", name)
    except Exception as error:  # noqa: BLE001, RUF100 -- an alert that can not be sent must not fail what it tells of
        log.warning("the alert could not be sent to %s: %s", name, _why(error))


def find_target() -> Target | None:
    """Where alerts go: the connection goes before the variable; None where neither is set.

    Raises
    ------
    SettingsError
        If what is set has another form.
    """
    try:
        connection = BaseHook.get_connection(NAME)
    except AirflowNotFoundException:
        address = str(Variable.get(NAME, default=None) or "").strip()
        return Target(address) if address else None
    return _target_of(connection)


def _target_of(connection: Any) -> Target:
    host, schema = (connection.host or "").strip(), connection.schema or ""
    if host.startswith("arn:") or "://" in host:
        address = host
    else:
        # A connection given as a URI, https://host/path, holds the path in its schema.
        named = schema in ("http", "https")
        scheme, path = (schema, "") if named else (connection.conn_type, schema)
        port = f":{connection.port}" if connection.port else ""
        address = f"{scheme}://{host}{port}/{path}" if host else ""
    headers = {str(key): str(value) for key, value in (connection.extra_dejson.get("headers") or {}).items()}
    if connection.login:
        pair = base64.b64encode(f"{connection.login}:{connection.password or ''}".encode()).decode()
        headers.setdefault("Authorization", f"Basic {pair}")
    return Target(address, headers)


def _publish(target: Target, alert: Alert) -> None:
    from airflow.providers.amazon.aws.hooks.sns import SnsHook
    from botocore.config import Config

    region = target.address.split(":")[3]
    given = SnsHook(region_name=region).conn_config.botocore_config or Config()  # type: ignore[no-untyped-call]
    # Without a way to SNS, botocore would try for minutes, and the task with it.
    patience = Config(connect_timeout=_SECONDS, read_timeout=_SECONDS, retries={"total_max_attempts": 2})
    # SnsHook and not SnsNotifier, which renders a message as a Jinja template: an error's text is none.
    hook = SnsHook(region_name=region, config=given.merge(patience))  # type: ignore[no-untyped-call]
    order: dict[str, str] = {}
    if target.address.endswith(".fifo"):
        digest = hashlib.sha256(alert.text.encode()).hexdigest()
        order = {"message_group_id": alert.dag_id[:128], "message_deduplication_id": digest}
    hook.publish_to_target(
        target.address,
        alert.text,
        subject=alert.subject,
        message_attributes={"event": alert.event, "dag_id": alert.dag_id},
        **order,
    )


def _post(target: Target, alert: Alert) -> None:
    headers = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "nightcast", **target.headers}
    body = json.dumps(alert.to_document(), ensure_ascii=False).encode()
    request = urllib.request.Request(target.address, body, headers)  # noqa: S310 -- Target lets http and https only
    with urllib.request.urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310
        answer.read(1)


def _why(error: Exception) -> str:
    """What went wrong, without the webhook's address."""
    if isinstance(error, urllib.error.HTTPError):
        return f"it answered {error.code} {error.reason}"
    if isinstance(error, urllib.error.URLError):
        return f"it can not be reached: {error.reason}"
    if isinstance(error, SettingsError) or type(error).__module__.startswith(("botocore", "airflow")):
        return without_secrets(f"{type(error).__name__}: {error}")
    return type(error).__name__
