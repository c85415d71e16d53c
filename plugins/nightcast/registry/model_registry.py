"""The model registry: append-only, with no pointer to move.

A model is promoted by writing one object under its training cut-off, and the champion as of an instant is the greatest
promotion whose cut-off is not after it. So no promotion can change who was champion as of an instant before its
cut-off, in whatever order promotions arrive.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import TYPE_CHECKING

from nightcast.artifacts import JSON, ArtifactRef
from nightcast.errors import MissingObjectError, RegistryError
from nightcast.registry.documents import RegistryEntry, Withdrawal, damaged
from nightcast.registry.keys import Listed, PromotionKey, check_name, listed_by_model
from nightcast.storage import is_s3, local_path

if TYPE_CHECKING:
    from nightcast.storage import Storage


@dataclass(frozen=True)
class Promotion:
    """A promotion as it stands in the registry.

    Parameters
    ----------
    entry
        What was promoted.
    reference
        Of the object that says so.
    withdrawal
        Why this model is champion no more; None where it may be.
    """

    entry: RegistryEntry
    reference: ArtifactRef
    withdrawal: Withdrawal | None = None


class ModelRegistry:
    """Promotes, finds and withdraws models.

    Parameters
    ----------
    storage
        Reads and writes the objects.
    root
        Folder of the registry, on ``s3://`` or on disk; it need not exist.
    """

    def __init__(self, storage: Storage, root: str) -> None:
        self.storage = storage
        # In the form that a listing has.
        self.root = root.rstrip("/") if is_s3(root) else local_path(root).absolute().as_uri().rstrip("/")

    def promote(self, entry: RegistryEntry) -> ArtifactRef:
        """Promote a model: write one object, the promotion of its run.

        The same promotion again changes nothing, and keeps the first ``promoted_at``. Where the run has been cleared
        and trained again, its own promotion is replaced. Promotions of other runs are never touched. Of two writers
        that promote the same run at the same time with different content, one is kept, whole.

        Returns
        -------
        ArtifactRef
            Of the object that stands there now.

        Raises
        ------
        StorageError
            If it can not be written.
        """
        uri, data = self._place(entry.model_name, entry.key.entry), entry.to_bytes()
        created = self.storage.write_if_absent(uri, data, JSON)
        if created is not None:
            return created
        try:
            known = self._entry(entry.model_name, entry.key)
        except RegistryError:
            # The run's own object, which is damaged.
            known = None
        if known is not None and entry.says_the_same_as(known.entry):
            return known.reference
        return self.storage.write_bytes(uri, data, JSON)

    def withdraw(self, model_name: str, key: PromotionKey, reason: str, at: datetime) -> Promotion:
        """Withdraw a promoted model: from now on it is champion for nobody, as of no instant.

        The promotion stays; the withdrawal is written beside it. What has been withdrawn stays so, with the first
        reason. When the run trains another model and that is promoted, that is another one: it is not withdrawn.

        Returns
        -------
        Promotion
            With its withdrawal.

        Raises
        ------
        RegistryError
            If there is no such promotion, or the reason is empty.
        """
        promotion = self.promotion(model_name, key)
        if promotion.withdrawal is not None:
            return promotion
        withdrawal = Withdrawal(model_name, key, promotion.entry.model["sha256"], reason, at)
        uri, data = self._place(model_name, key.withdrawal), withdrawal.to_bytes()
        if self.storage.write_if_absent(uri, data, JSON) is None:
            faster = self._withdrawal(promotion.entry)
            if faster is not None:
                return replace(promotion, withdrawal=faster)
            # What lies there withdraws a model that the run trained before.
            self.storage.write_bytes(uri, data, JSON)
        return replace(promotion, withdrawal=withdrawal)

    def champion_as_of(
        self, model_name: str, instant: date | datetime, *, excluding: str | None = None
    ) -> Promotion | None:
        """The champion as of an instant: the greatest promotion with a training cut-off that is not after it.

        Costs one listing of the model's names and one read, and two reads more for each withdrawn model that would go
        before.

        Parameters
        ----------
        instant
            With a time zone. A day stands for its beginning in UTC, so that its own cut-off is included.
        excluding
            Key of a run whose promotions do not count: a model is not its own champion.

        Returns
        -------
        Promotion or None
            None where no model had been promoted that far.

        Raises
        ------
        RegistryError
            If an object is damaged, or the instant has no time zone.
        """
        return next(self.champions_as_of(model_name, instant, excluding=excluding), None)

    def champions_as_of(
        self, model_name: str, instant: date | datetime, *, excluding: str | None = None
    ) -> Iterator[Promotion]:
        """The champion as of an instant, then the one that would be champion without it, and so on; not the withdrawn.

        For parameters and errors see `champion_as_of`. Objects are read one by one.
        """
        listed = self._listed(model_name)
        for key in listed.newest_first(instant, excluding):
            promotion = self._promotion(model_name, key, listed)
            if promotion.withdrawal is None:
                yield promotion

    def history(self, model_name: str, *, until: date | datetime | None = None) -> Iterator[Promotion]:
        """All promotions of a model, withdrawn ones too, the greatest first; objects are read one by one.

        Parameters
        ----------
        until
            Only those with a cut-off that is not after it.
        """
        listed = self._listed(model_name)
        for key in listed.newest_first(until):
            yield self._promotion(model_name, key, listed)

    def promotions_of(self, model_name: str, cut_off: date) -> list[Promotion]:
        """The promotions with one training cut-off, withdrawn ones too, the greatest first."""
        listed = self._listed(model_name, f"{cut_off.isoformat()}/")
        return [self._promotion(model_name, key, listed) for key in listed.newest_first()]

    def promotion(self, model_name: str, key: PromotionKey) -> Promotion:
        """One promotion.

        Raises
        ------
        RegistryError
            If there is none, or its objects are damaged.
        """
        try:
            promotion = self._entry(model_name, key)
        except MissingObjectError as error:
            raise RegistryError(
                f"no model {model_name} was promoted by run {key} ({self._place(model_name, key.entry)}): "
                "`nightcast models history` lists those that were."
            ) from error
        return replace(promotion, withdrawal=self._withdrawal(promotion.entry))

    def keys_of(self, model_name: str) -> list[PromotionKey]:
        """Names of all promotions of a model, the greatest first; reads no object."""
        return self._listed(model_name).newest_first()

    def model_names(self) -> list[str]:
        """Names of the models of which one was promoted, sorted; reads no object."""
        places = self.storage.names_below(f"{self.root}/")
        return list(listed_by_model(place.removeprefix(f"{self.root}/") for place in places))

    def _listed(self, model_name: str, below: str = "") -> Listed:
        check_name(model_name, "model name")
        places = self.storage.names_below(self._place(model_name, below))
        by_model = listed_by_model(place.removeprefix(f"{self.root}/") for place in places)
        return by_model.get(model_name, Listed())

    def _promotion(self, model_name: str, key: PromotionKey, listed: Listed) -> Promotion:
        promotion = self._entry(model_name, key)
        if key in listed.withdrawn:
            return replace(promotion, withdrawal=self._withdrawal(promotion.entry))
        return promotion

    def _entry(self, model_name: str, key: PromotionKey) -> Promotion:
        uri = self._place(model_name, key.entry)
        data = self.storage.read_bytes(uri)
        entry = RegistryEntry.from_bytes(data, uri)
        _check_place(uri, (entry.model_name, entry.key), (model_name, key))
        digest = hashlib.sha256(data).hexdigest()
        return Promotion(entry, {"uri": uri, "sha256": digest, "rows": None, "bytes": len(data), "media_type": JSON})

    def _withdrawal(self, entry: RegistryEntry) -> Withdrawal | None:
        """What withdraws the model of this entry; None if nothing does, or only another model of its run."""
        uri = self._place(entry.model_name, entry.key.withdrawal)
        try:
            data = self.storage.read_bytes(uri)
        except MissingObjectError:
            return None
        withdrawal = Withdrawal.from_bytes(data, uri)
        _check_place(uri, (withdrawal.model_name, withdrawal.key), (entry.model_name, entry.key))
        return withdrawal if withdrawal.model_sha256 == entry.model["sha256"] else None

    def _place(self, model_name: str, below: str) -> str:
        return f"{self.root}/{model_name}/{below}"


def _check_place(uri: str, said: tuple[str, PromotionKey], lies: tuple[str, PromotionKey]) -> None:
    if said != lies:
        raise damaged(uri, f"it speaks of {said[0]} by run {said[1]}")
