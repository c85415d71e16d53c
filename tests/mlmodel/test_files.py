from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from nightcast.datasource.insights import compute_insights
from nightcast.datasource.parts import ByteSource, Datasource, read_batches
from nightcast.datasource.rearrangement import Rearrangement
from nightcast.errors import ModelError
from nightcast.mlmodel.files import MODEL_FILES, MLModel, load_model, save_model
from nightcast.mlmodel.train import train_regression
from nightcast.recipe.suggest import suggest_recipe


@pytest.fixture
def model(datasource: Datasource, files: ByteSource) -> MLModel:
    insights = compute_insights(datasource, files)
    recipe = suggest_recipe(datasource.schema, insights)
    return train_regression(datasource, insights, recipe, Rearrangement(0, 70), files)


@pytest.fixture
def saved(model: MLModel, tmp_path: Path) -> Path:
    save_model(model, tmp_path / "model")
    return tmp_path / "model"


def test_a_loaded_model_is_the_saved_one(
    model: MLModel, saved: Path, datasource: Datasource, files: ByteSource, tmp_path: Path
) -> None:
    loaded = load_model(saved)
    for name in ("schema", "recipe", "intercept", "learner", "parameters", "training", "model_type"):
        assert getattr(loaded, name) == getattr(model, name)
    for part in datasource.numbered():
        for batch in read_batches(part, files):
            assert loaded.predict(batch).tobytes() == model.predict(batch).tobytes()
    save_model(loaded, tmp_path / "again")
    for name in MODEL_FILES:
        assert (tmp_path / "again" / name).read_bytes() == (saved / name).read_bytes()


def test_the_directory_is_open_to_others(model: MLModel, saved: Path) -> None:
    assert sorted(path.name for path in saved.iterdir()) == list(MODEL_FILES)
    weights = pq.read_table(saved / "weights.parquet")
    assert weights.column_names == ["feature", "weight"]
    assert weights.column("feature").to_pylist() == model.featurizer.feature_names
    assert weights.column("weight").to_pylist() == model.weights.tolist()
    document = json.loads((saved / "model.json").read_text())
    assert document["modelType"] == "REGRESSION"
    assert document["schema"]["targetAttributeName"] == "sold"
    assert document["parameters"] == {"l2": 1.0}
    assert document["training"]["records"] == model.training["records"] > 2000
    assert json.loads(document["recipe"])["outputs"]


def test_scores_are_intercept_and_weights(model: MLModel, datasource: Datasource, files: ByteSource) -> None:
    for part in datasource.numbered():
        for batch in read_batches(part, files):
            expected = model.featurizer.transform(batch) @ model.weights + model.intercept
            np.testing.assert_allclose(model.predict(batch), expected, rtol=1e-12)


def rewritten(saved: Path, change: Callable[[dict], object]) -> None:
    """Change model.json, and make its digest right again."""
    document = json.loads((saved / "model.json").read_text())
    change(document)
    del document["sha256"]
    text = json.dumps(document, sort_keys=True, indent=2, ensure_ascii=False) + "\n"
    document["sha256"] = hashlib.sha256(text.encode()).hexdigest()
    (saved / "model.json").write_text(json.dumps(document, sort_keys=True, indent=2, ensure_ascii=False) + "\n")


@pytest.mark.parametrize("name", MODEL_FILES)
@pytest.mark.parametrize("damage", ["cut", "bit", "gone"])
def test_damage_is_found(saved: Path, name: str, damage: str) -> None:
    path = saved / name
    content = path.read_bytes()
    if damage == "gone":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    else:
        middle = len(content) // 2
        path.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
    with pytest.raises(ModelError, match=name.replace(".", r"\.")):
        load_model(saved)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda document: document.update(version=2), "reads up to 1: update it"),
        (lambda document: document.update(version="1"), "is not a model"),
        (lambda document: document.update(format="pickle"), "is not a model"),
        (lambda document: document["files"].update({"../x": "0"}), "does not name the files"),
        (lambda document: document["files"].pop("weights.parquet"), "does not name the files"),
        (lambda document: document.pop("intercept"), "is damaged"),
        (lambda document: document["schema"].pop("attributes"), "is damaged"),
    ],
)
def test_what_is_not_understood_is_refused(saved: Path, change: Callable[[dict], object], words: str) -> None:
    rewritten(saved, change)
    with pytest.raises(ModelError, match=words):
        load_model(saved)


def test_weights_of_another_model(saved: Path, model: MLModel, tmp_path: Path) -> None:
    names = [f"x{number}" for number in range(len(model.weights))]
    table = pq.read_table(saved / "weights.parquet")
    pq.write_table(table.set_column(0, "feature", [names]), saved / "weights.parquet")
    digest = hashlib.sha256((saved / "weights.parquet").read_bytes()).hexdigest()
    rewritten(saved, lambda document: document["files"].update({"weights.parquet": digest}))
    with pytest.raises(ModelError, match="not of one model"):
        load_model(saved)


def test_no_model_at_all(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="give the directory of a trained model"):
        load_model(tmp_path)


def test_a_directory_that_can_not_be_written(model: MLModel, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match="can not be written"):
        save_model(model, tmp_path / "file" / "model")
