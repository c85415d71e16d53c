"""Champions and promotions of runs, in a registry on the sandbox's S3."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from airflow.sdk.exceptions import AirflowFailException

from nightcast import __version__
from nightcast.artifacts import to_json_bytes
from nightcast.errors import StorageError
from nightcast.operators.base import storage_of
from nightcast.operators.champion import FindChampionOperator
from nightcast.operators.promote import PromoteModelOperator
from nightcast.registry.keys import PromotionKey
from nightcast.registry.model_registry import ModelRegistry
from registry_entries import NAME, entry, put_model

PERIOD_END = date(2009, 1, 1)


class Run:
    """A run that has trained, evaluated and decided."""

    def __init__(self, run_facts, context, execute):
        self.facts, self._context, self._execute = run_facts, context, execute
        self.storage = storage_of("aws_default")
        self.registry = ModelRegistry(self.storage, run_facts["registry"])
        self.key = PromotionKey(PERIOD_END, run_facts["run_key"])
        self.train(3.0)
        self.decide("promote", "no champion yet")

    def write(self, name, document):
        data = to_json_bytes(document)
        return self.storage.write_bytes(f"{self.facts['base']}{name}", data, "application/json", rows=7)

    def train(self, rmse):
        document = {"modelType": "REGRESSION", "learner": "linear", "weights": rmse}
        self.model = self.write("model/model.json", document)
        metrics = {"performanceMetrics": {"RegressionRMSE": rmse}, "baseline": {"RegressionRMSE": 4.0}}
        self.evaluation = self.write("evaluation.json", metrics)

    def decide(self, decision, reason):
        self.gate = self.write("gate.json", {"decision": decision, "reason": reason})

    def promote(self, **arguments):
        given = {"gate": self.gate, "model": self.model, "evaluation": self.evaluation, **arguments}
        operator = PromoteModelOperator(task_id="promote", run=self.facts, **given)
        return self._execute(operator, self._context())

    def find_champion(self, **arguments):
        """What champion.json says, and what was pushed."""
        context = self._context()
        operator = FindChampionOperator(task_id="find_champion", run=self.facts, **arguments)
        return json.loads(self.storage.read_artifact(self._execute(operator, context))), context["ti"].pushed

    def champion(self):
        found = self.registry.champion_as_of(NAME, PERIOD_END)
        return found and found.entry.key


@pytest.fixture
def run(sandbox, run_facts, context, execute):
    return Run(run_facts, context, execute)


def test_a_promoted_model_stands_in_the_registry_with_its_run(run):
    before = datetime.now(UTC).replace(microsecond=0)
    reference = run.promote()
    assert reference["uri"] == f"{run.facts['registry']}/sales_forecast/{run.key.entry}"
    found = run.registry.champion_as_of(NAME, PERIOD_END)
    assert found.reference == reference
    assert before <= found.entry.promoted_at <= datetime.now(UTC)
    expected = entry(
        run_key=run.facts["run_key"],
        run_id=run.facts["run_id"],
        run_type="manual",
        period=run.facts["period"],
        decision={"decision": "promote", "reason": "no champion yet"},
        promoted_at=found.entry.promoted_at,
        code_version=__version__,
    )
    assert found.entry == replace(expected, model=run.model)


@pytest.mark.parametrize("decision", ["keep", "ask", "Promote"])
def test_anything_but_promote_does_not(run, decision):
    run.decide(decision, "the champion is better by 3 %")
    assert run.promote() == run.gate
    assert run.champion() is None


def test_a_retry_changes_nothing(run):
    first = run.promote()
    assert run.promote() == first
    assert len(run.registry.keys_of(NAME)) == 1


def test_a_model_is_promoted_under_the_name_that_is_given(run):
    run.promote(model_name="by_venue")
    assert run.registry.model_names() == ["by_venue"]


def test_a_run_that_is_cleared_replaces_its_promotion(run):
    run.promote()
    run.train(2.5)
    run.promote()
    (promotion,) = run.registry.history(NAME)
    assert (promotion.entry.metric, promotion.entry.model, promotion.withdrawal) == (2.5, run.model, None)


def test_a_model_whose_files_were_replaced_by_a_refused_one_is_withdrawn(run):
    run.registry.promote(entry("2008-12-31"))
    run.promote()
    run.train(9.9)
    run.decide("keep", "worse")
    assert run.promote() == run.gate
    assert run.champion() == PromotionKey(date(2008, 12, 31), "scheduled__1")
    assert "was cleared" in run.registry.promotion(NAME, run.key).withdrawal.reason
    # Mended, trained and promoted again, the run's model is champion.
    run.train(2.0)
    run.decide("promote", "better")
    run.promote()
    assert run.champion() == run.key


def test_a_promoted_model_stays_so_when_the_gate_decides_anew_about_it(run):
    run.promote()
    run.decide("keep", "a later thought")
    assert run.promote() == run.gate
    assert run.champion() == run.key


def test_a_withdrawn_model_that_is_promoted_again_stays_withdrawn(run):
    run.promote()
    run.registry.withdraw(NAME, run.key, "bad sales", datetime.now(UTC))
    run.promote()
    assert run.champion() is None


def test_a_run_of_the_same_cut_off_may_go_before(run):
    run.registry.promote(entry(run_key="zzz"))
    run.promote()
    assert run.champion().run_key == "zzz"
    assert run.registry.keys_of(NAME) == [PromotionKey(PERIOD_END, "zzz"), run.key]


def test_a_gate_without_a_decision_is_told(run):
    run.gate = run.write("gate.json", {"reason": "?"})
    with pytest.raises(AirflowFailException, match=r"RegistryError: .*gate\.json has no 'decision'"):
        run.promote()


def test_a_model_that_was_overwritten_is_not_promoted(run):
    stale = run.model
    run.train(1.0)
    with pytest.raises(StorageError, match=r"model\.json is not the object that the task before wrote"):
        run.promote(model=stale)
    assert run.registry.model_names() == []


def test_promotion_leaves_a_published_run_alone(run):
    run.write("run.json", {"artifacts": {}})
    run.promote()
    assert run.storage.size(f"{run.facts['base']}run.json") is not None


def test_the_first_run_has_no_champion(run):
    found, pushed = run.find_champion()
    assert found == {"asOf": "2009-01-01", "modelName": NAME, "champion": None, "registryEntry": None}
    assert "model" not in pushed


def test_the_champion_is_the_one_as_of_the_end_of_the_period(run):
    """Not the run's own model, not one that has seen later sales; one of another run of this period is."""
    run.promote()
    run.registry.promote(entry("2009-01-02"))
    assert run.find_champion()[0]["champion"] is None
    run.registry.promote(entry("2008-12-31"))
    put_model(run.storage, entry("2008-12-31").model)
    found, pushed = run.find_champion()
    assert found["champion"] == json.loads(entry("2008-12-31").to_bytes())
    assert pushed["model"] == entry("2008-12-31").model
    run.registry.promote(entry("2009-01-01", "another"))
    put_model(run.storage, entry("2009-01-01", "another").model)
    found, _ = run.find_champion()
    assert found["champion"]["runKey"] == "another"
    assert run.storage.read_artifact(found["registryEntry"]) == entry("2009-01-01", "another").to_bytes()
    assert run.find_champion(model_name="by_venue")[0]["champion"] is None
