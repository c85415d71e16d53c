"""Models trained by the real learners, on sales whose target is a number or a class."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pyarrow as pa

from nightcast.datasource.insights import compute_insights
from nightcast.datasource.parts import ByteSource, Datasource
from nightcast.datasource.rearrangement import Rearrangement
from nightcast.datasource.schema import Attribute, AttributeType, Schema
from nightcast.mlmodel.model import MLModel
from nightcast.mlmodel.train import train
from nightcast.recipe.suggest import suggest_recipe

CLASSES = ("few", 'many, "very"', "some")


def trained(
    datasource: Datasource,
    files: ByteSource,
    recipe: str | None = None,
    rearrangement: Rearrangement | None = None,
    learner: str = "linear",
    **parameters: Any,
) -> MLModel:
    """A model with the suggested recipe, of all records, unless told otherwise; parameters without learner's name."""
    taken = rearrangement or Rearrangement()
    insights = compute_insights(datasource, files, rearrangement=taken)
    text = recipe or suggest_recipe(datasource.schema, insights)
    full = {f"{learner}.{name}": value for name, value in parameters.items()}
    return train(datasource, insights, text, taken, files, learner=learner, parameters=full)


def with_classes(schema: Schema, sales: pa.Table, kind: str) -> tuple[Schema, pa.Table]:
    """Sales with their number sold as it is (NUMERIC), as two classes (BINARY), or as three (CATEGORICAL)."""
    sold = np.array(sales["sold"].to_pylist(), dtype=float)
    known = np.isfinite(sold)
    if kind == "BINARY":
        target = pa.array(sold > 17, mask=~known)
    elif kind == "CATEGORICAL":
        places = np.digitize(np.nan_to_num(sold), [14, 20])
        names = np.array([CLASSES[0], CLASSES[2], CLASSES[1]], dtype=object)
        target = pa.array(names[places].tolist(), pa.string(), mask=~known)
    else:
        target = sales["sold"]
    attributes = (*schema.attributes[:-1], Attribute("sold", AttributeType(kind)))
    return dataclasses.replace(schema, attributes=attributes), sales.set_column(6, "sold", target)
