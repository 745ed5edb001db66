"""BCP 47 language tags and espeak's own language names."""

from __future__ import annotations

from basics.languages import primary
from services.common.errors import Unsupported
from services.tts import espeak_ng
from services.tts.sentences import has_han

# What people write, where espeak's name differs or its first choice would surprise.
_NAMES = {"en": "en-us", "zh": "cmn", "zh-hk": "yue", "zh-mo": "yue", "zh-yue": "yue", "no": "nb"}
_HAN_SPEAKERS = ("cmn", "yue", "hak", "ja", "ko")
_HIDDEN = ("piqd", "en-shaw", "zh-cmn", "zh-yue", "py", "cmn-latn-pinyin")  # not language tags, or nobody's writing


def spoken_languages() -> tuple[str, ...]:
    """Every language espeak speaks, as BCP 47 tags."""
    tags = {_tag(name) for name in espeak_ng.voices() if name not in _HIDDEN}
    return tuple(sorted(tags | {"zh"}))


def espeak_language(tag: str) -> str:
    """espeak's name for a language: the most specific that it knows.

    Raises:
        Unsupported: it knows none.
    """
    name = tag.lower().replace("_", "-")
    while name:
        candidate = _NAMES.get(name, name)
        if candidate in espeak_ng.voices():
            return candidate
        name = name.rpartition("-")[0]
    message = (
        f"This engine does not speak '{tag[:35]}'. Choose one of its languages, or set TTS_ENGINE to another engine."
    )
    raise Unsupported(
        message, reason="LANGUAGE_NOT_SUPPORTED", field="language", values={"language": tag[:35], "engine": "espeak"}
    )


def voice_for(language: str, sentence: str) -> str:
    """The espeak voice for a sentence: one that reads Chinese characters when there are any."""
    if has_han(sentence) and primary(language) not in _HAN_SPEAKERS:
        language = "cmn"
    return espeak_ng.voices()[language]


def reads_han(tag: str) -> bool:
    """Whether those who speak a language read Chinese characters in it."""
    return tag in ("zh", "yue") or primary(tag) in _HAN_SPEAKERS


def tag(name: str) -> str:
    """The BCP 47 tag that people use for one of espeak's languages: `en-us` is `en-US`, `cmn` is `zh`."""
    return "zh" if name == "cmn" else _tag(name)


def tongue(tag: str) -> str:
    """The language of a tag, without its country: `en-US` is `en`; Mandarin by either of its names is `zh`."""
    language = primary(tag)
    return "zh" if language == "cmn" else language


def _tag(name: str) -> str:
    """`en-us` to `en-US`, `fa-latn` to `fa-Latn`."""
    language, *rest = name.split("-")
    private = rest.index("x") if "x" in rest else len(rest)
    public = [part.upper() if len(part) == 2 else part.title() if len(part) == 4 else part for part in rest[:private]]
    return "-".join([language, *public, *rest[private:]])
