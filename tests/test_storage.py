from __future__ import annotations

import hashlib
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import pytest
from botocore.stub import Stubber

from nightcast.errors import StorageError
from nightcast.storage import Storage, local_path, split_s3_uri


@pytest.fixture(params=["s3", "file"])
def base(request, s3_options, tmp_path):
    """A place for objects on each kind of storage; ends in a slash."""
    return f"s3://bucket/{tmp_path.name}/" if request.param == "s3" else f"{tmp_path.as_uri()}/"


@pytest.fixture
def storage(s3_options):
    return Storage(s3_options)


def test_what_is_written_is_read_back(storage, base):
    reference = storage.write_bytes(f"{base}a/b.json", b"{}", "application/json", rows=3)
    assert reference == {
        "uri": f"{base}a/b.json",
        "sha256": hashlib.sha256(b"{}").hexdigest(),
        "rows": 3,
        "bytes": 2,
        "media_type": "application/json",
    }
    assert storage.read_bytes(f"{base}a/b.json") == b"{}"
    assert storage.read_artifact(reference) == b"{}"
    assert storage.size(f"{base}a/b.json") == 2
    with storage.local_copy(f"{base}a/b.json") as path:
        assert path.read_bytes() == b"{}"


def test_what_is_there_is_not_created(storage, base):
    reference = storage.write_if_absent(f"{base}once.json", b"first", "application/json")
    assert reference == {
        "uri": f"{base}once.json",
        "sha256": hashlib.sha256(b"first").hexdigest(),
        "rows": None,
        "bytes": 5,
        "media_type": "application/json",
    }
    assert storage.write_if_absent(f"{base}once.json", b"second", "application/json") is None
    assert storage.read_bytes(f"{base}once.json") == b"first"
    assert storage.names_below(base) == [f"{base}once.json"]


def test_of_writers_at_once_one_creates_the_file(tmp_path):
    target, start = tmp_path / "below" / "once", threading.Barrier(8)

    def create(number: int) -> bool:
        start.wait()
        return Storage().write_if_absent(str(target), bytes([number]) * 100_000, "text/plain") is not None

    with ThreadPoolExecutor(8) as pool:
        created = list(pool.map(create, range(8)))
    assert created.count(True) == 1
    assert target.read_bytes() == bytes([created.index(True)]) * 100_000
    assert [path.name for path in target.parent.iterdir()] == ["once"]


class ConflictingS3:
    """Answers the first writers as S3 does when it meets two at the same time."""

    def __init__(self, conflicts: int) -> None:
        self.answers = iter([True] * conflicts)

    def put_object(self, **_: object) -> None:
        from botocore.exceptions import ClientError

        if next(self.answers, False):
            raise ClientError({"Error": {"Code": "ConditionalRequestConflict"}}, "PutObject")


def test_two_writers_that_s3_can_not_tell_apart_try_again():
    assert Storage().with_client(ConflictingS3(2)).write_if_absent("s3://bucket/k", b"", "text/plain") is not None
    with pytest.raises(StorageError, match=r"s3://bucket/k: S3 met another writer of it each time"):
        Storage().with_client(ConflictingS3(99)).write_if_absent("s3://bucket/k", b"", "text/plain")


def test_what_can_not_be_created_is_named(storage, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"can not write .*below"):
        Storage().write_if_absent(str(tmp_path / "file" / "below"), b"", "text/plain")
    with pytest.raises(StorageError, match=r"s3://no-such-bucket/key.*Create the bucket"):
        storage.write_if_absent("s3://no-such-bucket/key", b"", "text/plain")


def test_an_object_that_was_changed_is_noticed(storage, base):
    reference = storage.write_bytes(f"{base}model.json", b"old", "application/json")
    storage.write_bytes(f"{base}model.json", b"new", "application/json")
    with pytest.raises(StorageError, match=r"model\.json is not the object that the task before wrote"):
        storage.read_artifact(reference)


def test_upload_copy_list_delete(storage, base, tmp_path):
    source = tmp_path / "large"
    source.write_bytes(bytes(range(256)) * 10_000)
    reference = storage.upload(source, f"{base}x/large.bin", "application/octet-stream")
    assert (reference["bytes"], reference["sha256"]) == (
        2_560_000,
        hashlib.sha256(source.read_bytes()).hexdigest(),
    )
    storage.copy(f"{base}x/large.bin", f"{base}x/copy.bin")
    assert storage.names_below(f"{base}x/") == [f"{base}x/copy.bin", f"{base}x/large.bin"]
    assert storage.read_bytes(f"{base}x/copy.bin") == source.read_bytes()
    storage.delete([f"{base}x/copy.bin", f"{base}x/never-there"])
    assert storage.names_below(f"{base}x/") == [f"{base}x/large.bin"]


def test_a_listing_tells_sizes(storage, base):
    for name in ("b", "a/1", "a b/1"):
        storage.write_bytes(f"{base}l/{name}", name.encode(), "text/plain")
    sizes = storage.sizes_below(f"{base}l/")
    assert list(sizes.values()) == [5, 3, 1]
    assert list(sizes) == storage.names_below(f"{base}l/")
    assert [storage.size(uri) for uri in sizes] == [5, 3, 1]


def test_a_file_that_vanishes_while_it_is_listed_is_left_out(tmp_path, monkeypatch):
    for name in ("a", "b"):
        (tmp_path / name).write_text("1")
    is_file = Path.is_file

    def vanishing(path: Path) -> bool:
        found = is_file(path)
        if path.name == "a":
            path.unlink()
        return found

    monkeypatch.setattr(Path, "is_file", vanishing)
    assert Storage().sizes_below(f"{tmp_path}/") == {(tmp_path / "b").as_uri(): 1}


def test_a_listing_tells_when_objects_were_written(storage, base):
    storage.write_bytes(f"{base}when", b"12", "text/plain")
    (found,) = storage.objects_below(base)
    assert (found.uri, found.bytes) == (f"{base}when", 2)
    assert abs(datetime.now(UTC) - found.modified) < timedelta(minutes=1)


def test_many_objects_are_deleted_at_once(storage, s3_options):
    client = boto3.client("s3", **s3_options)
    calls = []
    client.meta.events.register("before-call.s3.*", lambda model, **_: calls.append(model.name))
    names = [f"s3://bucket/many/{number}" for number in range(1001)]
    for name in (names[0], names[999], names[1000]):
        storage.write_bytes(name, b"", "text/plain")
    Storage().with_client(client).delete(names)
    assert calls == ["DeleteObjects", "DeleteObjects"]
    assert storage.names_below("s3://bucket/many/") == []


def test_objects_that_s3_keeps_are_named():
    client = boto3.client("s3", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
    with Stubber(client) as stub:
        error = {"Key": "a b", "Code": "AccessDenied", "Message": "Access Denied"}
        stub.add_response("delete_objects", {"Errors": [error]})
        with pytest.raises(
            StorageError, match=r"can not delete s3://bucket/a b: AccessDenied.*\(1 of 2.*s3:DeleteObject"
        ):
            Storage().with_client(client).delete(["s3://bucket/a", "s3://bucket/a b"])


def test_a_relative_folder_is_listed(monkeypatch, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a").write_text("1")
    monkeypatch.chdir(tmp_path)
    assert Storage().sizes_below("data/") == {(tmp_path / "data" / "a").as_uri(): 1}


def test_the_first_bytes_are_read_alone(storage, base):
    storage.write_bytes(f"{base}head", b"PAR1....", "text/plain")
    assert storage.read_bytes(f"{base}head", 4) == b"PAR1"
    assert storage.read_bytes(f"{base}head", 400) == b"PAR1...."


def test_what_is_not_there_is_named(storage, base):
    uri = f"{base}missing.parquet"
    assert storage.size(uri) is None
    with pytest.raises(StorageError, match=r"missing\.parquet"):
        storage.read_bytes(uri)
    with pytest.raises(StorageError, match=r"missing\.parquet"), storage.local_copy(uri):
        pass


def test_a_missing_bucket_is_named_with_a_remedy(storage):
    with pytest.raises(StorageError, match=r"s3://no-such-bucket/key.*Create the bucket"):
        storage.write_bytes("s3://no-such-bucket/key", b"", "text/plain")


def test_an_s3_that_does_not_answer_is_a_storage_error(s3_options):
    from botocore.config import Config

    config = Config(connect_timeout=1, retries={"max_attempts": 1, "mode": "standard"})
    dead = Storage({**s3_options, "endpoint_url": "http://127.0.0.1:1", "config": config})
    with pytest.raises(StorageError, match="s3://bucket/key"):
        dead.read_bytes("s3://bucket/key")


def test_a_storage_travels_to_worker_processes_without_its_client(storage):
    storage.client  # noqa: B018 -- made on first use
    copy = pickle.loads(pickle.dumps(storage))
    assert copy == storage
    assert copy.write_bytes("s3://bucket/pickled", b"1", "text/plain")["bytes"] == 1


def test_secrets_do_not_show(storage):
    assert "a-secret" not in repr(storage)


def test_readers_of_a_file_never_see_half_of_it(tmp_path):
    storage, target = Storage(), tmp_path / "report.html"
    versions = [bytes([number]) * 200_000 for number in (65, 66)]
    storage.write_bytes(str(target), versions[0], "text/html")
    seen, done = set(), threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.add(target.read_bytes())

    reader = threading.Thread(target=read)
    reader.start()
    for turn in range(200):
        storage.write_bytes(str(target), versions[turn % 2], "text/html")
    done.set()
    reader.join()
    assert seen <= set(versions)
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


@pytest.mark.parametrize("uri", ["bucket/key", "s3:///key", "http://bucket/key"])
def test_what_is_no_s3_uri_is_refused(uri):
    with pytest.raises(StorageError, match="is not an S3 location"):
        split_s3_uri(uri)


def test_uris_and_paths():
    assert split_s3_uri("s3://bucket/a/b=c/d") == ("bucket", "a/b=c/d")
    assert local_path("a/b") == Path("a/b")
    assert local_path("file:///a%20b") == Path("/a b")
    with pytest.raises(StorageError, match="can not be reached"):
        local_path("gs://bucket/key")


def test_copies_between_kinds_are_refused(storage, tmp_path):
    with pytest.raises(StorageError, match="both must lie"):
        storage.copy("s3://bucket/a", str(tmp_path / "a"))


def test_a_folder_that_can_not_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="can not write"):
        Storage().write_bytes(str(tmp_path / "file" / "below"), b"", "text/plain")


def test_an_endpoint_that_is_no_url_is_named():
    with pytest.raises(StorageError, match="foo"):
        Storage({"endpoint_url": "foo", "region_name": "us-east-1"}).size("s3://bucket/key")


def test_what_can_not_be_looked_at_is_named(tmp_path, monkeypatch):
    long = "x" * 300
    with pytest.raises(StorageError, match=f"can not look at {long}: File name too long"):
        Storage().size(long)

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(tmp_path), "rglob", refuse)
    with pytest.raises(StorageError, match=f"can not list {tmp_path}/: Permission denied"):
        Storage().sizes_below(f"{tmp_path}/")
