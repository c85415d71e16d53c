from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightcast.datasource import csv_bytes
from nightcast.datasource.csv_bytes import chunks, is_gzip, open_bytes
from nightcast.errors import DatasourceError


@pytest.mark.parametrize("gzipped", [False, True])
@pytest.mark.parametrize("block", [1, 3, 1000, 1024, 5000])
def test_chunks_are_the_bytes_of_the_file(
    gzipped: bool, block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_bytes, "BLOCK_BYTES", block)
    content = bytes(range(1, 256)) * 13
    path = tmp_path / "a.csv"  # the name does not tell
    path.write_bytes(gzip.compress(b"\xef\xbb\xbf" + content) if gzipped else content)
    found = list(chunks(path, "a"))

    assert is_gzip(path) is gzipped
    assert b"".join(found) == content
    assert max(map(len, found)) <= block and b"" not in found
    with open_bytes(path) as stream:
        assert stream.read().removeprefix(b"\xef\xbb\xbf") == content


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_utf16_is_refused(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes("name,ü\n1,2\n".encode(encoding))

    with pytest.raises(DatasourceError, match=r"^the file is UTF-16, or no text at all; write it as UTF-8$"):
        list(chunks(tmp_path / "a", "the file"))


def test_an_empty_file_has_no_chunks(tmp_path: Path) -> None:
    for content in (b"", b"\xef\xbb\xbf", gzip.compress(b"")):
        (tmp_path / "a").write_bytes(content)
        assert list(chunks(tmp_path / "a", "a")) == []


@given(st.integers(2, 60))
def test_truncated_gzip_is_refused(tmp_path_factory: pytest.TempPathFactory, size: int) -> None:
    path = tmp_path_factory.mktemp("cut") / "a"
    content = gzip.compress(bytes(range(48, 123)), mtime=0)
    path.write_bytes(content[:size])

    with pytest.raises(DatasourceError, match=r"a is truncated or damaged: .*; write it again"):
        list(chunks(path, "a"))
