"""Forecasts that need no model: what was, will be again."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from nightcast.datasource.arrow_arrays import Bools, Floats, Hashes, Ints, numbers
from nightcast.datasource.parts import Batch, ByteSource, Datasource, Mapper, NumberedPart
from nightcast.datasource.rearrangement import Rearrangement
from nightcast.datasource.schema import Attribute, AttributeType, Schema
from nightcast.datasource.selection import selected_batches
from nightcast.errors import EvaluationError
from nightcast.evaluation.text_keys import TextKey
from nightcast.mlmodel.targets import ModelType, Target

MOST_KEYS = 1_000_000
LAST_PERIOD, SEASON_AGO = "lastPeriod", "seasonAgo"
TARGET_TYPES = {
    ModelType.REGRESSION: AttributeType.NUMERIC,
    ModelType.BINARY: AttributeType.BINARY,
    ModelType.MULTICLASS: AttributeType.CATEGORICAL,
}


@dataclass(frozen=True)
class NaiveBaseline:
    """A naive forecast, such as the value of the last period, or of the same period a season ago.

    The value comes from an attribute of the evaluated records, or is the mean of earlier actuals by key. Records whose
    value is not known are forecast by the mean of the training records.

    Parameters
    ----------
    name
        ``lastPeriod``, ``seasonAgo``, or another.
    attribute
        Of a regression: the NUMERIC attribute that holds the value.
    key
        Else: what tells which records belong together, without their date; the earlier actuals and the evaluated
        records have its attributes, under one name.
    actuals, taken
        The earlier actuals with the target, and which of them are meant; None where there are none.
    reason
        Why there are none.
    """

    name: str
    attribute: str | None = None
    key: TextKey | None = None
    actuals: Datasource | None = None
    taken: Rearrangement = field(default_factory=Rearrangement)
    reason: str = ""

    def __post_init__(self) -> None:
        if self.attribute is not None and self.key is not None:
            raise EvaluationError(f"the baseline {self.name} has an attribute and a key: give one of them.")


@dataclass(frozen=True)
class KeyMeans:
    """Sums of a target by key.

    Parameters
    ----------
    hashes
        Of the keys, ascending; shape (keys,). That two of a million keys share one has a chance of 3e-8.
    counts, sums
        Records of each key, and the sum of their targets: shapes (keys,) and (keys, outputs). Of a classification the
        targets are 1 for the record's class and 0 for the others.
    """

    hashes: Hashes
    counts: Ints
    sums: Floats

    @classmethod
    def none(cls, outputs: int) -> KeyMeans:
        """Sums of no record."""
        return cls(np.zeros(0, dtype=np.uint64), np.zeros(0, dtype=np.int64), np.zeros((0, outputs)))

    def merged(self, hashes: Hashes, counts: Ints, sums: Floats) -> KeyMeans:
        """With the sums of other keys, which may be the same ones, in any order, several times."""
        keys, inverse = np.unique(np.concatenate([self.hashes, hashes]), return_inverse=True)
        size, both = len(keys), np.concatenate([self.sums, sums])
        columns = [np.bincount(inverse, weights=both[:, place], minlength=size) for place in range(both.shape[1])]
        records = np.bincount(inverse, weights=np.concatenate([self.counts, counts]), minlength=size)
        return KeyMeans(keys, records.astype(np.int64), np.stack(columns, axis=1))

    @property
    def cells(self) -> int:
        """What memory grows with."""
        return self.sums.size

    def forecasts(self, hashes: Hashes, usual: Floats, weight: float) -> tuple[Floats, Bools]:
        """Means of the keys, and which of them are known.

        Parameters
        ----------
        usual
            Forecast of the keys that are not known: shape (outputs,).
        weight
            For how many records of the key this counts besides.
        """
        forecasts = np.broadcast_to(usual, (len(hashes), len(usual))).copy()
        if not len(self.hashes):
            return forecasts, np.zeros(len(hashes), dtype=np.bool_)
        places = np.minimum(np.searchsorted(self.hashes, hashes), len(self.hashes) - 1)
        known = self.hashes[places] == hashes
        chosen = places[known]
        forecasts[known] = (self.sums[chosen] + weight * usual) / (self.counts[chosen] + weight)[:, None]
        return forecasts, known


@dataclass(frozen=True)
class Forecaster:
    """A naive baseline that can be had: an attribute, or means by key."""

    name: str
    usual: Floats
    weight: float
    attribute: str | None = None
    key: TextKey | None = None
    means: KeyMeans | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """Attributes that are read."""
        if self.key is not None:
            return self.key.attributes
        return () if self.attribute is None else (self.attribute,)

    def forecasts(self, batch: Batch) -> tuple[Floats, Bools]:
        """Forecasts, shape (len(batch), outputs), and which of them are not just the usual one."""
        if self.key is not None and self.means is not None:
            hashes, present = self.key.hashes(batch)
            forecasts, known = self.means.forecasts(hashes, self.usual, self.weight)
            return np.where(present[:, None], forecasts, self.usual), known & present
        values, valid = numbers(batch.columns[str(self.attribute)])
        known = np.ones(len(values), dtype=np.bool_) if valid is None else valid
        return np.where(known, values, self.usual[0])[:, None], known


def forecaster_of(
    baseline: NaiveBaseline, target: Target, usual: Floats, schema: Schema, source: ByteSource, mapper: Mapper = map
) -> Forecaster | str:
    """What a baseline forecasts with, or why it can not be had.

    Parameters
    ----------
    target
        What is forecast.
    usual
        Mean of the training targets, or shares of the classes: shape (outputs,), one output but for several classes.
    schema
        Of the evaluated records.
    """
    # With no record of the class, its forecast would be impossible, and one such record cost infinitely much: the
    # shares of the training records count as one record of each key.
    weight = 0.0 if target.model_type is ModelType.REGRESSION else 1.0
    if baseline.attribute is not None:
        fault = _attribute_fault(baseline.attribute, target, schema)
        return fault or Forecaster(baseline.name, usual, weight, attribute=baseline.attribute)
    if baseline.key is None or baseline.actuals is None:
        return baseline.reason or "there are no earlier actuals"
    fault = baseline.key.fault(schema) or _actuals_fault(baseline.key, baseline.actuals.schema, target)
    if fault:
        return fault
    means = _key_means(baseline, target, len(usual), source, mapper)
    if means is None:
        return f"the earlier actuals have more than {MOST_KEYS // len(usual):,} keys: name a coarser one"
    if not len(means.hashes):
        return "none of the earlier actuals has a key and a target"
    return Forecaster(baseline.name, usual, weight, key=baseline.key, means=means)


def _attribute_fault(name: str, target: Target, schema: Schema) -> str | None:
    if target.model_type is not ModelType.REGRESSION:
        return "a value of an attribute can only forecast a regression"
    if name not in schema.names:
        return f"the records have no attribute {name!r}"
    numeric = schema.type_of(name) is AttributeType.NUMERIC and name != schema.row_id
    return None if numeric else f"{name!r} is not NUMERIC"


def _actuals_fault(key: TextKey, schema: Schema, target: Target) -> str | None:
    if target.name not in schema.names:
        return f"the earlier actuals have no attribute {target.name!r}"
    fault = key.fault(schema)
    return f"of the earlier actuals: {fault}" if fault else None


def _key_means(
    baseline: NaiveBaseline, target: Target, outputs: int, source: ByteSource, mapper: Mapper
) -> KeyMeans | None:
    """Means by key of all parts; None where there are too many keys."""
    if baseline.actuals is None or baseline.key is None:
        return None
    sum_up = partial(
        part_key_sums, key=baseline.key, target=target, outputs=outputs, taken=baseline.taken, source=source
    )
    found = KeyMeans.none(outputs)
    for part in mapper(sum_up, with_target(baseline.actuals, target).numbered()):
        if part is None:
            return None
        found = found.merged(part.hashes, part.counts, part.sums)
        if found.cells > MOST_KEYS:
            return None
    return found


def part_key_sums(
    numbered: NumberedPart, key: TextKey, target: Target, outputs: int, taken: Rearrangement, source: ByteSource
) -> KeyMeans | None:
    """The sums of one part; None where there are too many keys."""
    found = KeyMeans.none(outputs)
    for batch in selected_batches(numbered, taken, tuple(dict.fromkeys((*key.attributes, target.name))), source):
        hashes, present = key.hashes(batch)
        labels = target.labels(batch)
        known = present & labels.known
        values = labels.values[known]
        if target.model_type is ModelType.MULTICLASS:
            # A class that the model does not know is none of the columns, and the number -1 of none of them.
            targets = (values[:, None] == np.arange(outputs)).astype(np.float64)
        else:
            targets = values[:, None]
        found = found.merged(hashes[known], np.ones(len(values), dtype=np.int64), targets)
        if found.cells > MOST_KEYS:
            return None
    return found


def with_target(datasource: Datasource, target: Target) -> Datasource:
    """The datasource with its target read as the model's type wants it."""
    schema = datasource.schema
    kind = TARGET_TYPES[target.model_type]
    attributes = tuple(Attribute(one.name, kind if one.name == target.name else one.type) for one in schema.attributes)
    excluded = tuple(name for name in schema.excluded if name != target.name)
    return replace(datasource, schema=replace(schema, attributes=attributes, target=target.name, excluded=excluded))
