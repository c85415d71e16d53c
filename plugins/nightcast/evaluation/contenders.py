"""What is compared: a challenger, a champion and baselines, each with its loss on a record."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from nightcast.datasource.arrow_arrays import Bools, Floats, Ints
from nightcast.datasource.parts import Batch, ByteSource, NumberedPart
from nightcast.datasource.rearrangement import Rearrangement
from nightcast.datasource.schema import Schema
from nightcast.datasource.selection import selected_records
from nightcast.errors import EvaluationError
from nightcast.evaluation.naive_baselines import Forecaster
from nightcast.evaluation.text_keys import TextKey
from nightcast.mlmodel.model import MLModel
from nightcast.mlmodel.scoring import invalid_cells
from nightcast.mlmodel.targets import ModelType

_LEAST_PROBABILITY = 1e-15


@dataclass(frozen=True)
class Contenders:
    """Everything that the part function needs; picklable.

    Parameters
    ----------
    challenger, champion
        The models; None for no champion that could be compared.
    champion_schema
        The evaluated records as the champion sees them, where a type differs; else None.
    usual
        What the baseline of the training records forecasts: their mean, or their shares of classes; shape (outputs,).
    naive
        Further baselines.
    rearrangement
        Which records are compared.
    dates
        Where a record's day is read.
    sampled
        Share of the records whose losses are kept one by one.
    """

    challenger: MLModel
    champion: MLModel | None
    champion_schema: Schema | None
    usual: Floats
    naive: tuple[Forecaster, ...]
    rearrangement: Rearrangement
    source: ByteSource
    dates: TextKey | None = None
    sampled: float = 1.0

    @property
    def models(self) -> tuple[MLModel, ...]:
        """Challenger, then champion."""
        return (self.challenger,) if self.champion is None else (self.challenger, self.champion)

    @property
    def losses(self) -> int:
        """Columns of the losses: the models', that of the training mean, those of the naive baselines."""
        return len(self.models) + 1 + len(self.naive)

    def batches(self, numbered: NumberedPart) -> Iterator[tuple[Ints, list[Batch]]]:
        """Record numbers, and the records as each model sees them."""
        extra = [name for one in self.naive for name in one.columns]
        extra += [] if self.dates is None else self.dates.attributes
        if self.champion is None or self.champion_schema is None:
            both = [name for model in self.models for name in model.columns]
            columns = tuple(dict.fromkeys((*both, self.challenger.target.name, *extra)))
            for batch, numbers in selected_records(numbered, self.rearrangement, columns, self.source):
                yield numbers, [batch] * len(self.models)
            return
        columns = tuple(dict.fromkeys((*self.challenger.columns, self.challenger.target.name, *extra)))
        others = tuple(dict.fromkeys((*self.champion.columns, self.champion.target.name)))
        seen_otherwise = replace(numbered, schema=self.champion_schema)
        # Which records follow each other in a batch does not depend on the attributes that are read.
        for (batch, numbers), (other, same) in zip(
            selected_records(numbered, self.rearrangement, columns, self.source),
            selected_records(seen_otherwise, self.rearrangement, others, self.source),
            strict=True,
        ):
            if not np.array_equal(numbers, same):
                raise EvaluationError(
                    f"{numbered.where}: the data rearrangement takes other records for the champion, whose schema "
                    "gives its attribute another type: split by another attribute."
                )
            yield numbers, [batch, other]


@dataclass(frozen=True)
class Judged:
    """Some records with the losses of all contenders.

    Parameters
    ----------
    usable
        Which records count: bool of shape (n,).
    faults
        Of the records with a target that do not count: number by reason.
    losses
        Of the records that count: shape (usable records, `Contenders.losses`).
    labels, raw, scores
        For each model the classes, raw scores and predictions of the records that count.
    known
        For each naive baseline the number of records that count whose value was known.
    """

    usable: Bools
    faults: dict[str, int]
    losses: Floats
    labels: list[Floats]
    raw: list[Floats]
    scores: list[Floats]
    known: list[int]


def judged(contenders: Contenders, batches: list[Batch]) -> Judged:
    """Score the records of a batch by all contenders."""
    models = contenders.models
    kind = models[0].model_type
    labels = [model.target.labels(batch) for model, batch in zip(models, batches, strict=True)]
    raw = [model.predictor.raw_scores(batch) for model, batch in zip(models, batches, strict=True)]
    scores = [model.link.predictions(found) for model, found in zip(models, raw, strict=True)]
    truths = [one.values for one in labels]
    forecasts = [one.forecasts(batches[0]) for one in contenders.naive]
    baselines = [np.broadcast_to(contenders.usual, (len(batches[0]), len(contenders.usual)))]
    baselines += [found for found, _ in forecasts]
    losses = np.stack(
        [losses_of(kind, truth, found) for truth, found in zip(truths, scores, strict=True)]
        + [losses_of(kind, truths[0], found if found.shape[1] > 1 else found[:, 0]) for found in baselines],
        axis=1,
    )
    known = labels[0].known
    fails = [
        invalid_cells(batch, model.columns) | ~np.isfinite(losses[:, place])
        for place, (model, batch) in enumerate(zip(models, batches, strict=True))
    ]
    usable = known & ~np.logical_or.reduce(fails) & np.isfinite(losses).all(axis=1)
    faults = _faults(known, fails, usable)
    if kind is ModelType.MULTICLASS:
        strange = usable & np.logical_and.reduce([truth < 0 for truth in truths])
        faults["unknownClass"] = int(strange.sum())
        usable &= ~strange
    return Judged(
        usable,
        faults,
        losses[usable],
        [truth[usable] for truth in truths],
        [found[usable] for found in raw],
        [found[usable] for found in scores],
        [int((there & usable).sum()) for _, there in forecasts],
    )


def losses_of(kind: ModelType, truth: Floats, predictions: Floats) -> Floats:
    """Squared error, or negative log-likelihood in nats; shape (n,).

    A class that the model does not know (-1) has the least probability that is told apart from 0, 1e-15.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        if kind is ModelType.REGRESSION:
            squares: Floats = (truth - predictions) ** 2
            return squares
        if kind is ModelType.BINARY:
            likely = np.where(truth > 0, predictions, 1.0 - predictions)
        else:
            places = np.where(np.isfinite(truth), truth, -1.0).astype(np.int64)
            likely = predictions[np.arange(len(places)), np.maximum(places, 0)]
            likely = np.where((places < 0) & np.isfinite(likely), 0.0, likely)
        logs: Floats = -np.log(np.maximum(likely, _LEAST_PROBABILITY))
        return logs


def _faults(known: Bools, fails: list[Bools], usable: Bools) -> dict[str, int]:
    only_challenger = known & fails[0]
    both = np.zeros(len(known), dtype=np.bool_)
    only_champion = both
    if len(fails) > 1:
        both = only_challenger & fails[1]
        only_challenger = only_challenger & ~fails[1]
        only_champion = known & fails[1] & ~fails[0]
    rest = known & ~usable & ~(only_challenger | only_champion | both)
    return {
        "challengerFailed": int(only_challenger.sum()),
        "championFailed": int(only_champion.sum()),
        "bothFailed": int((both | rest).sum()),
    }
