from __future__ import annotations

import json
from datetime import UTC, date, datetime

import pytest

from nightcast.artifacts import run_key
from nightcast.cli import main
from nightcast.registry.keys import PromotionKey
from nightcast.registry.model_registry import ModelRegistry
from nightcast.storage import Storage
from registry_entries import NAME, NOON, entry


@pytest.fixture
def root(tmp_path):
    """A registry: three days of one model, the second withdrawn, and another model."""
    root = str(tmp_path / "registry")
    registry = ModelRegistry(Storage(), root)
    for day, metric in ((1, 3.0), (2, 2.0), (3, 2.75)):
        registry.promote(entry(f"2009-01-0{day}", f"scheduled__{day}", metric=metric))
    registry.withdraw(NAME, PromotionKey(date(2009, 1, 2), "scheduled__2"), "half of the sales", NOON)
    registry.promote(entry("2009-01-05", "manual__1", model_name="by_venue", metric=None))
    return root


def told(capsys, *arguments):
    assert main(["models", *arguments]) == 0
    return capsys.readouterr().out


def told_as_json(capsys, *arguments):
    return json.loads(told(capsys, *arguments, "--json"))


def refused(capsys, *arguments):
    assert main(["models", *arguments]) == 1
    return capsys.readouterr().err


def cells(text):
    """The words of each line of a table."""
    return [line.split() for line in text.splitlines()]


def test_list_tells_champions(root, capsys):
    shown = told(capsys, "list", root, "--as-of", "2009-01-04")
    assert shown.startswith("Champions as of 2009-01-04\n")
    by_venue, sales = cells(shown)[-2:]
    assert by_venue == ["by_venue", *"-" * 8]
    assert sales[:6] == [NAME, "2009-01-03", "scheduled__3", "linear", "RegressionRMSE", "2.75"]
    assert "31.2 % better" in shown.splitlines()[-1]


def test_list_looks_from_today_unless_told(root, capsys):
    document = told_as_json(capsys, "list", root)
    assert date.fromisoformat(document["asOf"]) == datetime.now(UTC).date()
    assert [one["modelName"] for one in document["models"]] == ["by_venue", NAME]
    assert [one["champion"]["runKey"] for one in document["models"]] == ["manual__1", "scheduled__3"]
    assert document["models"][0]["champion"]["metric"] == {"name": "RegressionRMSE", "value": None, "baseline": 4.0}


def test_list_of_the_past_does_not_see_what_came_later(root, capsys):
    document = told_as_json(capsys, "list", root, "--as-of", "2009-01-02")
    assert [one["champion"] and one["champion"]["runKey"] for one in document["models"]] == [None, "scheduled__1"]


def test_an_empty_registry_is_told(tmp_path, capsys):
    assert told(capsys, "list", str(tmp_path)) == f"no model was promoted below {tmp_path.as_uri()}\n"
    assert told_as_json(capsys, "list", str(tmp_path))["models"] == []


def test_history_tells_all_promotions(root, capsys):
    shown = told(capsys, "history", root, NAME)
    rows = [line[:3] for line in cells(shown)[-3:]]
    assert rows == [
        ["2009-01-03", "scheduled__3", "champion"],
        ["2009-01-02", "scheduled__2", "withdrawn"],
        ["2009-01-01", "scheduled__1", "promoted"],
    ]
    document = told_as_json(capsys, "history", root, NAME)
    assert [one["state"] for one in document["promotions"]] == ["champion", "withdrawn", "promoted"]
    assert document["promotions"][1]["withdrawal"]["reason"] == "half of the sales"
    assert (document["modelName"], document["all"]) == (NAME, 3)


def test_history_can_be_short_and_of_the_past(root, capsys):
    shown = told(capsys, "history", root, NAME, "--most", "1")
    assert shown.splitlines()[-1] == "... and 2 earlier ones; --most N shows more"
    document = told_as_json(capsys, "history", root, NAME, "--as-of", "2009-01-02")
    assert [(one["runKey"], one["state"]) for one in document["promotions"]] == [
        ("scheduled__2", "withdrawn"),
        ("scheduled__1", "champion"),
    ]
    assert told_as_json(capsys, "history", root, NAME, "--as-of", "2008-01-01")["promotions"] == []
    assert "2008-01-01" in told(capsys, "history", root, NAME, "--as-of", "2008-01-01")


def test_show_tells_the_champion_in_full(root, capsys):
    shown = told(capsys, "show", root, NAME)
    for text in (
        "sales_forecast, run scheduled__3",
        "State             champion as of ",
        "Training cut-off  2009-01-03 00:00 UTC, exclusive",
        "RegressionRMSE    2.75",
        "Baseline          4, so 31.2 % better",
        "Model             s3://nightcast/sales_forecast/scheduled__3/model/model.json",
        "reason    no champion before",
    ):
        assert text in shown
    assert told_as_json(capsys, "show", root, NAME)["promotedAt"] == "2026-11-26T12:00:00+00:00"


def test_show_tells_one_promotion(root, capsys):
    shown = told(capsys, "show", root, NAME, "--run", "scheduled__2")
    assert "State             withdrawn\nReason            half of the sales\n" in shown
    assert told_as_json(capsys, "show", root, NAME, "--run", "scheduled__1")["state"] == "promoted"


def test_a_run_is_known_by_its_id_too(root, capsys):
    run_id = "manual__2009-02-01T02:00:00+00:00"
    ModelRegistry(Storage(), root).promote(entry("2009-02-01", run_key(run_id)))
    assert told_as_json(capsys, "show", root, NAME, "--run", run_id)["runKey"] == run_key(run_id)


def test_withdraw_makes_another_model_champion(root, capsys):
    why = ["--run", "scheduled__3", "--reason", "trained on a holiday"]
    shown = told(capsys, "withdraw", root, NAME, *why)
    assert shown.splitlines()[0].endswith("sales_forecast by run scheduled__3 with the cut-off 2009-01-03")
    assert "Champion now  scheduled__1 with the cut-off 2009-01-01" in shown
    assert told_as_json(capsys, "show", root, NAME)["runKey"] == "scheduled__1"
    again = told_as_json(capsys, "withdraw", root, NAME, "--run", "scheduled__3", "--reason", "another")
    assert (again["state"], again["withdrawal"]["reason"]) == ("withdrawn", "trained on a holiday")
    assert told(capsys, "withdraw", root, NAME, *why).startswith("Was withdrawn before")
    told(capsys, "withdraw", root, NAME, "--run", "scheduled__1", "--reason", "all of them")
    assert "no model sales_forecast is champion as of" in refused(capsys, "show", root, NAME)


def test_a_run_with_several_cut_offs_is_asked_for(root, capsys):
    ModelRegistry(Storage(), root).promote(entry("2009-02-01", "scheduled__1"))
    why = ["withdraw", root, NAME, "--run", "scheduled__1", "--reason", "bad"]
    assert "several cut-offs (2009-02-01, 2009-01-01): name one by --cut-off" in refused(capsys, *why)
    assert told_as_json(capsys, *why, "--cut-off", "2009-02-01")["trainingCutOff"] == "2009-02-01"
    assert "by run 'scheduled__1' with the cut-off 2009-03-01" in refused(capsys, *why, "--cut-off", "2009-03-01")


def test_what_is_not_there_is_an_error_in_one_line(root, capsys):
    message = f"no model 'sales' was promoted below file://{root}; there are: by_venue, sales_forecast."
    for action in ("history", "show"):
        assert refused(capsys, action, root, "sales") == f"nightcast: {message}\n"
    assert "by run 'x'" in refused(capsys, "show", root, NAME, "--run", "x")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "ACTION"),
        (["list"], "registry"),
        (["list", "r", "--as-of", "1.1.2009"], "'1.1.2009' is no day; write YYYY-MM-DD"),
        (["withdraw", "r", "m", "--run", "x"], "--reason"),
        (["show", "r", "m", "--run", "x", "--as-of", "2009-01-01"], "leave --as-of out"),
    ],
)
def test_wrong_usage_exits_with_2(arguments, message, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["models", *arguments])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_a_registry_on_s3_is_read(sandbox, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "sandbox")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "sandbox")
    root = f"s3://nightcast/{tmp_path.name}/registry"
    storage = Storage({"endpoint_url": sandbox.endpoint_url})
    ModelRegistry(storage, root).promote(entry())
    shown = told(capsys, "list", f"{root}/", "--endpoint-url", sandbox.endpoint_url)
    assert cells(shown)[-1][:3] == [NAME, "2009-01-01", "scheduled__1"]
