from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nightcast.datasource.parts import ByteSource, Datasource, read_batches
from nightcast.datasource.rearrangement import Rearrangement
from nightcast.datasource.schema import Schema
from nightcast.errors import ModelError
from nightcast.mlmodel.files import load_model, model_file_names, save_model
from nightcast.mlmodel.intervals import Intervals
from nightcast.mlmodel.model import MLModel
from trained_models import trained, with_classes

LINEAR_FILES = ("featurizer.json", "model.json", "training.log", "weights.parquet")
STEPS = tuple(number / 100 for number in range(-500, 501))
BOOSTING = {"maxIterations": 3, "maxLeaves": 4, "learningRate": 0.3, "minLeafRecords": 20}


@pytest.fixture
def model(datasource: Datasource, files: ByteSource) -> MLModel:
    found = trained(datasource, files, rearrangement=Rearrangement(0, 70), l2=1.0)
    intervals = Intervals((5.0,), (STEPS, STEPS), (60, 70), 0.0)
    return dataclasses.replace(found, log=("the linear learner", "logs nothing"), intervals=intervals.to_document())


@pytest.fixture
def saved(model: MLModel, tmp_path: Path) -> Path:
    save_model(model, tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.parametrize("kind", ["NUMERIC", "BINARY", "CATEGORICAL"])
@pytest.mark.parametrize(("learner", "parameters"), [("linear", {"l2": 2.0}), ("boosting", BOOSTING), ("auto", {})])
def test_a_loaded_model_is_the_saved_one(
    write: Callable[..., Datasource],
    schema: Schema,
    sales: pa.Table,
    files: ByteSource,
    tmp_path: Path,
    learner: str,
    parameters: dict[str, Any],
    kind: str,
) -> None:
    labelled, table = with_classes(schema, sales, kind)
    datasource = write(table, 1100, labelled)
    model = trained(datasource, files, learner=learner, **parameters)
    names = save_model(model, tmp_path / "model")
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == sorted(names)
    assert names[-1] == "model.json"
    assert model_file_names((tmp_path / "model" / "model.json").read_bytes()) == tuple(sorted(names[:-1]))
    loaded = load_model(tmp_path / "model")
    for field in dataclasses.fields(MLModel):
        if field.name not in ("predictor", "training"):
            assert getattr(loaded, field.name) == getattr(model, field.name), field.name
    assert loaded.training == json.loads(json.dumps(model.training))
    for part in datasource.numbered():
        for batch in read_batches(part, files):
            assert loaded.predict(batch).tobytes() == model.predict(batch).tobytes()
    save_model(loaded, tmp_path / "again")
    for name in names:
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "model" / name).read_bytes()


def test_the_directory_is_open_to_others(model: MLModel, saved: Path) -> None:
    assert sorted(path.name for path in saved.iterdir()) == list(LINEAR_FILES)
    weights = pq.read_table(saved / "weights.parquet")
    assert weights.column_names == ["feature", "weight"]
    assert weights.column("feature").to_pylist() == ["", *model.predictor.featurizer.feature_names]
    assert weights.column("weight").to_pylist() == [*model.predictor.intercepts, *model.predictor.weights[:, 0]]
    document = json.loads((saved / "model.json").read_text())
    assert document["modelType"] == "REGRESSION"
    assert document["target"] == {"attributeName": "sold", "classes": []}
    assert document["schema"]["targetAttributeName"] == "sold"
    assert (document["learner"], document["predictor"], document["link"]) == ("linear", "linear", "identity")
    assert document["parameters"] == {"l2": 1.0, "l2Numbers": 1.0, "l2Steps": 1.0, "maxFeatures": 100_000}
    assert document["training"]["records"] == model.training["records"] > 2000
    assert document["size"] == len(model.predictor.weights)
    assert json.loads(document["recipe"])["outputs"]


def test_classes_have_a_column_of_weights_each(
    write: Callable[..., Datasource], schema: Schema, sales: pa.Table, files: ByteSource, tmp_path: Path
) -> None:
    labelled, table = with_classes(schema, sales, "CATEGORICAL")
    model = trained(write(table, schema=labelled), files, '{"outputs": ["price"]}', l2=1.0)
    save_model(model, tmp_path / "model")
    weights = pq.read_table(tmp_path / "model" / "weights.parquet")
    assert weights.column_names == ["feature", "weight_0", "weight_1", "weight_2"]
    document = json.loads((tmp_path / "model" / "model.json").read_text())
    assert document["target"]["classes"] == ["few", 'many, "very"', "some"]
    assert sum(document["training"]["classCounts"].values()) == document["training"]["records"]


def test_scores_are_intercept_and_weights(model: MLModel, datasource: Datasource, files: ByteSource) -> None:
    linear = model.predictor
    for part in datasource.numbered():
        for batch in read_batches(part, files):
            expected = linear.featurizer.transform(batch) @ linear.weights[:, 0] + linear.intercepts[0]
            np.testing.assert_allclose(model.predict(batch), expected, rtol=1e-12)


@pytest.mark.parametrize("line", ["a\rb", "a\x1cb", "a\u2028b", "", "ä"])
def test_lines_of_the_log_come_back(model: MLModel, tmp_path: Path, line: str) -> None:
    logged = dataclasses.replace(model, log=("first", line))
    save_model(logged, tmp_path / "model")
    assert load_model(tmp_path / "model").log == ("first", line)


def rewritten(saved: Path, change: Callable[[dict], object]) -> None:
    """Change model.json, and make its digest right again."""
    document = json.loads((saved / "model.json").read_text())
    change(document)
    del document["sha256"]
    text = json.dumps(document, sort_keys=True, indent=2, ensure_ascii=False) + "\n"
    document["sha256"] = hashlib.sha256(text.encode()).hexdigest()
    (saved / "model.json").write_text(json.dumps(document, sort_keys=True, indent=2, ensure_ascii=False) + "\n")


@pytest.mark.parametrize("name", LINEAR_FILES)
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
        (lambda document: document.update(version=3), "format version 3, .* reads version 2: update it"),
        (lambda document: document.update(version=1), "format version 1, .* reads version 2: train the model again"),
        (lambda document: document.update(version="2"), "is not a model"),
        (lambda document: document.update(version=True), "is not a model"),
        (lambda document: document.update(format="pickle"), "is not a model"),
        (lambda document: document["files"].update({"../x": "0"}), "is damaged"),
        (lambda document: document["files"].update({"model.json": "0"}), "is damaged"),
        (lambda document: document["files"].update({"..": "0"}), "missing or damaged"),
        (lambda document: document["files"].update({"other": "0"}), "other is missing or damaged"),
        (lambda document: document.update(files=["training.log"]), "is damaged"),
        (lambda document: document.update(predictor="pickle"), "is damaged"),
        (lambda document: document.update(predictor="boosting"), "is damaged"),
        (lambda document: document.update(link="exec"), "is damaged"),
        (lambda document: document.pop("target"), "is damaged"),
        (lambda document: document["target"].pop("classes"), "is damaged"),
        (lambda document: document.update(modelType="CLUSTERING"), "is damaged"),
        (lambda document: document.update(scoreThreshold="high"), "is damaged"),
        (lambda document: document["intervals"].pop("edges"), "intervals are damaged"),
        (lambda document: document["schema"].pop("attributes"), "is damaged"),
    ],
)
def test_what_is_not_understood_is_refused(saved: Path, change: Callable[[dict], object], words: str) -> None:
    rewritten(saved, change)
    with pytest.raises(ModelError, match=words):
        load_model(saved)


def test_weights_of_another_model(saved: Path, model: MLModel, tmp_path: Path) -> None:
    names = [f"x{number}" for number in range(len(model.predictor.weights) + 1)]
    table = pq.read_table(saved / "weights.parquet")
    pq.write_table(table.set_column(0, "feature", [names]), saved / "weights.parquet")
    digest = hashlib.sha256((saved / "weights.parquet").read_bytes()).hexdigest()
    rewritten(saved, lambda document: document["files"].update({"weights.parquet": digest}))
    with pytest.raises(ModelError, match="not of one model"):
        load_model(saved)


def test_a_cut_model_json_is_no_model(saved: Path) -> None:
    with pytest.raises(ModelError, match=r"model\.json"):
        model_file_names((saved / "model.json").read_bytes()[:-20])
    with pytest.raises(ModelError, match=r"model\.json"):
        model_file_names(b"\x80\x04N.")


def test_loading_runs_no_code(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a model directory must not be unpickled")

    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(f"pickle.{name}", refuse)
    monkeypatch.setattr("builtins.eval", refuse)
    assert load_model(saved).learner == "linear"
    for path in saved.iterdir():
        assert path.suffix in (".json", ".parquet", ".log")


def test_no_model_at_all(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="give the directory of a trained model"):
        load_model(tmp_path)


def test_a_directory_that_can_not_be_written(model: MLModel, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match="can not be written"):
        save_model(model, tmp_path / "file" / "model")


def test_an_earlier_model_is_replaced(model: MLModel, saved: Path) -> None:
    save_model(dataclasses.replace(model, score_threshold=0.25), saved)
    assert load_model(saved).score_threshold == 0.25
