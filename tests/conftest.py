"""Fixtures that every kind of test uses."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real recordings that lie beside the checkout on some machines; they are never part of the project."""
    if not SHARED_DATA.is_dir():
        pytest.skip("no real recordings beside this checkout")
    return SHARED_DATA


def _kept(config: pytest.Config, name: str, rooms: tuple[str, ...], make: Callable[[Path], None]) -> Path:
    """Something made once for these sources, and kept in pytest's cache."""
    digest = hashlib.sha256()
    for source in sorted(path for room in rooms for path in (ROOT / room).rglob("*.py")):
        digest.update(source.read_bytes())
    kept = config.cache.mkdir("media") / f"{digest.hexdigest()[:16]}-{name}"
    with kept.with_name(f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run in several processes; one makes it, the others wait
        if not kept.exists():
            part = kept.with_name(f"part-{kept.name}")
            shutil.rmtree(part, ignore_errors=True)
            part.unlink(missing_ok=True)
            make(part)
            part.replace(kept)
    return kept


@pytest.fixture(scope="session")
def demo_clip(pytestconfig: pytest.Config) -> Path:
    """Twelve seconds of the drawn presenter talking, 256 pixels wide."""

    def make(out: Path) -> None:
        from demo import clip

        clip.make(out, seconds=12, size=256)

    return _kept(pytestconfig, "clip.mp4", ("demo",), make)


@pytest.fixture(scope="session")
def tiny_avatar(pytestconfig: pytest.Config, demo_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an avatar that was really trained, though not for long."""

    def make(out: Path) -> None:
        import portrait

        parameters = portrait.TrainingParameters(steps=8, size=192, loop_seconds=2.0, device="cpu")
        portrait.train(demo_clip, tmp_path_factory.mktemp("training"), out, parameters)

    return _kept(pytestconfig, "avatar", ("demo", "portrait"), make)


@pytest.fixture(scope="session")
def demo_photo(pytestconfig: pytest.Config) -> Path:
    """The drawn presenter, smiling with the lips closed: a PNG of 400 x 480 pixels."""

    def make(out: Path) -> None:
        from PIL import Image

        from demo.expression import Expression, Pose
        from demo.scene import Scene

        Image.fromarray(Scene((400, 480)).draw([(Expression(), Pose())])).save(out, format="PNG")

    return _kept(pytestconfig, "photo.png", ("demo",), make)


@pytest.fixture(scope="session")
def photo_avatar(pytestconfig: pytest.Config, demo_photo: Path) -> Path:
    """The folder of an avatar made from the presenter's photo."""

    def make(out: Path) -> None:
        import portrait

        portrait.from_photo(demo_photo, out, size=192, loop_seconds=2.0)

    return _kept(pytestconfig, "photo-avatar", ("demo", "portrait"), make)


@pytest.fixture(scope="session")
def real_model(pytestconfig: pytest.Config) -> Callable[[str], Path]:
    """`real_model("whisper-base")`: the folder of a model of the catalogue, pulled once and kept in pytest's cache.

    Skips the test, and says why, where it cannot be had, or where the tests were started with MODELS=none.
    """
    from models import catalogue
    from models.errors import ModelError
    from models.folder import ModelFolder, State
    from models.pull import pull
    from models.settings import ModelSettings

    cache = pytestconfig.cache.mkdir("models")
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))  # of all processes that test right now

    def get(name: str) -> Path:
        model, settings = catalogue.load()[name], ModelSettings()
        for folder in map(ModelFolder, (settings.folder, cache)):
            if folder.state(model) is State.WHOLE:
                return folder.path(model)
        if os.environ.get("MODELS") == "none":
            pytest.skip(f"the model {name} is not here, and MODELS=none")
        failure = cache / f".failed-{run}-{name}"  # what one process has tried in vain the others need not
        if not failure.exists():
            try:
                return asyncio.run(pull(model, ModelFolder(cache), settings))
            except ModelError as error:
                failure.write_text(str(error))
        pytest.skip(failure.read_text())

    return get


@pytest.fixture(scope="session")
def whisper_base(real_model: Callable[[str], Path]) -> Path:
    """The folder of Whisper base, with its true weights."""
    return real_model("whisper-base")
