from __future__ import annotations

import inspect
import pickle

import pytest

import part_functions
from nightcast import errors
from nightcast.compute.part_task import attempt, settled
from nightcast.errors import NightcastError

ERRORS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, NightcastError)]


@pytest.mark.parametrize("kind", ERRORS)
def test_errors_survive_the_way_back(kind: type[NightcastError]):
    copy = pickle.loads(pickle.dumps(kind("part 3 of s3://bucket/x")))
    assert type(copy) is kind and str(copy) == "part 3 of s3://bucket/x"


def test_an_error_is_raised_as_it_was_with_its_traceback_as_a_note():
    result, error = attempt(pickle.dumps(part_functions.refuse), 2)
    assert result is None
    with pytest.raises(NightcastError) as caught:
        settled(result, error)
    assert str(caught.value) == "part 2 is refused"
    assert "part_functions.py" in caught.value.__notes__[0]


def test_a_result_is_given_as_it_is():
    assert settled(*attempt(pickle.dumps(part_functions.square), 5)) == 25
