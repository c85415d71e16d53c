"""Random features as pieces, by a letter each."""

from __future__ import annotations

import numpy as np

from nightcast.recipe.pieces import Dense, ManyHot, OneHot, Piece


def random_pieces(seed: int, records: int, kinds: str) -> tuple[list[Piece], int]:
    """The pieces and their number of features: d a number, o values, m lists of each record's own, t repeated lists."""
    rng = np.random.default_rng(seed)
    pieces: list[Piece] = []
    start = 0
    for kind in kinds:
        size = 1 if kind == "d" else int(rng.integers(1, 6))
        if kind == "o":
            pieces.append(OneHot(start, size, rng.integers(0, size + 1, records)))
        elif kind == "d":
            pieces.append(Dense(start, rng.normal(100, 3, records)))
        else:
            held = rng.random((records, size)) < 0.4
            offsets = np.concatenate(([0], np.cumsum(held.sum(axis=1))))
            codes = rng.permutation(records) if kind == "m" else rng.integers(0, max(records // 64, 1), records)
            pieces.append(ManyHot(start, size, codes, offsets, np.nonzero(held)[1]))
        start += size
    return pieces, start


def number_centers(pieces: list[Piece], features: int, center: float = 99.5) -> np.ndarray:
    """The center for numbers, 0 for indicators."""
    found = np.zeros(features)
    found[[piece.start for piece in pieces if isinstance(piece, Dense)]] = center
    return found
