"""What is summed up of a TEXT attribute in one pass."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow.compute as pc

from nightcast.datasource.arrow_arrays import (
    Array,
    Bools,
    Hashes,
    Ints,
    coded,
    each_once,
    fixed_values,
    int_array,
    run_starts,
)
from nightcast.datasource.attribute_insights import TextInsights
from nightcast.datasource.class_counts import ClassCounts
from nightcast.datasource.column_state import ColumnState
from nightcast.datasource.information import informational_correlation, presence_entropy, presence_information
from nightcast.datasource.sketches import DistinctHashes
from nightcast.datasource.string_column import StringColumn
from nightcast.datasource.string_counts import StringCounts, TableLimits
from nightcast.datasource.tally import ClassEntries, Tally
from nightcast.datasource.target_cells import Beside
from nightcast.datasource.value_keys import digits, string_keys

PROMINENT_TOKENS = 100
_REPEATED_AT_ONCE = 1 << 22

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


@dataclass(frozen=True)
class _Pairs:
    """Which texts hold which tokens: each pair once, ascending by text."""

    texts: Ints
    tokens: Ints

    def by_class(self, joint: Ints, size: int) -> Ints:
        """Records by token and class, shape (size, classes), from those by text and class."""
        columns = [np.bincount(self.tokens, weights=column[self.texts], minlength=size) for column in joint.T]
        # Sums of counts are exact in float64 up to 2**53.
        return np.stack(columns, axis=1).astype(np.int64)

    def by_entries(self, texts: Ints, entries: ClassEntries, width: int, size: int) -> Ints:
        """The same where most texts have one record: `texts` are those of the entries."""
        table = np.zeros(size * width, dtype=np.int64)
        first = np.searchsorted(self.texts, texts)
        repeats = np.searchsorted(self.texts, texts, side="right") - first
        for begin, end in _pieces(repeats):
            times = repeats[begin:end]
            within = np.arange(int(times.sum())) - np.repeat(np.cumsum(times) - times, times)
            tokens = self.tokens[np.repeat(first[begin:end], times) + within]
            cells = tokens * width + np.repeat(entries.classes[begin:end], times)
            weights = np.repeat(entries.records[begin:end], times)
            table += np.bincount(cells, weights=weights, minlength=len(table)).astype(np.int64)
        return table.reshape(size, width)


@dataclass
class TextState:
    """Sums up a TEXT attribute: each distinct text of a dictionary is split once, however many records have it."""

    tokens: StringCounts
    classes: ClassCounts
    column: StringColumn = field(default_factory=StringColumn)
    words: int = 0
    words_per_row: _Range = field(default_factory=_Range)
    word_length: _Range = field(default_factory=_Range)
    unique_words: DistinctHashes = field(default_factory=DistinctHashes)

    @classmethod
    def of(cls, limits: TableLimits) -> TextState:
        """A state that has seen nothing."""
        return cls(StringCounts(limits), ClassCounts(limits.cells), StringColumn(summed=False))

    def add(self, array: Array, invalid: Bools | None, beside: Beside) -> None:
        """See `ColumnState`."""
        self._take_in(self.column.add(array, beside))

    def finish(self) -> None:
        """See `ColumnState`."""
        self._take_in(self.column.rest())

    def merge(self, other: ColumnState) -> None:
        """See `ColumnState`."""
        if not isinstance(other, TextState):
            raise TypeError("only states of one attribute can be merged")
        self.column.merge(other.column)
        self.words += other.words
        self.words_per_row.merge(other.words_per_row)
        self.word_length.merge(other.word_length)
        self.unique_words.merge(other.unique_words)
        self.tokens.merge(other.tokens)
        self.classes.merge(other.classes)

    def insights(self) -> TextInsights:
        """See `ColumnState`."""
        unique_tokens, tokens_exact = self.tokens.distinct_count
        prominent = self._prominent()
        information = None
        if self.classes.classes.any():
            information = prominent[0][2] if prominent else 0.0
        return TextInsights(
            missing=self.column.missing,
            words=self.words,
            unique_words=self.unique_words.count,
            unique_words_exact=self.unique_words.exact,
            words_per_row=self.words_per_row.ends,
            word_length=self.word_length.ends,
            tokens=self.tokens.listed(),
            unique_tokens=unique_tokens,
            unique_tokens_exact=tokens_exact,
            count_error=self.tokens.error,
            correlation=informational_correlation(information),
            mutual_information=information,
            prominent=prominent,
            dates=self.column.dates.insights(),
            fingerprint=digits(self.column.fingerprint),
        )

    def _prominent(self) -> list[tuple[str, int, float]]:
        rows = self.tokens.rows
        if len(self.classes.classes):
            places = np.searchsorted(rows.keys, self.classes.keys)
            inside = np.minimum(places, max(len(rows) - 1, 0))
            # A token may have been dropped from one of the two tables only.
            held = rows.keys[inside] == self.classes.keys if len(rows) else np.zeros(len(places), dtype=np.bool_)
            rows = rows.taken(inside[held])
            prominence = presence_information(self.classes.counts[held], self.classes.classes)
        else:
            prominence = presence_entropy(np.minimum(rows.counts, self.column.present), self.column.present)
        if len(rows) > PROMINENT_TOKENS:
            least = np.partition(prominence, len(rows) - PROMINENT_TOKENS)[len(rows) - PROMINENT_TOKENS]
            rows, prominence = rows.taken(prominence >= least), prominence[prominence >= least]
        found = zip(rows.values.to_pylist(), rows.counts.tolist(), prominence.tolist(), strict=True)
        return sorted(found, key=lambda triple: (-triple[2], -triple[1], triple[0]))[:PROMINENT_TOKENS]

    def _take_in(self, tallies: Iterable[Tally]) -> None:
        for tally in tallies:
            if tally.records.any():
                self._add_texts(tally)

    def _add_texts(self, tally: Tally) -> None:
        # Texts of the dictionary that no record has are not split.
        used = np.flatnonzero(tally.records)
        records = tally.records[used]
        texts = tally.distinct if len(used) == len(tally.records) else tally.distinct.take(int_array(used))
        text_of, token_of, tokens = _split(texts)
        words = pc.replace_substring_regex(pc.utf8_lower(tokens), _PUNCTUATION_AT_ENDS, "")
        lengths = fixed_values(pc.utf8_length(words), np.int32).astype(np.int64)
        is_word = lengths > 0
        self.word_length.add(lengths[is_word])
        self.unique_words.add(string_keys(words)[is_word])
        per_text = np.bincount(text_of, weights=is_word[token_of], minlength=len(texts)).astype(np.int64)
        self.words_per_row.add(per_text)
        self.words += int((per_text * records).sum())
        # A text that has a token twice is still one record.
        size = max(len(tokens), 1)
        once = each_once(text_of * size + token_of)
        text_of, token_of = once // size, once % size
        rows = np.bincount(token_of, weights=records[text_of], minlength=len(tokens)).astype(np.int64)
        keys = string_keys(tokens)
        self.tokens.add_counted(tokens, keys, rows)
        if len(tally.classes):
            self._add_classes(tally, used, keys, rows, _Pairs(text_of, token_of))

    def _add_classes(self, tally: Tally, used: Ints, keys: Hashes, rows: Ints, pairs: _Pairs) -> None:
        """Count as many of the most frequent tokens by class as fit."""
        chosen = np.argsort(-rows, kind="stable")[: self.classes.cells // len(tally.classes)]
        row_of = np.full(len(rows), -1, dtype=np.int64)
        row_of[chosen] = np.arange(len(chosen))
        kept = row_of[pairs.tokens] >= 0
        pairs = _Pairs(pairs.texts[kept], row_of[pairs.tokens[kept]])
        if tally.joint is not None:
            table = pairs.by_class(tally.joint[used], len(chosen))
        else:
            entries = tally.class_entries()
            table = pairs.by_entries(np.searchsorted(used, entries.strings), entries, len(tally.classes), len(chosen))
        self.classes.add(keys[chosen], table, tally.classes)


def _pieces(repeats: Ints) -> Iterator[tuple[int, int]]:
    """Runs of entries that together are repeated no more than a few million times."""
    steps = np.cumsum(repeats) // _REPEATED_AT_ONCE
    starts = run_starts(steps)
    yield from zip(starts.tolist(), [*starts[1:].tolist(), len(repeats)], strict=True)


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
