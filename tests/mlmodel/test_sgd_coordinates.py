from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from scipy.sparse import vstack

from nightcast.datasource.insights import compute_insights
from nightcast.datasource.parts import ByteSource, Datasource
from nightcast.datasource.rearrangement import Rearrangement
from nightcast.datasource.schema import Attribute, AttributeType, Schema
from nightcast.mlmodel import sgd_coordinates
from nightcast.mlmodel.learners import TrainingTask
from nightcast.mlmodel.marked_batches import training_batches
from nightcast.mlmodel.sgd_coordinates import Coordinates, coordinates, part_records
from nightcast.mlmodel.sgd_records import Records, joined
from nightcast.mlmodel.sgd_steps import scores_of
from nightcast.mlmodel.targets import Target
from nightcast.recipe.featurizer import build_featurizer
from nightcast.recipe.grammar import parse_recipe

BINS = ("quantile_bin(price,50)", "quantile_bin(day,20)")
OUTPUTS = ("venue", "title", *BINS, "price", "normalize(day)", "promo")


def task_of(datasource: Datasource, files: ByteSource, *outputs: str) -> TrainingTask:
    insights, schema = compute_insights(datasource, files), datasource.schema
    recipe = parse_recipe(json.dumps({"outputs": list(outputs)}), schema)
    return TrainingTask(datasource, insights, recipe, Target.of(schema, insights), Rearrangement(), files)


def found_of(task: TrainingTask, *, mix: bool | None) -> tuple[Coordinates, Records, Any]:
    """Coordinates, the records in them, and the matrix of features; mix None: numbers as they come."""
    featurizer = build_featurizer(task.recipe, task.datasource.schema, task.insights)
    found = coordinates(task, featurizer)
    records = joined([one for part in task.datasource.numbered() for one in part_records(part, task, found)])
    if mix is not None:
        found = found.measured(records, mix=mix)
        records = found.turned(records)
    matrix = vstack(
        [
            featurizer.transform(batch)
            for part in task.datasource.numbered()
            for batch, _ in training_batches(part, task, featurizer.columns)
        ]
    )
    return found, records, matrix.tocsr()


@pytest.mark.parametrize("outputs", [OUTPUTS, BINS, ("venue", "price"), ("title",)], ids=["all", "bins", "own", "text"])
@pytest.mark.parametrize("mix", [True, False])
@pytest.mark.parametrize("columns", [1, 3])
def test_weights_of_features_predict_as_the_parameters_do(
    datasource: Datasource, files: ByteSource, outputs: tuple[str, ...], mix: bool, columns: int
) -> None:
    found, records, matrix = found_of(task_of(datasource, files, *outputs), mix=mix)
    parameters = np.random.default_rng(1).normal(size=(found.width, columns))
    expected = scores_of(records, parameters, found.dense) * found.target_scale + found.target_center
    weights, intercepts = found.unscaled(found.slopes(parameters))
    assert weights.shape == (found.featurizer.n_features, columns)
    np.testing.assert_allclose(matrix @ weights + intercepts, expected, rtol=1e-9, atol=1e-7)


def test_records_hold_what_bins_share(datasource: Datasource, files: ByteSource) -> None:
    found, records, _ = found_of(task_of(datasource, files, *OUTPUTS), mix=False)
    features = found.featurizer.n_features
    # Halves to 32nds of 50 bins, halves to 16ths of 20.
    assert found.levels.shape == (features, 62 + 30)
    assert found.lines.shape == (features, 2)
    # No zeros are held: they would be taken for bins.
    assert (found.lines.nnz, found.levels.nnz) == (70, 50 * 5 + 20 * 4)
    assert found.width == features + 62 + 30 + 2 + 1
    names = [*found.featurizer.feature_names, *("level" for _ in range(92))]
    missing = np.isin(
        np.arange(len(records)),
        np.repeat(np.arange(len(records)), np.diff(records.offsets))[records.columns == names.index("price=missing")],
    )
    levels = np.bincount(
        np.repeat(np.arange(len(records)), np.diff(records.offsets)), records.columns >= features, len(records)
    )
    assert missing.sum() > 50
    assert (levels[missing] == 4).all()
    assert (levels[~missing] == 5 + 4).all()
    # Lines are numbers about their means in units of their deviations, and a missing one is the mean.
    lines = records.numbers[:, -3:-1]
    np.testing.assert_allclose(lines.mean(axis=0), 0.0, atol=1e-9)
    assert (lines[missing, 0] == 0).all()
    np.testing.assert_allclose(lines[~missing, 0].std(), 1.0, atol=1e-9)
    price = records.numbers[~missing, 0]
    assert np.corrcoef(price, lines[~missing, 0])[0, 1] > 0.97
    assert (records.numbers[:, -1] == 1).all()


def test_mixed_numbers_correlate_less(datasource: Datasource, files: ByteSource) -> None:
    task = task_of(datasource, files, *OUTPUTS)
    plain, mixed = (found_of(task, mix=mix)[1].numbers[:, :-1] for mix in (False, True))
    correlations = [np.sort(np.linalg.eigvalsh(np.corrcoef(numbers.T)))[-1] for numbers in (plain, mixed)]
    assert correlations[1] < 0.95 * correlations[0]


def test_fine_bins_keep_the_pace_of_what_they_share(datasource: Datasource, files: ByteSource) -> None:
    found, _, _ = found_of(task_of(datasource, files, *OUTPUTS), mix=None)
    names = found.featurizer.feature_names
    paces = dict(zip(names, found.paces, strict=False))
    assert paces["venue=v1"] == paces["title=gala"] == paces["price"] == paces["promo"] == 1.0
    assert paces["price=missing"] == 1.0
    assert paces["quantile_bin(price,50)=7"] == pytest.approx(50**-0.5)
    assert paces["quantile_bin(day,20)=20"] == pytest.approx(20**-0.5)
    levels = found.paces[len(names) : len(names) + 92]
    assert levels[:2] == pytest.approx([2**-0.5] * 2)
    # Bins do not always part evenly.
    assert levels[30:62] == pytest.approx([32**-0.5] * 32, rel=0.3)
    assert (levels**2)[:62].sum() == pytest.approx(5.0)
    assert found.paces.shape == (found.width,)
    assert (found.paces[len(names) + 92 :] == 1.0).all()


@pytest.mark.parametrize("binned", [True, False])
def test_dates_count_as_bins_beside_bins_of_days(
    write: Callable[..., Datasource], files: ByteSource, binned: bool
) -> None:
    rng = np.random.default_rng(0)
    days = (np.datetime64("2008-01-01") + rng.integers(0, 100, 900)).astype(str)
    schema = Schema((Attribute("day", AttributeType.CATEGORICAL), Attribute("y", AttributeType.NUMERIC)), target="y")
    outputs = ["day", "weekday(day)"] + ['quantile_bin(days_since(day,"2008-01-01"),10)'] * binned
    task = task_of(write(pa.table({"day": days, "y": rng.normal(size=900)}), schema=schema), files, *outputs)
    found, _, _ = found_of(task, mix=None)
    paces = dict(zip(found.featurizer.feature_names, found.paces, strict=False))
    assert paces["day=2008-02-01"] == pytest.approx(100**-0.5 if binned else 1.0, rel=1e-2)
    assert paces["weekday(day)=3"] == 1.0


def test_numbers_of_known_spans_are_mixed_into_what_does_not_depend_on_each_other(
    datasource: Datasource, files: ByteSource
) -> None:
    task = task_of(datasource, files, *OUTPUTS)
    found, records, _ = found_of(task, mix=None)
    spans = np.array([0.5, 3.0, 0.01, 20.0])
    known = replace(found, spans=spans).measured(records, mix=True)
    assert known.mixing is not None
    assert known.mixed_l2 is not None
    numbers = known.turned(records).numbers[:, :-1]
    products = numbers.T @ numbers / len(numbers)
    # With the penalties, second derivatives are 1 for all.
    np.testing.assert_allclose(products + np.diag(known.mixed_l2), np.eye(4), atol=1e-9)
    # The penalty of mixed weights is that of the weights in their own units.
    weights = np.random.default_rng(0).normal(size=4)
    own = known.mixing @ weights
    assert (known.mixed_l2 * weights**2).sum() == pytest.approx(((own / spans) ** 2).sum())


def test_very_many_numbers_are_not_mixed_but_have_their_penalties(
    datasource: Datasource, files: ByteSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, records, _ = found_of(task_of(datasource, files, *OUTPUTS), mix=None)
    spans = np.array([0.5, 3.0, 0.01, 20.0])
    monkeypatch.setattr(sgd_coordinates, "_MOST_MIXED", 3)
    known = replace(found, spans=spans).measured(records, mix=True)
    assert known.mixing is not None
    assert known.mixed_l2 is not None
    np.testing.assert_array_equal(known.mixing, np.diag(known.mixing.diagonal()))
    numbers = known.turned(records).numbers[:, :-1]
    np.testing.assert_allclose((numbers**2).mean(axis=0) + known.mixed_l2, 1.0)
    np.testing.assert_allclose(known.mixed_l2, (known.mixing.diagonal() / spans) ** 2)
