from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nightcast.recipe import tokens
from nightcast.recipe.tokens import TokenLists, text_array, words


def lists_of(texts: list[str]) -> TokenLists:
    return words(text_array(texts))


def plain_ngram(found: list[str], size: int) -> list[str]:
    runs = range(1, size + 1)
    return [" ".join(found[at : at + run]) for run in runs for at in range(len(found) - run + 1)]


def plain_osb(found: list[str], size: int) -> list[str]:
    places = range(len(found))
    return [found[at] + "_" * d + found[at + d] for at in places for d in range(1, size) if at + d < len(found)]


texts = st.lists(st.text(st.sampled_from("ab ,_\t\n"), max_size=12), max_size=6)


def test_words_keep_case_and_marks() -> None:
    assert lists_of(["email-subject here", "", "  A\tb\u00a0c\n"]).to_pylist() == [
        ["email-subject", "here"],
        [],
        ["A", "b", "c"],
    ]


@settings(max_examples=60, deadline=None)
@given(texts)
def test_words_are_what_python_splits(found: list[str]) -> None:
    assert lists_of(found).to_pylist() == [text.split() for text in found]


def test_lowercase() -> None:
    assert tokens.lowercase(lists_of(["Big ÄPFEL", ""])).to_pylist() == [["big", "äpfel"], []]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("seat-belts!", ["seat-belts"]),
        ("... it's -- 'quoted' (a.b.c)", ["it's", "quoted", "a.b.c"]),
        ("«größer» „x“ ¿qué? $5 x^", ["größer", "x", "qué", "5", "x"]),
        ("!?", []),
    ],
)
def test_no_punct_strips_the_ends(text: str, expected: list[str]) -> None:
    assert tokens.no_punct(lists_of([text])).to_pylist() == [expected]


def test_ngram_has_runs_of_one_up_to_n() -> None:
    found = tokens.ngram(lists_of(["red, green, blue"]), 2)
    assert found.to_pylist() == [["red,", "green,", "blue", "red, green,", "green, blue"]]


def test_osb_joins_by_distance() -> None:
    found = tokens.osb(lists_of(["fresh red apples sold daily"]), 3)
    expected = "fresh_red fresh__apples red_apples red__sold apples_sold apples__daily sold_daily"
    assert found.to_pylist() == [expected.split()]
    assert tokens.osb(lists_of(["quick brown fox jumps"]), 4).to_pylist()[0][:3] == [
        "quick_brown",
        "quick__fox",
        "quick___jumps",
    ]


def test_cartesian_multiplies_token_by_token() -> None:
    left, right = lists_of(["sky birds", "sky", ""]), lists_of(["scifi", "a b", "x"])
    assert tokens.cartesian(left, right).to_pylist() == [["sky_scifi", "birds_scifi"], ["sky_a", "sky_b"], []]


@settings(max_examples=60, deadline=None)
@given(texts, st.integers(2, 5))
@pytest.mark.parametrize(("made", "plain"), [(tokens.ngram, plain_ngram), (tokens.osb, plain_osb)])
def test_runs_are_those_of_a_plain_loop(
    made: Callable[[TokenLists, int], TokenLists],
    plain: Callable[[list[str], int], list[str]],
    found: list[str],
    n: int,
) -> None:
    assert made(lists_of(found), n).to_pylist() == [plain(text.split(), n) for text in found]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.text(st.sampled_from("ab ")), st.text(st.sampled_from("cd "))), max_size=6))
def test_products_are_those_of_a_plain_loop(found: list[tuple[str, str]]) -> None:
    left, right = lists_of([a for a, _ in found]), lists_of([b for _, b in found])
    assert tokens.cartesian(left, right).to_pylist() == [
        [f"{x}_{y}" for x in a.split() for y in b.split()] for a, b in found
    ]


@settings(max_examples=60, deadline=None)
@given(texts.filter(bool), st.lists(st.integers(0, 100), max_size=8))
def test_taken_lists(found: list[str], chosen: list[int]) -> None:
    which = [number % len(found) for number in chosen]
    taken = tokens.taken(lists_of(found), np.array(which, dtype=np.int64))
    assert taken.to_pylist() == [found[number].split() for number in which]
