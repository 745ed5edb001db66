"""The folder of models: what is there, whole or damaged, and how it is taken away."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from models.errors import InUse, NotThere
from models.folder import State
from models.pull import pull
from tests.unit.models.conftest import CONTENTS


@pytest.fixture
def here(model, folder, settings) -> Path:
    """The folder of the model, which has been pulled."""
    return asyncio.run(pull(model, folder, settings))


def test_nothing_is_there_and_nothing_is_made_by_looking(model, folder) -> None:
    assert folder.state(model) is State.MISSING
    with pytest.raises(NotThere, match="little is not here. Run: visavis models pull little"):
        folder.get(model)
    assert not folder.root.exists()


@pytest.mark.parametrize("harm", ["shorter", "gone", "link", "no sums", "sums of another version", "sums no JSON"])
def test_damage_is_seen(model, folder, here: Path, harm: str, tmp_path: Path) -> None:
    file, sums = here / "model.bin", here / ".sums.json"
    if harm == "shorter":
        file.write_bytes(CONTENTS["model.bin"][:-1])
    elif harm == "gone":
        file.unlink()
    elif harm == "link":
        file.unlink()
        file.symlink_to(tmp_path / "nowhere")
    elif harm == "no sums":
        sums.unlink()
    else:
        sums.write_text('{"model.bin": "0"}' if "version" in harm else "{")
    assert folder.state(model) is State.DAMAGED
    with pytest.raises(NotThere, match="damaged"):
        folder.get(model)


def test_verifying_finds_wrong_bytes_of_the_right_size_and_remembers(model, folder, here: Path) -> None:
    (here / "config.json").write_bytes(CONTENTS["config.json"][:-1] + b"!")
    assert folder.verify(model) == ["config.json"]
    assert folder.state(model) is State.DAMAGED
    (here / "config.json").write_bytes(CONTENTS["config.json"])
    assert folder.verify(model) == []
    assert folder.state(model) is State.WHOLE, "what is right again counts as whole"


def test_files_put_there_by_hand_count_when_they_were_verified(model, folder) -> None:
    for path, data in CONTENTS.items():
        (folder.path(model) / path).parent.mkdir(parents=True, exist_ok=True)
        (folder.path(model) / path).write_bytes(data)
    assert folder.state(model) is State.DAMAGED
    assert folder.verify(model) == []
    assert folder.state(model) is State.WHOLE


def test_removing_frees_what_it_says_and_an_unfinished_pull_too(model, folder, here: Path) -> None:
    assert folder.remove(model) >= model.size
    assert folder.state(model) is State.MISSING and not here.exists()
    with folder.changing(model) as staging:
        staging.open()
        staging.part("model.bin").write_bytes(b"half")
    assert folder.state(model) is State.BEGUN
    folder.remove(model)
    assert folder.state(model) is State.MISSING


def test_one_that_is_being_pulled_is_not_removed(model, folder) -> None:
    with folder.changing(model), pytest.raises(InUse, match="being pulled"):
        folder.remove(model)


def test_a_pull_that_ended_just_before_the_model_appeared_is_finished_without_asking_anybody(
    model, folder, settings, server, here: Path
) -> None:
    with folder.changing(model) as staging:
        staging.open()  # takes all files of the one that is here
        assert staging.missing() == []
        here.rename(staging.root / "damaged")
    assert folder.state(model) is State.BEGUN
    server.asked.clear()
    asyncio.run(pull(model, folder, settings))
    assert folder.state(model) is State.WHOLE and server.asked == [] and folder.begun_bytes(model) == 0
