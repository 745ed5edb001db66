"""The sentences from which espeak's own voices are learnt, and the voices that conversion starts from."""

from __future__ import annotations

from services.tts import espeak_ng, world
from services.tts.languages import voice_for

WOMAN = "f2"
MAN = "m3"

# Every sound of English, most of Mandarin, and the vowels and consonants that German, French, Spanish and Russian add.
_BANK = (
    ("en-us", "The quick brown fox jumps over the lazy dog while a young child watches with joy."),
    ("en-us", "She had her dark suit in greasy wash water all year."),
    ("en-us", "Ask me to carry an oily rag, and I shall bring fresh snow peas, thick blue cheese and a good book."),
    ("en-us", "The usual measure of pleasure on this beige couch is a vision that the church judge would choose."),
    ("en-us", "Four hours of steady work faced us, though nothing there was worth the youngest father's anger."),
    ("en-us", "How about those noisy boys now? They found out why five white mice hide outside."),
    ("cmn", "四是四，十是十，十四是十四，四十是四十。女孩子去学校学习语文和数学。"),
    ("cmn", "天气很好，我们一起出去走走，喝一杯热茶，吃一点儿东西，然后回家休息。"),
    ("de", "Zwölf hübsche Boxkämpfer jagen Eva quer über den großen Sylter Deich."),
    ("fr-fr", "Un bon vin blanc, une jeune fille heureuse et deux œufs frais."),
    ("es", "El pequeño perro corre rápido por la calle lluviosa."),
    ("ru", "Съешь ещё этих мягких французских булок, да выпей чаю."),
)


def record_bank(variant: str) -> list[world.Frames]:
    """The bank spoken by one of espeak's voices and analysed."""
    return [base_frames(text, f"{voice_for(language, text)}+{variant}") for language, text in _BANK]


def base_frames(text: str, voice: str) -> world.Frames:
    """espeak's rendering of a text as WORLD parameters."""
    return world.analyse(world.resampled(espeak_ng.speak(text, voice).samples, espeak_ng.SAMPLE_RATE))
