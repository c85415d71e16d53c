"""Applying a model to records of another datasource: which attributes it needs, and which records fail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from nightcast.datasource.arrow_arrays import Bools
from nightcast.datasource.parts import Batch, Datasource
from nightcast.datasource.schema import Attribute
from nightcast.errors import SchemaError
from nightcast.mlmodel.model import MLModel


def for_model(model: MLModel, datasource: Datasource) -> Datasource:
    """The datasource as the model sees it: each attribute has the type that it had in training.

    The target is the model's where the datasource has that attribute, else none.

    Raises
    ------
    SchemaError
        If the datasource lacks an attribute that the model reads, or uses it as row id.
    """
    schema = datasource.schema
    missing = [name for name in model.columns if name not in schema.names]
    if missing:
        raise SchemaError(
            f"the datasource lacks {', '.join(map(repr, missing))}, which the model learnt from: select the columns of "
            "the training query."
        )
    if schema.row_id in model.columns:
        raise SchemaError(f"{schema.row_id!r} is the row id here, and the model learnt from it: change rowId.")
    types = {attribute.name: attribute.type for attribute in model.schema.attributes}
    attributes = tuple(Attribute(item.name, types.get(item.name, item.type)) for item in schema.attributes)
    known = model.target.name in schema.names and model.target.name != schema.row_id
    target = model.target.name if known else None
    excluded = tuple(name for name in schema.excluded if name != target)
    return replace(datasource, schema=replace(schema, attributes=attributes, target=target, excluded=excluded))


def invalid_cells(batch: Batch, columns: Sequence[str]) -> Bools:
    """Records with a cell that could not be read in one of the columns. Missing cells are no fault."""
    found = np.zeros(len(batch), dtype=np.bool_)
    for name in columns:
        if name in batch.invalid:
            found |= batch.invalid[name]
    return found
