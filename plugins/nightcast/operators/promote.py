"""Promote a model, if the gate says so."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from nightcast import __version__
from nightcast.artifacts import ArtifactRef
from nightcast.errors import RegistryError
from nightcast.operators.base import Returned, Stage, StageOperator
from nightcast.operators.champion import cut_off_of, model_name_of, registry_of

if TYPE_CHECKING:
    from nightcast.registry.documents import RegistryEntry

PROMOTE = "promote"
APPROVE, REJECT = "Approve", "Reject"
# What the notifier of refused promotions listens to.
REFUSED = "refused"


class PromoteModelOperator(StageOperator):
    """
    Promote the run's model by writing it to the registry, if the gate has decided so.

    Returns the reference of the registry's entry, or that of ``gate.json`` where the model is not promoted. Pushes the
    promoted model under the key ``model``, and a refusal, as ``decision`` and ``reason``, under ``refusal``. Set
    ``max_active_tis_per_dag=1``: the registry keeps all promotions, however many come at once, but with one at a time
    the logs tell in order who became champion.

    Where the run has been cleared and trained another model, its promotion is replaced; where the gate now refuses that
    model, the promotion of the one before is withdrawn, because its files are no longer there.

    :param gate: reference of ``gate.json``, an object with ``decision`` (``promote``, or anything else) and ``reason``.
    :param model: reference of ``model/model.json``.
    :param evaluation: reference of ``evaluation.json``.
    :param approval: what the task returned that has asked a person; None, or skipped, where nobody was asked.
    :param model_name: among which models it becomes champion; the pipeline's id by default.
    """

    template_fields = ("model_name",)
    # Predictions do not hang on what is written here, so they need not be taken back.
    publishes = True

    def __init__(
        self,
        *,
        gate: Returned,
        model: Returned,
        evaluation: Returned,
        approval: Returned = None,
        model_name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.gate = gate
        self.model = model
        self.evaluation = evaluation
        self.approval = approval
        self.model_name = model_name

    def run_stage(self, stage: Stage) -> ArtifactRef:
        """Write the registry's entry."""
        decided: ArtifactRef = stage.pull(self.gate)
        decision = _read(stage, decided)
        if not isinstance(decision.get("decision"), str):
            raise RegistryError(
                f"{decided['uri']} has no 'decision': the gate writes an object with 'decision' and 'reason'."
            )
        name = model_name_of(stage, self.model_name)
        decision = _approved(decision, stage.pull([self.approval]))
        if decision["decision"] != PROMOTE:
            self.log.info(
                "%s is not promoted: %s (%s)",
                name,
                decision["decision"],
                decision.get("reason") or "no reason is given",
            )
            refusal = {"decision": REFUSED, "reason": decision.get("reason")}
            stage.context["ti"].xcom_push(key="refusal", value=refusal)
            self._withdraw_what_was_replaced(stage, name)
            return decided
        entry = self._entry(stage, name, decision)
        reference = registry_of(stage).promote(entry)
        stage.context["ti"].xcom_push(key="model", value=dict(entry.model))
        self.log.info("promoted %s, %s: %s", name, entry.key, reference["uri"])
        self._tell_who_goes_before(stage, entry)
        return reference

    def _entry(self, stage: Stage, name: str, decision: dict[str, Any]) -> RegistryEntry:
        from nightcast.registry.documents import RegistryEntry

        reference: ArtifactRef = stage.pull(self.model)
        model, evaluation = _read(stage, reference), _read(stage, stage.pull(self.evaluation))
        [(metric_name, metric)] = evaluation["performanceMetrics"].items()
        return RegistryEntry(
            model_name=name,
            cut_off=cut_off_of(stage),
            run_id=stage.run["run_id"],
            run_key=stage.run["run_key"],
            run_type=stage.run["run_type"],
            period=stage.run["period"],
            model=reference,
            model_type=model["modelType"],
            learner=model["learner"],
            metric_name=metric_name,
            metric=metric,
            baseline=evaluation["baseline"][metric_name],
            decision=decision,
            promoted_at=datetime.now(UTC),
            code_version=__version__,
        )

    def _tell_who_goes_before(self, stage: Stage, entry: RegistryEntry) -> None:
        champion = registry_of(stage).champion_as_of(entry.model_name, entry.cut_off)
        if champion is not None and champion.entry.key == entry.key:
            self.log.info("%s is champion as of %s", entry.model_name, entry.cut_off)
            return
        withdrawal = registry_of(stage).promotion(entry.model_name, entry.key).withdrawal
        if withdrawal is not None:
            self.log.warning("this very model was withdrawn (%s) and stays so: train another one", withdrawal.reason)
        elif champion is not None:
            self.log.warning(
                "run %s goes before: withdraw its model by `nightcast models withdraw` if this one is to be champion",
                champion.entry.key,
            )

    def _withdraw_what_was_replaced(self, stage: Stage, name: str) -> None:
        from nightcast.registry.keys import PromotionKey

        registry, key = registry_of(stage), PromotionKey(cut_off_of(stage), stage.run["run_key"])
        if key not in registry.keys_of(name):
            return
        promotion = registry.promotion(name, key)
        if promotion.withdrawal is not None:
            return
        if promotion.entry.model["sha256"] == stage.pull(self.model)["sha256"]:
            self.log.info("this very model was promoted before, and stays so: %s", promotion.reference["uri"])
            return
        reason = "its run was cleared and has trained another model in its place, which was not promoted"
        registry.withdraw(name, key, reason, datetime.now(UTC))
        self.log.warning("withdrew the model that this run had promoted before: %s", reason)


def _approved(decision: dict[str, Any], answer: Any) -> dict[str, Any]:
    """The decision after a person was asked; as it is where nobody was."""
    if answer is None or decision["decision"] != PROMOTE:
        return decision
    by = (answer.get("responded_by_user") or {}).get("name")
    if answer["chosen_options"] == [APPROVE]:
        return {**decision, "approvedBy": by}
    who = f"{by} has rejected it" if by else "nobody has approved it in time"
    return {**decision, "decision": "keep", "reason": f"Not promoted: {who}."}


def _read(stage: Stage, reference: ArtifactRef) -> dict[str, Any]:
    from nightcast.datasource.strict_json import parse_object

    return parse_object(stage.storage.read_artifact(reference).decode(), reference["uri"], RegistryError)
