"""What a model predicts: its type, its classes, and the target's cells as numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightcast.datasource.arrow_arrays import Array, Bools, Floats, coded, fixed_values, numbers, valid_mask
from nightcast.datasource.insights import BinaryInsights, CategoricalInsights, Insights
from nightcast.datasource.parts import Batch
from nightcast.datasource.schema import AttributeType, Schema
from nightcast.errors import ModelError
from nightcast.recipe.tokens import text_array

MAX_CLASSES = 100


class ModelType(StrEnum):
    """What kind of answer a model gives; it follows from the type of the target."""

    REGRESSION = "REGRESSION"
    BINARY = "BINARY"
    MULTICLASS = "MULTICLASS"


_MODEL_TYPES = {
    AttributeType.NUMERIC: ModelType.REGRESSION,
    AttributeType.BINARY: ModelType.BINARY,
    AttributeType.CATEGORICAL: ModelType.MULTICLASS,
}


@dataclass(frozen=True)
class Labels:
    """The target of some records.

    Parameters
    ----------
    values
        float64 of shape (n,): the number, 0 or 1, or the number of the class, -1 for a class that the model does not
        know; undefined where not `known`.
    known
        Which records have a target that can be read: bool of shape (n,).
    invalid
        Number of records whose target can not be read; the others that are not known have none.
    """

    values: Floats
    known: Bools
    invalid: int

    @property
    def missing(self) -> int:
        """Number of records without target."""
        return int(len(self.known) - self.known.sum()) - self.invalid


@dataclass(frozen=True)
class Target:
    """The attribute that is predicted.

    Parameters
    ----------
    name
        Its name.
    model_type
        REGRESSION for a NUMERIC target, BINARY for a BINARY one, MULTICLASS for a CATEGORICAL one.
    classes
        MULTICLASS: the values that the training records have, in ascending order; else none.
    """

    name: str
    model_type: ModelType
    classes: tuple[str, ...] = field(default=())

    @classmethod
    def of(cls, schema: Schema, insights: Insights) -> Target:
        """The target of a schema to train with.

        Raises
        ------
        SchemaError
            If none is named, or it is TEXT.
        ModelError
            If no training record has it, it has one class only or more than 100, or a class holds a line end.
        """
        attribute = schema.require_target()
        found = insights.attributes.get(attribute.name)
        _check_some(attribute.name, found, insights.records)
        if isinstance(found, BinaryInsights):
            _check_both(attribute.name, found)
        classes = _classes(attribute.name, found) if isinstance(found, CategoricalInsights) else ()
        return cls(attribute.name, _MODEL_TYPES[attribute.type], classes)

    @property
    def outputs(self) -> int:
        """Scores that a record gets: one a class for MULTICLASS, else 1."""
        return len(self.classes) if self.model_type is ModelType.MULTICLASS else 1

    def labels(self, batch: Batch) -> Labels:
        """The targets of a batch that holds the target's column."""
        column = batch.columns[self.name]
        mask = batch.invalid.get(self.name)
        invalid = 0 if mask is None else int(mask.sum())
        if self.model_type is ModelType.MULTICLASS:
            return self._class_numbers(column, invalid)
        values, valid = numbers(column)
        return Labels(values, np.ones(len(values), dtype=np.bool_) if valid is None else valid, invalid)

    def _class_numbers(self, column: Array, invalid: int) -> Labels:
        codes, distinct = coded(column)
        texts: Array = distinct if pa.types.is_string(distinct.type) else pc.cast(distinct, pa.string())
        found: Array = pc.index_in(texts, value_set=self._known_classes)
        places = fixed_values(found, np.int32).astype(np.float64)
        unknown = valid_mask(found)
        if unknown is not None:
            places[~unknown] = -1.0
        # The last code is that of null cells.
        return Labels(np.append(places, -1.0)[codes], codes < len(distinct), invalid)

    @cached_property
    def _known_classes(self) -> Array:
        return text_array(self.classes)

    def __getstate__(self) -> dict[str, object]:
        return {"name": self.name, "model_type": self.model_type, "classes": self.classes}


def _check_some(name: str, found: object, records: int) -> None:
    missing, invalid = getattr(found, "missing", 0), getattr(found, "invalid", 0)
    if records and missing + invalid < records:
        return
    raise ModelError(
        f"none of {records:,} training records has a value of the target {name!r} ({missing:,} have none, {invalid:,} "
        "one that can not be read): check query, schema and data rearrangement."
    )


def _check_both(name: str, found: BinaryInsights) -> None:
    if found.true and found.false:
        return
    value = "true" if found.true else "false"
    raise ModelError(
        f"all {found.true + found.false:,} training records with a target have {name!r} {value}: "
        "a binary model needs records of both classes. Check query and data rearrangement (a random one mixes classes)."
    )


def _classes(name: str, found: CategoricalInsights) -> tuple[str, ...]:
    if found.distinct > MAX_CLASSES:
        raise ModelError(
            f"the target {name!r} has {found.distinct:,} classes and a model takes {MAX_CLASSES}: "
            "group rare ones in the query, or declare it NUMERIC if it is a quantity."
        )
    if found.distinct < 2:
        only = f", {found.values[0][0]!r}" if found.values else ""
        raise ModelError(
            f"the training records have {found.distinct} class(es) of {name!r}{only}: at least 2 are needed. "
            "Check query and data rearrangement (a random one mixes classes)."
        )
    classes = tuple(sorted(value for value, _ in found.values))
    for value in classes:
        if "\n" in value or "\r" in value:
            raise ModelError(
                f"the class {value!r:.80} of {name!r} holds a line end, and classes are column titles of the "
                "predictions: replace line ends in the query."
            )
    return classes
