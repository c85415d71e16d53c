"""Which workers the operators take: the connection's, else the environment variable's."""

from __future__ import annotations

import json

import pytest

from nightcast.errors import ComputeError, SettingsError
from nightcast.operators.base import connected_compute, failing_fast

DASK = {"conn_type": "generic", "host": "scheduler.example", "port": 8786}


@pytest.mark.parametrize(
    ("connection", "expected"),
    [
        (json.dumps(DASK), "tcp://scheduler.example:8786"),
        (json.dumps(DASK | {"host": "tls://scheduler.example"}), "tls://scheduler.example:8786"),
        (json.dumps({"conn_type": "generic", "host": "tcp://10.0.0.7:8786"}), "tcp://10.0.0.7:8786"),
        (json.dumps({"conn_type": "generic", "host": "processes:4"}), "processes:4"),
        ("tcp://scheduler.example:8786", "tcp://scheduler.example:8786"),
        ("tls://scheduler.example:8786", "tls://scheduler.example:8786"),
    ],
)
def test_the_connection_goes_before_the_variable(connection: str, expected: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AIRFLOW_CONN_NIGHTCAST_COMPUTE", connection)
    monkeypatch.setenv("NIGHTCAST_COMPUTE", "processes:9")
    assert connected_compute() == expected


def test_without_a_connection_the_variable_is_taken(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("AIRFLOW_CONN_NIGHTCAST_COMPUTE", raising=False)
    monkeypatch.setenv("NIGHTCAST_COMPUTE", "processes:3")
    assert connected_compute() == "processes:3"
    monkeypatch.delenv("NIGHTCAST_COMPUTE")
    assert connected_compute() is None


@pytest.mark.parametrize("host", ["", "scheduler.example", "http://scheduler.example"])
def test_a_connection_that_is_no_address_is_refused_by_name(host: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AIRFLOW_CONN_NIGHTCAST_COMPUTE", json.dumps({"conn_type": "generic", "host": host}))
    with pytest.raises(SettingsError, match="the connection nightcast_compute is"):
        connected_compute()


def test_lost_workers_are_left_to_a_retry():
    with pytest.raises(ComputeError, match="lost"), failing_fast():
        raise ComputeError("the Dask scheduler was lost")
