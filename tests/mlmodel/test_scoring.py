from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from nightcast.datasource.parts import Batch, ByteSource, Datasource
from nightcast.datasource.schema import Attribute, AttributeType, Schema
from nightcast.errors import SchemaError
from nightcast.mlmodel.model import MLModel
from nightcast.mlmodel.scoring import for_model, invalid_cells
from trained_models import trained


@pytest.fixture
def model(datasource: Datasource, files: ByteSource) -> MLModel:
    return trained(datasource, files, '{"outputs": ["price", "venue"]}')


def changed(datasource: Datasource, **changes: object) -> Datasource:
    return dataclasses.replace(datasource, schema=dataclasses.replace(datasource.schema, **changes))


def test_the_training_type_wins(model: MLModel, datasource: Datasource) -> None:
    others = tuple(
        Attribute(item.name, AttributeType.TEXT if item.name == "venue" else item.type)
        for item in datasource.schema.attributes
    )
    found = for_model(model, changed(datasource, attributes=others))
    assert found.schema.type_of("venue") is AttributeType.CATEGORICAL
    assert found.parts == datasource.parts


def test_the_target_is_the_models_where_it_is_there(model: MLModel, datasource: Datasource) -> None:
    assert for_model(model, changed(datasource, target=None)).schema.target == "sold"
    assert for_model(model, changed(datasource, target=None, excluded=("sold",))).schema.target == "sold"
    fewer = tuple(item for item in datasource.schema.attributes if item.name != "sold")
    assert for_model(model, changed(datasource, attributes=fewer, target=None)).schema.target is None
    assert for_model(model, changed(datasource, row_id="sold", target=None)).schema.target is None


def test_attributes_that_are_not_read_may_lack(model: MLModel) -> None:
    small = Schema((Attribute("venue", AttributeType.CATEGORICAL), Attribute("price", AttributeType.NUMERIC)))
    assert for_model(model, Datasource(small, ())).schema == small


def test_what_does_not_fit_is_refused(model: MLModel, datasource: Datasource) -> None:
    with pytest.raises(SchemaError, match="lacks 'price'"):
        for_model(model, Datasource(Schema((Attribute("venue", AttributeType.CATEGORICAL),)), ()))
    with pytest.raises(SchemaError, match="'venue' is the row id here"):
        for_model(model, changed(datasource, row_id="venue"))


def test_invalid_cells_count_in_read_columns_only() -> None:
    masks = {
        "a": np.array([True, False, False]),
        "b": np.array([False, False, True]),
        "c": np.array([False, True, False]),
    }
    batch = Batch(0, {}, masks, 3)
    assert invalid_cells(batch, ["a", "b", "x"]).tolist() == [True, False, True]
