from __future__ import annotations

import pytest

from nightcast.cli.folders import laid
from nightcast.errors import StorageError
from nightcast.storage import Storage


def lay(folder, files):
    with laid(Storage(), str(folder), ["last.json"]) as made:
        for name, text in files.items():
            (made / name).parent.mkdir(parents=True, exist_ok=True)
            (made / name).write_text(text)


def test_files_are_laid_beside_those_that_are_there(tmp_path):
    lay(tmp_path / "out", {"a/b.txt": "1", "last.json": "{}"})
    lay(tmp_path / "out", {"a/c.txt": "2", "a/b.txt": "3", "last.json": "[]"})
    found = {str(p.relative_to(tmp_path / "out")): p.read_text() for p in (tmp_path / "out").rglob("*") if p.is_file()}
    assert found == {"a/b.txt": "3", "a/c.txt": "2", "last.json": "[]"}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_what_vouches_for_the_others_goes_when_it_is_not_made_again(tmp_path):
    lay(tmp_path / "out", {"last.json": "{}"})
    lay(tmp_path / "out", {"other.txt": "1"})
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["other.txt"]


def test_after_an_error_the_folder_is_as_before(tmp_path):
    lay(tmp_path / "out", {"last.json": "{}"})
    with pytest.raises(TypeError):
        lay(tmp_path / "out", {"last.json": "[]", "z.txt": None})
    assert (tmp_path / "out/last.json").read_text() == "{}"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(StorageError, match="is a file"):
        lay(tmp_path / "out", {})
