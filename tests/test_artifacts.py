from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightcast.artifacts import RunLayout, finite, object_id, run_key, to_json_bytes
from nightcast.errors import SettingsError


def test_layout_of_a_run():
    layout = RunLayout("s3://bucket/forecasts/", "sales_forecast", "2008-12-31", "scheduled__1")
    assert layout.base == "s3://bucket/forecasts/sales_forecast/period=2008-12-31/run=scheduled__1/"
    assert layout.registry == "s3://bucket/forecasts/sales_forecast/registry"
    assert layout.path("model", "model.json") == layout.base + "model/model.json"


def test_a_layout_without_a_place_is_refused():
    with pytest.raises(SettingsError, match="`bucket`"):
        RunLayout("", "p", "2008-12-31", "r")


@given(st.text(min_size=1))
def test_run_keys_are_safe_in_s3_keys(run_id):
    assert re.fullmatch(r"[A-Za-z0-9_.-]+", run_key(run_id))
    assert run_key(run_key(run_id)) == run_key(run_id)


def test_run_ids_that_clean_alike_keep_apart():
    assert run_key("manual__2024-03-02T02:00:00+00:00") != run_key("manual__2024-03-02T02-00-00-00-00")


def test_object_ids_have_the_form_of_amazon_ml_and_follow_content():
    assert re.fullmatch(r"bp-[a-z0-9]{11}", object_id("bp", "a", "b"))
    assert object_id("bp", "a", "b") == object_id("bp", "a", "b")
    assert object_id("bp", "a", "b") != object_id("bp", "ab", "")


def test_json_is_canonical_and_refuses_nan():
    assert to_json_bytes({"b": 1, "a": [None]}) == to_json_bytes({"a": [None], "b": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        to_json_bytes({"r2": float("nan")})
    assert finite(float("nan")) is None
    assert finite(None) is None
    assert finite(0.5) == 0.5
