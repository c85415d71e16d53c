"""Plans of what lies on disk and on S3, carried out."""

from __future__ import annotations

import os
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nightcast.errors import RetentionError, StorageError
from nightcast.retention.plan import RetentionRules
from nightcast.retention.removal import read_plan, remove
from nightcast.storage import Storage

PIPELINE = "sales_forecast"
PUBLISHED = "period=2026-10-01/run=a"
CHAMPION = "period=2026-10-02/run=b"
BROKEN = "period=2026-10-03/run=c"
LAYOUT = (
    f"{PUBLISHED}/training/try=1/part_00.parquet",
    f"{PUBLISHED}/training/try=2/training_manifest",
    f"{PUBLISHED}/model/model.json",
    f"{PUBLISHED}/run.json",
    f"{CHAMPION}/scoring/try=1/part_00.parquet",
    f"{CHAMPION}/model/model.json",
    f"{CHAMPION}/run.json",
    f"{BROKEN}/training/try=1/part_00.parquet",
    f"{BROKEN}/schema.json",
    "accuracy/history.json",
)


@pytest.fixture(params=["s3", "file", "path"])
def root(request, s3_options, tmp_path):
    """A place for artifacts on each kind of storage."""
    kinds = {"s3": f"s3://bucket/{tmp_path.name}", "file": (tmp_path / "a b").as_uri(), "path": str(tmp_path)}
    return kinds[request.param]


@pytest.fixture
def storage(s3_options, root):
    """What holds three runs, and a registry whose champion is one of them."""
    storage = Storage(s3_options)
    for name in LAYOUT:
        storage.write_bytes(f"{root}/{PIPELINE}/{name}", b"12345", "text/plain")
    model = f"{root}/{PIPELINE}/{CHAMPION}/model/model.json"
    content = f'{{"model": {{"uri": "{model}", "sha256": "0"}}}}'.encode()
    storage.write_bytes(f"{root}/registry/sales/2026-10-03/b.json", content, "application/json")
    return storage


def later(days: int) -> datetime:
    return datetime.now(UTC) + timedelta(days=days)


def names(storage, root) -> set[str]:
    return {item.uri.replace("%3D", "=").split(f"/{PIPELINE}/")[-1] for item in storage.objects_below(f"{root}/")}


def test_young_runs_stay(storage, root):
    plan = read_plan(storage, root, PIPELINE, RetentionRules(), later(6))
    assert (plan.removals, plan.protected) == ((), ())


def test_all_kinds_go_and_nothing_else(storage, root):
    before = names(storage, root)
    plan = read_plan(storage, root, PIPELINE, RetentionRules(run_days=50), later(60))
    assert plan.totals() == {
        "staging": {"runs": 1, "objects": 1, "bytes": 5},
        "incomplete": {"runs": 1, "objects": 2, "bytes": 10},
        "run": {"runs": 1, "objects": 4, "bytes": 20},
    }
    assert [(kept.run, len(kept.registry)) for kept in plan.protected] == [(CHAMPION, 1)]
    remove(storage, plan)
    after = names(storage, root)
    assert before - after == {name for name in LAYOUT if name.startswith((PUBLISHED, BROKEN)) or "scoring" in name}
    assert {f"{CHAMPION}/model/model.json", f"{CHAMPION}/run.json", "accuracy/history.json"} < after
    remove(storage, plan)
    assert names(storage, root) == after
    assert read_plan(storage, root, PIPELINE, RetentionRules(run_days=50), later(60)).objects == []


def test_a_removal_that_breaks_off_is_finished_by_the_next(storage, root, monkeypatch):
    plan = read_plan(storage, root, PIPELINE, RetentionRules(run_days=50), later(60))
    calls, delete = [], Storage.delete

    def break_off(self, uris):
        calls.append(uris)
        if len(calls) > 1:
            raise StorageError("can not delete: the network is gone.")
        delete(self, uris)

    with monkeypatch.context() as patched:
        patched.setattr(Storage, "delete", break_off)
        with pytest.raises(StorageError, match="network"):
            remove(storage, plan)
    left = names(storage, root)
    assert f"{PUBLISHED}/run.json" not in left, "whoever finds run.json finds everything"
    assert f"{PUBLISHED}/model/model.json" in left
    remove(storage, read_plan(storage, root, PIPELINE, RetentionRules(run_days=50), later(60)))
    assert not [name for name in names(storage, root) if name.startswith((PUBLISHED, BROKEN))]


def test_an_unreadable_registry_refuses_the_plan(storage, root):
    storage.write_bytes(f"{root}/registry/sales/2026-10-04/c.json", b"{", "application/json")
    with pytest.raises(RetentionError, match=r"c\.json is no JSON document"):
        read_plan(storage, root, PIPELINE, RetentionRules(), later(60))


RUNS = st.sampled_from([f"period=2026-10-0{day}/run={key}" for day in (1, 2) for key in ("a", "b")])
FILES = st.sampled_from(["training/try=1/p", "scoring/try=1/p", "model/model.json", "run.json", "accuracy.json"])


@settings(max_examples=40)
@given(st.dictionaries(st.tuples(RUNS, FILES), st.integers(0, 80), max_size=20), st.sets(RUNS, max_size=2))
def test_carrying_out_a_plan_twice_equals_once(ages, champions):
    now, storage, rules = datetime.now(UTC), Storage(), RetentionRules(run_days=45)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for (run, name), days in ages.items():
            path = root / PIPELINE / run / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("x")
            moment = (now - timedelta(days=days, hours=1)).timestamp()
            os.utime(path, (moment, moment))
        for number, run in enumerate(sorted(champions)):
            path = root / "registry" / "sales" / f"{number}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f'{{"uri": "{root}/{PIPELINE}/{run}/model/model.json"}}')
        before = set(storage.names_below(folder))
        plan = read_plan(storage, folder, PIPELINE, rules, now)
        remove(storage, plan)
        once = set(storage.names_below(folder))
        assert once == before - {item.uri for item in plan.objects}
        remove(storage, plan)
        remove(storage, read_plan(storage, folder, PIPELINE, rules, now))
        assert set(storage.names_below(folder)) == once
        for run in champions:
            kept = [name for (other, name) in ages if other == run and not name.startswith(("training", "scoring"))]
            assert all((root / PIPELINE / run / name).exists() for name in kept)
