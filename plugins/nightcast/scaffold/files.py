"""The files of a new pipeline."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from nightcast.errors import PipelineError
from nightcast.scaffold.spec import DAYS, SERIES, PipelineSpec, checked_name

if TYPE_CHECKING:
    from jinja2 import Environment

QUERIES = ("training.sql", "scoring.sql", "actuals.sql")
SCHEMA = "training.schema"
# Of a line of SQL, by .sqlfluff, and of Python, by pyproject.toml.
_WIDTH, _PYTHON_WIDTH = 110, 120


def files_of(spec: PipelineSpec, own: Mapping[str, str] | None = None) -> dict[str, str]:
    """Text of each file by its path in the project.

    Parameters
    ----------
    own
        The user's own queries by name, where the pipeline is not generated from facts; `SCHEMA` may be one of them.
    """
    below = f"include/sql/{spec.name}"
    texts = dict(own or {})
    if spec.facts is not None:
        texts = {
            "training.sql": _rendered("records.sql.jinja", spec, scoring=False),
            "scoring.sql": _rendered("records.sql.jinja", spec, scoring=True),
            "actuals.sql": _rendered("actuals.sql.jinja", spec),
        }
    texts.setdefault(SCHEMA, _schema(spec))
    return {
        f"dags/{spec.name}.py": _rendered("dag.py.jinja", spec, **_told(spec)),
        **{f"{below}/{name}": text for name, text in texts.items()},
        f"tests/dags/test_{spec.name}.py": _rendered("test.py.jinja", spec),
    }


def _told(spec: PipelineSpec) -> dict[str, str]:
    """What only the DAG's documentation says."""
    table = None if spec.facts is None else spec.facts.table
    return {
        "series": SERIES,
        "days": DAYS,
        "title": spec.name.replace("_", " ").capitalize(),
        "of_each": "" if spec.facts is None else f" of each {', '.join(f'`{key}`' for key in spec.facts.keys)}",
        "reads": "Redshift" if table is None else f"Redshift table `{table}`",
        "schedule": {
            "day": "nightly at 02:00 UTC, for the whole UTC day that has just ended",
            "week": "Mondays at 02:00 UTC, for the ISO week that has just ended",
            "month": "the first of each month at 02:00 UTC, for the month that has just ended",
        }[spec.step],
    }


def write_new(project: Path, files: Mapping[str, str]) -> list[Path]:
    """Write files that are not there yet, below a project with Nightcast's folders; gives their paths.

    Tests are left out where the project has no tests.

    Raises
    ------
    PipelineError
        If the folder is no such project, or one of the files exists: then none is written.
    """
    if not (project / "dags").is_dir() or not (project / "include" / "sql").is_dir():
        raise PipelineError(f"{project} holds no dags/ and include/sql/: name Nightcast's folder by --project.")
    tested = (project / "tests" / "dags" / "conftest.py").is_file()
    places = {project / name: text for name, text in files.items() if tested or not name.startswith("tests/")}
    there = [path for path in places if path.exists()]
    if there:
        raise PipelineError(
            f"{there[0]} exists, and nothing is overwritten: choose another name, or remove the old pipeline's files."
        )
    for path, text in places.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return list(places)


def refuse_taken(project: Path, name: str) -> None:
    """Refuse the name of a pipeline that another DAG has; PipelineError."""
    taken = taken_names(project).get(checked_name(name))
    if taken is not None:
        raise PipelineError(f"{taken} has a DAG of the name {name}: choose another, for nothing is overwritten.")


def taken_names(project: Path) -> dict[str, Path]:
    """DAG ids that the project's DAG files name, each with its file."""
    named = re.compile(r"""(?:\bdag_id\s*=\s*|\bforecast_dag\(\s*|\b\w*DAG\(\s*)["']([^"']+)["']""")
    found: dict[str, Path] = {}
    for path in sorted((project / "dags").glob("**/*.py")):
        for dag_id in (path.stem, *named.findall(path.read_text(encoding="utf-8", errors="replace"))):
            found.setdefault(dag_id, path)
    return found


def own_queries(folder: Path) -> dict[str, str]:
    """The user's own queries, and the schema override if there is one, by name.

    Raises
    ------
    PipelineError
        If one of the queries is not there.
    """
    texts = {}
    for name in (*QUERIES, SCHEMA):
        path = folder / name
        if path.is_file():
            texts[name] = path.read_text(encoding="utf-8")
        elif name != SCHEMA:
            raise PipelineError(
                f"{folder} holds no {name}: --from-sql takes a folder with {', '.join(QUERIES)}, and perhaps {SCHEMA}."
            )
    return texts


def _schema(spec: PipelineSpec) -> str:
    attributes = [{"attributeName": name, "attributeType": "CATEGORICAL"} for name in spec.categorical]
    lines = ",\n".join(f"    {json.dumps(one)}" for one in attributes)
    return (
        f'{{\n  "rowId": {json.dumps(spec.row_id)},\n  "targetAttributeName": {json.dumps(spec.target)},\n'
        f'  "excludedAttributeNames": [],\n  "attributes": [\n{lines}\n  ]\n}}\n'
    )


def _rendered(template: str, spec: PipelineSpec, **names: object) -> str:
    text = _environment().get_template(template).render(p=spec, f=spec.facts, c=spec.calendar, **names)
    if template.endswith(".sql.jinja"):
        # What is left out leaves an empty line behind.
        text = re.sub(r"\n{3,}", "\n\n", text)
    return text.strip("\n") + "\n"


def _clause(head: str, names: Sequence[str], indent: int) -> str:
    """A list of columns in one line, or each in a line of its own where that would be too long."""
    line = f"{head} {', '.join(names)}"
    if indent + len(line) <= _WIDTH:
        return line
    return head + "".join(f"\n{' ' * (indent + 4)}{name}," for name in names).removesuffix(",")


def _python_list(head: str, names: Sequence[str], tail: str = "") -> str:
    """A list as ruff formats it."""
    line = f"{head}{json.dumps([*names])}{tail}"
    if len(line) <= _PYTHON_WIDTH:
        return line
    indent = " " * (len(head) - len(head.lstrip()))
    return f"{head}[\n" + "".join(f"{indent}    {json.dumps(name)},\n" for name in names) + f"{indent}]{tail}"


def _comment(text: str) -> str:
    return textwrap.fill(text, _WIDTH, initial_indent="-- ", subsequent_indent="--" + " " * 13)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    # Python and SQL, no HTML. The marks are other than usual, for {{ }} is for the pipeline's runs.
    environment = Environment(  # noqa: S701
        loader=PackageLoader("nightcast", "scaffold"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        variable_start_string="<<",
        variable_end_string=">>",
        block_start_string="<%",
        block_end_string="%>",
        comment_start_string="<#",
        comment_end_string="#>",
    )
    environment.globals |= {"clause": _clause, "comment": _comment, "python_list": _python_list}
    return environment
