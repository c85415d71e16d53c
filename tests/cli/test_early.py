from __future__ import annotations

import argparse
from contextlib import nullcontext
from pathlib import Path

import pytest

from nightcast.cli import early


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(early, "_LARGE", 1_000)
    monkeypatch.delenv("NIGHTCAST_COMPUTE", raising=False)
    for number in range(3):
        (tmp_path / f"part-{number}").write_bytes(bytes(400))
    return tmp_path


def started(monkeypatch: pytest.MonkeyPatch, data: object, workers: int | None = 2) -> list[int]:
    """How many workers were started for a command on data."""
    counts: list[int] = []
    monkeypatch.setattr("nightcast.compute.early_workers", lambda count, _: counts.append(count) or nullcontext())
    with early.workers_for(argparse.Namespace(data=data, workers=workers)):
        return counts


def test_a_large_folder_gets_workers_at_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert started(monkeypatch, str(folder)) == [2]
    assert started(monkeypatch, str(folder), workers=8) == [3]
    monkeypatch.setenv("NIGHTCAST_COMPUTE", "processes:2")
    assert started(monkeypatch, str(folder), workers=None) == [2]


def test_what_may_need_none_gets_none(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert started(monkeypatch, str(folder), workers=1) == []
    assert started(monkeypatch, str(folder / "part-0")) == []
    assert started(monkeypatch, "s3://bucket/folder/") == []
    assert started(monkeypatch, None) == []
    (folder / "part-0").unlink()
    assert started(monkeypatch, str(folder)) == []
    (folder / "part-0").write_bytes(bytes(400))
    monkeypatch.setenv("NIGHTCAST_COMPUTE", "tcp://127.0.0.1:8786")
    assert started(monkeypatch, str(folder)) == []
