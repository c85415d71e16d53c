from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pytest

from nightcast.datasource.arrow_arrays import Floats, numbers
from nightcast.datasource.insights import compute_insights
from nightcast.datasource.parts import Batch, ByteSource, Datasource
from nightcast.datasource.rearrangement import Rearrangement
from nightcast.datasource.schema import Attribute, AttributeType, Schema
from nightcast.mlmodel import held_out
from nightcast.mlmodel.held_out import HeldOut, held_out_records
from nightcast.mlmodel.learners import FOLDS, Fit, TrainingTask, fold_of
from nightcast.mlmodel.model import Link
from nightcast.mlmodel.targets import Target
from nightcast.recipe.grammar import parse_recipe

SCHEMA = Schema((Attribute("x", AttributeType.NUMERIC), Attribute("y", AttributeType.NUMERIC)), target="y")
SIZE = 3_000


@dataclass(frozen=True)
class Times:
    """Predicts the attribute x times a factor; infinite where x is above 99."""

    kind: ClassVar[str] = "times"
    factor: float
    columns: tuple[str, ...] = ("x",)
    size: int = 1

    def raw_scores(self, batch: Batch) -> Floats:
        x = numbers(batch.columns["x"])[0]
        return np.where(x > 99, np.inf, x * self.factor)

    def save(self, directory: Path) -> tuple[str, ...]:
        return ()


def fit_of(folds: Sequence[int], first: float = 1.0, link: Link = Link.IDENTITY) -> Fit:
    """A fit whose predictor without fold k multiplies with ``first + k``."""
    return Fit(Times(0.0), link, {}, {}, held_out={fold: Times(first + fold) for fold in folds})


@pytest.fixture
def table() -> pa.Table:
    random = np.random.default_rng(0)
    return pa.table({"x": random.uniform(1, 2, SIZE), "y": random.normal(size=SIZE)})


@pytest.fixture
def task(write_parts: Callable[..., Datasource], files: ByteSource, table: pa.Table) -> TrainingTask:
    datasource = write_parts(SCHEMA, table, [SIZE // 3])
    insights = compute_insights(datasource, files)
    recipe = parse_recipe('{"outputs": ["x"]}', SCHEMA)
    return TrainingTask(datasource, insights, recipe, Target.of(SCHEMA, insights), Rearrangement(), files, "s")


def told(found: HeldOut | None) -> HeldOut:
    assert found is not None
    return found


def test_each_record_is_predicted_by_the_model_that_left_it_out(task: TrainingTask, table: pa.Table) -> None:
    found = told(held_out_records(task, [fit_of(range(FOLDS)), fit_of(range(FOLDS), 20.0, Link.LOG)], map))
    x, y = (np.array(table[name]) for name in ("x", "y"))
    folds = fold_of(np.arange(SIZE), "s")
    order, ours = np.argsort(y), np.argsort(found.targets)
    np.testing.assert_array_equal(found.targets[ours], y[order])
    np.testing.assert_array_equal(found.folds[ours], folds[order])
    np.testing.assert_array_equal(found.predictions[0][ours], (x * (1.0 + folds))[order])
    np.testing.assert_array_equal(found.predictions[1][ours], np.exp(x * (20.0 + folds))[order])


def test_only_folds_that_all_have_left_out_count(task: TrainingTask) -> None:
    folds = fold_of(np.arange(SIZE), "s")
    found = told(held_out_records(task, [fit_of(range(FOLDS)), fit_of([0])], map))
    assert len(found.targets) == (folds == 0).sum()
    np.testing.assert_array_equal(found.predictions[0], found.predictions[1])
    assert held_out_records(task, [fit_of([1, 2]), fit_of([0])], map) is None
    assert held_out_records(task, [fit_of([])], map) is None


def test_only_training_records_are_predicted(task: TrainingTask, table: pa.Table) -> None:
    first = replace(task, rearrangement=Rearrangement(0, 40))
    found = told(held_out_records(first, [fit_of(range(FOLDS))], map))
    np.testing.assert_array_equal(np.sort(found.targets), np.sort(np.array(table["y"])[: SIZE * 4 // 10]))


def test_records_that_a_model_can_not_predict_are_left_out(
    write_parts: Callable[..., Datasource], task: TrainingTask
) -> None:
    with_one = write_parts(SCHEMA, pa.table({"x": [1.0, 100.0, 2.0], "y": [1.0, 2.0, 3.0]}), [])
    found = told(held_out_records(replace(task, datasource=with_one), [fit_of(range(FOLDS))], map))
    assert sorted(found.targets) == [1.0, 3.0]
    alone = write_parts(SCHEMA, pa.table({"x": [100.0], "y": [1.0]}), [])
    assert held_out_records(replace(task, datasource=alone), [fit_of(range(FOLDS))], map) is None


def test_of_a_large_slice_some_are_drawn_the_same_each_time(
    task: TrainingTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held_out, "MOST_RECORDS", 100)
    some, again = (told(held_out_records(task, [fit_of([0])], map)) for _ in range(2))
    assert 60 < len(some.targets) < 150
    np.testing.assert_array_equal(some.targets, again.targets)
