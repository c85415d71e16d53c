"""The learner of gradient-boosted trees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from nightcast.datasource.hashing import seed_hash
from nightcast.datasource.insights import Insights, NumericInsights
from nightcast.datasource.parts import Mapper
from nightcast.errors import ModelError
from nightcast.mlmodel.boosting_fit import Grown, Problem, Settings, check_targets, grow, nodes_of
from nightcast.mlmodel.boosting_search import Split, Trial, Wishes, choices, search, splits_of
from nightcast.mlmodel.category_means import with_category_means
from nightcast.mlmodel.forest import Forest
from nightcast.mlmodel.learners import Fit, TrainingTask
from nightcast.mlmodel.model import Link
from nightcast.mlmodel.parameters import Choice, Number, read_parameters
from nightcast.mlmodel.targets import ModelType
from nightcast.mlmodel.training_matrix import TrainingRows, training_rows
from nightcast.mlmodel.tree_encoder import TreeEncoder, build_encoder
from nightcast.mlmodel.tree_nodes import Nodes, one_leaf_trees, stacked
from nightcast.mlmodel.trees import BoostedTrees
from nightcast.mlmodel.validation import validation_facts

_TABLE: dict[str, Number | Choice] = {
    "maxIterations": Number(1, 10_000, whole=True),
    "learningRate": Number(1e-4, 1.0, optional=True),
    "maxLeaves": Number(2, 1024, whole=True, optional=True),
    "minLeafRecords": Number(1, 1_000_000_000, whole=True, optional=True),
    "l2": Number(0.0, 1e12),
    "rowBudget": Number(100, 100_000_000, whole=True),
    "loss": Choice(("auto", "squared_error", "poisson", "gamma")),
}
_LINKS = {"poisson": Link.LOG, "gamma": Link.LOG}
_MORE_ITERATIONS = 1.1
_CURVE_POINTS = 100
_LOGGED_EVERY = 10


@dataclass(frozen=True)
class BoostingLearner:
    """Gradient-boosted trees, grown by scikit-learn's histogram algorithm with early stopping.

    Trees are grown on the attributes that the recipe reads, whatever it makes of them: see `TreeEncoder`. Up to four
    settings are tried on the validation slice; up to 25,000 records and 500,000 cells (records x columns, x classes of
    a MULTICLASS target, which have trees of their own) on two folds more, and the best ones on all six. Of a target
    that is a count (whole numbers from 0), squared error and Poisson loss are both tried, and compared by squared
    error; Tweedie loss is not offered, for scikit-learn has none. Where six folds were tried, the model is the mean of
    the fits that leave out one fold each, which errs less than one fit on all records, as fits differ; else it is one
    fit on all records, with a tenth more iterations than were best without those held out.

    Parameters
    ----------
    max_iterations
        Iterations at most, each of one tree an output; boosting ends when 20 of them did not lower the validation loss.
    learning_rate
        None: 0.06 up to 20,000 records, else 0.1.
    max_leaves, min_leaf_records
        Bounds of a tree: leaves at most, records of a leaf at least. None: they are searched.
    l2
        Penalty on squared values of leaves.
    row_budget
        Of more training records about so many are drawn, of wide ones fewer: the matrix takes 256 MB at most, and all
        that is made of it about five times as much.
    loss
        Of a regression: ``squared_error``, ``poisson`` (targets from 0), ``gamma`` (targets above 0) or ``auto``.
    """

    name: ClassVar[str] = "boosting"
    max_iterations: int = 500
    learning_rate: float | None = None
    max_leaves: int | None = None
    min_leaf_records: int | None = None
    l2: float = 0.0
    row_budget: int = 1_000_000
    loss: str = "auto"

    @classmethod
    def from_parameters(cls, given: Mapping[str, Any]) -> Self:
        """Read ``boosting.maxIterations`` and the like; ModelError for what the table does not admit."""
        found: dict[str, Any] = read_parameters(cls.name, _TABLE, given)
        return cls(**{_FIELDS[name]: value for name, value in found.items()})

    def fit(self, task: TrainingTask, mapper: Mapper) -> Fit:
        """See `nightcast.mlmodel.learners.Learner`."""
        target = task.target
        losses = self._losses(task.insights, target.model_type, target.name)
        draft = build_encoder(task.recipe.columns, task.insights, means=target.model_type is not ModelType.MULTICLASS)
        rows = training_rows(task, draft, self.row_budget, mapper)
        classes = {ModelType.REGRESSION: 0, ModelType.BINARY: 2}.get(target.model_type, len(target.classes))
        problem = Problem(target.model_type, classes, draft.categorical, int(seed_hash(task.seed)) % 2**32)
        check_targets(problem, losses[0], rows.targets, target.name)
        splits = splits_of(problem, rows, draft)
        wishes = Wishes(self.learning_rate, self.max_leaves, self.min_leaf_records, self.l2)
        settings = choices(len(rows), wishes)
        if not splits:
            return self._constant(problem, draft, rows)
        tried, best = search(problem, settings, losses, self.max_iterations, rows, splits)
        return self._fit(problem, draft, rows, splits, tried, best)

    def _losses(self, insights: Insights, model_type: ModelType, name: str) -> list[str]:
        if model_type is not ModelType.REGRESSION:
            if self.loss != "auto":
                raise ModelError(
                    f"boosting.loss={self.loss} is for a NUMERIC target, and the model of {name!r} is "
                    f"{model_type.value}, which is learnt with log loss: leave the parameter out."
                )
            return ["log_loss"]
        if self.loss != "auto":
            return [self.loss]
        return ["squared_error", "poisson"] if _counts(insights, name) else ["squared_error"]

    def _fit(
        self,
        problem: Problem,
        draft: TreeEncoder,
        rows: TrainingRows,
        splits: Sequence[Split],
        tried: Sequence[Trial],
        best: Trial,
    ) -> Fit:
        held_out = {
            split.fold: _held_out(problem, split, grown, best.iterations)
            for split, grown in zip(splits, best.grown, strict=True)
        }
        encoder, nodes, models = _final(problem, draft, rows, splits, best, self.max_iterations)
        predictor = BoostedTrees(encoder, Forest(nodes, len(encoder.titles), problem.outputs))
        link = _link(problem, best.settings)
        metrics, loss = _validated(problem, held_out[splits[0].fold], link, rows, splits[0])
        facts = {
            "validation": metrics,
            "validationLoss": loss,
            "folds": len(splits),
            "crossValidatedLoss": best.loss if problem.model_type is not ModelType.REGRESSION else best.loss**0.5,
            "validationCurve": _curve(best),
            "iterations": best.iterations,
            "loss": best.settings.loss,
            "learningRate": best.settings.learning_rate,
            "columnShare": best.settings.column_share,
            "models": models,
            "trees": predictor.forest.trees,
            "leaves": predictor.forest.leaves,
            "importance": predictor.importance(),
            "candidates": [_candidate(trial) for trial in tried],
            **_row_facts(rows, encoder),
        }
        chosen = {
            "loss": best.settings.loss,
            "learningRate": best.settings.learning_rate,
            "maxLeaves": best.settings.max_leaves,
            "minLeafRecords": best.settings.min_leaf_records,
        }
        log = (*_row_lines(rows), *_log(tried, best))
        return Fit(predictor, link, self._parameters() | chosen, facts, log, held_out)

    def _constant(self, problem: Problem, draft: TreeEncoder, rows: TrainingRows) -> Fit:
        """The mean, for records too few to hold some of them out."""
        encoder, _ = with_category_means(draft, rows, np.ones(len(rows), dtype=np.bool_))
        if problem.model_type is ModelType.REGRESSION:
            raw, link = np.array([rows.targets.mean()]), Link.IDENTITY
        else:
            # One record more of each class: no probability is 0.
            shares = np.bincount(rows.targets.astype(np.int64), minlength=problem.classes) + 1.0
            raw = np.log(shares / shares.sum())
            multiclass = problem.model_type is ModelType.MULTICLASS
            raw, link = (raw, Link.SOFTMAX) if multiclass else (raw[1:] - raw[:1], Link.LOGIT)
        predictor = BoostedTrees(encoder, Forest(one_leaf_trees(raw), len(encoder.titles), problem.outputs))
        every = np.ones(len(rows), dtype=np.bool_)
        everything = Split(0, every, every, encoder, rows.matrix)
        metrics, loss = _validated(problem, predictor, link, rows, everything)
        facts = {
            "validation": metrics,
            "validationLoss": loss,
            "iterations": 0,
            "importance": predictor.importance(),
            **_row_facts(rows, encoder),
        }
        lines = ("too few records to hold some of them out: the model is a constant",)
        return Fit(predictor, link, self._parameters(), facts, (*_row_lines(rows), *lines))

    def _parameters(self) -> dict[str, Any]:
        given = {key: getattr(self, attribute) for key, attribute in _FIELDS.items()}
        return {key: "auto" if value is None else value for key, value in given.items()}


_FIELDS = {
    "maxIterations": "max_iterations",
    "learningRate": "learning_rate",
    "maxLeaves": "max_leaves",
    "minLeafRecords": "min_leaf_records",
    "l2": "l2",
    "rowBudget": "row_budget",
    "loss": "loss",
}


def _counts(insights: Insights, name: str) -> bool:
    """Whether a target is a count: as far as 1001 quantiles tell, whole numbers from 0, and not all the same."""
    found = insights.attributes.get(name)
    if not isinstance(found, NumericInsights) or found.min is None or found.max is None or not found.quantiles:
        return False
    ends = (found.min, found.max)
    # Quantiles between two values are interpolated, so that only the greater part of them has to be whole.
    whole = sum(value == int(value) for value in found.quantiles) / len(found.quantiles)
    return found.min >= 0 and found.max > found.min and all(end == int(end) for end in ends) and whole > 0.5


def _link(problem: Problem, settings: Settings) -> Link:
    return _LINKS.get(settings.loss, Link.of(problem.model_type))


def _held_out(problem: Problem, split: Split, grown: Grown, iterations: int) -> BoostedTrees:
    nodes = nodes_of(problem, grown, iterations)
    return BoostedTrees(split.encoder, Forest(nodes, len(split.encoder.titles), problem.outputs))


def _final(
    problem: Problem, draft: TreeEncoder, rows: TrainingRows, splits: Sequence[Split], best: Trial, most: int
) -> tuple[TreeEncoder, Nodes, int]:
    """The encoder and the trees to keep, and of how many fits they are the mean."""
    encoder, matrix = with_category_means(draft, rows, np.ones(len(rows), dtype=np.bool_))
    if len(splits) > 1:
        share = 1.0 / len(splits)
        fits = list(best.grown)
        if encoder != draft:
            # Trees of several fits share one encoder, so that all need its mean targets.
            fits = [
                grow(problem, best.settings, best.iterations, matrix[split.train], rows.targets[split.train])
                for split in splits
            ]
        return encoder, stacked([nodes_of(problem, one, best.iterations, share) for one in fits]), len(fits)
    iterations = min(round(best.iterations * _MORE_ITERATIONS), most)
    grown = grow(problem, best.settings, iterations, matrix, rows.targets)
    return encoder, nodes_of(problem, grown, iterations), 1


def _validated(
    problem: Problem, model: BoostedTrees, link: Link, rows: TrainingRows, split: Split
) -> tuple[dict[str, float], float]:
    raw = model.forest.scores(split.matrix[split.held])
    predictions = link.predictions(raw if problem.model_type is ModelType.MULTICLASS else raw[:, 0])
    return validation_facts(problem.model_type, rows.targets[split.held], predictions)


def _curve(best: Trial) -> list[list[float]]:
    """Iteration and loss at up to 100 points, the best iteration among them."""
    places = np.unique(
        np.append(
            np.linspace(0, len(best.losses) - 1, min(_CURVE_POINTS - 1, len(best.losses))).round(), best.iterations
        )
    )
    return [[int(place), float(best.losses[int(place)])] for place in places]


def _candidate(trial: Trial) -> dict[str, Any]:
    return {"settings": str(trial.settings), "loss": trial.loss, "iterations": trial.iterations}


def _row_facts(rows: TrainingRows, encoder: TreeEncoder) -> dict[str, Any]:
    return {"features": len(encoder.titles), "trainingRecords": rows.seen, "sampledRecords": len(rows)}


def _row_lines(rows: TrainingRows) -> list[str]:
    if len(rows) == rows.seen:
        return [f"learning from all {rows.seen:,} training records"]
    return [f"learning from a sample of {len(rows):,} of {rows.seen:,} training records: boosting.rowBudget"]


def _log(tried: Sequence[Trial], best: Trial) -> list[str]:
    found = [f"tried {trial.settings}: loss {trial.loss:.6g} after {trial.iterations} iterations" for trial in tried]
    first = best.grown[0]
    pairs = list(zip(first.training_losses.tolist(), first.losses.tolist(), strict=True))
    steps = [
        f"iteration {number}: training loss {training:.6g}, validation loss {held:.6g}"
        for number, (training, held) in enumerate(pairs)
        if number % _LOGGED_EVERY == 0 or number == len(pairs) - 1
    ]
    return [*found, f"chosen {best.settings}", *steps]
