from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nightcast.datasource.data_files import DataFile, find_files
from nightcast.errors import DatasourceError, ManifestError
from nightcast.storage import Storage

CONTENT = b"north,7\nsouth,9\n"
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(name: str, content: bytes = CONTENT) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    return write


@pytest.fixture
def parquet(tmp_path: Path) -> bytes:
    path = tmp_path / "source"
    pq.write_table(pa.table({"a": [1, 2]}), path)
    content = path.read_bytes()
    path.unlink()
    return content


def manifest(*urls: str) -> bytes:
    return json.dumps({"entries": [{"url": url, "mandatory": True} for url in urls]}).encode()


def names(data: str | Path) -> list[str]:
    return [Path(file.uri).name for file in find_files(str(data), Storage()).files]


def test_a_file_is_found_by_path_and_by_uri(write: Write) -> None:
    path = write("sales.csv")

    for data in (str(path), path.as_uri()):
        assert find_files(data, Storage()).files == (DataFile(data, len(CONTENT)),)


def test_a_folder_is_its_files_sorted_by_path(write: Write, tmp_path: Path) -> None:
    for name in ("b.csv", "a b/2.csv", "a b/10.csv", "a.csv"):
        write(name)

    found = find_files(f"{tmp_path}/", Storage())

    assert [Path(file.uri).name for file in found.files] == ["10.csv", "2.csv", "a.csv", "b.csv"]
    assert found.format == "CSV" and found.manifest is None
    assert names(tmp_path) == names(f"{tmp_path}/") == names(f"{tmp_path.as_uri()}/")


def test_a_folder_below_the_working_folder_is_found(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("sales/a.csv")
    write("sales/_temporary/b.csv")
    monkeypatch.chdir(tmp_path)

    assert names("sales") == names("sales/") == ["a.csv"]


@pytest.mark.parametrize(
    "name",
    [".hidden", "_SUCCESS", ".schema", "a.csv.schema", "_temp/b.csv", ".cache/b.csv", "bp-1.manifest", "run_manifest"],
)
def test_what_is_no_data_is_left_out(write: Write, tmp_path: Path, name: str) -> None:
    write("a.csv")
    write(name, b'{"s3://in/a.csv": "s3://out/a.csv.gz"}')

    assert names(tmp_path) == ["a.csv"]


def test_empty_files_of_a_folder_hold_no_records(write: Write, tmp_path: Path) -> None:
    write("0.csv", b"")
    write("1.csv")

    assert names(tmp_path) == ["1.csv"]


def test_a_hidden_folder_may_be_named_itself(write: Write, tmp_path: Path) -> None:
    write(".work/a.csv")

    assert names(tmp_path / ".work") == ["a.csv"]


def test_the_one_manifest_of_a_folder_says_what_its_data_are(write: Write, tmp_path: Path) -> None:
    urls = [write(f"{name}_part_00").as_uri() for name in ("0001", "0000", "left_over")]
    path = write("training_manifest", manifest(urls[0], urls[1]))

    found = find_files(str(tmp_path), Storage())

    assert [file.uri for file in found.files] == urls[:2]
    assert found.manifest == path.as_uri()
    assert find_files(str(path), Storage()).files == found.files


def test_of_several_manifests_one_must_be_named(write: Write, tmp_path: Path) -> None:
    url = write("0000_part_00").as_uri()
    write("may/manifest", manifest(url))
    write("june/manifest", manifest(url))

    with pytest.raises(DatasourceError, match=r"holds 2 UNLOAD manifests \(.*june/manifest.*; name one of them"):
        find_files(str(tmp_path), Storage())


def test_a_manifest_is_known_by_its_content(write: Write) -> None:
    path = write("files.json", manifest(write("0000_part_00").as_uri()))

    assert find_files(str(path), Storage()).manifest == str(path)


def test_a_file_that_a_manifest_names_must_be_there(write: Write) -> None:
    path = write("manifest", manifest("/no/such/part"))

    with pytest.raises(ManifestError, match=r"manifest names /no/such/part, which does not exist"):
        find_files(str(path), Storage())


def test_a_file_must_have_the_size_that_a_manifest_tells(write: Write) -> None:
    url = write("0000_part_00").as_uri()
    content = json.dumps({"entries": [{"url": url, "meta": {"content_length": 99}}]}).encode()

    with pytest.raises(ManifestError, match=rf"0000_part_00 has {len(CONTENT)} bytes, .*manifest says 99"):
        find_files(str(write("manifest", content)), Storage())


@pytest.mark.parametrize("content", [CONTENT, b"{a},1\n{b},2\n", gzip.compress(CONTENT, mtime=0)])
def test_data_may_be_called_a_manifest(write: Write, tmp_path: Path, content: bytes) -> None:
    write("a.csv")
    write("cargo_manifest", content)

    assert names(tmp_path) == ["a.csv", "cargo_manifest"]


def test_a_manifest_of_empty_files_tells_so(write: Write) -> None:
    path = write("manifest", manifest(write("0000_part_00", b"").as_uri()))

    with pytest.raises(ManifestError, match="nothing was unloaded"):
        find_files(str(path), Storage())


def test_the_format_is_told_by_the_bytes_and_not_by_the_name(write: Write, parquet: bytes) -> None:
    for name, content, expected in (
        ("a.csv", parquet, "PARQUET"),
        ("b.parquet", CONTENT, "CSV"),
        ("c.parquet", gzip.compress(CONTENT * 10_000, mtime=0), "CSV"),
    ):
        assert find_files(str(write(name, content)), Storage()).format == expected


def test_a_folder_of_two_formats_is_refused(write: Write, parquet: bytes, tmp_path: Path) -> None:
    write("a.csv")
    write("b.parquet", parquet)

    with pytest.raises(DatasourceError, match=r"a\.csv is CSV and .*b\.parquet is PARQUET; a datasource is of one"):
        find_files(str(tmp_path), Storage())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PK\x03\x04....", "is a zip archive; CSV, gzip CSV and Parquet can be read"),
        (b"Obj\x01....", "is Avro"),
        (b'{"store": "north", "sold": 7}\n', "is JSON"),
        (b'[ {"store": "north"}]', "is JSON"),
        (gzip.compress(b"PAR1....", mtime=0), "is Parquet within gzip"),
        (b"\x1f\x8b\x08\x00\x00", ""),
        (b"\x1f\x8bnot gzip at all", "is truncated or damaged"),
        (b"", "is empty"),
    ],
)
def test_other_formats_are_named(write: Write, content: bytes, message: str) -> None:
    path = write("sales.csv", content)
    if not message:
        assert find_files(str(path), Storage()).format == "CSV"
        return
    with pytest.raises(DatasourceError, match=message):
        find_files(str(path), Storage())


def test_what_is_not_there_is_named(write: Write, tmp_path: Path) -> None:
    with pytest.raises(DatasourceError, match=r"no-such does not exist"):
        find_files(str(tmp_path / "no-such"), Storage())
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasourceError, match="holds no files"):
        find_files(str(tmp_path / "empty"), Storage())
    write("hidden/.a")
    with pytest.raises(DatasourceError, match="holds no files with data"):
        find_files(str(tmp_path / "hidden"), Storage())


class OnS3:
    """Objects in a bucket, as a `Lister` sees them."""

    def __init__(self, **objects: bytes) -> None:
        self.objects = {f"s3://bucket/{name.replace('__', '/')}": content for name, content in objects.items()}

    def size(self, uri: str) -> int | None:
        return len(self.objects[uri]) if uri in self.objects else None

    def sizes_below(self, prefix: str) -> dict[str, int]:
        return {uri: len(content) for uri, content in sorted(self.objects.items()) if uri.startswith(prefix)}

    def read_bytes(self, uri: str, most: int | None = None) -> bytes:
        return self.objects[uri][:most]

    def local_copy(self, uri: str) -> None:
        raise AssertionError(f"{uri} is downloaded only to be told apart")


def test_a_prefix_on_s3_ends_in_a_slash() -> None:
    source = OnS3(sales__a=CONTENT, sales__b=CONTENT, sales__=b"")

    assert [file.uri for file in find_files("s3://bucket/sales/", source).files] == [
        "s3://bucket/sales/a",
        "s3://bucket/sales/b",
    ]
    with pytest.raises(DatasourceError, match=r"s3://bucket/sales does not exist; a prefix on S3 must end in /"):
        find_files("s3://bucket/sales", source)
    with pytest.raises(
        DatasourceError, match=r"s3://bucket is a bucket; a prefix on S3 must end in /, as in s3://bucket/"
    ):
        find_files("s3://bucket", source)
    with pytest.raises(DatasourceError, match=r"s3://bucket/other/ does not exist, or holds no files"):
        find_files("s3://bucket/other/", source)
