from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from nightcast.datasource.insights import compute_insights
from nightcast.datasource.parts import ByteSource, Datasource, read_batches
from nightcast.datasource.rearrangement import Rearrangement
from nightcast.errors import ModelError, RecipeError
from nightcast.mlmodel import train
from nightcast.mlmodel.files import MODEL_FILES, save_model
from nightcast.mlmodel.train import datasource_digest, train_regression
from nightcast.recipe.suggest import suggest_recipe

TOKENS = '{"outputs": ["quantile_bin(price,10)", "osb(lowercase(title),3)", "cartesian(venue,quantile_bin(day,5))"]}'


@pytest.mark.parametrize("recipe", [None, TOKENS])
def test_a_model_is_better_than_the_mean(datasource: Datasource, files: ByteSource, recipe: str | None) -> None:
    insights = compute_insights(datasource, files)
    text = recipe or suggest_recipe(datasource.schema, insights)
    model = train_regression(datasource, insights, text, Rearrangement(0, 70), files)
    assert model.recipe == text
    assert model.training["rmse"] < (2.0 if recipe is None else 3.0) < model.training["targetStd"]
    scores = np.concatenate([model.predict(b) for part in datasource.numbered() for b in read_batches(part, files)])
    assert np.isfinite(scores).all()


def test_what_is_known_of_the_training(datasource: Datasource, files: ByteSource, sales: pa.Table) -> None:
    insights = compute_insights(datasource, files)
    model = train_regression(datasource, insights, '{"outputs": ["price"]}', Rearrangement(0, 70), files)
    targets = np.array(sales["sold"].to_pylist()[:2100], dtype=float)
    known = targets[np.isfinite(targets)]
    facts = model.training
    assert facts["records"] == len(known)
    assert facts["invalidRecords"] == facts["recordsWithoutTarget"] == len(targets) - len(known) > 0
    assert facts["recordsWithInvalidTarget"] == 0
    assert facts["targetMean"] == pytest.approx(known.mean())
    assert facts["targetStd"] == pytest.approx(known.std(ddof=1))
    assert (facts["targetMin"], facts["targetMax"]) == (known.min(), known.max())
    assert facts["features"] == 2
    assert facts["trimmedFeatures"] == 0
    assert facts["rearrangement"] == json.loads(Rearrangement(0, 70).to_json())
    assert facts["datasource"]["records"] == 3000


def test_the_same_fit_gives_the_same_bytes(datasource: Datasource, files: ByteSource, tmp_path: Path) -> None:
    for name in ("one", "other"):
        insights = compute_insights(datasource, files)
        recipe = suggest_recipe(datasource.schema, insights)
        save_model(train_regression(datasource, insights, recipe, Rearrangement(0, 70), files), tmp_path / name)
    for name in MODEL_FILES:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "other" / name).read_bytes()


def test_rare_values_give_way(datasource: Datasource, files: ByteSource, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "KEPT_FEATURES", 20)
    insights = compute_insights(datasource, files)
    model = train_regression(datasource, insights, '{"outputs": ["venue", "price"]}', Rearrangement(), files)
    assert (model.training["features"], model.training["trimmedFeatures"]) == (20, 22)


def test_errors_come_before_data_are_read(datasource: Datasource, files: ByteSource) -> None:
    insights = compute_insights(datasource, files)
    gone = Datasource(datasource.schema, ())
    with pytest.raises(RecipeError, match="is no attribute"):
        train_regression(gone, insights, '{"outputs": ["prize"]}', Rearrangement(), files)
    with pytest.raises(ModelError, match="at least 2 are needed"):
        train_regression(gone, insights, '{"outputs": ["price"]}', Rearrangement(), files)


def test_a_copy_is_the_same_datasource(datasource: Datasource) -> None:
    moved = Datasource(
        datasource.schema,
        tuple(
            type(part)(f"s3://elsewhere/{Path(part.uri).name}", part.records, part.bytes, part.format)
            for part in datasource.parts
        ),
    )
    assert datasource_digest(moved) == datasource_digest(datasource)
    assert datasource_digest(Datasource(datasource.schema, datasource.parts[:1])) != datasource_digest(datasource)
