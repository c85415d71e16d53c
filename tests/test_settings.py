from __future__ import annotations

import json
from datetime import date

import pytest

from nightcast.errors import SettingsError
from nightcast.period import PeriodLength
from nightcast.settings import GROUPS, Settings, dag_params


def test_params_are_typed_and_stand_in_sections():
    params = {name: param.serialize() for name, param in dag_params().items()}
    assert {param["schema"]["section"] for param in params.values()} == {group.section for group in GROUPS}
    assert params["training_percent"]["schema"] | {"title": "", "description": ""} == {
        "type": "integer",
        "minimum": 1,
        "maximum": 99,
        "section": "Data rearrangement",
        "title": "",
        "description": "",
    }
    assert params["period_start"]["schema"]["type"] == ["null", "string"]
    assert params["period_start"]["schema"]["format"] == "date"
    assert params["period_length"]["schema"]["enum"] == [length.value for length in PeriodLength]
    assert params["allow_unfinished_period"]["schema"]["type"] == "boolean"
    assert params["split_strategy"]["schema"]["enum"] == ["sequential", "random", "chronological"]
    assert params["split_attribute"]["schema"]["type"] == ["null", "string"]
    assert params["max_rejected_records"]["value"] == 10_000
    for name, param in params.items():
        assert param["description"] or param["schema"].get("description"), name


def test_no_param_is_an_empty_text_that_the_trigger_form_would_take_for_missing():
    assert [name for name, param in dag_params().items() if param.value == ""] == []


def test_every_default_is_valid_for_its_own_schema():
    for param in dag_params().values():
        param.resolve()


def test_defaults_may_be_replaced_by_name():
    assert dag_params(training_days=7)["training_days"].value == 7
    with pytest.raises(SettingsError, match="no such setting: training_day"):
        dag_params(training_day=7)


def test_settings_are_read_from_params_and_foreign_params_are_left_alone():
    settings = Settings.from_params({"period_start": "2008-12-31", "training_percent": 80, "another": 1})
    assert settings.period.period_start == date(2008, 12, 31)
    assert settings.split.training_percent == 80
    assert settings.model.learner == "auto"


@pytest.mark.parametrize(
    ("param", "value"),
    [
        ("training_percent", 100),
        ("training_days", 0),
        ("split_strategy", "shuffled"),
        ("split_attribute", ""),
        ("max_rejected_records", -1),
        ("learner", "perceptron"),
        ("training_parameters", '{"linear.l2": '),
        ("training_parameters", "[1]"),
        ("intervals", 0),
        ("intervals", 1),
        ("intervals", float("nan")),
        ("period_start", "yesterday"),
        ("period_length", "yearly"),
        ("allow_unfinished_period", "perhaps"),
        ("score", "everything"),
        ("retrain", "yearly"),
        ("gate_confidence", 0.5),
        ("min_improvement", 100),
        ("undecided", "perhaps"),
        ("max_worse", -1),
        ("gate_min_records", 1),
        ("max_unscored_percent", 101),
        ("on_drift", "ignore"),
        ("accuracy_table", "a.b.c"),
        ("accuracy_table", "t; drop table sales"),
    ],
)
def test_a_bad_value_names_its_param(param, value):
    with pytest.raises(SettingsError, match=f"Param {param} is"):
        Settings.from_params({param: value})


def test_training_parameters_are_a_json_object_by_full_key():
    settings = Settings.from_params({"learner": "sgd", "training_parameters": '{"sgd.maxPasses": "20"}'})
    assert settings.model.parameters() == {"sgd.maxPasses": "20"}
    assert Settings.from_params({}).model.parameters() == {}
    assert Settings.from_params({"training_parameters": ""}).model.parameters() == {}


def test_the_rearrangement_is_amazon_mls_json():
    assert json.loads(Settings.from_params({}).rearrangement_json()) == {
        "splitting": {"percentBegin": 0, "percentEnd": 70, "strategy": "sequential"}
    }
    drawn = Settings.from_params({"split_strategy": "random", "random_seed": "s3://bucket/sales/"})
    assert json.loads(drawn.rearrangement_json())["splitting"]["strategyParams"] == {"randomSeed": "s3://bucket/sales/"}
    by_day = Settings.from_params({"split_strategy": "chronological", "split_attribute": "day"})
    assert json.loads(by_day.rearrangement_json())["splitting"]["strategyParams"] == {"attribute": "day"}


@pytest.mark.parametrize("given", [{}, {"split_attribute": None}])
def test_a_chronological_split_needs_its_attribute(given):
    with pytest.raises(
        SettingsError, match=r"Param split_attribute is None: .*needs the attribute that tells the time"
    ):
        Settings.from_params({"split_strategy": "chronological", **given})


def test_an_attribute_that_no_split_asks_for_is_left_alone():
    settings = Settings.from_params({"split_attribute": "day"})
    assert json.loads(settings.rearrangement_json())["splitting"] == {
        "percentBegin": 0,
        "percentEnd": 70,
        "strategy": "sequential",
    }


def test_the_params_of_the_gate_have_its_own_defaults():
    from nightcast.evaluation.gate_settings import GateSettings

    assert Settings().gate.gate() == GateSettings()


def test_every_threshold_of_the_gate_is_a_param():
    from nightcast.evaluation.gate_settings import GateSettings

    given = {
        **{"min_improvement": 2, "gate_confidence": 0.9, "undecided": "keep", "max_worse": 3},
        **{"must_beat": ["lastPeriod"], "gate_min_records": 50, "max_unscored_percent": 4},
        **{"on_data_alerts": "skip", "on_drift": "fail"},
    }
    expected = GateSettings(2, 0.9, "keep", 3, ("lastPeriod",), 50, 4, "skip", "fail")
    assert Settings.from_params(given).gate.gate() == expected
