"""One fit of boosted trees: scikit-learn grows them, and their nodes are read out."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from nightcast.datasource.arrow_arrays import Bools, Floats
from nightcast.errors import ModelError
from nightcast.mlmodel.targets import ModelType
from nightcast.mlmodel.tree_nodes import MAX_CATEGORIES, NODE, Nodes, one_leaf_trees, stacked

PATIENCE = 20
# Of fewer cells threads wait for each other longer than they work, above all on a busy machine.
_CELLS_WORTH_THREADS = 1_000_000


@dataclass(frozen=True)
class Settings:
    """How trees are grown.

    Parameters
    ----------
    loss
        ``squared_error``, ``poisson`` or ``gamma``; ``log_loss`` of a classification.
    learning_rate
        What each tree's values are multiplied with.
    max_leaves, min_leaf_records, l2
        Bounds of a tree, and the penalty on squared values of leaves.
    column_share
        Share of the columns, drawn anew, that each split may choose from.
    """

    loss: str
    learning_rate: float
    max_leaves: int
    min_leaf_records: int
    l2: float
    column_share: float

    def __str__(self) -> str:
        return " ".join(f"{name}={value}" for name, value in asdict(self).items())


@dataclass(frozen=True)
class Problem:
    """What stays the same from fit to fit: `classes` is 0 for a regression; the first columns hold categories."""

    model_type: ModelType
    classes: int
    categorical: int
    seed: int

    @property
    def outputs(self) -> int:
        """Scores of a record."""
        return self.classes if self.model_type is ModelType.MULTICLASS else 1


@dataclass(frozen=True)
class Grown:
    """Trees, and how they came to be.

    Parameters
    ----------
    estimator
        scikit-learn's.
    losses, training_losses
        Mean loss on the records held out, and on the others (some of them, of a regression), before the first tree and
        after each iteration; empty without records held out. Squared error for any loss of a regression.
    """

    estimator: Any
    losses: Floats
    training_losses: Floats

    @property
    def iterations(self) -> int:
        """Iterations made."""
        return int(self.estimator.n_iter_)


def grow(
    problem: Problem,
    settings: Settings,
    iterations: int,
    matrix: Floats,
    targets: Floats,
    held: tuple[Floats, Floats] | None = None,
) -> Grown:
    """Fit trees to records.

    Parameters
    ----------
    iterations
        To make at most. With records held out, boosting ends when their loss has not fallen for 20 iterations.
    held
        Matrix and targets of records that are held out.
    """
    from sklearn.ensemble import (  # type: ignore[import-untyped]
        HistGradientBoostingClassifier,
        HistGradientBoostingRegressor,
    )

    regression = problem.model_type is ModelType.REGRESSION
    kind: Any = HistGradientBoostingRegressor if regression else HistGradientBoostingClassifier
    estimator = kind(
        loss=settings.loss,
        learning_rate=settings.learning_rate,
        max_iter=iterations,
        max_leaf_nodes=settings.max_leaves,
        min_samples_leaf=settings.min_leaf_records,
        l2_regularization=settings.l2,
        max_features=settings.column_share,
        categorical_features=list(range(problem.categorical)) or None,
        early_stopping=held is not None,
        scoring="neg_mean_squared_error" if regression and held is not None else "loss",
        n_iter_no_change=PATIENCE,
        tol=0.0,
        random_state=problem.seed,
    )
    with _threads_for(matrix):
        if held is None:
            return Grown(estimator.fit(*_fitted_to(problem, matrix, targets)), np.zeros(0), np.zeros(0))
        estimator.fit(*_fitted_to(problem, matrix, targets), X_val=held[0], y_val=held[1])
    return Grown(estimator, -estimator.validation_score_, -estimator.train_score_)


def _threads_for(matrix: Floats) -> AbstractContextManager[Any]:
    """All processors or one: no sum of a fit depends on it."""
    return nullcontext() if matrix.size >= _CELLS_WORTH_THREADS else threadpool_limits(1, user_api="openmp")


def nodes_of(problem: Problem, grown: Grown, iterations: int, share: float = 1.0) -> Nodes:
    """The first trees as nodes, the values of their leaves multiplied with `share`; first what boosting began with."""
    model = grown.estimator
    found = model._predictors[:iterations]
    start = np.asarray(model._baseline_prediction, dtype=np.float64).reshape(-1)
    # Of two classes scikit-learn scores the second one alone; the first one then has the score 0.
    first = problem.outputs - len(start)
    values = np.append(np.zeros(first), start)
    categories = _categories(model, problem)
    trees = [
        _tree(predictor, first + output, categories, share)
        for iteration in found
        for output, predictor in enumerate(iteration)
    ]
    return stacked([one_leaf_trees(values * share), *trees])


def _fitted_to(problem: Problem, matrix: Floats, targets: Floats) -> tuple[Floats, Floats]:
    """What scikit-learn can take: it knows no number without any value, and no class without any record."""
    empty: Bools = np.isnan(matrix).all(axis=0) & (np.arange(matrix.shape[1]) >= problem.categorical)
    if empty.any():
        # A number that is always the same is no place to split at.
        matrix = np.where(empty, 0.0, matrix)
    return _with_all_classes(problem, matrix, targets)


def _with_all_classes(problem: Problem, matrix: Floats, targets: Floats) -> tuple[Floats, Floats]:
    """A classification's records; a class that a sample left without any has one that says nothing."""
    if problem.model_type is ModelType.REGRESSION:
        return matrix, targets
    absent = np.setdiff1d(np.arange(problem.classes), targets)
    if len(absent) == 0:
        return matrix, targets
    nothing = np.full((len(absent), matrix.shape[1]), np.nan)
    return np.concatenate([matrix, nothing]), np.concatenate([targets, absent.astype(np.float64)])


def _categories(model: Any, problem: Problem) -> list[Any]:
    """The categories that each column had in the training, by the numbers that scikit-learn gave them."""
    if not problem.categorical:
        return []
    encoder = model._preprocessor.named_transformers_["encoder"]
    return [found[~np.isnan(found)].astype(np.int64) for found in encoder.categories_]


def _tree(predictor: Any, output: int, categories: list[Any], share: float) -> Nodes:
    found = predictor.nodes
    nodes = np.zeros(len(found), dtype=NODE)
    leaf = found["is_leaf"] > 0
    nodes["output"] = output
    for name, theirs in (("feature", "feature_idx"), ("left", "left"), ("right", "right")):
        nodes[name] = np.where(leaf, -1, found[theirs].astype(np.int64))
    nodes["threshold"] = np.where(leaf, 0.0, found["num_threshold"])
    nodes["missing_left"] = (found["missing_go_to_left"] > 0) & ~leaf
    nodes["value"] = np.where(leaf, found["value"] * share, 0.0)
    nodes["gain"] = np.where(leaf, 0.0, found["gain"])
    nodes["records"] = found["count"]
    nodes["categorical"] = (found["is_categorical"] > 0) & ~leaf
    for number in np.flatnonzero(nodes["categorical"]):
        bits = predictor.raw_left_cat_bitsets[found["bitset_idx"][number]].astype("<u4").view(np.uint8)
        known = categories[nodes["feature"][number]]
        # What the training did not meet goes where missing values go.
        left = np.full(MAX_CATEGORIES, nodes["missing_left"][number])
        left[known] = np.unpackbits(bits, bitorder="little")[: len(known)] > 0
        nodes["threshold"][number] = 0.0
        nodes["categories"][number] = np.packbits(left, bitorder="little")
    return nodes


def check_targets(problem: Problem, loss: str, targets: Floats, name: str) -> None:
    """Refuse targets that can not be learnt from.

    Raises
    ------
    ModelError
        If there are fewer than 2 records, a regression's target is too large for sums of squares, or the loss does not
        take its least value.
    """
    if len(targets) < 2:
        raise ModelError(
            f"{len(targets)} training record(s) have a target, at least 2 are needed: check query, schema and data "
            "rearrangement."
        )
    if problem.model_type is not ModelType.REGRESSION:
        return
    # Gradients are of single precision.
    if float(np.abs(targets).max()) > 1e30:
        raise ModelError(f"values of the target {name!r} are beyond 1e30: scale it in the query.")
    least = float(targets.min())
    if (loss == "poisson" and (least < 0 or not targets.any())) or (loss == "gamma" and least <= 0):
        what = "at least 0, and some above" if loss == "poisson" else "above 0"
        raise ModelError(f"boosting.loss={loss} needs targets {what}, and the least {name!r} is {least:g}.")
