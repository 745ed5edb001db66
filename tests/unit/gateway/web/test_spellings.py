from __future__ import annotations

import pytest

from gateway.refusal import Refusal
from gateway.web.spellings import avatar_of, device_of, engine_of, field_of, parameters_of


@pytest.mark.parametrize(
    "spelling",
    ["May", " May ", "output/May", "output/May/", "./output/May", "TalkingGaussian/output/May",
     "/app/TalkingGaussian/output/May", "TalkingGaussian\\output\\May"],
)  # fmt: skip
def test_every_old_path_names_the_avatar(spelling: str) -> None:
    assert avatar_of(spelling) == "May"


def test_names_with_spaces_and_other_scripts_stay() -> None:
    assert avatar_of("output/张 三 🙂") == "张 三 🙂"


@pytest.mark.parametrize("spelling", ["", " ", "/", "..", "output/../../etc", "output/.."])
def test_paths_that_name_nobody_are_refused(spelling: str) -> None:
    with pytest.raises(Refusal) as caught:
        avatar_of(spelling)
    assert caught.value.field == "model_param"


@pytest.mark.parametrize(
    ("choice", "device"),
    [
        ("CPU", "cpu"),
        ("cpu", "cpu"),
        ("GPU0", "cuda:0"),
        ("gpu1", "cuda:1"),
        ("0", "cuda:0"),
        ("cuda:2", "cuda:2"),
        ("", ""),
    ],
)
def test_devices(choice: str, device: str) -> None:
    assert device_of(choice) == device


@pytest.mark.parametrize("choice", ["TPU", "GPU", "GPU-1", "GPU0; rm"])
def test_unknown_devices_are_refused(choice: str) -> None:
    with pytest.raises(Refusal):
        device_of(choice)


@pytest.mark.parametrize(
    ("text", "parameters"),
    [("", {}), ("quality=draft, seed=3", {"quality": "draft", "seed": "3"}), ('{"seed": 3}', {"seed": "3"}),
     ("--quality=draft --seed=3", {"quality": "draft", "seed": "3"}), ("a=b=c", {"a": "b=c"})],
)  # fmt: skip
def test_parameters(text: str, parameters: dict[str, str]) -> None:
    assert parameters_of(text) == parameters


@pytest.mark.parametrize("text", ["draft", "{seed", "quality draft", "[1]" + "{" * 9, "{" + "[" * 50_000])
def test_other_parameters_are_refused(text: str) -> None:
    with pytest.raises(Refusal):
        parameters_of(text)


@pytest.mark.parametrize("given", ["er_nerf", "ER-NeRF", "ERNeRF", "er nerf"])
def test_engines_are_known_by_their_older_spellings(given: str) -> None:
    assert engine_of(given, ["portrait", "er_nerf"], "model_choice") == "er_nerf"


@pytest.mark.parametrize(
    ("given", "name"),
    [("GLM", "zhipu"), ("ZhipuAI", "zhipu"), ("Zhipu", "zhipu"), ("OpenAI", "openai"), ("ChatGPT", "openai")],
)
def test_dialogue_engines_are_known_by_the_names_that_older_scripts_give_them(given: str, name: str) -> None:
    assert engine_of(given, ["knowledge", "openai", "zhipu"], "api_choice") == name


def test_an_engine_of_the_very_name_comes_before_what_it_used_to_mean() -> None:
    assert engine_of("GLM", ["zhipu", "glm"], "api_choice") == "glm"


def test_no_engine_need_be_named() -> None:
    assert engine_of("", ["portrait", ""], "model_choice") == ""


@pytest.mark.parametrize("given", ["SyncTalk", "portrait2", "-"])
def test_an_engine_that_is_not_here_is_refused_with_those_that_are(given: str) -> None:
    with pytest.raises(Refusal, match="'model_choice' must be one of: portrait, er_nerf") as caught:
        engine_of(given, ["portrait", "", "er_nerf"], "model_choice")
    assert caught.value.field == "model_choice"


def test_fields_of_the_services_are_spelled_as_older_scripts_do() -> None:
    assert [field_of(field) for field in ("device", "params.steps", "name", None)] == [
        "gpu_choice",
        "custom_params",
        "name",
        None,
    ]
