"""Decide whether the run's model replaces the champion."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

from nightcast.artifacts import JSON, ArtifactRef, to_json_bytes
from nightcast.operators.base import Returned, Stage, StageOperator
from nightcast.operators.champion import cut_off_of
from nightcast.operators.choose import chosen_document
from nightcast.operators.promote import PROMOTE
from nightcast.operators.skipping import end_and_skip

if TYPE_CHECKING:
    from airflow.sdk import Context

    from nightcast.datasource.insights import Insights
    from nightcast.datasource.parts import Datasource, Mapper
    from nightcast.datasource.rearrangement import Rearrangement
    from nightcast.evaluation.comparison_figures import Comparison
    from nightcast.evaluation.held_out import Training
    from nightcast.evaluation.text_keys import TextKey
    from nightcast.mlmodel.model import MLModel


class CompareModelsOperator(StageOperator):
    """
    The gate: compare the run's model with the champion and with baselines, on the records that trained neither.

    Returns the reference of ``gate.json``, and pushes ``decision`` and ``reason`` under the key ``decision``. The rule
    is in docs/gate.md, its thresholds are Params.

    :param manifest: what the unload task returned.
    :param schema: reference of ``schema.json``.
    :param insights: reference of ``insights.json``; it holds the training's data rearrangement.
    :param model: reference of the challenger's ``model/model.json``.
    :param champion: id of the task that returned ``champion.json`` and pushed the champion's model.
    :param series: of row ids: a regular expression whose group ``key`` tells which records belong together over time,
        for the baselines of the last period and of a season ago.
    :param days: of row ids: a regular expression whose group ``key`` is the record's day, YYYYMMDD or YYYY-MM-DD.
    :param approval: ids of the tasks that ask a person; skipped but in runs by hand that would promote and are to ask.
    """

    inherits_from_skipmixin = True

    def __init__(
        self,
        *,
        manifest: Returned,
        schema: Returned,
        insights: Returned,
        model: Returned,
        champion: str,
        series: str | None = None,
        days: str | None = None,
        approval: Sequence[str] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.manifest = manifest
        self.schema = schema
        self.insights = insights
        self.model = model
        self.champion = champion
        self.series = series
        self.days = days
        self.approval = tuple(approval)

    def execute(self, context: Context) -> Any:
        """Write ``gate.json``; skip the approval where nobody is to be asked."""
        reference = super().execute(context)
        return end_and_skip(context, reference, () if self._asks else self.approval)

    def run_stage(self, stage: Stage) -> ArtifactRef:
        """Write ``gate.json``."""
        from nightcast.datasource.data_alerts import data_alerts
        from nightcast.datasource.insights import Insights
        from nightcast.evaluation.gate import decide
        from nightcast.operators.data_check import drift_of
        from nightcast.operators.inputs import datasource_of

        datasource = datasource_of(stage, self.manifest, self.schema)
        insights = Insights.from_json(stage.storage.read_artifact(stage.pull(self.insights)).decode())
        comparison, saw = self._compare(stage, datasource, insights)
        decided = decide(
            comparison,
            stage.settings.gate.gate(),
            alerts=data_alerts(insights, datasource.schema),
            drift=drift_of(stage, insights, datasource.schema, (self.champion, "model"), self.log),
        )
        self.log.info("%s: %s", decided.decision, decided.reason)
        asked = stage.settings.gate.approval and stage.run["run_type"] == "manual"
        self._asks = asked and decided.decision == PROMOTE
        told = {"decision": str(decided.decision), "reason": decided.reason}
        stage.context["ti"].xcom_push(key="decision", value=told)
        document = {**json.loads(decided.to_json()), "championSawRecords": saw}
        return stage.storage.write_bytes(stage.place("gate.json"), to_json_bytes(document), JSON)

    def _compare(self, stage: Stage, datasource: Datasource, insights: Insights) -> tuple[Comparison, bool]:
        """The figures, and whether the champion may have been trained on some of the compared records."""
        from nightcast.compute import mapper_for
        from nightcast.evaluation.comparison import compare
        from nightcast.evaluation.comparison_figures import Resampling
        from nightcast.operators.inputs import model_of

        entry = chosen_document(stage, self.champion)["champion"]
        challenger = model_of(stage, self.model)
        champion = model_of(stage, entry["model"]) if entry else None
        with mapper_for(len(datasource.parts), datasource.records, compute=stage.compute) as mapper:

            def compared(taken: Rearrangement) -> Comparison:
                return compare(
                    challenger,
                    champion,
                    datasource,
                    taken,
                    stage.storage,
                    mapper,
                    naive=self._naive(stage, datasource, insights.rearrangement, mapper),
                    dates=_key(datasource, self.days),
                    resampling=Resampling(confidence=stage.settings.gate.gate_confidence),
                )

            held_out = insights.rearrangement.complemented()
            if champion is None:
                return compared(held_out), False
            saw, unseen = self._seen(stage, challenger, champion, entry)
            if unseen is not None:
                self.log.info("the champion knows some of the held-out records: comparing on those after them")
                later = compared(unseen)
                if later.records >= stage.settings.gate.gate_min_records:
                    return later, False
            if saw:
                self.log.warning("the champion may have been trained on some of the compared records")
            return compared(held_out), saw

    def _seen(
        self, stage: Stage, challenger: MLModel, champion: MLModel, entry: dict[str, Any]
    ) -> tuple[bool, Rearrangement | None]:
        """Whether the champion may know held-out records, and which records it can not know."""
        from nightcast.evaluation.held_out import champion_saw, unseen_by_champion

        mine = _training(challenger, cut_off_of(stage))
        its = _training(champion, date.fromisoformat(entry["trainingCutOff"]))
        if not champion_saw(mine, its, stage.settings.datasource.training_days):
            return False, None
        return True, unseen_by_champion(mine, its)

    def _naive(self, stage: Stage, datasource: Datasource, training: Rearrangement, mapper: Mapper) -> list[Any]:
        from nightcast.evaluation.held_out import naive_baselines
        from nightcast.period import Period

        start, end = (date.fromisoformat(stage.run["period"][name]) for name in ("start", "end"))
        period = Period(start, end)
        season = (period.start - period.a_season_ago.start).days
        days = (stage.settings.datasource.training_days, period.days, season)
        return naive_baselines(datasource, training, _key(datasource, self.series), days, stage.storage, mapper)


def _key(datasource: Datasource, pattern: str | None) -> TextKey | None:
    from nightcast.evaluation.text_keys import TextKey

    row_id = datasource.schema.row_id
    return None if pattern is None or row_id is None else TextKey((row_id,), pattern)


def _training(model: MLModel, cut_off: date) -> Training:
    from nightcast.datasource.rearrangement import Rearrangement
    from nightcast.evaluation.held_out import Training

    return Training(
        Rearrangement.from_json(json.dumps(model.training["rearrangement"])),
        model.training["datasource"]["records"],
        cut_off,
        model.schema.row_id is not None,
    )
