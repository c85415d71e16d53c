"""``nightcast recipe``: the suggested recipe of a datasource."""

from __future__ import annotations

import argparse

from nightcast.cli.arguments import Subparsers, add_data_arguments, opened, storage_of, working
from nightcast.cli.learner_options import add_split_argument


def add_to(commands: Subparsers) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "recipe",
        help="the suggested recipe",
        description="Suggest a recipe from the schema and the insights of the records; print it as JSON.",
    )
    add_data_arguments(parser)
    add_split_argument(parser, "the records that will train")
    parser.add_argument(
        "--strict",
        action="store_true",
        help="only what Amazon ML had: no weekday, month and days of attributes with dates",
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="write the recipe there")
    parser.set_defaults(run_command=run)


def run(options: argparse.Namespace) -> None:
    """Print the recipe, or write it; with --json it is printed in any case."""
    from nightcast.artifacts import JSON
    from nightcast.datasource.insights import compute_insights
    from nightcast.datasource.rearrangement import Rearrangement
    from nightcast.recipe.suggest import suggest_recipe

    storage = storage_of(options)
    taken = Rearrangement.from_json(options.split or "")
    datasource = opened(options, storage).datasource
    with working(options, datasource, "insights") as mapper:
        insights = compute_insights(
            datasource, storage, mapper, rearrangement=taken.resolved(datasource, storage, mapper)
        )
    recipe = suggest_recipe(datasource.schema, insights, extensions=not options.strict)
    if options.output:
        storage.write_bytes(options.output, recipe.encode(), JSON)
    if options.json or not options.output:
        print(recipe, end="")
    else:
        print(f"Written: {options.output}")
