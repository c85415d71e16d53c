"""Compute the training records' statistics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nightcast.artifacts import GZIP, JSON, ArtifactRef
from nightcast.operators.base import Returned, Stage, StageOperator

if TYPE_CHECKING:
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

    :param manifest: what the unload task returned.
    :param schema: reference of ``schema.json``.
    """

    def __init__(self, *, manifest: Returned, schema: Returned, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.manifest = manifest
        self.schema = schema

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
        self._alert(stage, insights, datasource.schema)
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

    def _alert(self, stage: Stage, insights: Insights, schema: Schema) -> None:
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
