"""What is known of the training data before, and beside, the training: data alerts and drift."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nightcast.errors import NightcastError, StorageError
from nightcast.operators.base import Returned, Stage

if TYPE_CHECKING:
    from nightcast.datasource.drift import Drift
    from nightcast.datasource.insights import Insights
    from nightcast.datasource.schema import Schema


def drift_of(stage: Stage, insights: Insights, schema: Schema, champion: Returned, log: Any) -> Drift | None:
    """Drift of the training records since the champion's, from the insights beside its model.

    None where there is no champion, or its insights are gone or of another version.

    Parameters
    ----------
    champion
        Reference of the champion's model.
    """
    from nightcast.datasource.drift import compare_insights
    from nightcast.datasource.insights import Insights as Known

    reference = stage.pull(champion)
    if reference is None:
        return None
    uri = reference["uri"].removesuffix("model/model.json") + "insights.json"
    if stage.storage.size(uri) is None:
        log.warning("no drift is told: the champion's %s does not exist", uri)
        return None
    try:
        known = Known.from_json(stage.storage.read_bytes(uri).decode())
    except StorageError:
        raise
    except NightcastError as error:
        log.warning("no drift is told: the champion's insights can not be read: %s", error)
        return None
    return compare_insights(known, insights, [schema.row_id] if schema.row_id else [])
