"""Where the pages' templates are, and what they may call."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from nightcast.report.charts import number

if TYPE_CHECKING:
    from jinja2 import Environment, Template


def template(name: str) -> Template:
    """The template of a page; what is put into it is escaped, and a name that it lacks is an error."""
    return _environment().get_template(name)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("nightcast.report", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["number"] = number
    return environment
