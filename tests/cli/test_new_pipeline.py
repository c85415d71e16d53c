"""The generator: what it writes passes the project's own checks at once."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nightcast.cli import main, pipeline_questions
from nightcast.cli.pipeline_questions import ask_missing

FACTS = """\
select
    sales.sold_at,
    shops.town
from sales
inner join shops on sales.shop = shops.shop
"""


@pytest.fixture(scope="module")
def copy(project, tmp_path_factory) -> Path:
    """A project of its own with the same checks, and one pipeline of each kind."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("dags", "include"):
        shutil.copytree(project / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "plugins").symlink_to(project / "plugins")
    for name in ("pyproject.toml", ".sqlfluff"):
        shutil.copy(project / name, folder)
    shutil.copytree(project / "tests" / "dags", folder / "tests" / "dags", ignore=shutil.ignore_patterns("__pycache__"))
    for path in (project / "tests").glob("*.py"):
        if not path.name.startswith("test_"):
            shutil.copy(path, folder / "tests")
    (folder / "facts.sql").write_text(FACTS)
    shutil.copytree(folder / "include" / "sql" / "sales_forecast", folder / "own")
    for arguments in PIPELINES:
        placed = [str(folder / one) if one in ("facts.sql", "own") else one for one in arguments]
        assert main(["new-pipeline", *placed, "--project", str(folder), "--json"]) == 0
    return folder


@pytest.fixture(autouse=True)
def _here(copy, monkeypatch):
    monkeypatch.chdir(copy)


PIPELINES = [
    [
        *("shop_weeks", "--period", "week", "--table", "retail.sales", "--date-column", "sold_at", "--sum", "amount"),
        *(
            "--key",
            "country",
            "shop",
            "--features",
            "kind",
            "town",
            "--number-features",
            "price",
            "--target",
            "revenue",
        ),
    ],
    ["visits", "--period", "day", "--table", "visits", "--date-column", "day", "--key", "place", "--no-season-ago"],
    ["town_months", "--period", "month", "--facts-sql", "facts.sql", "--date-column", "sold_at", "--key", "town"],
    ["own_queries", "--period", "day", "--from-sql", "own"],
    [
        *(
            "many_keys",
            "--period",
            "week",
            "--table",
            "sales",
            "--date-column",
            "sold_at",
            "--number-features",
            "price",
        ),
        *("--key", *(f"quite_a_long_key_{number}" for number in range(8))),
    ],
]


def checked(*command: str) -> str:
    done = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_python_and_sql_are_clean(copy):
    checked("ruff", "check", "dags", "tests")
    checked("ruff", "format", "--check", "dags", "tests/dags")
    generated = ("shop_weeks", "visits", "town_months", "many_keys")
    checked("sqlfluff", "lint", *(f"include/sql/{name}" for name in generated))


def test_the_projects_checks_of_dags_hold_and_the_new_tests_pass(copy):
    told = checked("pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "tests/dags")
    assert "passed" in told and "failed" not in told
    for arguments in PIPELINES:
        assert (copy / "tests" / "dags" / f"test_{arguments[0]}.py").is_file()


def test_the_schema_names_roles_and_categories(copy):
    schema = json.loads((copy / "include/sql/shop_weeks/training.schema").read_text())
    assert (schema["rowId"], schema["targetAttributeName"]) == ("recordid", "revenue")
    categorical = [one["attributeName"] for one in schema["attributes"]]
    assert categorical == ["recordid", "country", "shop", "kind", "town", "monthofyear"]


def test_own_queries_are_taken_as_they_are(copy):
    for name in ("training.sql", "scoring.sql", "actuals.sql", "training.schema"):
        assert (copy / "include/sql/own_queries" / name).read_text() == (copy / "own" / name).read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["visits", "--period", "day"], "has a DAG of the name visits"),
        (["sales_forecast"], "has a DAG of the name sales_forecast"),
        (["nightcast_maintenance"], "has a DAG of the name nightcast_maintenance"),
        (["No"], "is no name of a pipeline"),
        (["fresh"], "Give --period day, week or month"),
        (["fresh", "--period", "day"], "give --table (or --facts-sql, or --from-sql), --date-column, --key"),
        (["fresh", "--period", "day", "--from-sql", "include"], "holds no training.sql"),
        (["fresh", "--period", "day", "--from-sql", "own", "--project", "own"], "holds no dags/ and include/sql/"),
    ],
)
def test_what_can_not_be_is_refused_and_nothing_is_written(copy, capsys, arguments, message):
    before = sorted(copy.rglob("*"))
    assert main(["new-pipeline", *arguments]) == 1
    assert message in capsys.readouterr().err
    assert sorted(copy.rglob("*")) == before


def test_nothing_is_overwritten(copy, capsys):
    (copy / "include/sql/half").mkdir()
    (copy / "include/sql/half/actuals.sql").write_text("select 1")
    given = ["--period", "day", "--table", "t", "--date-column", "day", "--key", "place"]
    try:
        assert main(["new-pipeline", "half", *given]) == 1
        assert "nothing is overwritten" in capsys.readouterr().err
        assert not (copy / "dags/half.py").exists()
        assert (copy / "include/sql/half/actuals.sql").read_text() == "select 1"
    finally:
        shutil.rmtree(copy / "include/sql/half")


def test_a_dag_may_have_another_name_than_its_file(copy, capsys):
    (copy / "dags/other.py").write_text('with DAG(\n    dag_id="taken",\n):\n    pass\n')
    try:
        assert main(["new-pipeline", "taken", "--period", "day"]) == 1
        assert "other.py has a DAG of the name taken" in capsys.readouterr().err
    finally:
        (copy / "dags/other.py").unlink()


def test_without_the_projects_tests_none_is_written(tmp_path, capsys):
    for name in ("dags", "include/sql"):
        (tmp_path / name).mkdir(parents=True)
    given = ["--period", "day", "--table", "t", "--date-column", "day", "--key", "place", "--project", str(tmp_path)]
    assert main(["new-pipeline", "bare", *given]) == 0
    assert "training.sql" in capsys.readouterr().out
    assert not (tmp_path / "tests").exists()


class Options:
    """What the command was given."""

    def __init__(self, **given):
        missing = dict.fromkeys(("period", "from_sql", "table", "facts_sql", "date_column", "key", "sum", "season_ago"))
        self.__dict__.update({**missing, "features": [], "number_features": [], **given})


def answering(monkeypatch, *answers: str) -> list[str]:
    left = list(answers)
    monkeypatch.setattr("builtins.input", lambda *_: left.pop(0))
    return left


def test_what_is_missing_is_asked_for_and_wrong_answers_again(monkeypatch, capsys):
    left = answering(
        monkeypatch, "month", "Sales", "retail.sales", "sold_at", "", "shop, kind", "amount", "", "price", "y"
    )
    options = Options()
    ask_missing(options)
    assert left == []
    assert (options.period, options.table, options.date_column) == ("month", "retail.sales", "sold_at")
    assert (options.key, options.sum, options.features) == (["shop", "kind"], "amount", [])
    assert (options.number_features, options.season_ago) == (["price"], True)
    shown = capsys.readouterr().out
    assert "'Sales' is no table" in shown and "name at least one column" in shown


def test_what_is_given_is_not_asked_for(monkeypatch):
    left = answering(monkeypatch, "n")
    options = Options(period="day", table="t", date_column="day", key=["place"])
    ask_missing(options)
    assert (left, options.sum, options.season_ago) == ([], None, False)
    own = Options(period="day", from_sql="own")
    ask_missing(own)
    assert own.table is None


def test_on_a_terminal_the_command_asks(copy, monkeypatch):
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    asked = []
    monkeypatch.setattr(pipeline_questions, "ask_missing", asked.append)
    assert main(["new-pipeline", "asked"]) == 1
    assert len(asked) == 1
