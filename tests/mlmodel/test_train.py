from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from nightcast.datasource.insights import compute_insights
from nightcast.datasource.parts import ByteSource, Datasource, read_batches
from nightcast.datasource.rearrangement import Rearrangement
from nightcast.datasource.schema import Attribute, AttributeType, Schema
from nightcast.errors import ModelError, RecipeError, SchemaError
from nightcast.mlmodel.files import save_model
from nightcast.mlmodel.learner_table import LEARNERS, learner_of
from nightcast.mlmodel.targets import ModelType
from nightcast.mlmodel.train import datasource_digest, train
from trained_models import CLASSES, trained, with_classes

TOKENS = '{"outputs": ["quantile_bin(price,10)", "osb(lowercase(title),3)", "cartesian(venue,quantile_bin(day,5))"]}'
TAKEN = Rearrangement(0, 70)
Write = Callable[..., Datasource]


def small(write: Write, kind: str, values: list[Any], text: pa.DataType | None = None) -> Datasource:
    """One number and a target."""
    schema = Schema((Attribute("x", AttributeType.NUMERIC), Attribute("y", AttributeType(kind))), target="y")
    table = pa.table({"x": np.arange(len(values)) / 2, "y": pa.array(values, text)})
    return write(table, schema=schema)


@pytest.mark.parametrize("recipe", [None, TOKENS])
def test_a_model_is_better_than_the_mean(datasource: Datasource, files: ByteSource, recipe: str | None) -> None:
    model = trained(datasource, files, recipe, TAKEN)
    assert recipe is None or model.recipe == recipe
    bound = 2.0 if recipe is None else 3.5
    assert model.training["validation"]["RegressionRMSE"] < bound < model.training["targetStd"]
    scores = np.concatenate([model.predict(b) for part in datasource.numbered() for b in read_batches(part, files)])
    assert np.isfinite(scores).all()


def test_what_is_known_of_the_training(datasource: Datasource, files: ByteSource, sales: pa.Table) -> None:
    model = trained(datasource, files, '{"outputs": ["price"]}', TAKEN)
    targets = np.array(sales["sold"].to_pylist()[:2100], dtype=float)
    known = targets[np.isfinite(targets)]
    facts = model.training
    assert facts["records"] == len(known)
    assert facts["invalidRecords"] == facts["recordsWithoutTarget"] == len(targets) - len(known) > 0
    assert facts["recordsWithInvalidTarget"] == 0
    assert facts["targetMean"] == pytest.approx(known.mean())
    assert facts["targetStd"] == pytest.approx(known.std(ddof=1))
    assert (facts["targetMin"], facts["targetMax"]) == (known.min(), known.max())
    assert (facts["features"], facts["trimmedFeatures"], facts["seed"]) == (2, 0, "")
    assert facts["rearrangement"] == json.loads(TAKEN.to_json())
    assert facts["datasource"]["records"] == 3000
    assert (model.model_type, model.learner, model.columns) == (ModelType.REGRESSION, "linear", ("price",))


@pytest.mark.parametrize(
    ("kind", "model_type", "names"),
    [("BINARY", ModelType.BINARY, {"0", "1"}), ("CATEGORICAL", ModelType.MULTICLASS, set(CLASSES))],
)
def test_what_is_known_of_classes(
    write: Write, schema: Schema, sales: pa.Table, files: ByteSource, kind: str, model_type: ModelType, names: set[str]
) -> None:
    labelled, table = with_classes(schema, sales, kind)
    model = trained(write(table, 1100, labelled), files, '{"outputs": ["price"]}', TAKEN, l2=1.0)
    facts = model.training
    assert model.model_type is model_type
    assert set(facts["classCounts"]) == names
    assert sum(facts["classCounts"].values()) == facts["records"]
    assert facts["records"] + facts["recordsWithoutTarget"] == 2100
    assert "targetMean" not in facts
    assert model.intervals is None
    for part in write(table, 1100, labelled).numbered():
        for batch in read_batches(part, files):
            scores = model.predict(batch)
            assert scores.shape == ((len(batch),) if kind == "BINARY" else (len(batch), 3))
            assert (scores > 0).all()
            assert kind == "BINARY" or np.allclose(scores.sum(axis=1), 1)


def test_targets_that_can_not_be_read_are_dropped_and_counted(write: Write, files: ByteSource) -> None:
    datasource = small(write, "NUMERIC", [10.0, None, float("nan"), 12.0, float("inf")])
    model = trained(datasource, files, '{"outputs": ["x"]}', l2=0.0)
    facts = model.training
    assert (facts["records"], facts["recordsWithoutTarget"], facts["recordsWithInvalidTarget"]) == (2, 1, 2)
    assert facts["invalidRecords"] == 3
    assert model.predictor.weights[0, 0] == pytest.approx(2 / 1.5)
    assert model.intervals is None


def test_a_model_of_two_records_can_be_saved(write: Write, files: ByteSource, tmp_path: Path) -> None:
    for kind, values in (("NUMERIC", [1.0, 2.0]), ("BINARY", [True, False]), ("CATEGORICAL", ["a", "b"])):
        model = trained(small(write, kind, values), files, '{"outputs": ["x"]}', l2=1.0)
        assert save_model(model, tmp_path / kind)


def test_the_same_fit_gives_the_same_bytes(datasource: Datasource, files: ByteSource, tmp_path: Path) -> None:
    names = [save_model(trained(datasource, files, None, TAKEN), tmp_path / name) for name in ("one", "other")]
    assert names[0] == names[1]
    for name in names[0]:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "other" / name).read_bytes()


def test_rare_values_give_way(datasource: Datasource, files: ByteSource) -> None:
    model = trained(datasource, files, '{"outputs": ["venue", "price"]}', maxFeatures=20)
    assert (model.training["features"], model.training["trimmedFeatures"]) == (20, 22)


def test_errors_come_before_data_are_read(datasource: Datasource, files: ByteSource) -> None:
    insights = compute_insights(datasource, files)
    gone = Datasource(datasource.schema, ())

    def training(recipe: str = '{"outputs": ["price"]}', **arguments: Any) -> None:
        train(gone, insights, recipe, Rearrangement(), files, **arguments)

    with pytest.raises(RecipeError, match="prize"):
        training('{"outputs": ["prize"]}', learner="linear")
    with pytest.raises(ModelError, match="no learner 'forest'"):
        training(learner="forest")
    with pytest.raises(ModelError, match=r"no parameter 'sgd\.maxPasses'"):
        training(learner="linear", parameters={"sgd.maxPasses": 1})
    with pytest.raises(ModelError, match=r"linear\.l2 must be a number from 0 to 1e\+12, or auto, not"):
        training(learner="linear", parameters={"linear.l2": "nan"})
    with pytest.raises(ModelError, match="at least 2 are needed"):
        training(learner="linear")


def test_insights_of_other_records_are_refused(datasource: Datasource, files: ByteSource) -> None:
    insights = compute_insights(datasource, files, rearrangement=TAKEN.complemented())
    with pytest.raises(ModelError, match="compute insights of the training records"):
        train(datasource, insights, '{"outputs": ["price"]}', TAKEN, files, learner="linear")


@pytest.mark.parametrize(
    ("kind", "values", "words"),
    [
        ("NUMERIC", [None, None], r"none of 2 training records has .* 'y' \(2 have none, 0 one"),
        ("NUMERIC", [float("nan"), None], r"none of 2 training records has .* 'y' \(1 have none, 1 one"),
        ("BINARY", [None, None], "none of 2 training records"),
        ("CATEGORICAL", [None, None], "none of 2 training records"),
        ("BINARY", [True, True, None], "all 2 training records with a target have 'y' true"),
        ("BINARY", [False], "all 1 training records with a target have 'y' false"),
        ("CATEGORICAL", ["a", "a", None], r"1 class\(es\) of 'y', 'a'"),
        ("CATEGORICAL", [f"c{number}" for number in range(101)], "101 classes and a model takes 100"),
        ("CATEGORICAL", ["a", "b\nc"], "holds a line end"),
        ("CATEGORICAL", ["a", "b\rc"], "holds a line end"),
    ],
)
@pytest.mark.parametrize("learner", ["linear", "boosting", "auto"])
def test_targets_that_can_not_be_learnt(
    write: Write, files: ByteSource, learner: str, kind: str, values: list[Any], words: str
) -> None:
    arrow = {"NUMERIC": pa.float64(), "BINARY": pa.bool_(), "CATEGORICAL": pa.string()}[kind]
    with pytest.raises(ModelError, match=words):
        trained(small(write, kind, values, arrow), files, '{"outputs": ["x"]}', learner=learner)


def test_no_target_and_a_text_are_refused(datasource: Datasource, files: ByteSource) -> None:
    for target, words in ((None, "names no target"), ("title", "TEXT")):
        other = Datasource(Schema(datasource.schema.attributes, target=target), datasource.parts)
        with pytest.raises(SchemaError, match=words):
            trained(other, files, '{"outputs": ["price"]}')


def test_a_hundred_classes_are_learnt(write: Write, files: ByteSource) -> None:
    values = [f"c{number:02}" for number in range(100)] * 3
    model = trained(small(write, "CATEGORICAL", values), files, '{"outputs": ["x"]}', l2=1.0)
    assert model.target.classes == tuple(sorted(set(values)))
    assert model.training["classCounts"]["c07"] == 3


def test_every_learner_can_be_asked_for() -> None:
    assert list(LEARNERS) == ["auto", "linear", "boosting", "sgd"]
    with pytest.raises(ModelError, match="write one of auto, linear, boosting, sgd"):
        learner_of("", {})


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
