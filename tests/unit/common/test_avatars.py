"""The owner of `avatars/`: what is stored is found again, whatever version of us stored it."""

from __future__ import annotations

import ast
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from services.common.avatars import Avatars, File, Origin, complete
from services.common.errors import AlreadyExists, Conflict, NotFound
from services.common.storage import Storage

SERVICES = Path(__file__).parents[3] / "services"
NAME = "Ada 测试"
ORIGIN = Origin(
    training_id="training-0f1e",
    engine="portrait",
    version="1",
    voice="ada",
    consent={"given_by": "Ada L.", "time": "2026-11-20T08:00:00+00:00"},
    provenance={"kind": "video", "duration_s": 12.0},
    parameters={"steps": 8},
    report={"metrics": {"psnr": 31.5, "lse_c": float("nan")}, "baselines": {"mean": {"psnr": 20.0}}},
)


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage((tmp_path / "data").as_uri(), tmp_path / "cache")


@pytest.fixture
def avatars(storage: Storage) -> Avatars:
    return Avatars(storage)


def made(folder: Path, origin: Origin = ORIGIN, **own: Any) -> Path:
    """What an engine left, complete."""
    folder.mkdir()
    (folder / "thumbnail.png").write_bytes(b"a face")
    (folder / "avatar.json").write_text(json.dumps(own))
    complete(folder, origin)
    return folder


def test_what_is_kept_is_found(avatars: Avatars, tmp_path: Path) -> None:
    avatars.keep(NAME, made(tmp_path / "made", size=192, fps=30, idle_frames=50))
    found = avatars.find(f" {NAME} ")
    told = found.manifest
    assert (found.name, told.engine, told.size, told.fps, told.voice) == (NAME, "portrait", 192, 30, "ada")
    assert (told.consent.given_by, told.consent.time and told.consent.time.year) == ("Ada L.", 2026)
    assert (found.card["idle_frames"], found.card["parameters"]) == (50, {"steps": 8})
    assert found.card["metrics"] == {"psnr": 31.5, "lse_c": None}, "JSON that everyone can read"
    assert found.edition == found.card["created_at"]
    assert avatars.names() == [NAME]
    assert avatars.file(NAME, File.THUMBNAIL).endswith("thumbnail.png")
    assert avatars.file(NAME, File.REPORT) == ""


def test_of_two_that_have_a_name_the_first_keeps_it(avatars: Avatars, tmp_path: Path) -> None:
    avatars.keep(NAME, made(tmp_path / "first"))
    with pytest.raises(AlreadyExists) as refused:
        avatars.keep(NAME, made(tmp_path / "second", replace(ORIGIN, training_id="training-2")))
    assert (refused.value.reason, refused.value.field) == ("NAME_TAKEN", "name")
    assert avatars.made_by("training-0f1e", NAME)
    assert avatars.made_by("training-2", NAME) is None


def test_what_an_attempt_left_does_not_stay_in_the_next(avatars: Avatars, storage: Storage, tmp_path: Path) -> None:
    storage.write(f"avatars/{NAME}/old.bin", b"of an attempt that was killed")
    avatars.keep(NAME, made(tmp_path / "made"))
    assert not storage.exists(f"avatars/{NAME}/old.bin")


def test_an_older_manifest_has_what_it_lacks_by_default(avatars: Avatars, storage: Storage) -> None:
    storage.write("avatars/Old/avatar.json", b'{"engine": "portrait", "created_at": "", "more": [1, 2]}')
    found = avatars.find("Old")
    assert (found.manifest.fps, found.manifest.voice, found.manifest.created_at) == (25, "", None)
    assert found.card["more"] == [1, 2]


@pytest.mark.parametrize("manifest", [b"", b"[]", b"{}", b'{"engine": "portrait", "fps": 0}'])
def test_a_damaged_one_is_refused_and_can_be_forgotten(avatars: Avatars, storage: Storage, manifest: bytes) -> None:
    storage.write("avatars/Damaged/avatar.json", manifest)
    with pytest.raises(Conflict) as refused:
        avatars.find("Damaged")
    assert (refused.value.reason, refused.value.field) == ("AVATAR_DAMAGED", "avatar")
    avatars.forget("Damaged")
    with pytest.raises(NotFound):
        avatars.known("Damaged")


def test_what_its_training_showed_goes_with_an_avatar(avatars: Avatars, storage: Storage, tmp_path: Path) -> None:
    for training_id in ("training-0f1e", "training-other"):
        avatars.show(training_id, b"a face")
    avatars.keep(NAME, made(tmp_path / "made"))
    avatars.forget(NAME)
    assert avatars.traces() == ["training-other"]
    assert storage.folders("avatars") == []


def test_nobody_else_spells_its_paths() -> None:
    spelled = {"avatars", "avatar.json", "trainings", "preview.jpg"}
    others = [path for path in SERVICES.rglob("*.py") if path != SERVICES / "common" / "avatars.py"]
    found = {
        f"{path.relative_to(SERVICES)}:{node.lineno}"
        for path in others
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and node.value in spelled
    }
    assert found == set()
