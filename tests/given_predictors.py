"""Predictors that give the same raw scores whatever the records are."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from nightcast.datasource.arrow_arrays import Floats
from nightcast.datasource.parts import Batch
from nightcast.mlmodel.model import Predictor


@dataclass(frozen=True)
class Given:
    """Gives the same raw scores whatever the records are."""

    kind: ClassVar[str] = "given"
    raw: Any
    columns: tuple[str, ...] = ("x",)
    size: int = 3

    def raw_scores(self, batch: Batch) -> Floats:
        return np.array(self.raw, dtype=float)

    def save(self, directory: Path) -> tuple[str, ...]:
        (directory / f"{self.kind}.json").write_text(json.dumps(self.raw))
        return (f"{self.kind}.json",)

    @classmethod
    def load(cls, directory: Path) -> Predictor:
        return cls(json.loads((directory / f"{cls.kind}.json").read_text()))


class Other(Given):
    kind: ClassVar[str] = "other"
