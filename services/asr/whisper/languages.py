"""The languages that Whisper knows, by their BCP 47 tags."""

from __future__ import annotations

from basics.languages import primary

LANGUAGES = (
    "en", "zh", "de", "es", "ru", "ko", "fr", "ja", "pt", "tr", "pl", "ca", "nl", "ar", "sv", "it", "id", "hi",
    "fi", "vi", "he", "uk", "el", "ms", "cs", "ro", "da", "hu", "ta", "no", "th", "ur", "hr", "bg", "lt", "la",
    "mi", "ml", "cy", "sk", "te", "fa", "lv", "bn", "sr", "az", "sl", "kn", "et", "mk", "br", "eu", "is", "hy",
    "ne", "mn", "bs", "kk", "sq", "sw", "gl", "mr", "pa", "si", "km", "sn", "yo", "so", "af", "oc", "ka", "be",
    "tg", "sd", "gu", "am", "yi", "lo", "uz", "fo", "ht", "ps", "tk", "nn", "mt", "sa", "lb", "my", "bo", "tl",
    "mg", "as", "tt", "haw", "ln", "ha", "ba", "jv", "su",
)  # fmt: skip
"""Those that it was trained with most come first."""

_CODES = {"jv": "jw", "nb": "no", "fil": "tl", "cmn": "zh"}  # where Whisper's name of a language is another


def code(tag: str) -> str:
    """Whisper's name of the language of a BCP 47 tag; empty for an empty one."""
    name = primary(tag)
    return _CODES.get(name, name)


def tag(name: str) -> str:
    """The BCP 47 tag of a language that Whisper names."""
    return "jv" if name == "jw" else name
