"""What a running sandbox has in its buckets, on disk before a request is answered."""

from __future__ import annotations

import json
import threading
import uuid
from pathlib import Path
from typing import Any

from moto.s3.models import FakeKey

from nightcast.sandbox.persistence import JOURNAL, bucket_facts, s3_backend, save_buckets, save_key


class BucketJournal:
    """Adds every change of buckets and keys to the folder that `save_buckets` writes.

    Only new, overwritten and deleted keys and buckets are looked for. Tags and metadata that are changed without
    writing a key are kept by an orderly stop alone.

    Parameters
    ----------
    directory
        Folder of the buckets; written anew, from what moto's S3 holds.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        save_buckets(directory)
        # The keys themselves, for an overwritten key is another object, and one that is alive shares its identity
        # with no other.
        self._known: dict[str, dict[str, FakeKey]] = _keys_by_bucket()

    def record(self) -> None:
        """Write what has changed since the last call; returns when it is on disk."""
        with self._lock:
            changes: list[dict[str, Any]] = []
            now = _keys_by_bucket()
            for name, keys in now.items():
                known = self._known.get(name)
                if known is None:
                    facts = bucket_facts(s3_backend().buckets[name])
                    changes.append({"change": "bucket", "bucket": name, "facts": facts})
                    known = {}
                for path, key in keys.items():
                    if known.get(path) is not key:
                        changes += self._written(name, key)
                changes += [{"change": "no key", "bucket": name, "key": path} for path in known if path not in keys]
            changes += [{"change": "no bucket", "bucket": name} for name in self._known if name not in now]
            self._known = now
            if changes:
                with (self._directory / JOURNAL).open("a") as journal:
                    journal.write("".join(json.dumps(change) + "\n" for change in changes))

    def _written(self, bucket: str, key: FakeKey) -> list[dict[str, Any]]:
        try:
            facts = save_key(key, self._directory / uuid.uuid4().hex)
        except ValueError:
            return []  # overwritten or deleted meanwhile, which the request that did it will record
        return [{"change": "key", "bucket": bucket, "facts": facts}]


def _keys_by_bucket() -> dict[str, dict[str, FakeKey]]:
    # Lists first: other requests change the buckets meanwhile. dict's own items, for moto's take ten times as long, and
    # a year of runs leaves some ten thousand keys.
    found: dict[str, dict[str, FakeKey]] = {}
    for name, bucket in list(s3_backend().buckets.items()):
        versions = list(dict.items(bucket.keys))
        found[name] = {path: last[-1] for path, last in versions if last and isinstance(last[-1], FakeKey)}
    return found
