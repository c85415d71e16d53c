"""Promotions for tests, and writers of them that worker processes can import."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from nightcast.mlmodel import files
from nightcast.registry.documents import RegistryEntry
from nightcast.registry.model_registry import ModelRegistry
from nightcast.storage import Storage

NAME = "sales_forecast"
NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)


def entry(cut_off: str = "2009-01-01", run_key: str = "scheduled__1", **changes: Any) -> RegistryEntry:
    """A promotion; `model` is the text that stands for its model, everything else is a field."""
    text = changes.pop("model", f"model of {run_key} until {cut_off}")
    given: dict[str, Any] = {
        "model_name": NAME,
        "cut_off": date.fromisoformat(cut_off),
        "run_id": run_key,
        "run_key": run_key,
        "run_type": run_key.partition("__")[0],
        "period": {"label": "2008-12-31", "start": "2008-12-31", "end": cut_off, "source": "params"},
        "model": {
            "uri": f"s3://nightcast/sales_forecast/{run_key}/model/model.json",
            "sha256": text.encode().hex().ljust(64, "0")[:64],
            "rows": 100,
            "bytes": 2000,
            "media_type": "application/json",
        },
        "model_type": "REGRESSION",
        "learner": "linear",
        "metric_name": "RegressionRMSE",
        "metric": 3.0,
        "baseline": 4.0,
        "decision": {"decision": "promote", "reason": "no champion before"},
        "promoted_at": NOON,
        "code_version": "0.1.0",
    }
    return RegistryEntry(**{**given, **changes})


def promote_folder(registry: ModelRegistry, folder: Path, cut_off: str, run_key: str) -> None:
    """Promote the model of a directory on this disk."""
    digest = hashlib.sha256((folder / "model.json").read_bytes()).hexdigest()
    promotion = entry(cut_off, run_key)
    reference = {**promotion.model, "uri": f"{folder.as_uri()}/model.json", "sha256": digest}
    registry.promote(dataclasses.replace(promotion, model=reference))


def put_model(storage: Storage, model: dict[str, Any]) -> str:
    """Write what a promotion's `model` names, as far as the registry's readers look: the URI of its only other file."""
    document = {"format": files.FORMAT, "version": files.VERSION, "files": {"arrays.npz": "0" * 64}}
    document["sha256"] = files._own_digest(document)
    storage.write_bytes(model["uri"], json.dumps(document).encode(), "application/json")
    other = model["uri"].replace("model.json", "arrays.npz")
    storage.write_bytes(other, b"", "application/octet-stream")
    return other


def promote_all(options: dict[str, Any], root: str, keys: list[tuple[str, str]]) -> list[str]:
    """Promote one entry for each cut-off and run key; digests of what was written. For workers."""
    registry = ModelRegistry(Storage(options), root)
    return [registry.promote(entry(*key))["sha256"] for key in keys]
