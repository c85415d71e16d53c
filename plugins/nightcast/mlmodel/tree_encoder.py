"""Attributes as the columns of a dense matrix, for learners that split on one column at a time."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from nightcast.datasource.arrow_arrays import Floats
from nightcast.datasource.insights import BinaryInsights, CategoricalInsights, Insights, NumericInsights, TextInsights
from nightcast.datasource.parts import Batch
from nightcast.datasource.strict_json import parse_object
from nightcast.errors import ModelError
from nightcast.mlmodel.tree_columns import (
    MOST_CODES,
    CodeColumn,
    DateColumns,
    MeanColumn,
    NumberColumn,
    TokenColumns,
    TreeColumn,
    state_of,
)

FORMAT = "nightcast-tree-encoder"
VERSION = 1
MOST_TOKENS = 50
_FEWEST_FOR_MEANS = 50
_LEAST_CHI_SQUARED = 30.0
_CLASSES: dict[str, Any] = {
    kind.kind: kind for kind in (NumberColumn, CodeColumn, MeanColumn, DateColumns, TokenColumns)
}


@dataclass(frozen=True)
class TreeEncoder:
    """A stateless, picklable function from record batches to the matrix that trees split.

    Trees need no bins, no scaling and no products, so that only the attributes of a recipe count, not what it makes of
    them. A NUMERIC attribute is a column of numbers, a BINARY one of 0 and 1, and what is missing or invalid is NaN,
    which has a side of its own at each split. A CATEGORICAL attribute is one column that is split into sets of values:
    the 254 most frequent ones, and one for all others. From 50 values on there is a second column with the mean target
    of each value (not for MULTICLASS targets, which have no mean), which serves rare values better. ISO dates are days,
    months and weekdays. A TEXT attribute is the number of its words and the presence of up to 50 tokens that tell
    more of the target than chance would.

    Parameters
    ----------
    columns
        Those with categories first, then the others in the order of the recipe.
    """

    columns: tuple[TreeColumn, ...]

    @property
    def attributes(self) -> tuple[str, ...]:
        """Names of the attributes that are read, each once."""
        return tuple(dict.fromkeys(column.name for column in self.columns))

    @cached_property
    def titles(self) -> tuple[str, ...]:
        """Names of the matrix's columns."""
        return tuple(title for column in self.columns for title in column.titles)

    @cached_property
    def owners(self) -> tuple[str, ...]:
        """The attribute of each of the matrix's columns."""
        return tuple(column.name for column in self.columns for _ in column.titles)

    @property
    def categorical(self) -> int:
        """Number of columns that hold categories; they come first."""
        return sum(column.categorical for column in self.columns)

    def encode(self, batch: Batch) -> Floats:
        """The matrix of a batch that holds `attributes`: float64 of shape (len(batch), len(titles))."""
        return np.concatenate([column.encode(batch) for column in self.columns], axis=1)

    def with_means(self, means: Mapping[str, tuple[Floats, float]]) -> TreeEncoder:
        """The encoder with mean targets by attribute: those of the listed values, and that of all records."""
        filled = [
            replace(column, means=tuple(means[column.name][0].tolist()), mean=means[column.name][1])
            if isinstance(column, MeanColumn)
            else column
            for column in self.columns
        ]
        return TreeEncoder(tuple(filled))

    def to_json(self) -> str:
        """The encoder as a document with sorted keys."""
        document = {
            "format": FORMAT,
            "version": VERSION,
            "columns": [{"kind": column.kind, **state_of(column)} for column in self.columns],
        }
        return json.dumps(document, sort_keys=True, allow_nan=False, ensure_ascii=False, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> TreeEncoder:
        """Read what `to_json` wrote; ModelError if it is damaged or of another version."""
        document = parse_object(text, "the tree encoder", ModelError)
        if document.get("format") != FORMAT or document.get("version") != VERSION:
            raise ModelError(
                f"the tree encoder has the format {document.get('format')!r:.80} version "
                f"{document.get('version')!r:.80}, and {FORMAT} version {VERSION} can be read: train the model again, "
                "or update Nightcast."
            )
        try:
            return cls(tuple(map(_column_of, document["columns"])))
        except (KeyError, TypeError, ValueError, AttributeError) as fault:
            raise ModelError(f"the tree encoder is damaged ({fault!r:.200}): train the model again.") from None


def build_encoder(attributes: Sequence[str], insights: Insights, *, means: bool) -> TreeEncoder:
    """Make the encoder of some attributes.

    Parameters
    ----------
    attributes
        Names, in the order that their columns are to have.
    insights
        Statistics of the training records.
    means
        Whether attributes with many values get a column of mean targets as well, which is to be filled.

    Raises
    ------
    ModelError
        If the insights do not know an attribute.
    """
    found = [column for name in attributes for column in _columns_of(name, insights, means)]
    return TreeEncoder(
        (*(column for column in found if column.categorical), *(column for column in found if not column.categorical))
    )


def _columns_of(name: str, insights: Insights, means: bool) -> list[TreeColumn]:
    found = insights.attributes.get(name)
    if found is None:
        raise ModelError(f"the insights know no attribute {name!r}: compute them with the schema of the recipe.")
    if isinstance(found, NumericInsights | BinaryInsights):
        return [NumberColumn(name)]
    if found.dates is not None:
        return [DateColumns(name, found.dates.first)]
    if isinstance(found, TextInsights):
        # What chance alone tells is about the number of classes; 2 n times the nats are distributed as chi-squared.
        least = _LEAST_CHI_SQUARED / (2 * math.log(2) * max(insights.records, 1))
        telling = [token for token, _, prominence in found.prominent if prominence >= least]
        return [TokenColumns(name, tuple(telling[:MOST_TOKENS]))]
    return _category_columns(name, found, means)


def _category_columns(name: str, found: CategoricalInsights, means: bool) -> list[TreeColumn]:
    values = tuple(value for value, _ in found.values)
    code = CodeColumn(name, values[:MOST_CODES], len(values) > MOST_CODES or found.other > 0)
    return [code, MeanColumn(name, values)] if means and len(values) >= _FEWEST_FOR_MEANS else [code]


def _column_of(document: Mapping[str, Any]) -> TreeColumn:
    kind = _CLASSES[document["kind"]]
    state: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in document.items()}
    del state["kind"]
    column: TreeColumn = kind(**state)
    if not isinstance(column.name, str) or not all(isinstance(title, str) for title in column.titles):
        raise TypeError("a column has no name")
    _check(column)
    return column


def _check(column: TreeColumn) -> None:
    texts: Sequence[Any] = column.tokens if isinstance(column, TokenColumns) else getattr(column, "values", ())
    if not all(isinstance(text, str) for text in texts):
        raise TypeError(f"values of {column.name!r} are no texts")
    if isinstance(column, CodeColumn) and len(column.values) > MOST_CODES:
        raise ValueError(f"{column.name!r} has too many values")
    if isinstance(column, MeanColumn) and not (
        len(column.means) in (0, len(column.values))
        and all(isinstance(mean, int | float) for mean in (*column.means, column.mean))
    ):
        raise ValueError(f"the mean targets of {column.name!r} do not fit its values")
    if isinstance(column, DateColumns):
        np.datetime64(column.first, "D")
