"""Lists of tokens, and the transformations of text that make them.

All work is done on whole arrays: a list of texts becomes one array of tokens and one of list ends, and a
transformation computes which tokens to put together, then puts all of them together at once.
"""

from __future__ import annotations

import string
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from nightcast.datasource.arrow_arrays import Array, Ints, fixed_values, int_array, string_spans

# Punctuation of ASCII and of Unicode at either end of a token.
_ENDS = r"^[\pP{0}]+|[\pP{0}]+$".format("".join(f"\\{mark}" for mark in string.punctuation))


@dataclass(frozen=True)
class TokenLists:
    """Lists of tokens.

    Parameters
    ----------
    offsets
        int64 of shape (lists + 1,): list i is ``tokens[offsets[i]:offsets[i + 1]]``.
    tokens
        String array.
    """

    offsets: Ints
    tokens: Array

    @property
    def lengths(self) -> Ints:
        """Tokens in each list."""
        return np.diff(self.offsets)

    def owners(self) -> Ints:
        """For each token, which list it is in."""
        return np.repeat(np.arange(len(self.offsets) - 1), self.lengths)

    def to_pylist(self) -> list[list[str]]:
        """The lists as Python's own."""
        tokens = self.tokens.to_pylist()
        return [tokens[begin:end] for begin, end in zip(self.offsets[:-1], self.offsets[1:], strict=True)]


def text_array(texts: Iterable[str]) -> Array:
    """A string array of Python strings (``pyarrow.array`` would import pandas)."""
    encoded = [text.encode() for text in texts]
    offsets: Any = np.zeros(len(encoded) + 1, dtype=np.int32)
    np.cumsum([len(text) for text in encoded], out=offsets[1:])
    return pa.StringArray.from_buffers(len(encoded), pa.py_buffer(offsets), pa.py_buffer(b"".join(encoded)))


def single_tokens(texts: Array) -> TokenLists:
    """Each text as one token: what a CATEGORICAL value is."""
    return TokenLists(np.arange(len(texts) + 1, dtype=np.int64), texts)


def words(texts: Array) -> TokenLists:
    """Split texts on white space; marks and case stay as they are.

    Examples
    --------
    >>> words(text_array(["email-subject here", " "])).to_pylist()
    [['email-subject', 'here'], []]
    """
    split: Array = pc.utf8_split_whitespace(texts)
    offsets = fixed_values(split.offsets, np.int32).astype(np.int64)
    # White space at the ends leaves empty pieces.
    return _without_empty(TokenLists(offsets, split.values))


def lowercase(lists: TokenLists) -> TokenLists:
    """Tokens in lower case."""
    return TokenLists(lists.offsets, pc.utf8_lower(lists.tokens))


def no_punct(lists: TokenLists) -> TokenLists:
    """Tokens without punctuation at their start and end; what is left empty vanishes.

    Punctuation is that of Unicode and all of ASCII's, the currency and mathematical signs among it; marks inside
    a token stay.

    Examples
    --------
    >>> no_punct(words(text_array(["'seat-belts!' ... (new)"]))).to_pylist()
    [['seat-belts', 'new']]
    """
    return _without_empty(
        TokenLists(lists.offsets, pc.replace_substring_regex(lists.tokens, pattern=_ENDS, replacement=""))
    )


def ngram(lists: TokenLists, size: int) -> TokenLists:
    """All runs of 1 up to ``size`` words, joined by one space; short runs first. Punctuation belongs to its word.

    Examples
    --------
    >>> ngram(words(text_array(["red, green, blue"])), 2).to_pylist()
    [['red,', 'green,', 'blue', 'red, green,', 'green, blue']]
    """
    owners, ends = lists.owners(), lists.offsets[1:]
    found = [(owners, lists.tokens, np.zeros_like(owners))]
    for length in range(2, size + 1):
        starts = np.flatnonzero(np.arange(len(owners)) + length <= ends[owners])
        if len(starts):
            runs = _joined(lists.tokens, [starts + step for step in range(length)], " ")
            found.append((owners[starts], runs, np.zeros_like(starts)))
    return _collected(len(lists.offsets) - 1, found)


def osb(lists: TokenLists, size: int) -> TokenLists:
    """Orthogonal sparse bigrams: each word with each of the ``size - 1`` behind it, joined by ``_`` once per step.

    The single words are not among them: list the text itself beside it to learn from both.

    Examples
    --------
    >>> osb(words(text_array(["fresh red apples sold"])), 3).to_pylist()
    [['fresh_red', 'fresh__apples', 'red_apples', 'red__sold', 'apples_sold']]
    """
    owners, ends = lists.owners(), lists.offsets[1:]
    found = [(owners[:0], lists.tokens[:0], owners[:0])]
    for distance in range(1, size):
        starts = np.flatnonzero(np.arange(len(owners)) + distance < ends[owners])
        if len(starts):
            found.append((owners[starts], _joined(lists.tokens, [starts, starts + distance], "_" * distance), starts))
    return _collected(len(lists.offsets) - 1, found)


def cartesian(left: TokenLists, right: TokenLists) -> TokenLists:
    """Per list, each token of ``left`` with each of ``right``, joined with ``_``.

    Parameters
    ----------
    left, right
        As many lists each; list i is put together with list i.

    Examples
    --------
    >>> cartesian(words(text_array(["sky birds"])), words(text_array(["scifi"]))).to_pylist()
    [['sky_scifi', 'birds_scifi']]
    """
    widths = right.lengths
    owners = left.owners()
    repeats = widths[owners]
    lefts = np.repeat(np.arange(len(owners)), repeats)
    # Within the run of one left token, the right tokens are counted off.
    counted = np.arange(len(lefts)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    rights = right.offsets[:-1][owners[lefts]] + counted
    tokens = joined([left.tokens.take(int_array(lefts)), right.tokens.take(int_array(rights))], "_")
    return TokenLists(list_offsets(left.lengths * widths), tokens)


def taken(lists: TokenLists, which: npt.NDArray[np.integer]) -> TokenLists:
    """The lists of the given numbers, in the given order."""
    lengths = lists.lengths[which]
    return TokenLists(list_offsets(lengths), lists.tokens.take(int_array(ragged_places(lists.offsets, which))))


def ragged_places(offsets: Ints, which: npt.NDArray[np.integer]) -> Ints:
    """Places of all members of the given lists, list after list."""
    begins, lengths = offsets[:-1][which], np.diff(offsets)[which]
    before = np.cumsum(lengths) - lengths
    return np.repeat(begins - before, lengths) + np.arange(int(lengths.sum()))


def joined(texts: Sequence[Array], separator: str) -> Array:
    """Texts of the same length, joined element by element; null where one of them is null."""
    join: Any = pc.binary_join_element_wise
    return join(*texts, one_text(separator))


@cache
def one_text(text: str) -> Any:
    """An Arrow scalar of a text (``pyarrow.scalar`` would import pandas)."""
    return text_array([text])[0]


def _joined(tokens: Array, places: Sequence[Ints], separator: str) -> Array:
    return joined([tokens.take(int_array(place)) for place in places], separator)


def _collected(count: int, found: Sequence[tuple[Ints, Array, Ints]]) -> TokenLists:
    """Put (owning lists, tokens, ranks) together as ``count`` lists, each ordered by rank, then as found."""
    owners = np.concatenate([owner for owner, _, _ in found])
    ranks = np.concatenate([rank for _, _, rank in found])
    tokens = pa.concat_arrays([run for _, run, _ in found])
    order = np.lexsort((ranks, owners))
    return TokenLists(list_offsets(np.bincount(owners, minlength=count)), tokens.take(int_array(order)))


def _without_empty(lists: TokenLists) -> TokenLists:
    _, spans = string_spans(lists.tokens)
    kept = np.flatnonzero(np.diff(spans))
    if len(kept) == len(lists.tokens):
        return lists
    lengths = np.bincount(lists.owners()[kept], minlength=len(lists.offsets) - 1)
    return TokenLists(list_offsets(lengths), lists.tokens.take(int_array(kept)))


def list_offsets(lengths: Ints) -> Ints:
    """Offsets of lists of the given lengths: int64 of shape (lists + 1,)."""
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets
