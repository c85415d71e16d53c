"""The questions of ``nightcast new-pipeline`` on a terminal."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

from nightcast.errors import PipelineError

if TYPE_CHECKING:
    from rich.console import Console


def ask_missing(options: argparse.Namespace, console: Console | None = None) -> None:
    """Ask for what the arguments leave open, and put the answers into them.

    An answer that can not be is refused at once, with the reason, and asked for again.
    """
    from rich.console import Console

    asking = _Questions(console or Console())
    if options.period is None:
        options.period = asking.choice("Is one record for a day, a week or a month?", ["day", "week", "month"], "week")
    if options.from_sql is not None:
        return
    if options.table is None and options.facts_sql is None:
        options.table = asking.text("Table or view that holds the sales", _table)
    if options.date_column is None:
        options.date_column = asking.text("Column that tells when something was sold", _column)
    if not options.key:
        options.key = asking.columns("Columns that tell one series from another, such as product store")
        if options.sum is None:
            options.sum = asking.optional("Column to sum up; empty: sales are counted")
        if not options.features:
            options.features = asking.columns("Further columns of names; empty: none", least=0)
        if not options.number_features:
            options.number_features = asking.columns("Further numeric columns; empty: none", least=0)
    if options.season_ago is None:
        options.season_ago = asking.yes("Is there a year of sales before the training days, to compare with?")


class _Questions:
    def __init__(self, console: Console) -> None:
        self._console = console

    def choice(self, question: str, choices: list[str], default: str) -> str:
        from rich.prompt import Prompt

        return str(Prompt.ask(question, console=self._console, choices=choices, default=default))

    def yes(self, question: str) -> bool:
        from rich.prompt import Confirm

        return bool(Confirm.ask(question, console=self._console, default=False))

    def text(self, question: str, checked: Callable[[str], str]) -> str:
        while True:
            try:
                return checked(self._asked(question))
            except PipelineError as error:
                self._console.print(str(error), markup=False)

    def optional(self, question: str) -> str | None:
        return self.text(question, lambda given: _column(given) if given else "") or None

    def columns(self, question: str, least: int = 1) -> list[str]:
        def checked(given: str) -> str:
            names = given.replace(",", " ").split()
            if len(names) < least:
                raise PipelineError("name at least one column.")
            return " ".join(_column(name) for name in names)

        return self.text(question, checked).split()

    def _asked(self, question: str) -> str:
        from rich.prompt import Prompt

        return str(Prompt.ask(question, console=self._console, default="", show_default=False)).strip()


def _column(name: str) -> str:
    from nightcast.scaffold.spec import checked_column

    return checked_column(name)


def _table(name: str) -> str:
    from nightcast.scaffold.spec import checked_table

    return checked_table(name)
