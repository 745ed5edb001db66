"""What `/tts` of GPT-SoVITS is asked; its versions differ in languages, rates and what they need to know."""

from __future__ import annotations

from typing import Any, Literal

from services.tts.sentences import language_of

Version = Literal["v1", "v2", "v2Pro", "v2ProPlus", "v3", "v4"]
RATES: dict[Version, int] = {
    "v1": 32_000, "v2": 32_000, "v2Pro": 32_000, "v2ProPlus": 32_000, "v3": 24_000, "v4": 48_000,
}  # fmt: skip
NEED_WORDS: tuple[Version, ...] = ("v3", "v4")
"""Versions that refuse a recording whose words nobody tells."""


def languages(version: Version) -> tuple[str, ...]:
    """What a version speaks; Chinese and Japanese with English words in them."""
    return ("zh", "en", "ja") if version == "v1" else ("zh", "en", "ja", "yue", "ko")


def code(version: Version, language: str) -> str:
    """The server's name for a BCP 47 tag, or empty if it does not speak it."""
    first, *rest = language.lower().replace("_", "-").split("-")
    name = "yue" if first == "zh" and {"hk", "mo", "yue"} & set(rest) else first
    return name if name in languages(version) else ""


def body(
    version: Version, text: str, language: str, *, path: str, words: str, speed: float, options: dict[str, Any]
) -> dict[str, Any]:
    """The JSON of a request.

    Args:
        path: of the recording, as the server sees it.
        words: what is said in it, or empty.
        speed: 1 is that of the voice.
        options: what else the server is told, by its own names.
    """
    spoken = code(version, language)
    return {
        "text": text,
        "text_lang": spoken,
        "ref_audio_path": path,
        "prompt_text": words,
        "prompt_lang": (words and code(version, language_of(words))) or spoken,
        "speed_factor": speed,
        "media_type": "wav",  # raw sound would not tell its rate
        **options,
    }
