"""From records to a model: insights, recipe, training; what several commands do."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nightcast.cli import progress
from nightcast.cli.arguments import text_of
from nightcast.cli.learner_options import parameters_of
from nightcast.errors import SchemaError

if TYPE_CHECKING:
    from nightcast.datasource.insights import Insights
    from nightcast.datasource.parts import Datasource, Mapper
    from nightcast.datasource.rearrangement import Rearrangement
    from nightcast.mlmodel.model import MLModel
    from nightcast.storage import Storage

# X'X of the linear learner at its default number of features: what a part of it may return.
RESULT_BYTES = 8 * 4_000**2


@dataclass(frozen=True)
class Trained:
    """A model, the insights of its training records, and the text of its recipe."""

    model: MLModel
    insights: Insights
    recipe: str


def check_choices(options: argparse.Namespace, storage: Storage, datasource: Datasource) -> str | None:
    """Refuse what can be seen to be wrong before any record is read.

    Returns
    -------
    str or None
        The given recipe, if there is one.

    Raises
    ------
    SchemaError
        If there is no target.
    ModelError
        If a parameter is unknown or out of range.
    RecipeError
        If the recipe can not be read, or does not fit the schema.
    """
    from nightcast.mlmodel.learner_table import learner_of
    from nightcast.recipe.grammar import parse_recipe

    if datasource.schema.target is None:
        raise SchemaError(
            f"nothing says what to predict of {options.data}: name an attribute with --target, or in the schema as "
            "targetAttributeName"
        )
    datasource.schema.require_target()
    learner_of(options.learner, parameters_of(options))
    if options.recipe is None:
        return None
    recipe = text_of(options.recipe, storage, "recipe")
    parse_recipe(recipe, datasource.schema)
    return recipe


def train_on(
    options: argparse.Namespace,
    storage: Storage,
    datasource: Datasource,
    taken: Rearrangement,
    recipe: str | None,
    mapper: Mapper,
) -> Trained:
    """Train on the records that a resolved data rearrangement takes.

    Parameters
    ----------
    recipe
        None for the suggested one.
    mapper
        Without a progress bar.
    """
    from nightcast.datasource.insights import compute_insights
    from nightcast.mlmodel.train import train
    from nightcast.recipe.suggest import suggest_recipe

    with progress.shown(mapper, "insights") as counted:
        insights = compute_insights(datasource, storage, counted, rearrangement=taken)
    text = suggest_recipe(datasource.schema, insights) if recipe is None else recipe
    with progress.shown(mapper, "training") as counted:
        model = train(
            datasource,
            insights,
            text,
            taken,
            storage,
            counted,
            learner=options.learner,
            parameters=parameters_of(options),
            seed=options.seed,
        )
    return Trained(model, insights, text)
