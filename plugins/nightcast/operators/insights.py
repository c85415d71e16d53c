"""Compute the training records' statistics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nightcast.artifacts import GZIP, JSON, ArtifactRef
from nightcast.errors import DataRefusedError
from nightcast.operators.base import Returned, Stage, StageOperator
from nightcast.operators.skipping import end_and_skip

if TYPE_CHECKING:
    from airflow.sdk import Context

    from nightcast.datasource.data_alerts import DataAlert
    from nightcast.datasource.insights import Insights
    from nightcast.datasource.schema import Schema

_REJECTED = "rejected"


class ComputeInsightsOperator(StageOperator):
    """
    Compute the insights of the records that will train, in one pass, and what is remarkable about them.

    Returns the reference of ``insights.json`` (``rows``: training records), which serves report, suggested recipe
    and featurizer, and tells the tasks behind it which records train: its data rearrangement is that of the Params,
    with the cuts of a chronological one. Pushes the reference of ``data-alerts.json`` under the key ``data_alerts``.
    Records that can not be read are left out and laid below ``rejected/``.

    Data alerts and drift since the champion's training records may fail the run or skip the training, as the Params
    ``on_data_alerts`` and ``on_drift`` say; ``gate.json`` then tells why, and its reference is pushed under ``gate``.

    :param manifest: what the unload task returned.
    :param schema: reference of ``schema.json``.
    :param champion: reference of the champion's ``model/model.json``; None where there is none.
    :param training: ids of the tasks to skip where the data are not to be learnt from.
    """

    inherits_from_skipmixin = True

    def __init__(
        self,
        *,
        manifest: Returned,
        schema: Returned,
        champion: Returned = None,
        training: Sequence[str] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.manifest = manifest
        self.schema = schema
        self.champion = champion
        self.training = tuple(training)

    def execute(self, context: Context) -> Any:
        """Compute; skip the training where the data are not to be learnt from."""
        self._skipped: tuple[str, ...] = ()
        reference = super().execute(context)
        return end_and_skip(context, reference, self._skipped)

    def run_stage(self, stage: Stage) -> ArtifactRef:
        """Write ``rejected/``, ``data-alerts.json`` and ``insights.json``."""
        from nightcast.compute import mapper_for
        from nightcast.datasource.insights import compute_insights
        from nightcast.datasource.rearrangement import Rearrangement
        from nightcast.operators.inputs import datasource_of

        datasource = datasource_of(stage, self.manifest, self.schema)
        chosen = Rearrangement.from_json(stage.settings.rearrangement_json())
        with mapper_for(len(datasource.parts), datasource.records, compute=stage.compute) as mapper:
            insights = compute_insights(
                datasource,
                stage.storage,
                mapper,
                rearrangement=chosen,
                max_rejected=stage.settings.datasource.max_rejected_records,
            )
        self.log.info(
            "statistics of %s of %s records, %s attributes; data rearrangement %s",
            insights.records,
            insights.records_seen,
            len(insights.attributes),
            insights.rearrangement.to_json(),
        )
        self._lay_rejects(stage, insights)
        alerts = self._alert(stage, insights, datasource.schema)
        self._check(stage, insights, datasource.schema, alerts)
        return stage.storage.write_bytes(
            stage.place("insights.json"), insights.to_json().encode(), JSON, rows=insights.records
        )

    def _lay_rejects(self, stage: Stage, insights: Insights) -> None:
        """Write the rejected records with their reasons, and nothing of an earlier try."""
        import gzip

        from nightcast.datasource.rejects import rejected_files

        stage.storage.delete(stage.storage.names_below(stage.place(_REJECTED, "")))
        for name, content in rejected_files(insights.rejects).items():
            # Without a time stamp the same records give the same bytes.
            stage.storage.write_bytes(stage.place(_REJECTED, f"{name}.gz"), gzip.compress(content, mtime=0), GZIP)
        if insights.bad_records:
            self.log.warning(
                "rejected %s of %s records; see %s",
                insights.bad_records,
                insights.records_seen,
                stage.place(_REJECTED, ""),
            )

    def _alert(self, stage: Stage, insights: Insights, schema: Schema) -> list[DataAlert]:
        """Tell what is remarkable about the data, in the log and in ``data-alerts.json``."""
        from nightcast.datasource.data_alerts import WARNING, alerts_json, data_alerts

        alerts = data_alerts(insights, schema)
        for alert in alerts:
            log = self.log.warning if alert.severity == WARNING else self.log.info
            log("data alert %s: %s", alert.code, alert.message)
        written = stage.storage.write_bytes(
            stage.place("data-alerts.json"), alerts_json(alerts).encode(), JSON, rows=len(alerts)
        )
        stage.context["ti"].xcom_push(key="data_alerts", value=written)
        return alerts

    def _check(self, stage: Stage, insights: Insights, schema: Schema, alerts: list[DataAlert]) -> None:
        """Fail, or skip the training, where a policy says so about these data."""
        from nightcast.evaluation.data_check import Decision
        from nightcast.evaluation.gate import refuse_data
        from nightcast.evaluation.gate_settings import Policy
        from nightcast.operators.data_check import drift_of

        settings = stage.settings.gate.gate()
        looks = settings.drift is not Policy.WARN
        drift = drift_of(stage, insights, schema, self.champion, self.log) if looks else None
        refused = refuse_data(settings, alerts, drift)
        if refused is None:
            return
        written = stage.storage.write_bytes(stage.place("gate.json"), refused.to_json().encode(), JSON)
        if refused.decision is Decision.FAIL:
            raise DataRefusedError(
                f"{refused.reason} See {written['uri']}; correct data or query, or set on_data_alerts and on_drift "
                "to warn or skip."
            )
        self.log.warning("%s", refused.reason)
        stage.context["ti"].xcom_push(key="gate", value=written)
        self._skipped = self.training
