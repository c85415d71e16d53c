"""The sums of a comparison: over one part, and merged."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from nightcast.datasource.arrow_arrays import Floats, Ints
from nightcast.datasource.hashing import mixed
from nightcast.datasource.parts import NumberedPart
from nightcast.evaluation.binary_metrics import BinarySums
from nightcast.evaluation.contenders import Contenders, judged
from nightcast.evaluation.exact_sums import ExactSums
from nightcast.evaluation.multiclass_metrics import MulticlassSums
from nightcast.evaluation.text_keys import NO_DATE
from nightcast.mlmodel.targets import ModelType

_SAMPLE = np.uint64(0x53414D504C45)


@dataclass
class ComparisonState:
    """Sums over some records; parts are merged in part order."""

    sums: ExactSums
    classes: list[BinarySums | MulticlassSums]
    seen: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    known: list[int] = field(default_factory=list)
    numbers: list[Ints] = field(default_factory=list)
    sample: list[Floats] = field(default_factory=list)

    def merge(self, other: ComparisonState) -> None:
        """Add the records that follow."""
        self.sums.merge(other.sums)
        for mine, theirs in zip(self.classes, other.classes, strict=True):
            mine.merge(theirs)  # type: ignore[arg-type]  # both are of the models' type
        self.seen += other.seen
        self.failures.update(other.failures)
        self.known = [mine + theirs for mine, theirs in zip(self.known, other.known, strict=True)]
        self.numbers += other.numbers
        self.sample += other.sample


def part_comparison(numbered: NumberedPart, contenders: Contenders) -> ComparisonState:
    """The sums over one part."""
    state = empty_state(contenders)
    for numbers, batches in contenders.batches(numbered):
        found = judged(contenders, batches)
        labels = contenders.challenger.target.labels(batches[0])
        state.seen += len(numbers)
        state.failures.update({"withoutTarget": labels.missing, "invalidTarget": labels.invalid, **found.faults})
        keys, codes = (
            ([NO_DATE], np.zeros(len(numbers), dtype=np.int64))
            if contenders.dates is None
            else contenders.dates.days(batches[0])
        )
        state.sums.add(keys, codes[found.usable], found.losses)
        for sums, truth, raw, scores in zip(state.classes, found.labels, found.raw, found.scores, strict=False):
            if isinstance(sums, BinarySums):
                sums.add(truth, raw, scores)
            else:
                sums.add(truth, scores)
        state.known = [before + now for before, now in zip(state.known, found.known, strict=True)]
        _add_sample(state, numbers[found.usable], found.losses[:, : len(contenders.models)], contenders.sampled)
    return state


def empty_state(contenders: Contenders) -> ComparisonState:
    """Sums of no record."""
    classes: list[BinarySums | MulticlassSums] = []
    for model in contenders.models:
        if model.model_type is ModelType.BINARY:
            classes.append(BinarySums(model.score_threshold))
        elif model.model_type is ModelType.MULTICLASS:
            classes.append(MulticlassSums(model.target.classes))
    return ComparisonState(ExactSums(contenders.losses), classes, known=[0] * len(contenders.naive))


def _add_sample(state: ComparisonState, numbers: Ints, losses: Floats, share: float) -> None:
    if losses.shape[1] < 2:
        return
    if share < 1.0:
        chosen = mixed(numbers.astype(np.uint64) ^ _SAMPLE) < np.uint64(int(share * 2.0**64))
        numbers, losses = numbers[chosen], losses[chosen]
    state.numbers.append(numbers)
    state.sample.append(losses)
