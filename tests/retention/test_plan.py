"""Which objects of a listing may go."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightcast.errors import SettingsError
from nightcast.retention.plan import Kind, RetentionRules, plan_removal
from nightcast.retention.references import References, references_in
from nightcast.storage import StoredObject

NOW = datetime(2026, 11, 22, 5, tzinfo=UTC)
BASE = "s3://bucket/forecasts/sales_forecast/"
RUN = "period=2026-10-01/run=scheduled__a"
OLD = 40
STAGING = (
    "training/try=1/training_0000_part_00.parquet",
    "training/try=1/training_manifest",
    "scoring/try=1/s_manifest",
)
WHOLE = (*STAGING, "schema.json", "model/model.json", "predictions/batch-prediction/bp-1.manifest", "run.json")


def stored(name: str, days: float = OLD, run: str = RUN, base: str = BASE) -> StoredObject:
    return StoredObject(f"{base}{run}/{name}", 10, NOW - timedelta(days=days))


def a_run(days: float = OLD, run: str = RUN, names: tuple[str, ...] = WHOLE) -> list[StoredObject]:
    return [stored(name, days, run) for name in names]


def plan(objects, references=None, rules=None, base=BASE):
    return plan_removal(objects, references or References(), rules or RetentionRules(), base=base, now=NOW)


def gone(result) -> dict[str, set[str]]:
    return {str(r.kind): {item.uri.partition(f"{r.run}/")[2] for item in r.objects} for r in result.removals}


def held(run: str = RUN, what: str = "model/model.json") -> References:
    return references_in({"registry/m/2026-10-02/a.json": {"model": {"uri": f"{BASE}{run}/{what}"}}})


def test_an_old_published_run_loses_its_staging_parts_only():
    result = plan(a_run())
    assert gone(result) == {"staging": set(STAGING)}
    assert result.protected == ()
    assert result.totals() == {
        "staging": {"runs": 1, "objects": 3, "bytes": 30},
        "incomplete": {"runs": 0, "objects": 0, "bytes": 0},
        "run": {"runs": 0, "objects": 0, "bytes": 0},
    }
    assert result.removals[0].reason == "published 40 days ago"


@pytest.mark.parametrize("days", [0, 29, 30])
def test_a_run_is_as_old_as_its_run_json(days):
    assert plan([*a_run(names=STAGING), stored("run.json", days)]).removals == ()


@pytest.mark.parametrize(("days", "goes"), [(6.9, False), (7, False), (7.1, True)])
def test_a_run_without_run_json_is_as_old_as_its_newest_object(days, goes):
    objects = [*a_run(names=STAGING), stored("schema.json", days)]
    assert gone(plan(objects)) == ({"incomplete": {*STAGING, "schema.json"}} if goes else {})


def test_whole_runs_go_if_that_is_asked_for():
    assert gone(plan(a_run(), rules=RetentionRules(run_days=39))) == {"run": set(WHOLE)}
    assert gone(plan(a_run(), rules=RetentionRules(run_days=40))) == {"staging": set(STAGING)}


def test_what_the_registry_refers_to_stays_but_for_its_staging_parts():
    result = plan(a_run(), held(), RetentionRules(run_days=39))
    assert gone(result) == {"staging": set(STAGING)}
    (protected,) = result.protected
    assert protected.run == RUN
    assert protected.reason == "the registry refers to it"
    assert protected.registry == ("registry/m/2026-10-02/a.json",)
    assert {item.uri.partition(f"{RUN}/")[2] for item in protected.objects} == set(WHOLE) - set(STAGING)


def test_an_incomplete_run_that_the_registry_refers_to_stays_whole():
    result = plan(a_run(names=(*STAGING, "model/model.json")), held())
    assert result.removals == ()
    assert [len(protected.objects) for protected in result.protected] == [4]


def test_a_staging_part_that_the_registry_names_stays():
    result = plan(a_run(), held(what=STAGING[1]))
    assert gone(result) == {"staging": {STAGING[0], STAGING[2]}}
    assert [protected.objects[0].uri for protected in result.protected] == [f"{BASE}{RUN}/{STAGING[1]}"]


def test_the_registry_protects_the_run_in_a_bucket_that_has_moved():
    moved = references_in({"r": f"s3://former/place/sales_forecast/{RUN}/model/model.json"})
    assert gone(plan(a_run(), moved, RetentionRules(run_days=1))) == {"staging": set(STAGING)}
    other = references_in({"r": f"s3://bucket/forecasts/other_pipeline/{RUN}/model/model.json"})
    assert gone(plan(a_run(), other, RetentionRules(run_days=1))) == {"run": set(WHOLE)}


def test_a_run_that_is_being_repeated_is_left_alone():
    # Cleared: run.json of the first time still stands, and the second unload is under way.
    result = plan([*a_run(), stored("training/try=2/training_0000_part_00.parquet", 0.01)])
    assert result.removals == ()
    assert [protected.reason for protected in result.protected] == [
        "it was written to lately, and may be running again"
    ]


def test_the_accuracy_of_a_period_stays():
    result = plan([*a_run(), stored("accuracy.json")], rules=RetentionRules(run_days=39))
    assert gone(result) == {"run": set(WHOLE)}
    assert [protected.reason for protected in result.protected] == ["it belongs to the accuracy history"]


@pytest.mark.parametrize(
    "uri",
    [
        "s3://bucket/forecasts/registry/m/2026-10-02/a.json",
        f"s3://bucket/forecasts/registry/{RUN}/training/x",
        f"{BASE}accuracy/history.json",
        f"{BASE}training/x",
        f"{BASE}period=2026-10-01/training/x",
        f"{BASE}run=a/period=2026-10-01/training/x",
        f"{BASE}{RUN}",
        f"s3://bucket/forecasts/sales_forecast_2/{RUN}/training/x",
        f"s3://bucket/{RUN}/training/x",
    ],
)
def test_what_lies_elsewhere_is_not_looked_at(uri):
    result = plan([StoredObject(uri, 1, NOW - timedelta(days=999))], rules=RetentionRules(run_days=1))
    assert (result.removals, result.protected) == ((), ())


@pytest.mark.parametrize("name", ["staging_days", "incomplete_days", "run_days"])
def test_what_may_still_run_can_not_be_asked_for(name):
    with pytest.raises(SettingsError, match=rf"{name} is 0.*Give 1 or more"):
        RetentionRules(**{name: 0})


def test_the_document_tells_each_object():
    document = plan([*a_run(), stored("accuracy.json")], rules=RetentionRules(run_days=39)).to_document()
    (removal,) = document["removals"]
    assert removal["kind"] == "run"
    assert removal["run"] == RUN
    assert (removal["objects"], removal["bytes"]) == (7, 70)
    assert f"{BASE}{RUN}/run.json" in removal["uris"]
    assert document["protected"] == [
        {"run": RUN, "reason": "it belongs to the accuracy history", "registry": [], "objects": 1, "bytes": 10}
    ]


NAMES = st.sampled_from((*WHOLE, "actuals/try=1/a", "accuracy.json", "report.html", "unpublished/x", "training"))
RUNS = st.builds("period=2026-10-0{}/run={}".format, st.integers(1, 3), st.sampled_from(["a", "a-b", "scheduled__x"]))
AGES = st.one_of(st.floats(0, 120), st.integers(0, 60))
OBJECTS = st.lists(st.builds(stored, NAMES, AGES, RUNS), unique_by=lambda item: item.uri, max_size=40)
RULES = st.builds(RetentionRules, st.integers(1, 60), st.integers(1, 30), st.one_of(st.none(), st.integers(1, 90)))
URIS = st.builds("{}{}/{}".format, st.just(BASE), RUNS, NAMES)
REGISTRY = st.dictionaries(
    st.sampled_from(["r/a.json", "r/b.json"]),
    st.one_of(
        URIS, st.lists(URIS), st.dictionaries(st.sampled_from(["uri", "x"]), st.fixed_dictionaries({"uri": URIS}))
    ),
    max_size=2,
)


@given(OBJECTS, REGISTRY, RULES)
def test_no_plan_holds_what_is_protected(objects, registry, rules):
    result = plan(objects, references_in(registry), rules)
    named = set(re.findall(r"s3://[^']+", str(registry)))
    runs_named = {re.search(r"period=[^/]+/run=[^/]+", uri)[0] for uri in named}
    by_run = {}
    for item in objects:
        run, _, name = item.uri.removeprefix(BASE).partition("/run=")
        key, _, name = name.partition("/")
        by_run.setdefault(f"{run}/run={key}", {})[name] = item
    planned = result.objects
    assert len({item.uri for item in planned}) == len(planned), "an object is planned twice"
    for removal in result.removals:
        run = by_run[removal.run]
        newest = max(item.modified for item in run.values())
        assert NOW - newest > timedelta(days=rules.incomplete_days)
        assert removal.objects
        for item in removal.objects:
            name = item.uri.partition(f"{removal.run}/")[2]
            assert item.uri not in named
            assert not name.startswith("accuracy")
            if removal.run in runs_named:
                assert removal.kind is Kind.STAGING
        if removal.kind is Kind.INCOMPLETE:
            assert "run.json" not in run
        else:
            days = rules.staging_days if removal.kind is Kind.STAGING else rules.run_days
            assert NOW - run["run.json"].modified > timedelta(days=days)
        if removal.kind is Kind.STAGING:
            assert all(
                re.match(r"(training|scoring|actuals)/", item.uri.partition(f"{removal.run}/")[2])
                for item in removal.objects
            )
    protected = {item.uri for kept in result.protected for item in kept.objects}
    assert protected.isdisjoint(item.uri for item in planned)


@given(OBJECTS, RULES)
def test_what_is_old_enough_and_free_goes(objects, rules):
    planned = {item.uri for item in plan(objects, rules=rules).objects}
    for item in objects:
        run, name = re.fullmatch(r"(.*/run=[^/]+)/(.+)", item.uri).groups()
        others = [other for other in objects if other.uri.startswith(f"{run}/")]
        idle = NOW - max(other.modified for other in others) > timedelta(days=rules.incomplete_days)
        commits = [other for other in others if other.uri == f"{run}/run.json"]
        age = NOW - commits[0].modified if commits else None
        expected = (
            idle
            and not name.startswith("accuracy")
            and (
                age is None
                or (rules.run_days is not None and age > timedelta(days=rules.run_days))
                or (age > timedelta(days=rules.staging_days) and bool(re.match("(training|scoring|actuals)/", name)))
            )
        )
        assert (item.uri in planned) == expected
