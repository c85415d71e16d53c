from __future__ import annotations

import dataclasses

import pytest
from airflow.sdk.log import mask_secret
from hypothesis import given
from hypothesis import strategies as st

from nightcast.alerts.message import Alert, error_text, without_secrets
from nightcast.errors import ModelError


def test_the_text_tells_all_that_is_known(alert):
    assert alert.text == (
        "a task has failed\n"
        "DAG: sales_forecast\n"
        "Task: ml_model.train_model\n"
        "Sales period: 2008-12-31\n"
        "Run: scheduled__2008-12-31T02:00:00+00:00 (scheduled)\n"
        "Error: ModelError: no records {{ to }} learn from\n"
        "Log: http://localhost:8080/dags/sales_forecast/runs/x/tasks/y\n"
        "What to do: Mend the cause."
    )


def test_what_is_not_known_is_left_out(alert):
    bare = dataclasses.replace(alert, task_id=None, period=None, run_type=None, log_url=None)
    assert [line.partition(":")[0] for line in bare.text.splitlines()] == [
        "a task has failed",
        "DAG",
        "Run",
        "Error",
        "What to do",
    ]


def test_the_document_has_the_text_and_each_fact(alert):
    document = alert.to_document()
    assert document["text"] == alert.text
    assert document["event"] == "failure"
    assert document["period"] == "2008-12-31"


@given(st.text(), st.text())
def test_a_subject_is_what_sns_takes(dag_id, title):
    subject = Alert("failure", title, dag_id, None, "x").subject
    assert subject.startswith("Nightcast: ")
    assert len(subject) <= 100
    assert subject.isascii() and subject.isprintable()


def test_an_error_is_cut_to_2000_characters():
    assert error_text(ModelError("x" * 5000)) == "x" * 2000
    assert error_text(ValueError()) == "ValueError"


def test_a_secret_at_the_cut_does_not_show_by_half():
    text = error_text("x" * 1990 + " password=hunter2hunter2")
    assert len(text) == 2000
    assert "hunter" not in text


def test_secrets_of_airflows_connections_are_blanked():
    mask_secret("correct-horse")
    assert error_text("denied for correct-horse") == "denied for ***"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("password=hunter2 next", "password=*** next"),
        ('{"secret": "abc", "x": 1}', '{"secret": "***", "x": 1}'),
        ("aws_secret_access_key=abc;aws_session_token=d/e+f", "aws_secret_access_key=***;aws_session_token=***"),
        ("GET s3?X-Amz-Signature=0ab&x=1", "GET s3?X-Amz-Signature=***&x=1"),
        ("postgresql://admin:hunter2@host/db", "postgresql://admin:***@host/db"),
        ("API_KEY: k123", "API_KEY: ***"),
        ("column token_count is missing", "column token_count is missing"),
        ("http://host:8080/path", "http://host:8080/path"),
    ],
)
def test_what_looks_like_a_secret_is_blanked(text, expected):
    assert without_secrets(text) == expected
