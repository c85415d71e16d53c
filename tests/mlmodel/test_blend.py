from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from given_predictors import Given, Other
from nightcast.datasource.parts import Batch
from nightcast.errors import ModelError
from nightcast.mlmodel.blend import Blend, Member
from nightcast.mlmodel.model import Link, Predictor

EMPTY = Batch(0, {"x": pa.array([0.0, 0.0])}, {}, 2)


LOADERS: dict[str, Callable[[Path], Predictor]] = {"given": Given.load, "other": Other.load}


def test_numbers_are_averaged_and_not_their_logarithms() -> None:
    blend = Blend(
        (Member(Given([1.0, -2.0]), Link.IDENTITY, 0.25), Member(Other([0.0, 2.0]), Link.LOG, 0.75)), Link.IDENTITY
    )
    expected = [0.25 * 1 + 0.75 * 1, 0.25 * -2 + 0.75 * np.exp(2)]
    np.testing.assert_allclose(blend.raw_scores(EMPTY), expected)


@pytest.mark.parametrize(
    ("link", "first", "second"),
    [
        (Link.LOGIT, [3.0, -800.0], [-1.0, -900.0]),
        (Link.LOGIT, [800.0, 0.0], [900.0, 0.0]),
        (Link.SOFTMAX, [[0.0, 1.0, 2.0], [0.0, 800.0, 0.0]], [[5.0, 0.0, 0.0], [0.0, 900.0, 0.0]]),
    ],
)
def test_probabilities_are_averaged_and_certain_ones_too(link: Link, first: Any, second: Any) -> None:
    blend = Blend((Member(Given(first), link, 0.4), Member(Other(second), link, 0.6)), link)
    expected = 0.4 * link.predictions(np.array(first)) + 0.6 * link.predictions(np.array(second))
    np.testing.assert_allclose(link.predictions(blend.raw_scores(EMPTY)), expected, atol=1e-15)


def test_it_reads_what_its_members_read() -> None:
    members = (
        Member(Given([0.0], ("b", "a")), Link.IDENTITY, 0.5),
        Member(Other([0.0], ("a", "c")), Link.IDENTITY, 0.5),
    )
    blend = Blend(members, Link.IDENTITY)
    assert (blend.columns, blend.size) == (("b", "a", "c"), 6)
    assert blend.shares == {"given": 0.5, "other": 0.5}
    assert blend.of_kind("other") is members[1].predictor
    assert blend.of_kind("linear") is None


def test_it_is_stored_with_its_members(tmp_path: Path) -> None:
    members = (Member(Given([1.0, 2.0]), Link.IDENTITY, 0.35), Member(Other([3.0, 4.0]), Link.LOG, 0.65))
    names = Blend(members, Link.IDENTITY).save(tmp_path)
    assert names == ("given.json", "other.json", "blend.json")
    loaded = Blend.load(tmp_path, LOADERS)
    assert loaded == Blend(members, Link.IDENTITY)
    again = tmp_path / "again"
    again.mkdir()
    loaded.save(again)
    assert [(again / name).read_bytes() for name in names] == [(tmp_path / name).read_bytes() for name in names]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"version": 2}, "version 2, and nightcast-blend version 1 can be read"),
        ({"format": "other"}, "has the format 'other'"),
        ({"link": "exec"}, r"blend\.json is damaged"),
        ({"members": []}, "is damaged"),
        ({"members": [{"predictor": "pickle", "link": "identity", "share": 1.0}]}, "is damaged"),
        ({"members": [{"predictor": "given", "link": "identity", "share": 0.9}]}, "is damaged"),
        ({"members": [{"predictor": "given", "link": "identity", "share": "all"}]}, "is damaged"),
        ({"members": [{"predictor": "given", "link": "identity"}]}, "is damaged"),
        ({"members": [7]}, "is damaged"),
    ],
)
def test_what_is_not_understood_is_refused(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    members = (Member(Given([1.0]), Link.IDENTITY, 0.5), Member(Other([3.0]), Link.IDENTITY, 0.5))
    Blend(members, Link.IDENTITY).save(tmp_path)
    path = tmp_path / "blend.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ModelError, match=words):
        Blend.load(tmp_path, LOADERS)
