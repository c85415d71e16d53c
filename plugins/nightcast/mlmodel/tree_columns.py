"""What one attribute adds to the matrix that trees split."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, ClassVar, TypeAlias

import numpy as np
import pyarrow.compute as pc

from nightcast.datasource.arrow_arrays import Array, Floats, Ints, coded, fixed_values, numbers, valid_mask
from nightcast.datasource.iso_dates import days_of
from nightcast.datasource.parts import Batch
from nightcast.recipe.tokens import text_array, words

MOST_CODES = 254  # scikit-learn takes 255 categories, and one of them is that of all others


@dataclass(frozen=True)
class NumberColumn:
    """A NUMERIC or BINARY attribute as it is."""

    kind: ClassVar[str] = "number"
    categorical: ClassVar[bool] = False
    name: str

    @property
    def titles(self) -> tuple[str, ...]:
        """Names of the columns."""
        return (self.name,)

    def encode(self, batch: Batch) -> Floats:
        """Columns for a batch: float64 of shape (len(batch), columns), NaN for what is missing or invalid."""
        values, valid = numbers(batch.columns[self.name])
        return (values if valid is None else np.where(valid, values, np.nan))[:, None]


@dataclass(frozen=True)
class CodeColumn:
    """A CATEGORICAL attribute as the number of its value.

    Parameters
    ----------
    values
        The most frequent ones; value i has the code i.
    other
        Whether the training records have values beyond these: all others then have the code ``len(values)``. If not, a
        value that is not listed counts as missing.
    """

    kind: ClassVar[str] = "code"
    categorical: ClassVar[bool] = True
    name: str
    values: tuple[str, ...]
    other: bool

    @property
    def titles(self) -> tuple[str, ...]:
        """See `NumberColumn`."""
        return (self.name,)

    def encode(self, batch: Batch) -> Floats:
        """See `NumberColumn`."""
        return _looked_up(
            batch.columns[self.name], self._known, np.arange(len(self.values)), len(self.values) if self.other else None
        )[:, None]

    @cached_property
    def _known(self) -> Array:
        return text_array(self.values)

    def __getstate__(self) -> dict[str, Any]:
        return state_of(self)


@dataclass(frozen=True)
class MeanColumn:
    """A CATEGORICAL attribute as the mean target of its value, drawn towards the mean of all records.

    Parameters
    ----------
    values, means
        Values with their means, or without any yet: the column then holds the number of the value, and ``len(values)``
        for values that are not listed.
    mean
        What values get that are not listed.
    """

    kind: ClassVar[str] = "mean"
    categorical: ClassVar[bool] = False
    name: str
    values: tuple[str, ...]
    means: tuple[float, ...] = ()
    mean: float = 0.0

    @property
    def titles(self) -> tuple[str, ...]:
        """See `NumberColumn`."""
        return (f"mean target of {self.name}",)

    def encode(self, batch: Batch) -> Floats:
        """See `NumberColumn`."""
        found = np.asarray(self.means) if self.means else np.arange(len(self.values))
        default = self.mean if self.means else len(self.values)
        return _looked_up(batch.columns[self.name], self._known, found, default)[:, None]

    @cached_property
    def _known(self) -> Array:
        return text_array(self.values)

    def __getstate__(self) -> dict[str, Any]:
        return state_of(self)


@dataclass(frozen=True)
class DateColumns:
    """An attribute of ISO dates as days since `first`, month 1 to 12 and weekday 0 (Monday) to 6."""

    kind: ClassVar[str] = "date"
    categorical: ClassVar[bool] = False
    name: str
    first: str

    @property
    def titles(self) -> tuple[str, ...]:
        """See `NumberColumn`."""
        return (f"days of {self.name}", f"month of {self.name}", f"weekday of {self.name}")

    def encode(self, batch: Batch) -> Floats:
        """See `NumberColumn`."""
        codes, distinct = coded(batch.columns[self.name])
        days, is_date = days_of(distinct)
        months = days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
        since = days - int(np.datetime64(self.first, "D").astype(np.int64))
        # Day 0, 1970-01-01, was a Thursday.
        found = np.column_stack([since, months % 12 + 1, (days + 3) % 7]).astype(np.float64)
        found[~is_date] = np.nan
        return np.concatenate([found, np.full((1, 3), np.nan)])[codes]


@dataclass(frozen=True)
class TokenColumns:
    """A TEXT attribute as the number of its words, and 1 or 0 for each of some tokens that it may hold."""

    kind: ClassVar[str] = "tokens"
    categorical: ClassVar[bool] = False
    name: str
    tokens: tuple[str, ...]

    @property
    def titles(self) -> tuple[str, ...]:
        """See `NumberColumn`."""
        return (f"words of {self.name}", *(f"{self.name}={token}" for token in self.tokens))

    def encode(self, batch: Batch) -> Floats:
        """See `NumberColumn`."""
        codes, distinct = coded(batch.columns[self.name])
        lists = words(distinct)
        found = np.zeros((len(distinct) + 1, 1 + len(self.tokens)))
        found[:-1, 0] = lists.lengths
        places: Array = pc.index_in(lists.tokens, value_set=self._known)
        known = valid_mask(places)
        chosen: Any = slice(None) if known is None else known
        found[lists.owners()[chosen], 1 + fixed_values(places, np.int32)[chosen]] = 1.0
        found[-1] = np.nan
        return found[codes]

    @cached_property
    def _known(self) -> Array:
        return text_array(self.tokens)

    def __getstate__(self) -> dict[str, Any]:
        return state_of(self)


TreeColumn: TypeAlias = NumberColumn | CodeColumn | MeanColumn | DateColumns | TokenColumns


def state_of(column: TreeColumn) -> dict[str, Any]:
    """The fields of a column, without the arrays that are made of them."""
    return {field.name: getattr(column, field.name) for field in fields(column)}


def _looked_up(array: Array, known: Array, found: Floats | Ints, default: float | None) -> Floats:
    """What is `found` for each cell's place in `known`; `default`, or NaN, for others; NaN for missing cells."""
    codes, distinct = coded(array)
    places: Array = pc.index_in(distinct, value_set=known)
    listed = valid_mask(places)
    other = np.nan if default is None else float(default)
    table = np.full(len(distinct) + 1, other)
    chosen: Any = slice(len(distinct)) if listed is None else np.flatnonzero(listed)
    table[chosen] = np.asarray(found, dtype=np.float64)[fixed_values(places, np.int32)[chosen]]
    table[-1] = np.nan
    return table[codes]
