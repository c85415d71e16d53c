from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

from nightcast.datasource.parts import ByteSource, Datasource
from nightcast.errors import ModelError, RegistryError
from nightcast.mlmodel.files import save_model
from nightcast.registry.model_registry import ModelRegistry
from nightcast.serving.served_model import ChampionOf, ModelFolder
from nightcast.storage import Storage
from registry_entries import NAME, NOON, promote_folder
from trained_models import trained


@pytest.fixture
def folders(datasource: Datasource, files: ByteSource, tmp_path: Path) -> list[Path]:
    """Two models."""
    made = []
    for place, l2 in enumerate((1.0, 1e6)):
        folder = tmp_path / f"model-{place}"
        folder.mkdir()
        save_model(trained(datasource, files, l2=l2), folder)
        made.append(folder)
    return made


@pytest.fixture
def registry(tmp_path: Path) -> ModelRegistry:
    return ModelRegistry(Storage(), str(tmp_path / "registry"))


def test_a_model_of_a_folder_stays(folders: list[Path]) -> None:
    source = ModelFolder(Storage(), f"{folders[0]}/")
    before = source.current
    source.refresh()
    assert source.current is before
    assert before.folder == str(folders[0])
    assert source.name == "ml-" + hashlib.sha256((folders[0] / "model.json").read_bytes()).hexdigest()[:12]
    with pytest.raises(ModelError):
        ModelFolder(Storage(), str(folders[0].parent / "none"))


def test_the_champion_changes_with_a_promotion_and_a_withdrawal(
    folders: list[Path], registry: ModelRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    promote_folder(registry, folders[0], "2009-01-01", "scheduled__1")
    source = ChampionOf(Storage(), registry.root, NAME)
    first = source.current
    source.refresh()
    assert source.current is first
    promote_folder(registry, folders[1], "2009-01-02", "scheduled__2")
    source.refresh()
    assert source.current.folder == folders[1].as_uri()
    assert source.current.predictor.predict({"price": "3"}) != first.predictor.predict({"price": "3"})

    [second, _] = registry.history(NAME)
    registry.withdraw(NAME, second.entry.key, "wrong", NOON)
    source.refresh()
    assert source.current.folder == folders[0].as_uri()

    # Without another champion the last one goes on, and says so.
    [first_promotion] = [one for one in registry.history(NAME) if one.withdrawal is None]
    registry.withdraw(NAME, first_promotion.entry.key, "wrong too", NOON)
    source.refresh()
    assert source.current.folder == folders[0].as_uri()
    assert source.trouble is not None and "goes on with the model" in caplog.text
    source.refresh()
    assert caplog.text.count("goes on with the model") == 1
    promote_folder(registry, folders[1], "2009-01-03", "scheduled__3")
    source.refresh()
    assert (source.current.folder, source.trouble) == (folders[1].as_uri(), None)


def test_a_new_champion_that_can_not_be_loaded_leaves_the_old_one(
    folders: list[Path], registry: ModelRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    promote_folder(registry, folders[0], "2009-01-01", "scheduled__1")
    source = ChampionOf(Storage(), registry.root, NAME)
    promote_folder(registry, folders[1], "2009-01-02", "scheduled__2")
    weights = folders[1] / "weights.parquet"
    kept = folders[1].parent / "kept"
    shutil.move(weights, kept)
    source.refresh()
    source.refresh()
    assert source.current.folder == folders[0].as_uri()
    assert caplog.text.count("the model of run scheduled__2 is passed over: the model of") == 1
    assert ChampionOf(Storage(), registry.root, NAME).current.folder == folders[0].as_uri()
    # It is looked for again.
    shutil.move(kept, weights)
    source.refresh()
    assert source.current.folder == folders[1].as_uri()


def test_a_directory_that_holds_another_model_by_now_is_not_the_champion(
    folders: list[Path], registry: ModelRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    promote_folder(registry, folders[0], "2009-01-01", "scheduled__1")
    promote_folder(registry, folders[1], "2009-01-02", "scheduled__2")
    # The run is cleared and trains again; nobody has promoted that yet.
    shutil.copytree(folders[0], folders[1], dirs_exist_ok=True)
    source = ChampionOf(Storage(), registry.root, NAME)
    assert source.current.folder == folders[0].as_uri()
    assert "is not the model that was promoted" in caplog.text


def test_without_a_champion_or_intervals_nothing_is_served(folders: list[Path], registry: ModelRegistry) -> None:
    with pytest.raises(RegistryError, match=f"no model '{NAME}' that can be loaded is champion"):
        ChampionOf(Storage(), registry.root, NAME)
    with pytest.raises(ModelError, match="between 0 and 1"):
        ModelFolder(Storage(), str(folders[0]), 1.5)
