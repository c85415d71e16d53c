"""The commands, REST calls, Params and names in the runbooks exist as they are written."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGES = ("backfill.md", "deployment.md", "operations.md", "aws.md", "new-pipeline.md")
COMMAND = re.compile(r"airflow (?:backfill|dags|variables|connections) [^\n`]+")
CALL = re.compile(r"`(GET|PUT|POST|DELETE) (/api/v2/[^`?]+)[^`]*`")

# In a process of its own: Airflow's parser and its API warn of their own libraries, and here warnings are errors.
SCRIPT = """
import contextlib, io, json, sys
from airflow.api_fastapi.core_api.routes.public import public_router
from airflow.cli.cli_parser import get_parser
refused = {}
for command in json.loads(sys.argv[1]):
    errors = io.StringIO()
    try:
        with contextlib.redirect_stderr(errors):
            get_parser().parse_args(command[1:])
    except SystemExit:
        refused[" ".join(command)] = errors.getvalue()
from fastapi import FastAPI
app = FastAPI()
app.include_router(public_router)
calls = [f"{method.upper()} {path}" for path, item in app.openapi()["paths"].items() for method in item]
print("RESULT " + json.dumps({"refused": refused, "calls": calls}))
"""


def text_of(page: str) -> str:
    return (DOCS / page).read_text()


@pytest.fixture(scope="module")
def commands() -> list[list[str]]:
    """What the pages tell to type, but for what `airflow dags test` is mentioned for."""
    found = [shlex.split(match) for page in PAGES for match in COMMAND.findall(text_of(page))]
    return [command for command in found if command[:3] != ["airflow", "dags", "test"]]


@pytest.fixture(scope="module")
def airflow(commands):
    """What Airflow's own parser refuses of the commands, and the calls that its API has."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(commands)], capture_output=True, text=True, env=dict(os.environ)
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    assert lines, done.stdout[-3000:] + done.stderr[-3000:]
    return json.loads(lines[0].removeprefix("RESULT "))


def test_airflow_understands_every_command(commands, airflow):
    assert len(commands) >= 12
    assert airflow["refused"] == {}


def test_every_rest_call_is_one_of_airflows(airflow):
    calls = [f"{method} {path}" for page in PAGES for method, path in CALL.findall(text_of(page))]
    assert len(calls) >= 5
    assert [call for call in calls if call not in airflow["calls"]] == []


def test_every_conf_holds_params_of_its_dag(commands, project):
    import runpy

    checked = 0
    for command in commands:
        for option in ("--conf", "--dag-run-conf"):
            if option in command:
                named = "nightcast_maintenance" if "nightcast_maintenance" in command else "sales_forecast"
                params = runpy.run_path(str(project / "dags" / f"{named}.py"))["dag"].params
                conf = json.loads(command[command.index(option) + 1])
                assert set(conf) <= set(params)
                checked += 1
    assert checked >= 2


def test_the_defaults_of_the_retention_are_those_of_the_page():
    from nightcast.retention.plan import RetentionRules

    rows = re.findall(r"^\| (\w+) \|.*\| (\d+|never).*\| `(\w+)` \|$", text_of("operations.md"), re.MULTILINE)
    rules = RetentionRules()
    assert {param: None if days == "never" else int(days) for _, days, param in rows} == {
        "staging_days": rules.staging_days,
        "incomplete_days": rules.incomplete_days,
        "run_days": rules.run_days,
    }


def test_every_fact_of_an_alert_is_listed(project):
    import dataclasses

    from nightcast.alerts.message import Alert

    page = text_of("operations.md")
    assert [field.name for field in dataclasses.fields(Alert) if f"`{field.name}`" not in page] == []
