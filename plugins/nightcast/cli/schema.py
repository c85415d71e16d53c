"""``nightcast schema``: what the attributes of the data are, and why."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from nightcast.cli.arguments import Subparsers, add_data_arguments, opened, storage_of

if TYPE_CHECKING:
    from nightcast.cli.tables import Printer
    from nightcast.datasource.opening import OpenedDatasource
    from nightcast.datasource.schema import Schema

_EXAMPLES = 3
_GIVEN = "the schema says so"


def add_to(commands: Subparsers) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "schema",
        help="each attribute's type, with the reason",
        description="Tell each attribute's type, with the reason and examples. --json prints the .schema document.",
    )
    add_data_arguments(parser)
    parser.add_argument("--output", metavar="FILE", help="write the .schema document there")
    parser.set_defaults(run_command=run)


def run(options: argparse.Namespace) -> None:
    """Print or write the schema."""
    storage = storage_of(options)
    found = opened(options, storage)
    document = found.datasource.schema.to_json()
    if options.output:
        storage.write_bytes(options.output, document.encode(), "application/json")
    if options.json:
        print(document, end="")
        return
    from nightcast.cli.tables import Printer

    printer = Printer()
    _print_attributes(printer, found)
    _print_roles(printer, found)
    if options.output:
        printer.line(f"\nWritten: {options.output}")


def _print_attributes(printer: Printer, found: OpenedDatasource) -> None:
    said = _GIVEN if found.schema_uri is None or found.schema_uri.endswith(".schema") else "its column type"
    inferred = {attribute.name: attribute for attribute in found.inferred or ()}
    rows = []
    for attribute in found.datasource.schema.attributes:
        guess = inferred.get(attribute.name)
        reason, examples = said, ""
        if guess is not None:
            examples = ", ".join(printer.cell(example) or '""' for example in guess.examples[:_EXAMPLES])
            reason = guess.reason if guess.type == attribute.type else f"{_GIVEN}; its values look {guess.type}"
        rows.append([printer.cell(attribute.name), attribute.type.value, reason, examples])
    printer.table(["Attribute", "Type", "Reason", "Examples"], rows)


def _print_roles(printer: Printer, found: OpenedDatasource) -> None:
    schema, datasource = found.datasource.schema, found.datasource
    printer.heading("Roles")
    printer.pairs(
        [
            ("Target", _named(printer, schema.target)),
            ("Row id", _named(printer, schema.row_id)),
            ("Excluded", ", ".join(printer.cell(name) for name in schema.excluded) or "none"),
            ("Header line", _header(schema, found)),
            ("Schema", found.schema_uri or ("given" if found.inferred is None else "inferred")),
            ("Records", f"{datasource.records:,} in {_files(len(datasource.parts))}"),
        ]
    )


def _named(printer: Printer, name: str | None) -> str:
    return "none" if name is None else printer.cell(name)


def _header(schema: Schema, found: OpenedDatasource) -> str:
    formats = {part.format for part in found.datasource.parts}
    if formats == {"PARQUET"}:
        return "none in Parquet"
    return "yes" if schema.header else "no"


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count:,} files"
