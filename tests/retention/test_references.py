"""What the registry's documents protect."""

from __future__ import annotations

import doctest

import pytest

from nightcast.errors import RetentionError, StorageError
from nightcast.retention import references
from nightcast.retention.references import read_references, references_in
from nightcast.storage import Storage

RUN = "period=2026-10-01/run=a"


def test_the_example():
    assert doctest.testmod(references).failed == 0


@pytest.mark.parametrize(
    "document",
    [
        {"model": {"uri": f"s3://b/p/{RUN}/model/model.json"}},
        {"deeper": [{"artifacts": {"model": {"uri": f"s3://b/p/{RUN}/model.json"}}}]},
        [f"s3://b/p/{RUN}/model/"],
        f"s3://b/p/{RUN}",
        {f"s3://b/p/{RUN}/x": None},
        {"uri": f"file:///data/p/{RUN.replace('=', '%3D')}/model/model.json"},
        {"uri": f"/data/p/{RUN}/model/model.json"},
    ],
)
def test_a_run_is_found_wherever_it_is_named(document):
    assert references_in({"r": document}).runs == {("p", RUN): ("r",)}


@pytest.mark.parametrize("document", [{}, None, 3, {"uri": "s3://b/p/model.json"}, {"uri": "gs://b/x"}, "", "a/b"])
def test_other_texts_name_no_run(document):
    assert references_in({"r": document}).runs == {}


def test_all_documents_of_a_run_are_told():
    found = references_in({"b": f"s3://b/p/{RUN}/x", "a": f"s3://b/p/{RUN}/y"})
    assert found.runs == {("p", RUN): ("a", "b")}
    assert found.places["s3://b/p/period=2026-10-01/run=a/x"] == ("b",)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b'{"uri": '])
def test_a_document_that_is_none_refuses_the_plan(content, tmp_path):
    (tmp_path / "m" / "2026-10-02").mkdir(parents=True)
    (tmp_path / "m" / "2026-10-02" / "a.json").write_bytes(content)
    with pytest.raises(RetentionError, match=r"nothing is removed.*a\.json is no JSON document.*Restore it"):
        read_references(Storage(), f"{tmp_path}/")


def test_an_object_that_can_not_be_read_refuses_the_plan(tmp_path, monkeypatch):
    (tmp_path / "a.json").write_text("{}")

    def refuse(self, uri, most=None):
        raise StorageError(f"can not read {uri}: Access Denied.")

    monkeypatch.setattr(Storage, "read_bytes", refuse)
    with pytest.raises(StorageError, match=r"nothing is removed, for the registry can not be read.*a\.json"):
        read_references(Storage(), f"{tmp_path}/")


def test_files_that_are_being_written_are_not_read(tmp_path):
    (tmp_path / ".a.json.x1y2").write_text("{")
    (tmp_path / "a.json").write_text(f'{{"uri": "s3://b/p/{RUN}/m"}}')
    assert set(read_references(Storage(), f"{tmp_path}/").runs) == {("p", RUN)}


def test_a_registry_that_is_not_there_protects_nothing(tmp_path):
    assert read_references(Storage(), f"{tmp_path}/registry/").runs == {}
