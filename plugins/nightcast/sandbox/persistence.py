"""Buckets on disk between two runs: written at an orderly stop, read at the start with what a journal adds.

Kept: buckets with region, versioning, policy, tags and default encryption; of each key its last version with
bytes, metadata, tags, storage class, encryption, checksum, ETag and date. Everything else of S3 (older versions,
lifecycle rules, unfinished multipart uploads, ACLs) and all of STS and IAM ends with the process.
"""

from __future__ import annotations

import base64
import datetime
import json
import shutil
from pathlib import Path
from typing import Any

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.s3.models import FakeBucket, FakeKey, S3Backend, s3_backends

from nightcast.errors import StorageError

JOURNAL = "journal.jsonl"
_KEY_FACTS = (
    "encryption", "kms_key_id", "bucket_key_enabled", "checksum_algorithm", "checksum_value", "checksum_type",
    "website_redirect_location",
)  # fmt: skip


def s3_backend() -> S3Backend:
    """moto's S3 of this process."""
    backend: S3Backend = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
    return backend


def save_buckets(directory: Path) -> None:
    """Write all buckets to ``directory``; what was there before stays until everything is written."""
    fresh, old = directory.with_name(directory.name + ".new"), directory.with_name(directory.name + ".old")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    number = 0
    buckets = []
    for bucket in s3_backend().buckets.values():
        keys = []
        for key in bucket.keys.values():
            if isinstance(key, FakeKey):
                number += 1
                keys.append(save_key(key, fresh / f"{number:08d}"))
        buckets.append(bucket_facts(bucket) | {"keys": keys})
    (fresh / "index.json").write_text(json.dumps({"format": 1, "buckets": buckets}))
    shutil.rmtree(old, ignore_errors=True)
    if directory.exists():
        directory.rename(old)
    fresh.rename(directory)
    shutil.rmtree(old, ignore_errors=True)


def bucket_facts(bucket: FakeBucket) -> dict[str, Any]:
    """What is kept of a bucket beside its keys."""
    return {
        "name": bucket.name,
        "region": bucket.region_name,
        "created": bucket.creation_date.isoformat(),
        "versioning": bucket.versioning_status,
        "policy": bucket.policy.decode() if bucket.policy else None,
        "encryption": bucket.encryption,
        "tags": s3_backend().tagger.get_tag_dict_for_resource(bucket.arn),
    }


def save_key(key: FakeKey, path: Path) -> dict[str, Any]:
    """Write a key's bytes to ``path``; returns what else is kept of it."""
    with key.lock, path.open("wb") as file:
        key._value_buffer.seek(0)
        shutil.copyfileobj(key._value_buffer, file, 1 << 20)
    return {
        "name": key.name,
        "file": path.name,
        "etag": key.etag.strip('"'),
        "modified": key.last_modified.isoformat(),
        "storage": key.storage_class,
        "metadata": {name: _text(value) for name, value in key.metadata.items()},
        "tags": s3_backend().tagger.get_tag_dict_for_resource(key.arn),
        "facts": {fact: getattr(key, fact) for fact in _KEY_FACTS},
    }


def _text(value: Any) -> Any:
    return {"base64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def load_buckets(directory: Path) -> None:
    """Put the saved buckets into moto's S3, which must be empty.

    Raises
    ------
    StorageError
        When the folder was not written by `save_buckets`, or is damaged.
    """
    old = directory.with_name(directory.name + ".old")
    if not directory.exists() and old.exists():
        # The last stop was interrupted between its two renames.
        old.rename(directory)
    if not directory.exists():
        return
    try:
        index = json.loads((directory / "index.json").read_text())
        if index["format"] != 1:
            raise ValueError(f"format {index['format']}")
        for facts in with_journal(index["buckets"], directory):
            _load_bucket(facts, directory)
    except (OSError, ValueError, KeyError) as error:
        raise StorageError(
            f"the sandbox's buckets in {directory} can not be read ({error!r}); remove the folder to start empty"
        ) from error


def with_journal(buckets: list[dict[str, Any]], directory: Path) -> list[dict[str, Any]]:
    """The buckets of an index as the journal beside it leaves them; a last line without its end did not happen."""
    path = directory / JOURNAL
    if not path.exists():
        return buckets
    found = {facts["name"]: facts | {"keys": {key["name"]: key for key in facts["keys"]}} for facts in buckets}
    for line in path.read_text().split("\n")[:-1]:
        change = json.loads(line)
        name = change["bucket"]
        if change["change"] == "bucket":
            found[name] = change["facts"] | {"keys": found.get(name, {"keys": {}})["keys"]}
        elif change["change"] == "no bucket":
            found.pop(name, None)
        elif change["change"] == "key":
            found[name]["keys"][change["facts"]["name"]] = change["facts"]
        else:
            found[name]["keys"].pop(change["key"], None)
    return [facts | {"keys": list(facts["keys"].values())} for facts in found.values()]


def _load_bucket(facts: dict[str, Any], directory: Path) -> None:
    backend = s3_backend()
    bucket = backend.create_bucket(facts["name"], facts["region"])
    bucket.creation_date = datetime.datetime.fromisoformat(facts["created"])
    bucket.policy = facts["policy"].encode() if facts["policy"] else None
    bucket.versioning_status = facts["versioning"]
    for saved in facts["keys"]:
        key = backend.put_object(
            facts["name"],
            saved["name"],
            (directory / saved["file"]).read_bytes(),
            storage=saved["storage"],
            etag=saved["etag"],
            disable_notification=True,
        )
        key.set_metadata({name: _value(value) for name, value in saved["metadata"].items()}, replace=True)
        key.last_modified = datetime.datetime.fromisoformat(saved["modified"])
        for fact, value in saved["facts"].items():
            setattr(key, fact, value)
        if saved["tags"]:
            backend.tagger.tag_resource(key.arn, backend.tagger.convert_dict_to_tags_input(saved["tags"]))
    # Only now, as it would otherwise be put on every key.
    bucket.encryption = facts["encryption"]
    if facts["tags"]:
        backend.tagger.tag_resource(bucket.arn, backend.tagger.convert_dict_to_tags_input(facts["tags"]))


def _value(value: Any) -> Any:
    return base64.b64decode(value["base64"]) if isinstance(value, dict) else value
