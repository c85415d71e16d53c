"""Every part function in worker processes: it can be sent there, and the outcome is the same to the bit."""

from __future__ import annotations

from pathlib import Path

from nightcast.compute import process_pool
from nightcast.datasource.insights import compute_insights
from nightcast.datasource.parts import Datasource
from nightcast.datasource.rearrangement import Rearrangement
from nightcast.evaluation.evaluate import evaluate
from nightcast.mlmodel.train import train_regression
from nightcast.prediction.batch import predict
from nightcast.storage import Storage

RECIPE = '{"outputs": ["quantile_bin(price,20)", "day", "ALL_CATEGORICAL", "ngram(lowercase(title),2)"]}'


def test_workers_change_nothing(datasource: Datasource, tmp_path: Path) -> None:
    storage, taken = Storage(), Rearrangement(0, 70, strategy="random")
    found = []
    with process_pool(2) as pool:
        for name, mapper in (("here", map), ("there", pool)):
            insights = compute_insights(datasource, storage, mapper)
            model = train_regression(datasource, insights, RECIPE, taken, storage, mapper)
            evaluation = evaluate(model, datasource, taken.complemented(), storage, mapper)
            results = predict(model, datasource, "bp-1", tmp_path / name, storage, mapper).results
            contents = [result.path.read_bytes() for result in results]
            found.append((model.weights.tobytes(), model.intercept, model.training, evaluation.to_json(), contents))
    assert found[0] == found[1]
