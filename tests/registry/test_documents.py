from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from nightcast.artifacts import to_json_bytes
from nightcast.errors import RegistryError
from nightcast.registry.documents import RegistryEntry, Withdrawal
from registry_entries import NOON, entry

URI = "s3://bucket/registry/sales_forecast/2009-01-01/scheduled__1.json"


def changed(**changes):
    document = json.loads(entry().to_bytes())
    return to_json_bytes({name: value for name, value in {**document, **changes}.items() if value != "gone"})


def test_an_entry_is_one_document_with_sorted_keys():
    data = entry().to_bytes()
    document = json.loads(data)
    assert list(document) == sorted(document)
    assert document == {
        "format": "nightcast-registry-entry",
        "version": 1,
        "modelName": "sales_forecast",
        "trainingCutOff": "2009-01-01",
        "runId": "scheduled__1",
        "runKey": "scheduled__1",
        "runType": "scheduled",
        "period": {"label": "2008-12-31", "start": "2008-12-31", "end": "2009-01-01", "source": "params"},
        "model": entry().model,
        "modelType": "REGRESSION",
        "learner": "linear",
        "metric": {"name": "RegressionRMSE", "value": 3.0, "baseline": 4.0},
        "decision": {"decision": "promote", "reason": "no champion before"},
        "promotedAt": "2026-11-26T12:00:00+00:00",
        "nightcast": "0.1.0",
    }
    assert RegistryEntry.from_bytes(data, URI) == entry()


def test_a_metric_that_is_undefined_stays_so():
    read = RegistryEntry.from_bytes(entry(metric=float("nan"), baseline=None).to_bytes(), URI)
    assert (read.metric, read.baseline) == (None, None)


def test_instants_are_written_in_utc():
    noon = datetime(2026, 11, 26, 14, tzinfo=timezone(timedelta(hours=2)))
    assert entry(promoted_at=noon).to_bytes() == entry().to_bytes()
    with pytest.raises(RegistryError, match="no time zone"):
        entry(promoted_at=datetime(2026, 11, 26, 14))


def test_when_it_was_told_makes_no_other_promotion():
    assert entry(promoted_at=datetime(2027, 1, 1, tzinfo=UTC)).says_the_same_as(entry())
    assert not entry(model="other").says_the_same_as(entry())


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"{", "is no JSON"),
        (b"\xff\xfe", "is no JSON"),
        (b"[]", "must be a JSON object"),
        (b"{}", "its format is not nightcast-registry-entry"),
        (changed(format="nightcast-model"), "its format is not nightcast-registry-entry"),
        (changed(version="1"), "its format is not nightcast-registry-entry"),
        (changed(version=2), "has version 2, and this Nightcast reads version 1: update it"),
        (changed(learner="gone"), "'learner' is missing"),
        (changed(learner=5), "'learner' is 5"),
        (changed(metric={"name": "RegressionRMSE", "value": True, "baseline": 4.0}), "'value' is True"),
        (changed(model={"uri": "s3://b/k"}), "'sha256' is missing"),
        (changed(trainingCutOff="2009-1-1"), "no day as YYYY-MM-DD"),
        (changed(promotedAt="noon"), "no instant"),
        (changed(promotedAt="2026-11-26T12:00:00"), "no time zone"),
        (changed(runKey="a b"), "the run key 'a b' can not stand"),
        (changed(modelName=""), "the model name '' can not stand"),
    ],
)
def test_damage_is_told_with_the_object(data, message):
    with pytest.raises(RegistryError, match=message) as caught:
        RegistryEntry.from_bytes(data, URI)
    assert URI in str(caught.value)


def test_what_json_can_not_say_is_refused_before_it_is_written():
    with pytest.raises(RegistryError, match=r"the promotion of run scheduled__1 can not be written as JSON"):
        entry(decision={"difference": float("nan")}).to_bytes()
    with pytest.raises(RegistryError, match="plain, finite values"):
        entry(decision={"at": NOON}).to_bytes()


def test_a_withdrawal_is_a_document_too():
    withdrawal = Withdrawal("sales_forecast", entry().key, "ab" * 32, "trained on half of the sales", NOON)
    assert json.loads(withdrawal.to_bytes()) == {
        "format": "nightcast-registry-withdrawal",
        "version": 1,
        "modelName": "sales_forecast",
        "trainingCutOff": "2009-01-01",
        "runKey": "scheduled__1",
        "modelSha256": "ab" * 32,
        "reason": "trained on half of the sales",
        "withdrawnAt": "2026-11-26T12:00:00+00:00",
    }
    assert Withdrawal.from_bytes(withdrawal.to_bytes(), URI) == withdrawal
    with pytest.raises(RegistryError, match="its format is not nightcast-registry-withdrawal"):
        Withdrawal.from_bytes(entry().to_bytes(), URI)
    with pytest.raises(RegistryError, match="has no reason"):
        Withdrawal("sales_forecast", entry().key, "ab" * 32, " ", NOON)
