"""Engines side by side: what is told of them, when they are loaded and let go, and that none takes another down."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pydantic_settings import SettingsConfigDict

from models import catalogue
from models.bringing import bring
from models.folder import ModelFolder, find
from services.common import hardware, hosting
from services.common.engine import Lack
from services.common.errors import InvalidInput, Unavailable
from services.common.hosting import Engines, State
from services.common.settings import ServiceSettings

HEAD = """
from services.common.engine import BaseEngine, EngineInfo, EngineSettings, Lack
from pydantic_settings import SettingsConfigDict

class Settings(EngineSettings):
    model_config = SettingsConfigDict(env_prefix="TOY_{upper}_")
    key: str = ""
    count: int = 1
    threads: int = 2

class Engine(BaseEngine):
    settings_type = Settings
    def __init__(self, settings):
        self.settings, self.loads, self.closes = settings, 0, 0
    def info(self):
        return EngineInfo("{name}", "1", licence="MIT")
    def close(self):
        self.closes += 1
"""
GOOD = "    def load(self):\n        self.loads += 1\n"
BODIES = {
    "plain": HEAD + GOOD,
    "other": HEAD + GOOD,
    "keyless": HEAD + GOOD + "    def lack(self):\n        return Lack('KEY_MISSING', 'It needs a key.', 'Set KEY.')\n",
    "packageless": HEAD + GOOD + "    requires = ('json', 'no_such_package.part')\n",
    "unimportable": "import no_such_package\n",
    "broken": "1 / 0\n",
    "unloadable": HEAD + "    def load(self):\n        raise RuntimeError('in the depths')\n",
}
ODD = {
    "nameless": HEAD.replace("{name}", "plain") + GOOD,
    "slip": "from services.common.engine import NoSuchName\n",
    "misspelt": "import services.common.no_such_module\n",
    "mute": HEAD + GOOD + "    def parameters(self):\n        raise KeyError('in the depths')\n",
    "boastful": HEAD.replace('licence="MIT"', 'capabilities=frozenset({"magic"})') + GOOD,
    "confused": HEAD + GOOD + "    def lack(self):\n        raise KeyError('in the depths')\n",
}


class ToySettings(ServiceSettings):
    """Of a service that does nothing."""

    model_config = SettingsConfigDict(env_prefix="TOY_")
    engine: str = "plain"
    threads: int = 2


@pytest.fixture
def package(tmp_path: Path) -> Iterator[ModuleType]:
    import sys

    module = ModuleType("toy_engines")
    module.__path__ = [str(tmp_path)]
    sys.modules["toy_engines"] = module
    for name, body in BODIES.items():
        add(module, name, body)
    yield module
    for name in [name for name in sys.modules if name.partition(".")[0] == "toy_engines"]:
        del sys.modules[name]


def add(package: ModuleType, name: str, body: str) -> None:
    """One more engine."""
    (Path(package.__path__[0]) / f"{name}.py").write_text(body.replace("{name}", name).replace("{upper}", name.upper()))


@pytest.fixture
def make(package: ModuleType) -> Any:
    return lambda **changes: Engines(package, "toy", ToySettings(**changes))


def use(engines: Engines[Any], name: str = "") -> Any:
    async def run() -> Any:
        async with engines.use(name) as engine:
            return engine

    return asyncio.run(run())


def states(engines: Engines[Any]) -> dict[str, State]:
    return {one.info.name: one.state for one in engines.describe()}


def test_every_engine_is_told_with_its_state_the_default_first(make: Any) -> None:
    engines = make(engine="plain")
    engines.load()
    told = engines.describe()
    assert told[0].info.name == "plain"
    assert states(engines) == {
        "plain": State.READY,
        "other": State.UNLOADED,
        "unloadable": State.UNLOADED,
        **dict.fromkeys(("broken", "keyless", "packageless", "unimportable"), State.MISSING),
    }
    lacks = {one.info.name: one.lack for one in told if one.lack}
    assert {name: lack.code for name, lack in lacks.items()} == {
        "broken": "ENGINE_BROKEN",
        "keyless": "KEY_MISSING",
        "packageless": "PACKAGE_MISSING",
        "unimportable": "PACKAGE_MISSING",
    }
    assert lacks["packageless"].values["package"] == "no_such_package.part"
    assert "no_such_package" in lacks["unimportable"].reason
    assert lacks["unimportable"].remedy.startswith("pip install")


def test_what_an_engine_would_be_better_with_keeps_nobody_from_using_it(make: Any, package: ModuleType) -> None:
    wish = "    def wish(self):\n        return Lack('BETTER_WITH_MODEL', 'It hears little.', 'Get it an ear.')\n"
    add(package, "modest", HEAD + GOOD + wish)
    add(package, "muddled", HEAD + GOOD + "    def wish(self):\n        raise KeyError('in the depths')\n")
    engines = make(engine="modest")
    engines.load()
    told = {one.info.name: one for one in engines.describe()}
    assert (told["modest"].state, told["muddled"].state) == (State.READY, State.UNLOADED)
    assert told["modest"].lack == Lack("BETTER_WITH_MODEL", "It hears little.", "Get it an ear.")
    assert told["muddled"].lack is None
    assert use(engines, "modest").loads == 1


MODEL = """
[little]
purpose = { en = "Tests." }
licence = "MIT"
[[little.files]]
path = "model.bin"
size = 3
sha256 = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"
[[little.sources]]
kind = "huggingface"
repository = "owner/name"
"""


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of models; the model `little` is known."""
    (tmp_path / "own.toml").write_text(MODEL)
    monkeypatch.setenv("VISAVIS_MODELS_CATALOGUE", str(tmp_path / "own.toml"))
    monkeypatch.setenv("VISAVIS_MODELS_FOLDER", str(tmp_path / "models"))
    return tmp_path / "models"


def test_a_model_that_is_not_here_is_told_with_the_command_that_gets_it(
    make: Any, package: ModuleType, models: Path, tmp_path: Path
) -> None:
    add(package, "weighty", HEAD + GOOD + "    def models(self):\n        return ('little',)\n")
    engines = make()
    (told,) = [one for one in engines.describe() if one.info.name == "weighty"]
    assert told.state is State.MISSING and told.lack
    assert (told.lack.code, told.lack.reason) == ("MODEL_MISSING", "The model little is not here.")
    assert told.lack.remedy == told.lack.values["remedy"] == "visavis models pull little"
    with pytest.raises(Unavailable, match="'weighty' cannot be used. The model little is not here. visavis models"):
        use(engines, "weighty")
    (tmp_path / "brought").write_bytes(b"foo")
    bring(tmp_path / "brought", catalogue.load().values(), ModelFolder(models))
    assert states(engines)["weighty"] is State.UNLOADED, "without a restart"
    assert use(engines, "weighty").loads == 1
    assert find("little") == models / "little"


def test_a_model_that_nobody_knows_is_told(make: Any, package: ModuleType, models: Path) -> None:
    add(package, "weighty", HEAD + GOOD + "    def models(self):\n        return ('unheard-of',)\n")
    (told,) = [one for one in make().describe() if one.info.name == "weighty"]
    assert told.lack and told.lack.code == "MODEL_UNKNOWN" and "'unheard-of'" in told.lack.reason


def test_an_engine_is_loaded_when_it_is_first_used(make: Any) -> None:
    engines = make()
    engine = use(engines, "other")
    assert (engine.loads, states(engines)["other"]) == (1, State.READY)
    assert use(engines, "other") is engine
    assert engine.loads == 1


def test_what_is_to_be_loaded_at_the_start_is(make: Any) -> None:
    engines = make(preload=["other", "keyless"])
    engines.load()  # the one without its key is no hindrance
    assert (states(engines)["other"], states(engines)["keyless"]) == (State.READY, State.MISSING)


@pytest.mark.parametrize("name", ["keyless", "packageless", "unimportable", "broken", "unloadable"])
def test_one_that_is_missing_says_why_and_takes_nothing_else_down(make: Any, name: str) -> None:
    engines = make()
    with pytest.raises(Unavailable, match=name) as caught:
        use(engines, name)
    assert caught.value.values["engine"] == name
    assert states(engines)[name] is State.MISSING
    assert use(engines).info().name == "plain"


def test_a_default_that_lacks_something_does_not_keep_the_service_from_starting(make: Any) -> None:
    engines = make(engine="keyless")
    engines.load()
    assert use(engines, "plain").loads == 1
    with pytest.raises(Unavailable, match="Set KEY"):
        use(engines)


def test_a_name_that_is_none_is_refused_with_those_there_are(make: Any) -> None:
    with pytest.raises(InvalidInput, match="plain") as caught:
        use(make(), "../plain")
    assert (caught.value.reason, caught.value.field) == ("NO_ENGINE", "config.engine")
    with pytest.raises(ValueError, match="other, packageless, plain"):
        make(engine="none-such")


def test_settings_come_from_the_call_the_engines_variables_and_for_the_default_the_services(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOY_KEY", "of the default")
    monkeypatch.setenv("TOY_OTHER_COUNT", "3")
    monkeypatch.setenv("TOY_PLAIN_COUNT", "2")
    engines = make(engines={"other": {"key": "given"}})
    plain, other = use(engines, "plain").settings, use(engines, "other").settings
    assert (plain.key, plain.count) == ("of the default", 2)
    assert (other.key, other.count) == ("given", 3)


def test_a_setting_that_the_service_has_too_is_the_services(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a job's process is told holds for the engine in it."""
    monkeypatch.setenv("TOY_THREADS", "3")
    assert use(make(threads=1)).settings.threads == 1
    assert use(make()).settings.threads == 3
    monkeypatch.setenv("TOY_PLAIN_THREADS", "4")
    assert use(make(threads=1)).settings.threads == 4


def test_a_wrong_setting_is_named_but_not_quoted(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOY_OTHER_COUNT", "hunter2")
    with pytest.raises(Unavailable, match="count") as caught:
        use(make(), "other")
    assert "hunter2" not in caught.value.message


def test_a_table_that_is_no_json_is_named_too(package: ModuleType, make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    add(package, "listed", HEAD.replace("count: int = 1", "words: list[str] = []") + GOOD)
    monkeypatch.setenv("TOY_LISTED_WORDS", "hunter2")
    with pytest.raises(Unavailable, match="words") as caught:
        use(make(), "listed")
    assert (caught.value.reason, "hunter2" in caught.value.message) == ("SETTINGS_WRONG", False)


def test_idle_engines_go_when_memory_is_short_but_never_the_default_or_one_in_use(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    engines = make(engine_idle_minutes=0)
    plain, other = use(engines), use(engines, "other")
    assert engines.unload_idle() == 0
    monkeypatch.setattr(hosting.hardware, "memory_is_short", lambda: True)

    async def hold() -> int:
        async with engines.use("other"):
            return await asyncio.to_thread(engines.unload_idle)

    assert asyncio.run(hold()) == 0
    assert engines.unload_idle() == 1
    assert (plain.closes, other.closes) == (0, 1)
    assert states(engines)["other"] is State.UNLOADED
    assert use(engines, "other").loads == 2


@pytest.mark.parametrize("name", ["slip", "misspelt", "mute", "boastful", "confused"])
def test_one_that_is_broken_in_whatever_way_hides_no_other(package: ModuleType, make: Any, name: str) -> None:
    add(package, name, ODD[name])
    engines = make(preload=[name])
    engines.load()
    told = {one.info.name: one for one in engines.describe()}
    assert (told[name].state, told[name].lack.code) == (State.MISSING, "ENGINE_BROKEN")
    assert told["plain"].state is State.READY


def test_an_engine_is_called_as_its_file_is(package: ModuleType, make: Any) -> None:
    add(package, "nameless", ODD["nameless"])
    assert sorted(states(make())) == sorted([*BODIES, "nameless"])


def test_one_that_does_not_close_keeps_no_other_from_being_closed(
    package: ModuleType, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(package, "clinging", HEAD.replace("self.closes += 1", "1 / 0") + GOOD)
    engines = make(engine_idle_minutes=0)
    _, other = use(engines, "clinging"), use(engines, "other")
    monkeypatch.setattr(hosting.hardware, "memory_is_short", lambda: True)
    assert engines.unload_idle() == 2
    assert other.closes == 1
    _, plain = use(engines, "clinging"), use(engines)
    engines.close()
    engines.close()
    assert plain.closes == 1


def test_a_file_that_takes_long_to_import_makes_nobody_else_wait(
    package: ModuleType, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go = threading.Event(), threading.Event()
    monkeypatch.setattr(hosting, "begun", begun, raising=False)
    monkeypatch.setattr(hosting, "go", go, raising=False)
    waits = "from services.common import hosting\nhosting.begun.set()\nassert hosting.go.wait(60)\n"
    add(package, "slow", waits + HEAD + GOOD)
    engines = make()
    use(engines, "other")

    async def run() -> int:
        async def come() -> Any:
            async with engines.use("slow") as engine:
                return engine

        coming = asyncio.create_task(come())
        assert await asyncio.to_thread(begun.wait, 60)
        async with engines.use("other"):
            go.set()
        return (await coming).loads

    assert asyncio.run(run()) == 1


def test_two_who_come_at_once_load_it_once(make: Any) -> None:
    engines = make()
    together = threading.Barrier(4)

    def come() -> None:
        together.wait()
        use(engines, "other")

    threads = [threading.Thread(target=come) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert use(engines, "other").loads == 1


def test_a_folder_of_the_users_own_is_looked_into(package: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "own" / "toy").mkdir(parents=True)
    body = BODIES["plain"].replace("{name}", "mine").replace("{upper}", "MINE")
    (tmp_path / "own" / "toy" / "mine.py").write_text(body)
    engines = Engines(package, "toy", ToySettings(VISAVIS_ENGINE_FOLDER=tmp_path / "own"))
    assert states(engines)["mine"] is State.UNLOADED
    assert use(engines, "mine").loads == 1


def test_a_containers_limit_counts_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(hardware, "CGROUP", tmp_path)
    monkeypatch.setattr(hardware, "MEMORY_RESERVE", 0.0001)  # of this machine there is always so much
    assert not hardware.memory_is_short()
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("1000000\n")
    assert not hardware.memory_is_short()
    (tmp_path / "memory.max").write_text("1000001\n")
    assert hardware.memory_is_short()


def test_where_none_is_set_the_first_that_can_be_used_is_the_default(
    make: Any, package: ModuleType, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    needed = Path(package.__path__[0]) / "needed"
    lack = f"    def lack(self):\n        return None if open_({str(needed)!r}) else Lack('GONE', 'Away.', 'Get it.')\n"
    add(package, "better", HEAD + GOOD + lack.replace("open_", "__import__('os').path.exists"))
    monkeypatch.setattr(ToySettings, "choices", ("better", "plain"))
    monkeypatch.setenv("TOY_KEY", "of the default")
    engines = make(engine="")
    engines.load()
    told = [record.fields for record in caplog.records if record.msg == "a better engine is missing"]
    assert [(one["engine"], "Get it." in one["reason"]) for one in told] == [("better", True)]
    assert (engines.default, use(engines).loads) == ("plain", 1)
    needed.touch()
    assert use(engines).info().name == engines.default == "better"
    assert use(engines).settings.key == "of the default"
    assert make(engine="plain").default == "plain"
