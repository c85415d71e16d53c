from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pytest

from nightcast.datasource.insights import compute_insights
from nightcast.datasource.parts import ByteSource, Datasource, Mapper
from nightcast.datasource.rearrangement import Rearrangement
from nightcast.datasource.schema import Schema
from nightcast.errors import ModelError
from nightcast.mlmodel import auto
from nightcast.mlmodel.auto import AutoLearner
from nightcast.mlmodel.boosting import BoostingLearner
from nightcast.mlmodel.learners import Fit, TrainingTask
from nightcast.mlmodel.linear_learner import LinearLearner
from nightcast.mlmodel.targets import ModelType, Target
from nightcast.recipe.grammar import parse_recipe
from trained_models import with_classes

QUICK = BoostingLearner(max_iterations=3, learning_rate=0.3, max_leaves=4, min_leaf_records=20)


@pytest.fixture
def task(datasource: Datasource, files: ByteSource) -> TrainingTask:
    insights = compute_insights(datasource, files)
    recipe = parse_recipe('{"outputs": ["price", "venue", "day"]}', datasource.schema)
    return TrainingTask(
        datasource, insights, recipe, Target.of(datasource.schema, insights), Rearrangement(), files, "s"
    )


@dataclass(frozen=True)
class Given:
    """Fits as another learner does, and says that its loss is another one."""

    learner: Any
    loss: float
    folds: int = 6

    def fit(self, task: TrainingTask, mapper: Mapper) -> Fit:
        if self.loss < 0:
            raise ModelError("can not learn this")
        fit = self.learner.fit(task, mapper)
        kind = "crossValidatedLoss" if self.folds > 1 else "validationLoss"
        return replace(fit, facts={**fit.facts, "folds": self.folds, kind: self.loss})


def auto_with(monkeypatch: pytest.MonkeyPatch, linear: float, boosting: float, folds: int = 1) -> AutoLearner:
    given = {"linear": Given(LinearLearner(1.0), linear, folds), "boosting": Given(QUICK, boosting, folds)}
    monkeypatch.setattr(AutoLearner, "_candidates", lambda self, task: given)
    return AutoLearner()


@pytest.mark.parametrize(("folds", "kind"), [(1, "validation loss"), (6, "cross-validated loss")])
@pytest.mark.parametrize(
    ("linear", "boosting", "chosen"),
    [(1.0, 2.0, "linear"), (2.0, 1.0, "boosting"), (1.0, 1.0, "linear"), (float("nan"), 5.0, "boosting")],
)
def test_the_least_loss_on_held_out_records_wins(
    task: TrainingTask,
    monkeypatch: pytest.MonkeyPatch,
    linear: float,
    boosting: float,
    chosen: str,
    folds: int,
    kind: str,
) -> None:
    fit = auto_with(monkeypatch, linear, boosting, folds).fit(task, map)
    assert (fit.learner, fit.predictor.kind) == (chosen, chosen)
    report = fit.facts["auto"]
    assert report["chosen"] == chosen
    assert [one["learner"] for one in report["candidates"]] == ["linear", "boosting"]
    assert report["candidates"][0]["parameters"]["l2"] == 1.0
    assert set(report["candidates"][1]["validation"]) == {"RegressionRMSE"}
    assert fit.log[0].startswith("linear: validation RegressionRMSE ")
    assert fit.log[-1] == f"kept {chosen}, which has the lowest {kind}"
    json.dumps(report, allow_nan=False)


def test_a_learner_that_refuses_is_reported_and_left_out(task: TrainingTask, monkeypatch: pytest.MonkeyPatch) -> None:
    fit = auto_with(monkeypatch, -1.0, 3.0).fit(task, map)
    assert fit.learner == "boosting"
    assert fit.facts["auto"]["candidates"][1] == {"learner": "linear", "refused": "can not learn this"}
    with pytest.raises(ModelError, match=r"no learner could learn.*: can not learn this; can not learn this"):
        auto_with(monkeypatch, -1.0, -1.0).fit(task, map)


@pytest.mark.parametrize("kind", ["BINARY", "CATEGORICAL"])
def test_classes(
    write: Callable[..., Datasource],
    schema: Schema,
    sales: pa.Table,
    files: ByteSource,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    labelled, table = with_classes(schema, sales, kind)
    datasource = write(table, 1100, labelled)
    insights = compute_insights(datasource, files)
    recipe = parse_recipe('{"outputs": ["price", "venue"]}', labelled)
    task = TrainingTask(datasource, insights, recipe, Target.of(labelled, insights), Rearrangement(), files, "s")
    monkeypatch.setattr(auto, "BoostingLearner", lambda row_budget=900: replace(QUICK, row_budget=row_budget))
    monkeypatch.setattr(auto, "LinearLearner", lambda: LinearLearner(1.0))
    candidates = AutoLearner().fit(task, map).facts["auto"]["candidates"]
    assert all("logLoss" in one["validation"] for one in candidates)
    # Both judge on the same records, by the same loss.
    assert [one["validationLoss"] for one in candidates] == [one["validation"]["logLoss"] for one in candidates]


def test_the_time_limit_bounds_the_records_that_trees_learn_from(task: TrainingTask) -> None:
    candidates = AutoLearner(60.0)._candidates(task)
    assert list(candidates) == ["linear", "boosting"]
    assert candidates["boosting"].row_budget > 1_000
    tight = AutoLearner(1.0)._candidates(task)["boosting"].row_budget
    assert tight < AutoLearner(2.0)._candidates(task)["boosting"].row_budget
    assert AutoLearner(86_400.0)._candidates(task)["boosting"].row_budget == BoostingLearner().row_budget
    many = Target("y", ModelType.MULTICLASS, tuple(map(str, range(100))))
    assert list(AutoLearner(1.0)._candidates(replace(task, target=many))) == ["linear"]


def test_parameters() -> None:
    assert AutoLearner.from_parameters({}).time_limit == 600.0
    assert AutoLearner.from_parameters({"auto.timeLimit": "1E2"}).time_limit == 100.0
    for value in (0, -1, "nan", "long", 1e9, True):
        with pytest.raises(ModelError, match=r"auto\.timeLimit must be a number"):
            AutoLearner.from_parameters({"auto.timeLimit": value})
    with pytest.raises(ModelError, match=r"no parameter 'linear\.l2'"):
        AutoLearner.from_parameters({"linear.l2": 1})
