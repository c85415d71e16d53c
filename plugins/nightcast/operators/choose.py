"""Choose between training a model and scoring by the champion."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from nightcast.artifacts import JSON, ArtifactRef, to_json_bytes
from nightcast.cadence import Cadence
from nightcast.operators.base import Returned, Stage
from nightcast.operators.champion import FindChampionOperator
from nightcast.operators.order import let_previous_go_first
from nightcast.operators.skipping import end_and_skip

if TYPE_CHECKING:
    from airflow.sdk import Context


class ChooseModelOperator(FindChampionOperator):
    """
    Find the champion as of the end of the run's sales period, and tell by the Param ``retrain`` whether the run trains.

    A run trains if its period is the first one of its ISO week or month, as asked for, or if there is no champion. If
    it does not, the tasks of the training are skipped and all others go on. Scheduled and backfilled runs first let the
    run of the previous period come to its promotion, if that run is under way.

    Returns the reference of ``champion.json``, in which ``trains`` and ``reason`` say what was chosen; pushes the
    champion's model under the key ``model``.

    :param training: ids of the tasks to skip in a run that does not train.
    :param training_data: ids of tasks to skip in such a run, unless it scores the training datasource.
    :param promotion: id of the task whose end is waited for in the run of the previous period.
    """

    inherits_from_skipmixin = True

    def __init__(
        self, *, training: Sequence[str], training_data: Sequence[str] = (), promotion: str, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.training = tuple(training)
        self.training_data = tuple(training_data)
        self.promotion = promotion

    def execute(self, context: Context) -> Any:
        """Write ``champion.json``; skip the training where the champion scores."""
        reference = super().execute(context)
        return end_and_skip(context, reference, self._skipped)

    def run_stage(self, stage: Stage) -> ArtifactRef:
        """Write ``champion.json``."""
        limit = self.execution_timeout / 2 if self.execution_timeout else timedelta(hours=1)
        let_previous_go_first(stage.context, stage.run, self.promotion, self.log, limit=limit)
        found = self.document(stage)
        trains, reason = choice(stage, found["champion"], gone=bool(found.get("unusable")))
        self.log.info("%s: %s", "this run trains" if trains else "the champion scores", reason)
        scores_training = stage.settings.prediction.score == "training_datasource"
        self._skipped = () if trains else self.training + (() if scores_training else self.training_data)
        document = {**found, "trains": trains, "reason": reason}
        return stage.storage.write_bytes(stage.place("champion.json"), to_json_bytes(document), JSON)


def choice(stage: Stage, champion: Any, *, gone: bool = False) -> tuple[bool, str]:
    """Whether the run trains, and why; ``gone`` tells that there were champions that can not be used any more."""
    period, cadence = stage.run["period"], Cadence(stage.settings.model.retrain)
    if cadence is Cadence.EVERY_RUN:
        return True, "every run trains"
    if champion is None:
        return True, "no champion can be used any more" if gone else "there is no champion yet as of this period"
    unit = "ISO week" if cadence is Cadence.WEEKLY else "month"
    if cadence.trains(date.fromisoformat(period["start"]), date.fromisoformat(period["previous"]["start"])):
        return True, f"the period is the first one of its {unit}"
    return False, f"the period is not the first one of its {unit}"


def chosen_document(stage: Stage, choice: Returned) -> dict[str, Any]:
    """What ``champion.json`` says."""
    return dict(json.loads(stage.storage.read_artifact(stage.pull(choice))))
