"""The page on real-time predictions, done; tests/serving has the endpoint itself."""

from __future__ import annotations

import json
import re
import shlex
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from endpoints import serving
from nightcast.cli import main

PAGE = Path(__file__).resolve().parents[2] / "docs" / "real-time.md"


def block(language: str, words: str) -> str:
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    [found] = [one for one in blocks if words in one]
    return str(found)


def posted(command: str) -> dict[str, Any]:
    """What a command of curl would be answered: not every machine has it."""
    curl, url, _, header, _, body = shlex.split(command)
    assert curl == "curl"
    request = urllib.request.Request(url, body.encode(), dict([header.split(": ")]))
    with urllib.request.urlopen(request, timeout=20) as answer:
        return dict(json.load(answer))


def test_programs_of_the_page_are_answered(labelled: Any) -> None:
    names: dict[str, Any] = {}
    with serving(labelled.model("sold"), "--id", "sales_forecast") as (_, said):
        url = said["endpointUrl"]
        exec(block("python", "boto3.client").replace("http://127.0.0.1:8765", url), names)
        by_curl = posted(block("bash", "curl").replace("http://127.0.0.1:8765", url))
    assert 10 < names["sold"] < 60
    assert by_curl["Prediction"] == names["answer"]["Prediction"]


@pytest.mark.parametrize(
    "arguments", [["--port", "65536"], ["--port", "x"], ["--intervals", "1"], ["--refresh", "0"], ["--refresh", "9"]]
)
def test_arguments_out_of_range_are_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["serve", "model", *arguments])
    assert ended.value.code == 2
    assert arguments[0] in capsys.readouterr().err
