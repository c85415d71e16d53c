from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from nightcast.datasource.parts import ByteSource, Datasource
from nightcast.datasource.rearrangement import Rearrangement
from nightcast.datasource.schema import Schema
from nightcast.errors import EvaluationError
from nightcast.evaluation.importance import permutation_importance
from trained_models import trained, with_classes

TAKEN = Rearrangement(0, 70)
RECIPE = '{"outputs": ["price", "venue", "promo", "day"]}'


def backwards(function: Callable[[Any], Any], items: Any) -> Any:
    listed = list(items)
    return iter([function(item) for item in listed[::-1]][::-1])


@pytest.mark.parametrize("kind", ["NUMERIC", "BINARY", "CATEGORICAL"])
def test_what_matters_comes_before_what_does_not(
    write: Callable[..., Datasource], schema: Schema, sales: pa.Table, files: ByteSource, kind: str
) -> None:
    labelled, table = with_classes(schema, sales, kind)
    datasource = write(table, 1100, labelled)
    model = trained(datasource, files, RECIPE, TAKEN, l2=1.0)
    found = permutation_importance(model, datasource, TAKEN.complemented(), files)
    assert set(found) == {"price", "venue", "promo", "day"}
    assert list(found) == sorted(found, key=lambda name: -found[name])
    assert found["price"] > 0.1
    assert abs(found["promo"]) < found["price"] / 20
    other = permutation_importance(model, datasource, TAKEN.complemented(), files, backwards)
    assert list(other.items()) == list(found.items())


def test_shuffling_costs_twice_the_variance_that_an_attribute_explains(
    datasource: Datasource, files: ByteSource, sales: pa.Table
) -> None:
    model = trained(datasource, files, '{"outputs": ["price"]}', TAKEN, l2=0.0)
    found = permutation_importance(model, datasource, Rearrangement(), files)
    price = np.array(sales["price"].to_pylist(), dtype=float)
    explained = 2 * model.predictor.weights[0, 0] ** 2 * np.nanvar(price)
    assert found["price"] == pytest.approx(explained, rel=0.15)


def test_the_seed_draws_the_permutations(datasource: Datasource, files: ByteSource) -> None:
    model = trained(datasource, files, RECIPE, TAKEN, l2=1.0)

    def run(**arguments: Any) -> dict[str, float]:
        return permutation_importance(model, datasource, TAKEN.complemented(), files, **arguments)

    assert run(seed="a") == run(seed="a") != run(seed="b")
    some = run(records=600)
    assert some["price"] == pytest.approx(run()["price"], rel=0.5)
    assert some != run()


def test_without_a_target_nothing_can_be_told(
    datasource: Datasource, write: Callable[..., Datasource], files: ByteSource, sales: pa.Table
) -> None:
    model = trained(datasource, files, RECIPE, TAKEN, l2=1.0)
    empty = write(sales.slice(0, 5).set_column(6, "sold", pa.nulls(5, pa.float64())))
    with pytest.raises(EvaluationError, match="no record has 'sold'"):
        permutation_importance(model, empty, Rearrangement(), files)
    attributes = tuple(item for item in datasource.schema.attributes if item.name != "sold")
    with pytest.raises(EvaluationError, match="has no attribute 'sold'"):
        permutation_importance(
            model, Datasource(Schema(attributes, row_id="id"), datasource.parts), Rearrangement(), files
        )
