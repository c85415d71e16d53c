"""The champion that a run is measured against."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

from nightcast.artifacts import JSON, ArtifactRef, to_json_bytes
from nightcast.errors import ModelError
from nightcast.operators.base import Stage, StageOperator

if TYPE_CHECKING:
    from nightcast.registry.model_registry import ModelRegistry, Promotion
    from nightcast.storage import Storage


class FindChampionOperator(StageOperator):
    """
    Find the champion as of the end of the run's sales period, and note it in ``champion.json``.

    A model of which a file is gone, or that can not be read any more, can score nothing: the one before it takes its
    place, with a warning.

    Returns the reference of ``champion.json``: ``asOf``, ``modelName``, and ``champion`` with the promotion, null where
    no model was promoted that far; and, if there are any, ``unusable``: run, cut-off and the reason of each model
    that would go before. Pushes the reference of the champion's ``model/model.json`` under the key ``model``,
    and nothing where there is none: ``model=("find_champion", "model")`` is for operators that take a model.

    :param model_name: whose champion; the pipeline's id by default.
    """

    template_fields = ("model_name",)

    def __init__(self, *, model_name: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.model_name = model_name

    def run_stage(self, stage: Stage) -> ArtifactRef:
        """Write ``champion.json``."""
        return stage.storage.write_bytes(stage.place("champion.json"), to_json_bytes(self.document(stage)), JSON)

    def document(self, stage: Stage) -> dict[str, Any]:
        """Find the champion and push its model; what ``champion.json`` says."""
        name = model_name_of(stage, self.model_name)
        champion, unusable = champion_of(stage, name)
        for one in unusable:
            self.log.warning(
                "the model of run %s, cut-off %s, can not be champion: %s. The one before it is taken. Restore its "
                "files, or withdraw it: nightcast models withdraw",
                *(one["runKey"], one["trainingCutOff"], one["reason"]),
            )
        if champion is None:
            self.log.info("no model %s was promoted up to %s", name, cut_off_of(stage))
        else:
            entry = champion.entry
            self.log.info("champion as of %s: %s, %s %s", cut_off_of(stage), entry.key, entry.metric_name, entry.metric)
            stage.context["ti"].xcom_push(key="model", value=dict(entry.model))
        return {
            "asOf": cut_off_of(stage).isoformat(),
            "modelName": name,
            "champion": None if champion is None else champion.entry.document(),
            "registryEntry": None if champion is None else champion.reference,
            **({"unusable": unusable} if unusable else {}),
        }


def champion_of(stage: Stage, model_name: str) -> tuple[Promotion | None, list[dict[str, str]]]:
    """The champion as of the end of the run's sales period, without the promotions of this run itself.

    The end is exclusive and is the training cut-off of the model that this run trains. So a model of an earlier period
    counts, and one that another run of the same period has promoted too: whoever runs a period again measures the
    new model against it. Models with later cut-offs are never seen.

    Returns
    -------
    Promotion or None
        The first one of which no file is missing.
    list of dict
        ``runKey``, ``trainingCutOff`` and ``reason`` of those that would go before.
    """
    unusable: list[dict[str, str]] = []
    champions = registry_of(stage).champions_as_of(model_name, cut_off_of(stage), excluding=stage.run["run_key"])
    for promotion in champions:
        reason = why_unusable(stage.storage, promotion.entry.model)
        if reason is None:
            return promotion, unusable
        key = promotion.entry.key
        unusable.append({"runKey": key.run_key, "trainingCutOff": key.cut_off.isoformat(), "reason": reason})
    return None, unusable


def why_unusable(storage: Storage, model: Mapping[str, Any]) -> str | None:
    """Why a model can not be loaded, as far as ``model.json`` and the names of its files tell; None where it can.

    Parameters
    ----------
    model
        Reference of its ``model.json``.
    """
    from nightcast.mlmodel.files import model_file_names

    uri = str(model["uri"])
    if storage.size(uri) is None:
        return f"{uri} is gone"
    try:
        names = model_file_names(storage.read_bytes(uri))
    except ModelError as error:
        return str(error).rstrip(".")
    places = (f"{uri.rsplit('/', 1)[0]}/{name}" for name in names)
    return next((f"{place} is gone" for place in places if storage.size(place) is None), None)


def registry_of(stage: Stage) -> ModelRegistry:
    """The registry of the run's pipeline."""
    from nightcast.registry.model_registry import ModelRegistry

    return ModelRegistry(stage.storage, stage.run["registry"])


def cut_off_of(stage: Stage) -> date:
    """The training cut-off of the run: the end of its sales period, exclusive, UTC."""
    return date.fromisoformat(stage.run["period"]["end"])


def model_name_of(stage: Stage, model_name: str | None) -> str:
    """The name that an operator was given, or else the pipeline's."""
    return model_name or str(stage.run["pipeline"])
