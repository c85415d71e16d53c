"""Data rearrangement: which records of a datasource are taken, by Amazon ML's ``DataRearrangement`` string."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from nightcast.datasource.arrow_arrays import Array, Bools, Hashes, coded, numbers, valid_mask
from nightcast.datasource.chronology import find_cuts
from nightcast.datasource.hashing import float_hashes, mixed, seed_hash, string_hashes
from nightcast.datasource.parts import Batch, ByteSource, Datasource, Mapper, NumberedPart
from nightcast.datasource.schema import Schema
from nightcast.datasource.strict_json import parse_object
from nightcast.datasource.time_cuts import Cuts, between, checked_cuts
from nightcast.errors import RearrangementError

SEQUENTIAL = "sequential"
RANDOM = "random"
CHRONOLOGICAL = "chronological"
STRATEGIES = (SEQUENTIAL, RANDOM, CHRONOLOGICAL)
_BOOLEANS: dict[str, Any] = {"true": True, "false": False}
_KEYS = ("percentBegin", "percentEnd", "complement", "strategy", "strategyParams")
_PARAMETERS = ("randomSeed", "attribute", "cuts")


@dataclass(frozen=True)
class Rearrangement:
    """Takes the records whose place in 0..100 lies in ``[percent_begin, percent_end)``, or the others.

    Parameters
    ----------
    percent_begin, percent_end
        Whole numbers, 0 <= begin < end <= 100.
    complement
        Take what lies outside the range. Range and complement share no record and leave none out.
    strategy
        ``sequential``: the place of a record is its number over all parts; a cut at p percent is before record
        floor(total * p / 100). ``random``: the place is a pseudo-random number from `seed` and the record's row id
        where the schema has one and it is not NULL, else from its number; the share is only roughly the percentage.
        ``chronological``: the place is the value of `attribute`. Records of one day, or of one number, fall on the same
        side, so the share is only roughly the percentage too; those without a readable value come first. A day is not
        cut: sales of its morning would tell how its evening went.
    seed
        Any string. Two random rearrangements belong together only with the same seed.
    attribute
        ``chronological`` only: an attribute of ISO dates or timestamps, told apart by day, or a NUMERIC one.
    cuts
        ``chronological`` only, set by `resolved`: the range as values, lower end inclusive, upper end exclusive: an ISO
        day or a number, None for an open end.

    Raises
    ------
    RearrangementError
        For values outside these limits, and for a complement of all records, which would take none.

    Examples
    --------
    >>> Rearrangement(0, 70).mask(Batch(first_record=5, columns={}, size=4), total=10, row_id=None).tolist()
    [True, True, False, False]
    """

    percent_begin: int = 0
    percent_end: int = 100
    complement: bool = False
    strategy: str = SEQUENTIAL
    seed: str = ""
    attribute: str | None = None
    cuts: Cuts | None = None

    def __post_init__(self) -> None:
        for name, value in (("percentBegin", self.percent_begin), ("percentEnd", self.percent_end)):
            if type(value) is not int or not 0 <= value <= 100:
                raise RearrangementError(f"{name} must be a whole number from 0 to 100, not {value!r:.80}")
        if self.percent_begin >= self.percent_end:
            raise RearrangementError(
                f"percentBegin {self.percent_begin} is not below percentEnd {self.percent_end}, so no record would be "
                "taken; swap them, or take the complement"
            )
        if self.strategy not in STRATEGIES:
            raise RearrangementError(f"strategy must be one of {', '.join(STRATEGIES)}, not {self.strategy!r:.80}")
        _check_attribute(self)
        if self.cuts is not None:
            object.__setattr__(self, "cuts", checked_cuts(self.cuts, (self.percent_begin, self.percent_end)))
        if type(self.complement) is not bool:
            raise RearrangementError(f"complement must be true or false, not {self.complement!r:.80}")
        if not isinstance(self.seed, str):
            raise RearrangementError(f"randomSeed must be a string, not {self.seed!r:.80}")
        if self.complement and self.percent_begin == 0 and self.percent_end == 100:
            raise RearrangementError("the complement of 0 to 100 percent holds no record; narrow the range")

    @classmethod
    def from_json(cls, text: str) -> Rearrangement:
        """Read a ``DataRearrangement`` string.

        Blank text and an object without ``splitting`` take all records. One bound alone leaves the other at 0 or 100. A
        boolean may be written as a string, as Amazon's own examples do. An unknown key is an error.

        Raises
        ------
        RearrangementError
            When it is malformed.
        """
        if not text.strip():
            return cls()
        document = parse_object(text, "the data rearrangement", RearrangementError)
        _check_keys(document, ("splitting",), "the data rearrangement")
        splitting = _object(document, "splitting")
        _check_keys(splitting, _KEYS, "splitting")
        parameters = _object(splitting, "strategyParams")
        _check_keys(parameters, _PARAMETERS, "strategyParams")
        complement = splitting.get("complement", False)
        return cls(
            percent_begin=splitting.get("percentBegin", 0),
            percent_end=splitting.get("percentEnd", 100),
            complement=_BOOLEANS.get(complement, complement) if isinstance(complement, str) else complement,
            strategy=splitting.get("strategy", SEQUENTIAL),
            seed=parameters.get("randomSeed", ""),
            attribute=parameters.get("attribute"),
            cuts=parameters.get("cuts"),
        )

    def to_json(self) -> str:
        """The ``DataRearrangement`` string, in Amazon ML's form, in one line."""
        splitting: dict[str, Any] = {
            "percentBegin": self.percent_begin,
            "percentEnd": self.percent_end,
            "complement": self.complement,
            "strategy": self.strategy,
        }
        if self.strategy == RANDOM:
            splitting["strategyParams"] = {"randomSeed": self.seed}
        if self.strategy == CHRONOLOGICAL:
            cuts = {} if self.cuts is None else {"cuts": list(self.cuts)}
            splitting["strategyParams"] = {"attribute": self.attribute, **cuts}
        return json.dumps({"splitting": splitting})

    def complemented(self) -> Rearrangement:
        """The rearrangement that takes exactly the records that this one leaves out."""
        return replace(self, complement=not self.complement)

    def resolved(self, datasource: Datasource, source: ByteSource, mapper: Mapper = map) -> Rearrangement:
        """This rearrangement with what it must know of the data: the cuts of a chronological one.

        One pass over that attribute; nothing for other strategies, nor where the cuts are known.

        Raises
        ------
        RearrangementError
            If the schema lacks the attribute, or it holds neither dates nor numbers.
        """
        if self.strategy != CHRONOLOGICAL or self.cuts is not None:
            return self
        ends = (self.percent_begin, self.percent_end)
        return replace(self, cuts=find_cuts(str(self.attribute), ends, datasource, source, mapper))

    def columns(self, schema: Schema) -> tuple[str, ...]:
        """Names of the attributes that `mask` looks at."""
        if self.strategy == CHRONOLOGICAL:
            return (str(self.attribute),)
        return (schema.row_id,) if self.strategy == RANDOM and schema.row_id else ()

    def mask(self, batch: Batch, total: int, row_id: str | None) -> Bools:
        """Which records of a batch are taken.

        Parameters
        ----------
        batch
            Records with their numbers, and with the columns that `columns` names.
        total
            Number of records of the whole datasource.
        row_id
            The schema's row id.

        Returns
        -------
        numpy.ndarray
            bool of shape (len(batch),). It depends on record numbers, `total`, row ids and seed, or on values and cuts,
            and not on how the records lie in parts and batches.

        Raises
        ------
        RearrangementError
            If a column is missing, or a chronological rearrangement is not `resolved`.
        """
        if self.strategy == CHRONOLOGICAL:
            inside = self._between_cuts(batch)
        elif self.strategy == SEQUENTIAL:
            place = np.arange(batch.first_record, batch.first_record + len(batch))
            begin, end = self._ends(total)
            inside = (place >= begin) & (place < end)
        else:
            # Whole percents from the upper half of the hash: exact, and the same on every machine.
            place = ((self._hashes(batch, row_id) >> np.uint64(32)) * np.uint64(100) >> np.uint64(32)).astype(np.int64)
            inside = (place >= self.percent_begin) & (place < self.percent_end)
        return ~inside if self.complement else inside

    def leaves_out(self, numbered: NumberedPart) -> bool:
        """Whether no record of a part is taken, as far as that is known before it is read.

        It is of a ``sequential`` rearrangement, where the numbers of the records are all that counts.
        """
        if self.strategy != SEQUENTIAL:
            return False
        begin, end = self._ends(numbered.total)
        first, behind = numbered.first_record, numbered.first_record + numbered.part.records
        if self.complement:
            return begin <= first and behind <= end
        return min(behind, end) <= max(first, begin)

    def _ends(self, total: int) -> tuple[int, int]:
        """The numbers of the first record of a sequential range and of the one behind its last."""
        return total * self.percent_begin // 100, total * self.percent_end // 100

    def _between_cuts(self, batch: Batch) -> Bools:
        if self.cuts is None or self.attribute is None:
            raise RearrangementError("a chronological rearrangement has no cuts before it is resolved: call resolved()")
        if self.attribute not in batch.columns:
            raise RearrangementError(
                f"a chronological rearrangement needs the attribute {self.attribute!r}; read it too"
            )
        return between(batch.columns[self.attribute], self.cuts)

    def _hashes(self, batch: Batch, row_id: str | None) -> Hashes:
        seed = seed_hash(self.seed)
        by_number = mixed(np.arange(batch.first_record, batch.first_record + len(batch), dtype=np.uint64) ^ seed)
        if row_id is None:
            return by_number
        if row_id not in batch.columns:
            raise RearrangementError(
                f"a random rearrangement needs the row id {row_id!r}, and it was not read; read that column too"
            )
        array = batch.columns[row_id]
        by_id = mixed(_id_hashes(array) ^ seed)
        valid = valid_mask(array)
        return by_id if valid is None else np.where(valid, by_id, by_number)


def _check_attribute(rearrangement: Rearrangement) -> None:
    chronological = rearrangement.strategy == CHRONOLOGICAL
    name = rearrangement.attribute
    if chronological and not (isinstance(name, str) and name):
        raise RearrangementError(
            'strategy "chronological" needs the attribute that tells the time; name it as strategyParams.attribute'
        )
    if not chronological and (name is not None or rearrangement.cuts is not None):
        raise RearrangementError(
            f'attribute and cuts belong to strategy "chronological", not {rearrangement.strategy!r}'
        )


def _id_hashes(array: Array) -> Hashes:
    if pa.types.is_floating(array.type) or pa.types.is_boolean(array.type):
        return float_hashes(numbers(array)[0])
    if pa.types.is_dictionary(array.type):
        codes, distinct = coded(array)
        return np.append(string_hashes(distinct), np.uint64(0))[codes]
    return string_hashes(array)


def _object(document: dict[str, Any], key: str) -> dict[str, Any]:
    value = document.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise RearrangementError(f'"{key}" must be an object in braces, not {value!r:.80}')
    return value


def _check_keys(document: dict[str, Any], known: tuple[str, ...], what: str) -> None:
    for key in document:
        if key not in known:
            raise RearrangementError(f"{what} has the unknown key {key!r:.80}; known keys are {', '.join(known)}")
