"""Where a run's artifacts lie, and the small references to them that travel by XCom."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from dataclasses import dataclass
from typing import Any, TypedDict

from nightcast.errors import SettingsError


class ArtifactRef(TypedDict):
    """What a task returns by XCom: where an artifact lies and how to know that it is the same one."""

    uri: str
    sha256: str
    rows: int | None
    bytes: int
    media_type: str


JSON = "application/json"
HTML = "text/html; charset=utf-8"
GZIP = "application/gzip"
BYTES = "application/octet-stream"


def to_json_bytes(value: Any) -> bytes:
    """Canonical JSON: keys sorted, no NaN, a line end at the end; equal values give equal bytes.

    Raises
    ------
    ValueError
        If a number is NaN or infinite: JSON has no form for them, and XCom refuses them.
    """
    return (json.dumps(value, sort_keys=True, indent=2, allow_nan=False, ensure_ascii=False) + "\n").encode()


def finite(value: float | None) -> float | None:
    """The number, or None where it is undefined (NaN or infinite) and JSON would refuse it."""
    return float(value) if value is not None and math.isfinite(value) else None


def object_id(kind: str, *material: str) -> str:
    """An id in the form of Amazon ML's console, ``bp-`` and 11 letters or digits, derived from content.

    The same material gives the same id, so that a repeated run writes the same file names.
    """
    digest = hashlib.sha256("\0".join((kind, *material)).encode()).digest()
    return f"{kind}-{base64.b32encode(digest).decode().lower()[:11]}"


def run_key(run_id: str) -> str:
    """A run id as a piece of an S3 key: ``:`` and ``+`` go, and two run ids never share one key."""
    cleaned = re.sub(r"[^A-Za-z0-9_.-]+", "-", run_id).strip("-.") or "run"
    if cleaned == run_id:
        return cleaned
    return f"{cleaned}-{hashlib.sha256(run_id.encode()).hexdigest()[:8]}"


@dataclass(frozen=True)
class RunLayout:
    """The keys below ``<root>/<pipeline>/period=<date>/run=<run key>/``.

    ``root`` is ``s3://bucket/prefix`` or a folder; it may end in a slash.
    """

    root: str
    pipeline: str
    period: str
    run_key: str

    def __post_init__(self) -> None:
        if not self.root.strip("/"):
            raise SettingsError(
                "no place for artifacts is set: give the AWS connection's extra a `bucket` "
                "(and, if wanted, a `prefix`)."
            )

    @property
    def base(self) -> str:
        """Everything of this run lies below; ends in a slash."""
        return f"{self.root.rstrip('/')}/{self.pipeline}/period={self.period}/run={self.run_key}/"

    def path(self, *pieces: str) -> str:
        """URI of an artifact of this run."""
        return self.base + "/".join(pieces)

    @property
    def pipeline_root(self) -> str:
        """Where all runs of the pipeline lie, and what they share."""
        return f"{self.root.rstrip('/')}/{self.pipeline}"

    @property
    def registry(self) -> str:
        """Root of the pipeline's model registry, which all its runs share."""
        return f"{self.pipeline_root}/registry"
