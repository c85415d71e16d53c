"""A schema brought to the columns of the data that it is to be used with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from nightcast.datasource.schema import Schema
from nightcast.errors import SchemaError


def fitted(schema: Schema, columns: Sequence[str], where: str, *, others: bool = False) -> Schema:
    """The schema in the column order of some data, without its target where they have none.

    Parameters
    ----------
    columns
        Names of the columns, in column order.
    where
        How error messages call the data.
    others
        Whether the data may have columns that the schema does not know: Parquet columns are read by name.

    Raises
    ------
    SchemaError
        When an attribute other than the target is missing, or a column is not known.
    """
    known = {attribute.name: attribute for attribute in schema.attributes}
    missing = [name for name in known if name not in columns and name != schema.target]
    unknown = [] if others else [name for name in columns if name not in known]
    if missing or unknown:
        raise SchemaError(
            f"the columns of {where} are not those of the schema: missing {missing or 'none'}, unknown "
            f"{unknown or 'none'}. Select the same columns as for training (the target may be left out), or correct "
            "the schema."
        )
    return replace(
        schema,
        attributes=tuple(known[name] for name in columns if name in known),
        target=schema.target if schema.target in columns else None,
    )
