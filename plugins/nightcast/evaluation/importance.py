"""Permutation importance: how much worse a model becomes when an attribute's values are shuffled among records."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from nightcast.datasource.arrow_arrays import Floats, Ints, int_array
from nightcast.datasource.hashing import seed_hash
from nightcast.datasource.parts import Batch, ByteSource, Datasource, Mapper, NumberedPart
from nightcast.datasource.rearrangement import Rearrangement
from nightcast.datasource.selection import filtered, selected_batches
from nightcast.errors import EvaluationError
from nightcast.mlmodel.model import MLModel
from nightcast.mlmodel.scoring import for_model
from nightcast.mlmodel.targets import ModelType

_LEAST_PROBABILITY = 1e-15


@dataclass
class ShuffledLosses:
    """Sums over records of the loss as it is, and with each column shuffled."""

    records: int
    loss: float
    shuffled: dict[str, float]

    def merge(self, other: ShuffledLosses) -> None:
        """Add other records."""
        self.records += other.records
        self.loss += other.loss
        for name, loss in other.shuffled.items():
            self.shuffled[name] = self.shuffled.get(name, 0.0) + loss


def permutation_importance(
    model: MLModel,
    datasource: Datasource,
    rearrangement: Rearrangement,
    source: ByteSource,
    mapper: Mapper = map,
    *,
    seed: str = "",
    records: int = 100_000,
) -> dict[str, float]:
    """Increase of the mean loss by attribute, greatest first.

    Parameters
    ----------
    rearrangement
        Which records are looked at; not those of the training.
    seed
        The permutations follow from it.
    records
        About how many records to look at, spread evenly over the parts.

    Returns
    -------
    dict
        Attribute -> mean loss with its values shuffled among the records of a batch, less the mean loss as it is: of
        the squared error for a regression, of the negative log-likelihood (nats) for classes. Near 0, or below, for an
        attribute that the model could do without. Source: Breiman, Random forests, Machine Learning 45 (2001).

    Raises
    ------
    EvaluationError
        If the datasource has no target, or no record has one.
    SchemaError
        If the datasource lacks an attribute that the model reads.
    """
    seen_as = for_model(model, datasource)
    if seen_as.schema.target is None:
        raise EvaluationError(
            f"the datasource has no attribute {model.target.name!r}, the model's target: give records whose outcome is "
            "known."
        )
    share = min(1.0, records / max(datasource.records, 1))
    measure = partial(part_losses, model=model, rearrangement=rearrangement, source=source, seed=seed, share=share)
    total = ShuffledLosses(0, 0.0, {})
    for part in mapper(measure, seen_as.numbered()):
        total.merge(part)
    if not total.records:
        raise EvaluationError(
            f"no record has {model.target.name!r}, so nothing tells how good the model is: check the data "
            "rearrangement and the query."
        )
    found = {name: (loss - total.loss) / total.records for name, loss in total.shuffled.items()}
    return dict(sorted(found.items(), key=lambda pair: (-pair[1], pair[0])))


def part_losses(
    numbered: NumberedPart,
    model: MLModel,
    rearrangement: Rearrangement,
    source: ByteSource,
    seed: str,
    share: float,
) -> ShuffledLosses:
    """The losses over one part."""
    columns = tuple(dict.fromkeys((*model.columns, model.target.name)))
    state = ShuffledLosses(0, 0.0, dict.fromkeys(model.columns, 0.0))
    for batch in selected_batches(numbered, rearrangement, columns, source):
        random = np.random.default_rng([int(seed_hash(seed)), batch.first_record])
        known = model.target.labels(batch).known & (random.random(len(batch)) < share)
        if not known.any():
            continue
        chosen = filtered(batch, known)
        truth = model.target.labels(chosen).values
        state.records += len(chosen)
        state.loss += _loss(model.model_type, truth, model.predict(chosen))
        for name in model.columns:
            scores = model.predict(_shuffled(chosen, name, random.permutation(len(chosen))))
            state.shuffled[name] += _loss(model.model_type, truth, scores)
    return state


def _shuffled(batch: Batch, name: str, order: Ints) -> Batch:
    columns = {**batch.columns, name: batch.columns[name].take(int_array(order))}
    invalid = {**batch.invalid, name: batch.invalid[name][order]} if name in batch.invalid else batch.invalid
    return replace(batch, columns=columns, invalid=invalid)


def _loss(model_type: ModelType, truth: Floats, scores: Floats) -> float:
    """Sum of the losses of records; one that is not finite is left out."""
    if model_type is ModelType.BINARY:
        losses = -np.log(np.maximum(np.where(truth > 0, scores, 1.0 - scores), _LEAST_PROBABILITY))
    elif scores.ndim == 2:
        places = truth.astype(np.int64)
        losses = -np.log(np.maximum(scores[np.arange(len(scores)), np.maximum(places, 0)], _LEAST_PROBABILITY))
        losses = np.where(places >= 0, losses, 0.0)
    else:
        losses = (truth - scores) ** 2
    return float(losses[np.isfinite(losses)].sum())
