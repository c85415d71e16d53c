"""Pieces of indicators that are counted together, by one code per record."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from nightcast.datasource.arrow_arrays import Ints
from nightcast.recipe.pieces import ManyHot, OneHot

# Pieces of few indicators are counted together, by their combinations.
_COMBINATIONS = 512
# Records that are looked at for pieces that follow from others.
_LOOKED_AT = 4_096
_UNKNOWN = -1


class Kind(Enum):
    """What the codes of a unit are.

    COMBINED
        Of several pieces, the last one's running fastest.
    LED
        Of the first piece; those of the others follow from it.
    LISTS
        Numbers of lists of the first piece; codes of the others follow from them.
    MEMBERS
        Of a piece of which a record may have any number.
    """

    COMBINED = 1
    LED = 2
    LISTS = 3
    MEMBERS = 4


@dataclass(frozen=True)
class Name:
    """What the codes of a unit mean.

    Parameters
    ----------
    axes
        First column of each piece, and 1 more than its size: a code 0 stands for no indicator, others for 1 plus its
        number.
    """

    kind: Kind
    axes: tuple[tuple[int, int], ...]

    @property
    def combinations(self) -> int:
        """Of the pieces' codes."""
        return math.prod(width for _, width in self.axes)

    def combined_codes(self, place: int) -> Ints:
        """The code of one piece in each combination; shape (combinations,)."""
        widths = [width for _, width in self.axes]
        return np.arange(self.combinations) // math.prod(widths[place + 1 :]) % widths[place]


@dataclass(frozen=True)
class Unit:
    """Pieces of a batch that are counted together.

    Parameters
    ----------
    codes
        What the records have; below `width`.
    piece
        Set where a record may have several codes.
    """

    name: Name
    codes: Ints
    width: int
    piece: ManyHot | None = None

    @property
    def owners(self) -> Ints | None:
        """Which record each code belongs to; None: each record has one, in order."""
        return None if self.piece is None else self.piece.owners

    def of(self, owners: Ints | None) -> Ints:
        """The codes of the given records."""
        return self.codes if owners is None else self.codes.take(owners)


def axis(piece: OneHot | ManyHot) -> tuple[int, int]:
    """First column, and number of codes."""
    return piece.start, piece.size + 1


def combined(pieces: Sequence[OneHot]) -> Iterator[Unit]:
    """Units of pieces: as many of the smallest together as have few combinations."""
    for group in _groups([piece.size + 1 for piece in pieces]):
        some = [pieces[place] for place in group]
        codes = some[0].codes
        for piece in some[1:]:
            codes = codes * (piece.size + 1) + piece.codes
        name = Name(Kind.COMBINED, tuple(map(axis, some)))
        yield Unit(name, codes, name.combinations)


def _groups(widths: Sequence[int]) -> list[list[int]]:
    found: list[list[int]] = []
    combinations = _COMBINATIONS + 1
    for place in sorted(range(len(widths)), key=widths.__getitem__):
        combinations *= widths[place]
        if combinations > _COMBINATIONS:
            found.append([])
            combinations = widths[place]
        found[-1].append(place)
    return [sorted(group) for group in found]


class Followers:
    """Pieces whose codes follow from those of another, such as the month from the day or a product's category.

    They need no counts of their own. That they follow is found by looking, and looked at again in each batch.
    """

    def __init__(self) -> None:
        # First columns of the pieces that were found.
        self.found: frozenset[int] = frozenset()
        # The same, by that of the piece that they follow from.
        self._of: dict[int, list[int]] | None = None
        # Codes of a follower by those of its leader.
        self._codes: dict[tuple[int, int], Ints] = {}

    def look(self, leaders: Iterable[tuple[int, Ints]], followers: Sequence[OneHot]) -> None:
        """Search, unless it was done.

        Parameters
        ----------
        leaders
            First column and codes of the pieces that others may follow from, of the same records as `followers`.
        """
        if self._of is None:
            self._of = _leaders_of(
                [(start, codes[:_LOOKED_AT]) for start, codes in leaders],
                [(piece.start, piece.codes[:_LOOKED_AT]) for piece in followers],
            )
            self.found = frozenset(start for found in self._of.values() for start in found)

    def of(self, leader: int) -> Sequence[int]:
        """First columns of the pieces that follow from one."""
        return (self._of or {}).get(leader, ())

    def following(self, leader: int, codes: Ints, width: int, pieces: Sequence[OneHot]) -> list[OneHot]:
        """Those of the pieces that follow in this batch too; others are no longer counted as followers.

        Parameters
        ----------
        width
            More than each of the leader's codes.
        """
        found = [piece for piece in pieces if self._learned(leader, codes, width, piece)]
        if self._of and len(found) < len(pieces):
            self._of[leader] = [piece.start for piece in found]
        return found

    def codes(self, leader: int, follower: int) -> Ints:
        """A follower's codes by those of its leader; -1 where none was seen."""
        return self._codes[leader, follower]

    def forget(self, leader: int) -> None:
        """Codes of a leader are numbered anew."""
        self._codes = {key: codes for key, codes in self._codes.items() if key[0] != leader}

    def _learned(self, leader: int, codes: Ints, width: int, piece: OneHot) -> bool:
        known = self._codes.get((leader, piece.start))
        if known is None:
            known = np.full(width, _UNKNOWN)
        learned = known.copy()
        learned[codes] = piece.codes
        unchanged = bool(((known == _UNKNOWN) | (known == learned)).all())
        if unchanged and _follows(learned, codes, piece.codes):
            self._codes[leader, piece.start] = learned
            return True
        return False


def _follows(learned: Ints, leader: Ints, codes: Ints) -> bool:
    return bool((learned.take(leader) == codes).all())


def _leaders_of(leaders: Sequence[tuple[int, Ints]], followers: Sequence[tuple[int, Ints]]) -> dict[int, list[int]]:
    """Followers by leader; a leader follows from none."""
    widths = {start: int(codes.max(initial=0)) + 1 for start, codes in (*leaders, *followers)}
    above: dict[int, list[int]] = {}
    for start, codes in followers:
        above[start] = [
            other
            for other, leading in leaders
            # Of two that follow from each other, one leads.
            if (widths[other], other) > (widths[start], start) and _determined(leading, widths[other], codes)
        ]
    found: dict[int, list[int]] = {}
    for start, candidates in above.items():
        roots = [other for other in candidates if not above.get(other)]
        if roots:
            found.setdefault(min(roots, key=lambda other: (widths[other], other)), []).append(start)
    return found


def _determined(leading: Ints, width: int, codes: Ints) -> bool:
    learned = np.zeros(width, dtype=np.int64)
    learned[leading] = codes
    return _follows(learned, leading, codes)
