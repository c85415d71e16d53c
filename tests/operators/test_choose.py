"""Which runs train, and which model scores, on the sandbox."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from airflow.sdk.exceptions import DownstreamTasksSkipped

from nightcast.operators.base import storage_of
from nightcast.operators.choose import ChooseModelOperator
from nightcast.registry.model_registry import ModelRegistry
from registry_entries import entry, put_model


@pytest.fixture
def choose(sandbox, run_facts, context):
    """What champion.json says, and the tasks that are skipped."""

    def run(start="2008-12-31", previous="2008-12-30", **params):
        facts = {**run_facts, "period": {**run_facts["period"], "start": start, "previous": {"start": previous}}}
        operator = ChooseModelOperator(
            task_id="choose_model", run=facts, training=["train", "promote"], training_data=["unload"], promotion="p"
        )
        given, skipped = context(**params), []
        try:
            reference = operator.execute(given)
        except DownstreamTasksSkipped as skip:
            skipped, reference = skip.tasks, given["ti"].pushed["return_value"]
            assert given["ti"].pushed["skipmixin_key"] == {"skipped": skipped}
        return json.loads(storage_of("aws_default").read_artifact(reference)), skipped

    return run


@pytest.fixture
def promote(sandbox, run_facts):
    """Promote a model; the URI of one of its files."""
    storage = storage_of("aws_default")

    def put(cut_off):
        model = {**entry().model, "uri": f"{run_facts['root']}/{cut_off}/model/model.json"}
        ModelRegistry(storage, run_facts["registry"]).promote(replace(entry(cut_off), model=model))
        return put_model(storage, model)

    return put


@pytest.fixture
def champion(promote):
    return promote("2008-12-29")


def test_every_run_trains_by_default(choose, champion):
    document, skipped = choose()
    assert (document["trains"], skipped) == (True, [])
    assert document["champion"]["runKey"] == "scheduled__1"


def test_between_two_trainings_the_champion_scores(choose, champion):
    document, skipped = choose(retrain="weekly")
    assert (document["trains"], skipped) == (False, ["train", "promote", "unload"])
    assert document["reason"] == "the period is not the first one of its ISO week"


def test_a_run_that_scores_the_training_datasource_unloads_it_all_the_same(choose, champion):
    assert choose(retrain="monthly", score="training_datasource")[1] == ["train", "promote"]


@pytest.mark.parametrize(
    ("retrain", "start", "previous", "trains"),
    [
        ("weekly", "2008-12-29", "2008-12-28", True),
        ("weekly", "2008-12-30", "2008-12-29", False),
        ("monthly", "2008-12-29", "2008-12-28", False),
        ("monthly", "2008-12-01", "2008-11-30", True),
        ("monthly", "2008-12-29", "2008-11-24", True),
    ],
)
def test_the_first_period_of_a_week_or_month_trains(choose, champion, retrain, start, previous, trains):
    assert choose(start, previous, retrain=retrain)[0]["trains"] is trains


def test_without_a_champion_a_run_trains_whatever_the_calendar_says(choose):
    document, skipped = choose(retrain="monthly")
    assert (document["trains"], skipped, document["champion"]) == (True, [], None)


def test_a_champion_whose_files_are_gone_gives_way_to_the_one_before_loudly(choose, promote, capsys):
    promote("2008-12-15")
    gone = [promote("2008-12-22"), promote("2008-12-29").replace("arrays.npz", "model.json")]
    storage_of("aws_default").delete(gone)
    document, skipped = choose(retrain="weekly")
    assert capsys.readouterr().out.count("can not be champion") == 2
    assert document["champion"]["trainingCutOff"] == "2008-12-15"
    assert (document["trains"], len(skipped)) == (False, 3)
    assert [(one["trainingCutOff"], one["reason"]) for one in document["unusable"]] == [
        *(("2008-12-29", f"{gone[1]} is gone"), ("2008-12-22", f"{gone[0]} is gone")),
    ]


def test_where_no_champion_can_be_used_a_run_trains(choose, champion):
    storage = storage_of("aws_default")
    storage.write_bytes(champion.replace("arrays.npz", "model.json"), b"{}", "application/json")
    document, skipped = choose(retrain="weekly")
    assert (document["trains"], document["champion"], skipped) == (True, None, [])
    assert document["reason"] == "no champion can be used any more"
    assert "is not a model of Nightcast" in document["unusable"][0]["reason"]
