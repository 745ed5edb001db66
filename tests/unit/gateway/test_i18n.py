"""Every word in both languages, every error in Chinese."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from gateway import i18n
from tests.reasons import in_file

ROOT = Path(__file__).resolve().parents[3]
GATEWAY = ROOT / "gateway"
RAISING = ("services", "client", "gateway", "portrait", "models")
MENTIONED = {
    "UNAVAILABLE",
    "TIMEOUT",
    "CANCELLED",
    "BUSY",
    "INTERNAL",
    "NO_SUCH_PAGE",
    "WRONG_METHOD",
    "BAD_REQUEST",
    "FILE_TOO_LARGE",
}
PLACEHOLDER = re.compile(r"{(\w+)}")


def test_both_catalogues_have_the_same_keys_and_placeholders() -> None:
    english, chinese = i18n.catalogue("en"), i18n.catalogue("zh")
    assert english.keys() == chinese.keys()
    for key, text in english.items():
        assert set(PLACEHOLDER.findall(text)) == set(PLACEHOLDER.findall(chinese[key])), key


def used_keys() -> Iterator[tuple[str, str]]:
    for path in [*GATEWAY.glob("templates/*.html"), *GATEWAY.glob("static/js/*.js"), *GATEWAY.rglob("*.py")]:
        for key in re.findall(r"""\b(?:t|word|say)\(["']([a-z_]+\.[a-z_]+)["'][,)]""", path.read_text()):
            yield path.name, key


def test_every_key_that_is_used_is_there() -> None:
    used = list(used_keys())
    assert len(used) > 100
    missing = [(name, key) for name, key in used if key not in i18n.catalogue("en")]
    assert not missing


def reasons() -> Iterator[tuple[str, str]]:
    """Every reason in the code, and where it stands."""
    for room in RAISING:
        for path in (ROOT / room).rglob("*.py"):
            yield from ((f"{path.relative_to(ROOT)}:{line}", reason) for line, reason in in_file(path))


def test_every_reason_is_translated() -> None:
    found = list(reasons())
    assert len({reason for _, reason in found}) > 60
    missing = [(where, reason) for where, reason in found if reason not in i18n.catalogue("errors.zh")]
    assert not missing


def test_every_translation_is_of_a_reason() -> None:
    known = {reason for _, reason in reasons()} | MENTIONED
    assert set(i18n.catalogue("errors.zh")) <= known


@pytest.mark.parametrize(
    ("headers", "language"),
    [({}, "en"), ({"Accept-Language": "zh-CN,zh;q=0.9"}, "zh"), ({"Accept-Language": "de,en;q=0.5"}, "en"),
     ({"Accept-Language": "fr"}, "en"), ({"Cookie": "visavis_language=zh", "Accept-Language": "en"}, "zh"),
     ({"Cookie": "visavis_language=../etc"}, "en")],
)  # fmt: skip
def test_the_language_is_chosen_or_the_browsers(gateway: Flask, headers: dict[str, str], language: str) -> None:
    with gateway.test_request_context("/", headers=headers):
        assert i18n.language() == language


def test_errors_are_told_in_chinese_with_their_values(gateway: Flask) -> None:
    with gateway.test_request_context("/", headers={"Accept-Language": "zh"}):
        assert i18n.error_text("TOO_SHORT", "x", {"second": "4.0", "min": "10"}).startswith("视频只有 4.0 秒")
        assert i18n.error_text("TOO_SHORT", "x", {"seconds": "4.0"}).startswith("只听到 4.0 秒")
        assert i18n.error_text("TOO_SHORT", "x", {}) == "录音太短，请录得长一些。"
        assert i18n.error_text("LOW_FPS", "english", {}) == "english"
        assert i18n.error_text("NEVER_HEARD_OF", "english", {}) == "english"


def test_values_are_never_read_as_placeholders() -> None:
    assert i18n.fill("{name}: {other}", {"name": "{0.__class__}"}) == "{0.__class__}: {other}"


def test_choosing_a_language_is_remembered(gateway: Flask) -> None:
    client = gateway.test_client()
    assert client.get("/language/zh?next=/train").location == "/train"
    assert "训练数字人" in client.get("/train").text
    assert 'lang="zh-CN"' in client.get("/train").text


def test_every_parameter_of_the_built_in_training_has_words() -> None:
    from services.train.engines.portrait import Engine, Settings

    for parameter in Engine(Settings()).parameters():
        keys = [f"parameter.{parameter.name}", f"parameter.{parameter.name}_help"]
        keys += [f"choice.{choice}" for choice in parameter.choices]
        assert not [key for key in keys if key not in i18n.catalogue("en")]
