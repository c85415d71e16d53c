"""The health check of Airflow's services."""

from __future__ import annotations

import json
import runpy
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

HEALTH = {
    "metadatabase": {"status": "healthy"},
    "scheduler": {"status": "unhealthy", "latest_scheduler_heartbeat": "2008-12-31T00:00:00Z"},
    "triggerer": None,
}


@pytest.fixture
def healthy(project):
    return runpy.run_path(str(project / "docker" / "healthy.py"))["main"]


@contextmanager
def api_server(body: bytes):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/api/v2/monitor/health" else 404)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("component", "code", "told"),
    [
        ("metadatabase", 0, ""),
        ("scheduler", 1, '{"status": "unhealthy", "latest_scheduler_heartbeat": "2008-12-31T00:00:00Z"}'),
        ("triggerer", 1, "triggerer: null"),
        ("nonsense", 1, "nonsense: null"),
    ],
)
def test_a_component_is_healthy_if_the_api_server_says_so(healthy, capsys, component, code, told):
    with api_server(json.dumps(HEALTH).encode()) as url:
        assert healthy(component, url) == code
    assert told in capsys.readouterr().err


def test_no_answer_and_no_json_are_unhealthy(healthy, capsys):
    with api_server(b"<html>") as url:
        assert healthy("scheduler", url) == 1
    assert healthy("scheduler", url) == 1
    assert capsys.readouterr().err.count("the API server does not tell") == 2
