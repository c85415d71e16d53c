"""Every part function in worker processes: it can be sent there, and the outcome is the same to the bit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from nightcast.compute import process_pool
from nightcast.datasource.insights import compute_insights
from nightcast.datasource.parts import Datasource
from nightcast.datasource.rearrangement import Rearrangement
from nightcast.datasource.schema import Schema
from nightcast.evaluation.evaluate import evaluate
from nightcast.evaluation.importance import permutation_importance
from nightcast.mlmodel.files import save_model
from nightcast.mlmodel.train import train
from nightcast.prediction.batch import predict
from nightcast.storage import Storage
from trained_models import with_classes

RECIPE = '{"outputs": ["quantile_bin(price,20)", "day", "ALL_CATEGORICAL", "ngram(lowercase(title),2)"]}'


@pytest.fixture(scope="module")
def mappers():
    """The same work here, and in two processes."""
    with process_pool(2) as pool:
        yield {"here": map, "there": pool}


@pytest.mark.parametrize("kind", ["NUMERIC", "BINARY", "CATEGORICAL"])
def test_workers_change_nothing(
    write: Callable[..., Datasource], schema: Schema, sales: pa.Table, tmp_path: Path, mappers, kind: str
) -> None:
    storage, taken = Storage(), Rearrangement(0, 70, strategy="random")
    labelled, table = with_classes(schema, sales, kind)
    datasource = write(table, 1100, labelled)
    # Boosted trees have intervals to write.
    learner = "boosting" if kind == "NUMERIC" else "linear"
    parameters = {"boosting.maxIterations": 4, "boosting.maxLeaves": 4} if kind == "NUMERIC" else {"linear.l2": 3}
    found = []
    for name, mapper in mappers.items():
        insights = compute_insights(datasource, storage, mapper, rearrangement=taken)
        model = train(datasource, insights, RECIPE, taken, storage, mapper, learner=learner, parameters=parameters)
        others = taken.complemented()
        evaluation = evaluate(
            model, datasource, others, storage, mapper, segments=["promo", "venue"], dates="title"
        ).to_json()
        importance = permutation_importance(model, datasource, others, storage, mapper, records=500)
        level = 0.9 if kind == "NUMERIC" else None
        results = predict(model, datasource, "bp-1", tmp_path / name, storage, mapper, level=level).results
        files = save_model(model, tmp_path / f"model-{name}")
        contents = [path.read_bytes() for path in (result.path for result in results)]
        contents += [(tmp_path / f"model-{name}" / file).read_bytes() for file in files]
        found.append((evaluation, list(importance.items()), contents))
    assert found[0] == found[1]
