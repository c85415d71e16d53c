"""Where the passes of `sgd` take their records from: memory, if all fit there, else the parts once a pass."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Protocol

import numpy as np

from nightcast.datasource.hashing import mixed, seed_hash
from nightcast.datasource.parts import Mapper, NumberedPart
from nightcast.mlmodel.learners import TrainingTask
from nightcast.mlmodel.sgd_coordinates import Coordinates, part_records
from nightcast.mlmodel.sgd_records import Records, joined

# About 200 MB.
KEPT_ENTRIES = 20_000_000
SHUFFLED_RECORDS = 262_144
_JUDGED_RECORDS = 100_000
_PART_SEED = "nightcast sgd parts"
_JUDGE_SEED = "nightcast sgd validation"


class Source(Protocol):
    """Gives the training records again and again, in the same order."""

    @property
    def validation(self) -> Records | None:
        """The validation slice, or about 100,000 of its records; None without any."""
        ...

    @property
    def rest(self) -> Records | None:
        """The training records beside the slice; None where they are not in memory."""
        ...

    @property
    def size(self) -> int:
        """About how many records it has."""
        ...

    def chunks(self, *, everything: bool) -> Iterator[Records]:
        """One pass over the training records, those of the validation slice only if everything is wanted."""
        ...


@dataclass
class HeldSource:
    """Records in memory, in the order of the passes."""

    records: Records

    def __post_init__(self) -> None:
        rest, validation = self.records.side(validation=False), self.records.side(validation=True)
        # Without one of the two sides there is nothing to judge by.
        apart = bool(len(rest) and len(validation))
        self.rest = rest if apart else self.records
        self.validation = validation if apart else None

    @property
    def size(self) -> int:
        """See `Source`."""
        return len(self.records)

    def chunks(self, *, everything: bool) -> Iterator[Records]:
        """See `Source`."""
        yield self.records if everything else self.rest


@dataclass
class StreamedSource:
    """Records that are read anew in each pass: the parts in a drawn order, and within a buffer shuffled."""

    task: TrainingTask
    coordinates: Coordinates
    shuffle: bool
    validation: Records | None
    rest: ClassVar[None] = None

    @property
    def size(self) -> int:
        """See `Source`."""
        return self.task.insights.records

    def chunks(self, *, everything: bool) -> Iterator[Records]:
        """See `Source`."""
        waiting: list[Records] = []
        number = 0
        for part in self._parts():
            for found in part_records(part, self.task, self.coordinates):
                waiting.append(found if everything else found.side(validation=False))
                if sum(map(len, waiting)) >= SHUFFLED_RECORDS:
                    yield self._buffer(waiting, number)
                    waiting, number = [], number + 1
        if sum(map(len, waiting)):
            yield self._buffer(waiting, number)

    def _parts(self) -> list[NumberedPart]:
        parts = self.task.datasource.numbered()
        if not self.shuffle:
            return parts
        hashes = mixed(np.arange(len(parts), dtype=np.uint64) ^ seed_hash(_PART_SEED + self.task.seed))
        return [parts[place] for place in np.argsort(hashes, kind="stable")]

    def _buffer(self, waiting: list[Records], number: int) -> Records:
        records = joined(waiting)
        return records.shuffled(f"{number} {self.task.seed}") if self.shuffle else records


def source_of(
    task: TrainingTask, coordinates: Coordinates, shuffle: bool, mix: bool, mapper: Mapper
) -> tuple[Source | None, Coordinates]:
    """The training records, held if they fit, and the coordinates that they are in; no source without any record.

    Parameters
    ----------
    mix
        Whether numbers may be mixed; see `Coordinates.measured`.
    """
    collect = partial(_held_part, task=task, coordinates=coordinates)
    found: list[Records] = []
    entries = 0
    for part in mapper(collect, task.datasource.numbered()):
        entries += _entries(part or [])
        if part is None or entries > KEPT_ENTRIES:
            return _streamed(task, coordinates, shuffle, mix, mapper)
        found.extend(part)
    if not found:
        return None, coordinates
    records = joined(found)
    measured = coordinates.measured(records, mix=mix)
    records = measured.turned(records)
    return HeldSource(records.shuffled(task.seed) if shuffle else records), measured


def _streamed(
    task: TrainingTask, coordinates: Coordinates, shuffle: bool, mix: bool, mapper: Mapper
) -> tuple[Source, Coordinates]:
    validation = _validation(task, coordinates, mapper)
    if validation is not None:
        coordinates = coordinates.measured(validation, mix=mix)
        validation = coordinates.turned(validation)
    return StreamedSource(task, coordinates, shuffle, validation), coordinates


def _held_part(numbered: NumberedPart, task: TrainingTask, coordinates: Coordinates) -> list[Records] | None:
    """The training records of one part; None if they are too many to be held."""
    found: list[Records] = []
    for records in part_records(numbered, task, coordinates):
        found.append(records)
        if _entries(found) > KEPT_ENTRIES:
            return None
    return found


def _entries(found: list[Records]) -> int:
    return sum(len(records.columns) + 2 * records.numbers.size for records in found)


def _validation(task: TrainingTask, coordinates: Coordinates, mapper: Mapper) -> Records | None:
    share = min(1.0, 7 * _JUDGED_RECORDS / max(task.insights.records, 1))
    collect = partial(_part_validation, task=task, coordinates=coordinates, share=share)
    found = [records for part in mapper(collect, task.datasource.numbered()) for records in part]
    return joined(found) if found else None


def _part_validation(
    numbered: NumberedPart, task: TrainingTask, coordinates: Coordinates, share: float
) -> list[Records]:
    found = []
    seed, seen = seed_hash(f"{_JUDGE_SEED} {numbered.first_record} {task.seed}"), 0
    for records in part_records(numbered, task, coordinates):
        numbers = np.arange(seen, seen + len(records), dtype=np.uint64)
        seen += len(records)
        drawn = records.validation & (mixed(numbers ^ seed) < np.uint64(min(int(share * 2**64), 2**64 - 1)))
        if drawn.any():
            found.append(records.taken(np.flatnonzero(drawn)))
    return found
