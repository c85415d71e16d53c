"""Endpoints that really receive alerts: a webhook, and SNS topics that an SQS queue subscribes to."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from airflow.sdk import DAG, BaseOperator
from moto.server import ThreadedMotoServer

from nightcast.alerts.message import Alert


@dataclass
class Webhook:
    """What a webhook has got; ``status`` is what it answers."""

    url: str
    status: int = 204
    received: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)


@pytest.fixture
def webhook(monkeypatch):
    """A webhook of the test's own."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            hook.received.append((self.path, dict(self.headers), content))
            self.send_response(hook.status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Requests are no news."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        hook = Webhook(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        yield hook
        server.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def aws():
    """Options of a client of a local AWS that has SNS and SQS."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield {
        "endpoint_url": f"http://{host}:{port}",
        "region_name": "eu-central-1",
        "aws_access_key_id": "a-key",
        "aws_secret_access_key": "a-secret",
    }
    server.stop()


@pytest.fixture
def topic(aws, monkeypatch, request):
    """Make an SNS topic: its ARN, and a function that reads what its queue has got."""
    sns, sqs = boto3.client("sns", **aws), boto3.client("sqs", **aws)
    extra = {"endpoint_url": aws["endpoint_url"], "region_name": "us-east-1"}
    login = {"conn_type": "aws", "login": "a-key", "password": "a-secret"}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps({**login, "extra": extra}))

    def make(name: str) -> tuple[str, Any]:
        fifo = {"FifoTopic": "true"} if name.endswith(".fifo") else {}
        arn = sns.create_topic(Name=name, Attributes=fifo)["TopicArn"]
        queue = sqs.create_queue(QueueName=name, Attributes={"FifoQueue": "true"} if fifo else {})["QueueUrl"]
        target = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=target)

        def messages() -> list[dict[str, Any]]:
            found = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
            return [json.loads(message["Body"]) for message in found]

        return arn, messages

    return make


@pytest.fixture
def alert():
    return Alert(
        event="failure",
        title="a task has failed",
        dag_id="sales_forecast",
        task_id="ml_model.train_model",
        run_id="scheduled__2008-12-31T02:00:00+00:00",
        run_type="scheduled",
        period="2008-12-31",
        error="ModelError: no records {{ to }} learn from",
        log_url="http://localhost:8080/dags/sales_forecast/runs/x/tasks/y",
        next_step="Mend the cause.",
    )


@pytest.fixture
def context():
    """Make an Airflow context of a failed task; keyword arguments replace or add keys."""

    def make(xcoms=None, **keys: Any) -> dict[str, Any]:
        returned = {"resolve_period": {"period": {"label": "2008-12-31"}}} if xcoms is None else xcoms
        ti = SimpleNamespace(
            dag_id="sales_forecast",
            task_id="ml_model.train_model",
            log_url="http://localhost:8080/dags/sales_forecast/runs/x/tasks/y",
            xcom_pull=lambda task_ids, key="return_value": returned.get(task_ids if key == "return_value" else key),
        )
        run = SimpleNamespace(run_id="scheduled__x", dag_id="sales_forecast", run_type="scheduled", run_after=None)
        with DAG("sales_forecast", schedule=None) as dag:
            BaseOperator(task_id="resolve_period")
        return {"ti": ti, "dag": dag, "dag_run": run, "run_id": "scheduled__x", "params": {}, **keys}

    return make
