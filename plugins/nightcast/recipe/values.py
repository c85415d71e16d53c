"""The value of each expression of a recipe, for all records of a batch at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from nightcast.datasource.arrow_arrays import Array, Bools, Floats, Ints, coded, numbers
from nightcast.datasource.iso_dates import days_of
from nightcast.datasource.parts import Batch
from nightcast.recipe import tokens
from nightcast.recipe.bins import bin_codes
from nightcast.recipe.expressions import FUNCTIONS, Call, Expression, ValueType, is_binned, unscaled
from nightcast.recipe.number_functions import date_part, stepped
from nightcast.recipe.tokens import TokenLists

_TEXT_FUNCTIONS: dict[str, Callable[[TokenLists], TokenLists]] = {
    "lowercase": tokens.lowercase,
    "no_punct": tokens.no_punct,
}
_SIZED_FUNCTIONS: dict[str, Callable[[TokenLists, int], TokenLists]] = {"ngram": tokens.ngram, "osb": tokens.osb}


@dataclass(frozen=True)
class Entries:
    """Token lists of records, each distinct list once.

    Parameters
    ----------
    codes
        Integers of shape (n,): number of each record's list.
    lists
        The distinct lists; the last one is empty and belongs to missing values.
    """

    codes: npt.NDArray[np.integer]
    lists: TokenLists


class BatchValues:
    """Values of expressions over one batch; each is computed once.

    Parameters
    ----------
    batch
        Holds the columns of all attributes that the expressions read.
    edges
        Inner bin edges by the text of the ``quantile_bin`` expression.
    """

    def __init__(self, batch: Batch, edges: Mapping[str, tuple[float, ...]]) -> None:
        self.batch = batch
        self.edges = edges
        self._bins: dict[Expression, Ints] = {}
        self._numbers: dict[Expression, tuple[Floats, Bools | None]] = {}
        self._dates: dict[str, tuple[npt.NDArray[np.integer], Ints, Bools]] = {}
        self._entries: dict[Expression, Entries] = {}

    def number(self, expression: Expression) -> tuple[Floats, Bools | None]:
        """Values of a NUMERIC expression without ``normalize``, and which of them are there (None: all)."""
        if not isinstance(expression, Call):
            return self.numbers(expression.name)
        if expression not in self._numbers:
            if FUNCTIONS[expression.function].of_dates:
                codes, parts, valid = self._date_parts(expression)
                self._numbers[expression] = parts[codes].astype(np.float64), None if valid.all() else valid[codes]
            else:
                self._numbers[expression] = stepped(expression, *self.number(expression.arguments[0]))
        return self._numbers[expression]

    def numbers(self, name: str) -> tuple[Floats, Bools | None]:
        """Values of a NUMERIC or BINARY attribute, and which of them are there (None: all)."""
        return numbers(self.batch.columns[name])

    def bins(self, expression: Call) -> Ints:
        """Numbers of bins, from 1; 0 where the number or date is missing."""
        if expression not in self._bins:
            if FUNCTIONS[expression.function].of_dates:
                codes, parts, _ = self._date_parts(expression)
                self._bins[expression] = parts[codes]
            else:
                values, valid = self.number(unscaled(expression.arguments[0]))
                self._bins[expression] = bin_codes(values, valid, inner_edges(expression, self.edges))
        return self._bins[expression]

    def _date_parts(self, expression: Call) -> tuple[npt.NDArray[np.integer], Ints, Bools]:
        """Codes of an attribute's distinct dates; part of each, 0 where it is none; which are dates."""
        [variable] = expression.variables()
        if variable.name not in self._dates:
            codes, texts = self._distinct(variable.name)
            days, is_date = days_of(texts)
            self._dates[variable.name] = codes, np.append(days, 0), np.append(is_date, False)
        codes, days, valid = self._dates[variable.name]
        return codes, np.where(valid, date_part(expression, days), 0), valid

    def _distinct(self, name: str) -> tuple[npt.NDArray[np.integer], Array]:
        codes, distinct = coded(self.batch.columns[name])
        return codes, distinct if pa.types.is_string(distinct.type) else pc.cast(distinct, pa.string())

    def entries(self, expression: Expression) -> Entries:
        """Tokens of a CATEGORICAL, TEXT or TOKENS expression: a categorical value is one token, a bin its number."""
        if expression not in self._entries:
            self._entries[expression] = self._computed(expression)
        return self._entries[expression]

    def _computed(self, expression: Expression) -> Entries:
        if not isinstance(expression, Call):
            codes, texts = self._distinct(expression.name)
            made = tokens.words(texts) if expression.type is ValueType.TEXT else tokens.single_tokens(texts)
            return Entries(codes, _with_empty(made))
        if is_binned(expression):
            return self._bin_entries(expression)
        if expression.function == "cartesian":
            return self._products(expression)
        [argument] = expression.arguments
        inner = self.entries(argument)
        if expression.function in _TEXT_FUNCTIONS:
            return Entries(inner.codes, _TEXT_FUNCTIONS[expression.function](inner.lists))
        sized = _SIZED_FUNCTIONS[expression.function]
        [size] = expression.parameters
        return Entries(inner.codes, sized(inner.lists, cast(int, size)))

    def _bin_entries(self, expression: Call) -> Entries:
        codes = self.bins(expression)
        count = bin_count(expression, self.edges)
        names = tokens.text_array([str(number) for number in range(1, count + 1)])
        return Entries(np.where(codes == 0, count, codes - 1), _with_empty(tokens.single_tokens(names)))

    def _products(self, expression: Call) -> Entries:
        found = self.entries(expression.arguments[0])
        for argument in expression.arguments[1:]:
            found = _product(found, self.entries(argument))
        return found


def inner_edges(expression: Call, edges: Mapping[str, tuple[float, ...]]) -> tuple[float, ...]:
    """Edges of a ``quantile_bin``, which are among the given ones, or of a ``bucket``."""
    if expression.function == "bucket":
        return tuple(float(edge) for edge in expression.parameters)
    return edges[str(expression)]


def bin_count(expression: Call, edges: Mapping[str, tuple[float, ...]]) -> int:
    """How many values a binned expression has."""
    known = FUNCTIONS[expression.function].bins
    return len(inner_edges(expression, edges)) + 1 if known is None else known


def _product(left: Entries, right: Entries) -> Entries:
    width = len(right.lists.offsets) - 1
    pairs, codes = np.unique(left.codes.astype(np.int64) * width + right.codes, return_inverse=True)
    lists = tokens.cartesian(tokens.taken(left.lists, pairs // width), tokens.taken(right.lists, pairs % width))
    return Entries(codes, _with_empty(lists))


def _with_empty(lists: TokenLists) -> TokenLists:
    return TokenLists(np.append(lists.offsets, lists.offsets[-1]), lists.tokens)
