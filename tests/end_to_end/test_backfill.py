"""A backfill through a real scheduler: four runs at once, the scheduler killed in the midst, and taken up again."""

from __future__ import annotations

import hashlib
import json
import os
import runpy
import signal
from datetime import date, timedelta

import pytest

from dag_runs import DagRuns
from nightcast.operators.base import storage_of
from nightcast.sandbox.account import BUCKET, DATABASE, IAM_ROLE, WORKGROUP
from nightcast.sandbox.backfill import Backfill, BackfillRequest
from nightcast.sandbox.processes import StackError
from nightcast.sandbox.stack import Stack

pytestmark = pytest.mark.timeout(480)
DAG = "sales_forecast"
# From a Saturday on, so that the first run and the one of the Monday train.
FIRST, LAST, YEAR_END = date(2008, 12, 20), date(2008, 12, 27), date(2008, 12, 31)
QUICK = {"learner": "linear", "training_days": 14, "retrain": "weekly"}
# These name places or the bucket, and so differ between two stacks.
PLACES = (".manifest", "_manifest", "run.json", "report.html", "batch-prediction.json", "champion.json", "gate.json")


def listing(s3) -> dict[str, tuple[str, str]]:
    """ETag and date of each object of the pipeline."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=f"forecasts/{DAG}/")
    return {one["Key"]: (one["ETag"], str(one["LastModified"])) for page in pages for one in page.get("Contents", [])}


def succeeded(stack) -> set[str]:
    found = stack.api.get(f"/dags/{DAG}/dagRuns?state=success&limit=100")["dag_runs"]
    return {run["dag_run_id"] for run in found}


@pytest.fixture(scope="module")
def killed(project, tmp_path_factory):
    """What was there after the kill, what is there at the end, and what the stack says of it."""
    home = tmp_path_factory.mktemp("killed")
    request = BackfillRequest(DAG, FIRST, LAST, QUICK, runs=4)
    with Stack(project, home, year_end=YEAR_END, scheduled=False, keep=True) as stack:
        assert Backfill(stack, request).start()
        stack.processes.until("two periods", lambda: len(succeeded(stack)) >= 2, 300)
        os.kill(stack.processes.pids()["scheduler"], signal.SIGKILL)
        with pytest.raises(StackError, match="scheduler has ended"):
            Backfill(stack, request).follow()
        done, before = succeeded(stack), listing(stack.client("s3"))
    with Stack(project, home, year_end=YEAR_END, scheduled=False, keep=True) as stack:
        backfill = Backfill(stack, request)
        assert backfill.start()
        conf = {**QUICK, "period_start": "2008-12-30", "period_end": "2008-12-31"}
        manual = stack.api.post(f"/dags/{DAG}/dagRuns", {"logical_date": None, "conf": conf})["dag_run_id"]
        assert backfill.follow()
        path = f"/dags/{DAG}/dagRuns/{manual}"
        stack.processes.until("the manual run", lambda: stack.api.get(path)["state"] == "success", 120)
        again = backfill.start()
        s3 = stack.client("s3")
        after = listing(s3)
        contents = {key: s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in after}
        yield {"done": done, "before": before, "after": after, "contents": contents, "again": again, "manual": manual}


@pytest.fixture(scope="module")
def undisturbed(project, sandbox, s3, redshift_data):
    """Objects by place below the pipeline, of the same periods run one after the other, without Airflow."""
    from nightcast.sandbox.sample import load

    where = {"bucket": BUCKET, "database": DATABASE, "workgroup_name": WORKGROUP, "iam_role": IAM_ROLE}
    load(redshift_data, s3, **where, year_end=YEAR_END)
    dag = runpy.run_path(str(project / "dags" / "sales_forecast.py"))["dag"]
    runs = DagRuns(dag, DAG, **QUICK)
    for number in range((LAST - FIRST).days + 1):
        run = runs.day((FIRST + timedelta(days=number)).isoformat())
        assert not run.errors, run.errors
    storage, root = storage_of("aws_default"), f"s3://{BUCKET}/{DAG}/"
    places = [
        uri.removeprefix(root) for uri in storage.names_below(root) if "run=backfill" in uri or "/accuracy/" in uri
    ]
    return {place: storage.read_bytes(root + place) for place in places}


def test_what_has_succeeded_is_not_run_again(killed):
    assert 2 <= len(killed["done"]) < 8
    assert killed["again"] is False, "nothing is left to run"
    kept = [key for key in killed["before"] if any(f"/run={_key(run)}/" in key for run in killed["done"])]
    assert len(kept) > 10
    assert {key: killed["after"][key] for key in kept} == {key: killed["before"][key] for key in kept}


def test_every_period_is_published_and_refers_to_its_own_run_and_the_champions(killed):
    contents = killed["contents"]
    published = {key: json.loads(text) for key, text in contents.items() if key.endswith("/run.json")}
    assert len(published) == 9
    for key, run in published.items():
        assert run["run_type"] == ("manual" if run["run_id"] == killed["manual"] else "backfill")
        base = f"s3://{BUCKET}/{key.removesuffix('run.json')}"
        assert {ref["uri"].startswith(base) for ref in run["artifacts"].values()} == {True}
        for reference in run["artifacts"].values():
            place = reference["uri"].removeprefix(f"s3://{BUCKET}/")
            assert hashlib.sha256(contents[place]).hexdigest() == reference["sha256"]
    trained = [run["period"]["label"] for run in published.values() if run["model"]["trainedByThisRun"]]
    assert set(trained) >= {"2008-12-20"}
    assert not [key for key in contents if "/unpublished/" in key]


def test_the_bytes_are_those_of_an_undisturbed_backfill(killed, undisturbed):
    root = f"forecasts/{DAG}/"
    found = {key.removeprefix(root): text for key, text in killed["contents"].items() if "run=manual" not in key}
    same = [place for place in undisturbed if not place.endswith(PLACES) and not _of_a_try(place)]
    assert sum("/result/" in place for place in same) >= 8
    assert sum("/model/" in place for place in same) >= 4
    assert sum(place.startswith("accuracy/") for place in same) == 7
    assert [place for place in same if found.get(place) != undisturbed[place]] == []


def _key(run_id: str) -> str:
    from nightcast.artifacts import run_key

    return run_key(run_id)


def _of_a_try(place: str) -> bool:
    """Unloaded parts: a task that was killed has unloaded below another try."""
    return "/try=" in place
