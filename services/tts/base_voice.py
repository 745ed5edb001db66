"""The voice that conversion starts from: espeak's own, and the sentences by which its sounds are known."""

from __future__ import annotations

from services.tts import espeak_ng, world
from services.tts.languages import voice_for

# Every sound of English; then most of Mandarin, and the sounds that German, French, Spanish and Russian add.
_BANKS = (
    (
        ("en-us", "The quick brown fox jumps over the lazy dog while a young child watches with joy."),
        ("en-us", "She had her dark suit in greasy wash water all year."),
        ("en-us", "Ask me to carry an oily rag, and I shall bring fresh snow peas, thick blue cheese and a good book."),
        ("en-us", "The usual measure of pleasure on this beige couch is a vision that the church judge would choose."),
        ("en-us", "Four hours of steady work faced us, though nothing there was worth the youngest father's anger."),
        ("en-us", "How about those noisy boys now? They found out why five white mice hide outside."),
        ("en-us", "It is easy to tell the depth of a well, but a round bowl of rice is rarely a full meal."),
        ("en-us", "Bob took six big spoons, put them back on the shelf, and asked his mother for a snack at the zoo."),
    ),
    (
        ("cmn", "四是四，十是十，十四是十四，四十是四十。女孩子去学校学习语文和数学。"),
        ("cmn", "天气很好，我们一起出去走走，喝一杯热茶，吃一点儿东西，然后回家休息。"),
        ("de", "Zwölf hübsche Boxkämpfer jagen Eva quer über den großen Sylter Deich."),
        ("fr-fr", "Un bon vin blanc, une jeune fille heureuse et deux œufs frais."),
        ("es", "El pequeño perro corre rápido por la calle lluviosa."),
        ("ru", "Съешь ещё этих мягких французских булок, да выпей чаю."),
    ),
)


def record_banks() -> list[list[world.Frames]]:
    """The sentences spoken and analysed; English in the first list, other languages in the second."""
    return [[base_frames(text, voice_for(language, text)) for language, text in bank] for bank in _BANKS]


def base_frames(text: str, voice: str) -> world.Frames:
    """espeak's rendering of a text as WORLD parameters."""
    return world.analyse(world.resampled(espeak_ng.speak(text, voice).samples, espeak_ng.SAMPLE_RATE))
