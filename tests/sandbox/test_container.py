"""The sandbox as services of docker-compose.yaml."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest

from nightcast.sandbox import container


@pytest.fixture
def at(monkeypatch, tmp_path):
    def place(url: str | None) -> None:
        monkeypatch.setattr(container, "SERVICE", "127.0.0.1")
        monkeypatch.setattr(container, "DIRECTORY", tmp_path)
        monkeypatch.setattr(container, "PORT", urlsplit(url).port if url else 1)

    return place


def test_sample_sales_up_to_yesterday_are_loaded_once(at, start_process, capsys):
    with start_process() as (url, _):
        at(url)
        assert container.main(["healthy"]) == 0
        assert container.main(["sample"]) == 0
        assert container.main(["sample"]) == 0
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    expected = [f"sample sales up to {yesterday}: {how}" for how in ("loaded", "there already")]
    assert capsys.readouterr().out.splitlines() == expected


def test_a_sandbox_that_does_not_answer_is_not_healthy(at):
    at(None)
    assert container.main(["healthy"]) == 1


@pytest.mark.parametrize("given", ["", "aws://?bucket=example"])
def test_beside_a_real_aws_it_idles_until_it_is_stopped(at, monkeypatch, given):
    at(None)
    monkeypatch.setenv("NIGHTCAST_SANDBOX", given)
    assert container.main(["healthy"]) == 0
    assert container.main(["sample"]) == 0
    process = subprocess.Popen(
        [sys.executable, "-m", "nightcast.sandbox.container", "serve"],
        env={**os.environ, "NIGHTCAST_SANDBOX": given, "PYTHONUNBUFFERED": "1"}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        assert "no sandbox" in process.stdout.readline()
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


def test_serving_means_all_addresses_and_the_volume(at, monkeypatch):
    from nightcast.sandbox import __main__ as sandbox

    at(None)
    given = []
    monkeypatch.setattr(sandbox, "main", lambda arguments: given.append(arguments) or 7)
    assert container.main(["serve"]) == 7
    options = dict(zip(given[0][::2], given[0][1::2], strict=True))
    assert options["--host"] == "0.0.0.0" and options["--directory"] == str(container.DIRECTORY)
