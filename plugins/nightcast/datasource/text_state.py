"""What is summed up of a TEXT attribute in one pass."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow.compute as pc

from nightcast.datasource.arrow_arrays import Array, Bools, Ints, coded, each_once, fixed_values, int_array
from nightcast.datasource.column_state import ColumnState, TargetCells
from nightcast.datasource.hashing import string_hashes
from nightcast.datasource.insights_format import TextInsights
from nightcast.datasource.sketches import DistinctHashes
from nightcast.datasource.string_counts import StringCounts, TableLimits

# Developer guide of Amazon ML, data insights: "email-subject here" is counted as two words, "Great!" as "great".
_PUNCTUATION_AT_ENDS = r"^\pP+|\pP+$"


@dataclass
class _Range:
    """The least and the most of whole numbers."""

    least: int | None = None
    most: int | None = None

    def add(self, values: Ints) -> None:
        if len(values):
            self.merge(_Range(int(values.min()), int(values.max())))

    def merge(self, other: _Range) -> None:
        if other.least is None or other.most is None:
            return
        self.least = other.least if self.least is None else min(self.least, other.least)
        self.most = other.most if self.most is None else max(self.most, other.most)

    @property
    def ends(self) -> tuple[int, int] | None:
        return None if self.least is None or self.most is None else (self.least, self.most)


@dataclass
class TextState:
    """Sums up a TEXT attribute: each distinct text of a batch is split once, however many records have it."""

    tokens: StringCounts
    missing: int = 0
    words: int = 0
    words_per_row: _Range = field(default_factory=_Range)
    word_length: _Range = field(default_factory=_Range)
    unique_words: DistinctHashes = field(default_factory=DistinctHashes)

    @classmethod
    def of(cls, limits: TableLimits) -> TextState:
        """A state that has seen nothing."""
        return cls(StringCounts(limits))

    def add(self, array: Array, invalid: Bools | None, target: TargetCells | None) -> None:
        """See `ColumnState`."""
        codes, distinct = coded(array)
        counts = np.bincount(codes, minlength=len(distinct) + 1)
        self.missing += int(counts[-1])
        records = counts[:-1]
        if not records.all():
            used = np.flatnonzero(records)
            distinct, records = distinct.take(int_array(used)), records[used]
        if len(records):
            self._add_texts(distinct, records)

    def _add_texts(self, texts: Array, records: Ints) -> None:
        text_of, token_of, tokens = _split(texts)
        size = max(len(tokens), 1)
        words = pc.replace_substring_regex(pc.utf8_lower(tokens), _PUNCTUATION_AT_ENDS, "")
        lengths = fixed_values(pc.utf8_length(words), np.int32).astype(np.int64)
        is_word = lengths > 0
        self.word_length.add(lengths[is_word])
        self.unique_words.add(string_hashes(words)[is_word])
        per_text = np.bincount(text_of, weights=is_word[token_of], minlength=len(texts)).astype(np.int64)
        self.words_per_row.add(per_text)
        self.words += int((per_text * records).sum())
        # A text that has a token twice is still one record.
        once = each_once(text_of * size + token_of)
        rows = np.bincount(
            once % max(len(tokens), 1), weights=records[once // max(len(tokens), 1)], minlength=len(tokens)
        )
        self.tokens.add_counted(tokens, rows.astype(np.int64))

    def merge(self, other: ColumnState) -> None:
        """See `ColumnState`."""
        if not isinstance(other, TextState):
            raise TypeError("only states of one attribute can be merged")
        self.missing += other.missing
        self.words += other.words
        self.words_per_row.merge(other.words_per_row)
        self.word_length.merge(other.word_length)
        self.unique_words.merge(other.unique_words)
        self.tokens.merge(other.tokens)

    def insights(self) -> TextInsights:
        """See `ColumnState`."""
        unique_tokens, tokens_exact = self.tokens.distinct_count
        return TextInsights(
            missing=self.missing,
            words=self.words,
            unique_words=self.unique_words.count,
            unique_words_exact=self.unique_words.exact,
            words_per_row=self.words_per_row.ends,
            word_length=self.word_length.ends,
            tokens=self.tokens.listed(),
            unique_tokens=unique_tokens,
            unique_tokens_exact=tokens_exact,
            count_error=self.tokens.error,
            correlation=None,
        )


def _split(texts: Array) -> tuple[Ints, Ints, Array]:
    """Tokens of texts: number of the text and of the token for each occurrence, and the distinct tokens."""
    lists = pc.utf8_split_whitespace(texts)
    offsets = fixed_values(lists.offsets, np.int32).astype(np.int64)
    codes, tokens = coded(lists.flatten())
    token_of = codes.astype(np.int64)
    text_of = np.repeat(np.arange(len(texts)), np.diff(offsets))
    # White space at the ends splits off empty strings.
    lengths = fixed_values(pc.binary_length(tokens), np.int32)
    if lengths.all():
        return text_of, token_of, tokens
    filled = np.flatnonzero(lengths)
    renumbered = np.full(len(tokens), -1, dtype=np.int64)
    renumbered[filled] = np.arange(len(filled))
    token_of = renumbered[token_of]
    kept = token_of >= 0
    return text_of[kept], token_of[kept], tokens.take(int_array(filled))
