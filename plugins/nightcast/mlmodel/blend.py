"""A predictor whose predictions are the weighted mean of those of others."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from nightcast.datasource.arrow_arrays import Floats
from nightcast.datasource.parts import Batch
from nightcast.datasource.strict_json import parse_object
from nightcast.errors import ModelError
from nightcast.mlmodel.model import Link, Predictor

FORMAT = "nightcast-blend"
VERSION = 1
_BLEND = "blend.json"


@dataclass(frozen=True)
class Member:
    """One of the predictors, its link, and its share in the mean."""

    predictor: Predictor
    link: Link
    share: float


@dataclass(frozen=True)
class Blend:
    """``sum of share * prediction``: numbers or probabilities are averaged, not raw scores.

    Parameters
    ----------
    members
        At least two of different kinds, of one target. Shares are above 0 and add up to 1.
    link
        By which the raw scores become the mean again: that of a model of the target, ``identity`` of a regression.
    """

    kind: ClassVar[str] = "blend"
    members: tuple[Member, ...]
    link: Link

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the attributes that are read, each once."""
        return tuple(dict.fromkeys(name for member in self.members for name in member.predictor.columns))

    @property
    def size(self) -> int:
        """Number of features and leaves of all members."""
        return sum(member.predictor.size for member in self.members)

    @property
    def shares(self) -> dict[str, float]:
        """The share of each member, by its kind."""
        return {member.predictor.kind: member.share for member in self.members}

    def of_kind(self, kind: str) -> Predictor | None:
        """The member of a kind."""
        return next((member.predictor for member in self.members if member.predictor.kind == kind), None)

    def raw_scores(self, batch: Batch) -> Floats:
        """See `nightcast.mlmodel.model.Predictor`."""
        found = [member.share * member.link.predictions(member.predictor.raw_scores(batch)) for member in self.members]
        return self.link.raw(np.add.reduce(found))

    def save(self, directory: Path) -> tuple[str, ...]:
        """Write the members' files and ``blend.json``, which lists the members and their shares."""
        names = [name for member in self.members for name in member.predictor.save(directory)]
        document = {
            "format": FORMAT,
            "version": VERSION,
            "link": self.link.value,
            "members": [
                {"predictor": member.predictor.kind, "link": member.link.value, "share": member.share}
                for member in self.members
            ],
        }
        (directory / _BLEND).write_text(json.dumps(document, sort_keys=True, indent=1) + "\n", encoding="utf-8")
        return (*names, _BLEND)

    @classmethod
    def load(cls, directory: Path, loaders: Mapping[str, Callable[[Path], Predictor]]) -> Blend:
        """Read what `save` wrote, members by the loaders of their kinds.

        Raises
        ------
        ModelError
            When it is damaged, of another version, or its members are not of a known kind.
        """
        document = parse_object((directory / _BLEND).read_text(encoding="utf-8"), _BLEND, ModelError)
        if document.get("format") != FORMAT or document.get("version") != VERSION:
            raise ModelError(
                f"{_BLEND} has the format {document.get('format')!r:.80} version {document.get('version')!r:.80}, and "
                f"{FORMAT} version {VERSION} can be read: train the model again, or update Nightcast."
            )
        try:
            members = tuple(_member(given, directory, loaders) for given in document["members"])
            shares = [member.share for member in members]
            if not (members and min(shares) > 0 and abs(sum(shares) - 1.0) < 1e-9):
                raise ValueError(f"shares {shares}")
            return cls(members, Link(document["link"]))
        except (KeyError, TypeError, ValueError) as fault:
            raise ModelError(f"{_BLEND} is damaged ({fault!r:.200}): train the model again.") from None


def _member(given: Any, directory: Path, loaders: Mapping[str, Callable[[Path], Predictor]]) -> Member:
    return Member(loaders[given["predictor"]](directory), Link(given["link"]), float(given["share"]))
