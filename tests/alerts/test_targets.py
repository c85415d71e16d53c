from __future__ import annotations

import base64
import dataclasses
import json

import pytest

from nightcast.alerts.targets import find_target, tell
from nightcast.errors import SettingsError

ARN = "arn:aws:sns:eu-central-1:123456789012:alerts"


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch):
    monkeypatch.delenv("AIRFLOW_CONN_NIGHTCAST_ALERTS", raising=False)
    monkeypatch.delenv("AIRFLOW_VAR_NIGHTCAST_ALERTS", raising=False)


@pytest.fixture
def connect(monkeypatch):
    """Set the connection ``nightcast_alerts``."""

    def given(value) -> None:
        monkeypatch.setenv("AIRFLOW_CONN_NIGHTCAST_ALERTS", value if isinstance(value, str) else json.dumps(value))

    return given


def test_a_topic_gets_the_alert(topic, alert, monkeypatch):
    arn, messages = topic("alerts")
    monkeypatch.setenv("AIRFLOW_VAR_NIGHTCAST_ALERTS", arn)
    tell(alert)
    (message,) = messages()
    assert message["Message"] == alert.text, "a message is no template"
    assert message["Subject"] == "Nightcast: a task has failed: sales_forecast.ml_model.train_model, 2008-12-31"
    attributes = {name: attribute["Value"] for name, attribute in message["MessageAttributes"].items()}
    assert attributes == {"event": "failure", "dag_id": "sales_forecast"}


def test_a_fifo_topic_gets_each_alert_once(topic, alert, monkeypatch):
    arn, messages = topic("alerts.fifo")
    monkeypatch.setenv("AIRFLOW_VAR_NIGHTCAST_ALERTS", arn)
    tell(alert)
    tell(dataclasses.replace(alert, period="2009-01-01"))
    assert [message["Message"].splitlines()[3] for message in messages()] == [
        "Sales period: 2008-12-31",
        "Sales period: 2009-01-01",
    ]


def test_a_webhook_gets_the_alert_as_json(webhook, alert, monkeypatch):
    monkeypatch.setenv("AIRFLOW_VAR_NIGHTCAST_ALERTS", f"{webhook.url}/services/abc")
    tell(alert)
    ((path, headers, content),) = webhook.received
    assert path == "/services/abc"
    assert headers["Content-Type"] == "application/json; charset=utf-8"
    assert content == alert.to_document()


def test_a_connection_may_hold_login_and_headers(webhook, alert, connect):
    host, _, port = webhook.url.removeprefix("http://").partition(":")
    extra = {"headers": {"X-Team": "sales"}}
    connect(
        {"conn_type": "http", "host": host, "port": int(port), "login": "me", "password": "hunter2", "extra": extra}
    )
    tell(alert)
    ((path, headers, _),) = webhook.received
    assert path == "/"
    assert headers["X-Team"] == "sales"
    assert base64.b64decode(headers["Authorization"].removeprefix("Basic ")) == b"me:hunter2"


@pytest.mark.parametrize(
    ("connection", "address"),
    [
        ({"conn_type": "http", "host": "https://hooks.example/a/b"}, "https://hooks.example/a/b"),
        ({"conn_type": "http", "host": "hooks.example", "schema": "https"}, "https://hooks.example/"),
        ("https://hooks.example/services/a", "https://hooks.example/services/a"),
        ("http://hooks.example:8080", "http://hooks.example:8080/"),
        ({"conn_type": "generic", "host": ARN}, ARN),
        ({"conn_type": "aws", "host": ARN}, ARN),
    ],
)
def test_connections_of_all_forms(connection, address, connect, monkeypatch):
    monkeypatch.setenv("AIRFLOW_VAR_NIGHTCAST_ALERTS", "https://the.connection.goes.before")
    connect(connection)
    assert find_target().address == address


@pytest.mark.parametrize("text", ["somebody@example.com", "ftp://host/x", "arn:aws:sqs:eu-central-1:1:queue"])
def test_other_targets_are_refused_without_being_shown(text, monkeypatch):
    monkeypatch.setenv("AIRFLOW_VAR_NIGHTCAST_ALERTS", text)
    with pytest.raises(SettingsError, match="neither an SNS topic nor a webhook") as caught:
        find_target()
    assert text not in str(caught.value)


def test_a_connection_without_a_host_is_refused(connect):
    connect({"conn_type": "http"})
    with pytest.raises(SettingsError, match="neither"):
        find_target()


def test_without_a_target_the_log_has_it(alert, caplog):
    assert find_target() is None
    tell(alert)
    assert "NIGHTCAST ALERT: a task has failed\nDAG: sales_forecast" in caplog.text
    assert "the alert stands in this log only" in caplog.text


@pytest.mark.parametrize(
    ("status", "why"), [(403, "it answered 403 Forbidden"), (500, "it answered 500 Internal Server Error")]
)
def test_a_webhook_that_refuses_is_told_by_its_answer(status, why, webhook, alert, monkeypatch, caplog):
    webhook.status = status
    monkeypatch.setenv("AIRFLOW_VAR_NIGHTCAST_ALERTS", f"{webhook.url}/services/secret")
    tell(alert)
    assert f"could not be sent to the webhook at 127.0.0.1: {why}" in caplog.text
    assert "services/secret" not in caplog.text


@pytest.mark.parametrize("path", ["services/secret", "services/secret with blanks"])
def test_a_webhook_that_can_not_be_reached_fails_nothing_and_does_not_show(path, alert, monkeypatch, caplog):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("AIRFLOW_VAR_NIGHTCAST_ALERTS", f"http://127.0.0.1:1/{path}")
    tell(alert)
    assert "could not be sent to the webhook at 127.0.0.1" in caplog.text
    assert "services/secret" not in caplog.text


def test_a_topic_that_is_not_there_is_told_by_awss_answer(topic, alert, monkeypatch, caplog):
    topic("alerts")
    monkeypatch.setenv("AIRFLOW_VAR_NIGHTCAST_ALERTS", f"{ARN}-elsewhere")
    tell(alert)
    assert f"could not be sent to {ARN}-elsewhere: NotFound" in caplog.text


def test_a_target_that_is_none_fails_nothing(alert, monkeypatch, caplog):
    monkeypatch.setenv("AIRFLOW_VAR_NIGHTCAST_ALERTS", "somebody@example.com")
    tell(alert)
    assert "neither an SNS topic nor a webhook" in caplog.text
