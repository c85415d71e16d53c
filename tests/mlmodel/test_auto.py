from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from nightcast.datasource.insights import compute_insights
from nightcast.datasource.parts import ByteSource, Datasource, Mapper, read_batches
from nightcast.datasource.rearrangement import Rearrangement
from nightcast.datasource.schema import Schema
from nightcast.errors import ModelError
from nightcast.mlmodel import auto
from nightcast.mlmodel.auto import AutoLearner
from nightcast.mlmodel.blend import Blend
from nightcast.mlmodel.boosting import BoostingLearner
from nightcast.mlmodel.held_out import HeldOut
from nightcast.mlmodel.learners import Fit, TrainingTask
from nightcast.mlmodel.linear_learner import LinearLearner
from nightcast.mlmodel.model import Link
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
    """Fits as another learner does, and says that its loss is another one; what it left out is not known."""

    learner: Any
    loss: float

    def fit(self, task: TrainingTask, mapper: Mapper) -> Fit:
        if self.loss < 0:
            raise ModelError("can not learn this")
        fit = self.learner.fit(task, mapper)
        return replace(fit, held_out={}, facts={**fit.facts, "validationLoss": self.loss})


def auto_with(monkeypatch: pytest.MonkeyPatch, linear: float, boosting: float) -> AutoLearner:
    given = {"linear": Given(LinearLearner(1.0), linear), "boosting": Given(QUICK, boosting)}
    monkeypatch.setattr(AutoLearner, "_candidates", lambda self, task: given)
    return AutoLearner()


@pytest.mark.parametrize(
    ("linear", "boosting", "chosen"),
    [(1.0, 2.0, "linear"), (2.0, 1.0, "boosting"), (1.0, 1.0, "linear"), (float("nan"), 5.0, "boosting")],
)
def test_without_records_that_both_left_out_the_least_loss_wins(
    task: TrainingTask, monkeypatch: pytest.MonkeyPatch, linear: float, boosting: float, chosen: str
) -> None:
    fit = auto_with(monkeypatch, linear, boosting).fit(task, map)
    assert (fit.learner, fit.predictor.kind) == (chosen, chosen)
    report = fit.facts["auto"]
    assert (report["chosen"], report["comparedBy"]) == (chosen, "validationLoss")
    assert [one["learner"] for one in report["candidates"]] == ["linear", "boosting"]
    assert report["candidates"][0]["parameters"]["l2"] == 1.0
    assert set(report["candidates"][1]["validation"]) == {"RegressionRMSE"}
    assert fit.log[0].startswith("linear: validation RegressionRMSE ")
    assert fit.log[-1] == f"kept {chosen}; validation loss: linear {linear:.6g}, boosting {boosting:.6g}"
    json.dumps(report, allow_nan=False)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auto, "BoostingLearner", lambda: QUICK)
    monkeypatch.setattr(auto, "LinearLearner", lambda: LinearLearner(1.0))


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(("share", "chosen"), [(1.0, "linear"), (0.0, "boosting"), (0.35, "blend")])
def test_the_share_that_does_best_on_records_held_out_is_kept(
    task: TrainingTask, monkeypatch: pytest.MonkeyPatch, share: float, chosen: str
) -> None:
    seen: list[HeldOut] = []
    monkeypatch.setattr(auto, "best_share", lambda kind, records: seen.append(records) or share)
    fit = AutoLearner().fit(task, map)
    assert (fit.learner, fit.predictor.kind) == (chosen, chosen)
    report = fit.facts["auto"]
    assert (report["chosen"], report["comparedBy"]) == (chosen, "heldOutLoss")
    linear, boosting = seen[0].predictions
    expected = {"linear": linear, "boosting": boosting}
    if chosen == "blend":
        expected["blend"] = 0.35 * linear + 0.65 * boosting
    assert {one["learner"]: one["heldOutLoss"] for one in report["candidates"]} == {
        name: pytest.approx(np.sqrt(np.mean((seen[0].targets - predictions) ** 2)))
        for name, predictions in expected.items()
    }
    assert fit.log[-1].startswith(f"kept {chosen}; loss on records held out: linear ")
    if chosen == "blend":
        assert report["candidates"][2]["shares"] == {"linear": 0.35, "boosting": 0.65}
        assert any(line.startswith("blend: 0.35 linear, 0.65 boosting, validation RegressionRMSE ") for line in fit.log)
    json.dumps(fit.facts, allow_nan=False)


@pytest.mark.usefixtures("quick")
def test_a_mean_is_better_than_either_on_what_it_has_not_seen(
    task: TrainingTask, datasource: Datasource, files: ByteSource, sales: pa.Table
) -> None:
    first = replace(
        task,
        rearrangement=Rearrangement(0, 70),
        insights=compute_insights(datasource, files, rearrangement=Rearrangement(0, 70)),
    )
    fit = AutoLearner().fit(first, map)
    assert isinstance(fit.predictor, Blend)
    targets = np.array(sales["sold"].to_pylist(), dtype=float)
    later = np.isfinite(targets) & (np.arange(len(targets)) >= 0.7 * len(targets))
    batches = [batch for part in datasource.numbered() for batch in read_batches(part, files)]

    def rmse(predictor: Any, link: Link) -> float:
        found = np.concatenate([link.predictions(predictor.raw_scores(batch)) for batch in batches])
        return float(np.sqrt(np.mean((found - targets)[later] ** 2)))

    single = [rmse(member.predictor, member.link) for member in fit.predictor.members]
    assert rmse(fit.predictor, fit.link) < min(single)


def test_a_learner_that_refuses_is_reported_and_left_out(task: TrainingTask, monkeypatch: pytest.MonkeyPatch) -> None:
    fit = auto_with(monkeypatch, -1.0, 3.0).fit(task, map)
    assert fit.learner == "boosting"
    assert fit.facts["auto"]["candidates"][1] == {"learner": "linear", "refused": "can not learn this"}
    with pytest.raises(ModelError, match=r"no learner could learn.*: can not learn this; can not learn this"):
        auto_with(monkeypatch, -1.0, -1.0).fit(task, map)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("kind", ["BINARY", "CATEGORICAL"])
def test_classes(
    write: Callable[..., Datasource],
    schema: Schema,
    sales: pa.Table,
    files: ByteSource,
    kind: str,
) -> None:
    labelled, table = with_classes(schema, sales, kind)
    datasource = write(table, 1100, labelled)
    insights = compute_insights(datasource, files)
    recipe = parse_recipe('{"outputs": ["price", "venue"]}', labelled)
    task = TrainingTask(datasource, insights, recipe, Target.of(labelled, insights), Rearrangement(), files, "s")
    candidates = AutoLearner().fit(task, map).facts["auto"]["candidates"]
    assert all("logLoss" in one["validation"] for one in candidates)
    assert all(0 < one["heldOutLoss"] < 2 for one in candidates)


def test_the_time_limit_bounds_the_records_that_trees_learn_from(task: TrainingTask) -> None:
    candidates = AutoLearner(60.0)._candidates(task)
    assert list(candidates) == ["linear", "boosting"]
    assert candidates["boosting"].row_budget > 1_000
    tight = AutoLearner(1.0)._candidates(task)["boosting"].row_budget
    assert tight < AutoLearner(2.0)._candidates(task)["boosting"].row_budget
    assert AutoLearner(86_400.0)._candidates(task)["boosting"] == BoostingLearner()
    assert AutoLearner(1.0)._candidates(task)["boosting"].max_iterations == 33
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
