from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nightcast.errors import RecipeError
from nightcast.recipe.document import MAX_RECIPE_CHARACTERS, read_document


def test_sections_are_read_in_order() -> None:
    document = read_document('{"groups": {"A": "group(x)"}, "assignments": {"b": "x"}, "outputs": ["A", "b"]}')
    assert [(name.value, body.value) for name, body in document.groups] == [("A", "group(x)")]
    assert [(name.value, body.value) for name, body in document.assignments] == [("b", "x")]
    assert [output.value for output in document.outputs] == ["A", "b"]


def test_outputs_alone_are_enough() -> None:
    assert [output.value for output in read_document('{"outputs": ["ALL_TEXT"]}').outputs] == ["ALL_TEXT"]


def test_places_follow_escapes() -> None:
    text = r'{"outputs": ["a\"\u00e9\ud83d\ude00z"]}'
    [output] = read_document(text).outputs
    assert output.value == 'a"é😀z'
    assert [text[place] for place in output.offsets] == ["a", "\\", "\\", "\\", "z", '"']


@settings(max_examples=100, deadline=None)
@given(st.text(), st.booleans())
def test_every_place_is_that_of_its_character(value: str, ascii_only: bool) -> None:
    text = json.dumps({"outputs": [value]}, ensure_ascii=ascii_only)
    [output] = read_document(text).outputs
    assert output.value == value
    assert len(output.offsets) == len(value) + 1
    for character, begin, end in zip(value, output.offsets, output.offsets[1:], strict=False):
        assert json.loads(f'"{text[begin:end]}"') == character


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("", "line 1, column 1", "'{' is expected"),
        ("[]", "line 1, column 1", "'{' is expected"),
        ('{"outputs": ["a"],}', "line 1, column 19", "a string in double quotes"),
        ('{"outputs": ["a",]}', "line 1, column 18", "a string in double quotes"),
        ('{"outputs": ["a" "b"]}', "line 1, column 18", "',' or ']'"),
        ('{"outputs": "a"}', "line 1, column 13", "'[' is expected"),
        ('{"outputs": [1]}', "line 1, column 14", "a string in double quotes"),
        ('{"outputs": ["a]}', "line 1, column 14", "Unterminated string"),
        ('{"outputs": ["a"]} x', "line 1, column 20", "text follows"),
        ('{\n "groups": {"A": []},\n "outputs": ["a"]}', "line 2, column 18", "a string in double quotes"),
        ('{"outputs": ["a"], "groups": {}}', "line 1, column 21", "must stand before 'outputs'"),
        ('{"outputs": ["a"], "outputs": ["b"]}', "line 1, column 21", "a second time"),
        ('{"output": ["a"]}', "line 1, column 3", "not a key of a recipe"),
        ('{"groups": {"A": "a", "A": "b"}, "outputs": ["a"]}', "line 1, column 24", "defined twice"),
    ],
)
def test_faults_are_placed(text: str, place: str, words: str) -> None:
    with pytest.raises(RecipeError, match=words.replace("[", r"\[")) as caught:
        read_document(text)
    assert place in str(caught.value)


@pytest.mark.parametrize("text", ['{"outputs": []}', "{}", '{"groups": {}, "assignments": {}}'])
def test_no_outputs(text: str) -> None:
    with pytest.raises(RecipeError, match="no outputs"):
        read_document(text)


def test_length_is_limited() -> None:
    text = '{"outputs": ["%s"]}'
    assert read_document(text % ("a" * (MAX_RECIPE_CHARACTERS - len(text) + 2))).outputs
    with pytest.raises(RecipeError, match="131,072 characters"):
        read_document(text % ("a" * (MAX_RECIPE_CHARACTERS - len(text) + 3)))


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet='{}[]":, \nabc\\outputsgroup', max_size=60))
def test_nothing_else_is_raised(text: str) -> None:
    try:
        read_document(text)
    except RecipeError:
        return
    assert json.loads(text)["outputs"]
