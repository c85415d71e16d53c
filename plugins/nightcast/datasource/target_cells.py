"""The target of the records of one batch: as numbers, and as classes that information is told of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nightcast.datasource.arrow_arrays import Bools, Floats, Hashes
from nightcast.datasource.sketches import Deviations

Classes = npt.NDArray[np.int32]


@dataclass(frozen=True)
class TargetCells:
    """The target in one batch.

    Parameters
    ----------
    classes
        int32 of shape (len(batch),): the record's class, ``TargetClasses.count`` where it has none.
    count
        Number of classes.
    values
        float64 of the same shape, undefined where not valid; None for a CATEGORICAL target. BINARY counts as 0 and 1.
    valid
        bool of the same shape, or None when all are valid.
    found
        Deviations of the valid values.
    """

    classes: Classes
    count: int
    values: Floats | None
    valid: Bools | None
    found: Deviations | None

    def taken(self, chosen: Bools) -> TargetCells:
        """The target of the chosen records; bool of shape (len(batch),)."""
        values = None if self.values is None else self.values[chosen]
        valid = None if self.valid is None else self.valid[chosen]
        return TargetCells(self.classes[chosen], self.count, values, valid, None)


@dataclass(frozen=True)
class Beside:
    """What stands beside an attribute's cells in a batch.

    Parameters
    ----------
    weights
        Of each record, for fingerprints: see `nightcast.datasource.value_keys`.
    target
        None where there is none to correlate with.
    """

    weights: Hashes
    target: TargetCells | None
