"""Training records as the steps of `sgd` take them: indicators by their columns, and numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from nightcast.datasource.arrow_arrays import Bools, Floats, Ints
from nightcast.datasource.hashing import mixed, seed_hash
from nightcast.recipe.tokens import list_offsets, ragged_places

if TYPE_CHECKING:
    from scipy.sparse import csr_array

_SHUFFLE_SEED = "nightcast sgd shuffle"


@dataclass(frozen=True)
class Records:
    """Some training records.

    Parameters
    ----------
    offsets, columns
        Record i sets the indicators ``columns[offsets[i]:offsets[i + 1]]``, by column of the featurizer; ascending.
    numbers
        float64 of shape (n, numbers + 1): values of the columns that are numbers, as `Coordinates` make them, and a 1
        for the intercept.
    targets
        float64 of shape (n,): numbers about the mean in units of the deviation, 0 and 1, or numbers of classes.
    validation
        Which of the records belong to the validation slice; shape (n,).
    """

    offsets: Ints
    columns: Ints
    numbers: Floats
    targets: Floats
    validation: Bools

    def __len__(self) -> int:
        return len(self.targets)

    @cached_property
    def active(self) -> Ints:
        """Features of each record that are not 0, numbers always counted among them; shape (n,)."""
        found: Ints = np.diff(self.offsets) + (self.numbers.shape[1] - 1)
        return found

    def matrix(self, width: int) -> csr_array:
        """The indicators as a matrix of shape (n, width)."""
        from scipy.sparse import csr_array

        ones = np.ones(len(self.columns))
        return csr_array((ones, self.columns, self.offsets), shape=(len(self), width))

    def taken(self, places: Ints) -> Records:
        """The records at the given places, in the order of these."""
        return Records(
            list_offsets(np.diff(self.offsets)[places]),
            self.columns[ragged_places(self.offsets, places)],
            self.numbers[places],
            self.targets[places],
            self.validation[places],
        )

    def between(self, begin: int, end: int) -> Records:
        """Records from `begin` to before `end`, without a copy of their features."""
        first, last = self.offsets[begin], self.offsets[end]
        return Records(
            (self.offsets[begin : end + 1] - first).astype(np.int32),
            self.columns[first:last],
            self.numbers[begin:end],
            self.targets[begin:end],
            self.validation[begin:end],
        )

    def side(self, *, validation: bool) -> Records:
        """The records within the validation slice, or the others."""
        return self.taken(np.flatnonzero(self.validation if validation else ~self.validation))

    def shuffled(self, seed: str) -> Records:
        """The same records in an order that follows from their number and the seed."""
        numbers = np.arange(len(self), dtype=np.uint64)
        return self.taken(np.argsort(mixed(numbers ^ seed_hash(_SHUFFLE_SEED + seed)), kind="stable"))


def joined(found: Sequence[Records]) -> Records:
    """Records one after the other; at least one piece is needed."""
    if len(found) == 1:
        return found[0]
    return Records(
        list_offsets(np.concatenate([np.diff(one.offsets) for one in found])),
        np.concatenate([one.columns for one in found]),
        np.concatenate([one.numbers for one in found]),
        np.concatenate([one.targets for one in found]),
        np.concatenate([one.validation for one in found]),
    )
