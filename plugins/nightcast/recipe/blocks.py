"""What one output of a recipe adds to the feature matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightcast.datasource.arrow_arrays import Array, Ints, coded, fixed_values, valid_mask
from nightcast.recipe.expressions import Call, Expression, ValueType, Variable, unscaled
from nightcast.recipe.pieces import Dense, ManyHot, OneHot, Piece
from nightcast.recipe.tokens import list_offsets, text_array
from nightcast.recipe.values import BatchValues, Entries


@dataclass(frozen=True)
class BinaryBlock:
    """A BINARY attribute: 1 where it is true; false and missing add nothing."""

    expression: Variable

    @property
    def names(self) -> list[str]:
        """Names of the features."""
        return [self.expression.name]

    def pieces(self, values: BatchValues, start: int) -> list[Piece]:
        """The features of a batch, in columns from ``start``."""
        truth, valid = values.numbers(self.expression.name)
        codes = truth.astype(np.int64)
        if valid is not None:
            codes[~valid] = 0
        return [OneHot(start, 1, codes)]


@dataclass(frozen=True)
class NumberBlock:
    """A number as ``(value - mean) / scale``; a missing one is 0, and sets its indicator if there is one.

    Parameters
    ----------
    mean, scale
        Those of the training data for ``normalize``, 0 and 1 for the number itself.
    center
        Mean of the feature over the values that are there: sums of squares about it lose fewer digits.
    indicator
        Whether the indicator of missing values is a second feature.
    """

    expression: Expression
    mean: float
    scale: float
    center: float
    indicator: bool

    @property
    def names(self) -> list[str]:
        """Names of the features."""
        own = self.expression.name if isinstance(self.expression, Variable) else str(self.expression)
        return [own, *indicator_names(self.expression, self.indicator)]

    def pieces(self, values: BatchValues, start: int) -> list[Piece]:
        """The features of a batch, in columns from ``start``."""
        found, valid = values.number(unscaled(self.expression))
        if valid is not None:
            found = np.where(valid, found, self.mean)
        if (self.mean, self.scale) != (0.0, 1.0):
            found = (found - self.mean) / self.scale
        pieces: list[Piece] = [Dense(start, found)]
        if self.indicator:
            missing = np.zeros(len(found), dtype=np.int64) if valid is None else (~valid).astype(np.int64)
            pieces.append(OneHot(start + 1, 1, missing))
        return pieces


@dataclass(frozen=True)
class BinBlock:
    """One indicator per bin, such as those of a ``quantile_bin``, and one for missing values if ``indicator``."""

    expression: Call
    bins: int
    indicator: bool

    @property
    def names(self) -> list[str]:
        """Names of the features."""
        own = [f"{self.expression}={number}" for number in range(1, self.bins + 1)]
        return [*own, *indicator_names(self.expression, self.indicator)]

    def pieces(self, values: BatchValues, start: int) -> list[Piece]:
        """The features of a batch, in columns from ``start``."""
        codes = values.bins(self.expression)
        if self.indicator:
            codes = np.where(codes == 0, self.bins + 1, codes)
        return [OneHot(start, self.bins + self.indicator, codes)]


@dataclass(frozen=True)
class VocabularyBlock:
    """One indicator per known value of a CATEGORICAL attribute, or per known token; others add nothing.

    A token that a record holds twice counts once.
    """

    expression: Expression
    vocabulary: tuple[str, ...]

    @property
    def names(self) -> list[str]:
        """Names of the features."""
        label = self.expression.name if isinstance(self.expression, Variable) else str(self.expression)
        return [f"{label}={value}" for value in self.vocabulary]

    def __getstate__(self) -> dict[str, object]:
        return {"expression": self.expression, "vocabulary": self.vocabulary}

    @cached_property
    def _known(self) -> Array:
        return text_array(self.vocabulary)

    def pieces(self, values: BatchValues, start: int) -> list[Piece]:
        """The features of a batch, in columns from ``start``."""
        if isinstance(self.expression, Variable) and self.expression.type is ValueType.CATEGORICAL:
            codes, distinct = coded(values.batch.columns[self.expression.name])
            places = np.append(self._places(distinct), 0)
            return [OneHot(start, len(self.vocabulary), places.take(codes))]
        return [self._many_hot(values.entries(self.expression), start)]

    def _places(self, texts: Array) -> Ints:
        """1 plus the place of each text in the vocabulary, 0 where it has none."""
        if not pa.types.is_string(texts.type):
            texts = pc.cast(texts, pa.string())
        found: Array = pc.index_in(texts, value_set=self._known)
        places = fixed_values(found, np.int32).astype(np.int64) + 1
        valid = valid_mask(found)
        if valid is not None:
            places[~valid] = 0
        return places

    def _many_hot(self, entries: Entries, start: int) -> ManyHot:
        size = max(len(self.vocabulary), 1)
        places = self._places(entries.lists.tokens)
        known = np.flatnonzero(places)
        # Sorted by list and place, each pair once.
        pairs = np.unique(entries.lists.owners()[known] * size + (places[known] - 1))
        offsets = list_offsets(np.bincount(pairs // size, minlength=len(entries.lists.offsets) - 1))
        return ManyHot(start, len(self.vocabulary), entries.codes.astype(np.int64), offsets, pairs % size)


Block = BinaryBlock | NumberBlock | BinBlock | VocabularyBlock


def missing_name(expression: Expression) -> str | None:
    """Name of the indicator that a number is missing, or None if it never is.

    The missing values of an attribute have one indicator, whatever is made of it. ``log`` makes missing values of its
    own, and ``impute`` leaves none.

    Examples
    --------
    >>> price = Variable("price", ValueType.NUMERIC)
    >>> missing_name(Call("clip", (price,), (0, 9))), missing_name(Call("normalize", (Call("log", (price,)),)))
    ('price=missing', 'log(price)=missing')
    """
    while isinstance(expression, Call) and expression.function != "log":
        if expression.function == "impute":
            return None
        [expression] = expression.arguments
    return f"{expression.name if isinstance(expression, Variable) else expression}=missing"


def indicator_names(expression: Expression, indicator: bool) -> list[str]:
    """The name of the indicator of missing values as a list, which is empty if there is none."""
    name = missing_name(expression)
    return [name] if indicator and name is not None else []


def block_starts(blocks: Sequence[Block]) -> list[int]:
    """First column of each block, and after them the number of columns."""
    starts = [0]
    for block in blocks:
        starts.append(starts[-1] + len(block.names))
    return starts
