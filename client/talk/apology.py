"""What an avatar says when the dialogue does not answer."""

from __future__ import annotations

import re

from basics.languages import primary
from basics.scripts import HAN

_WORDS = {
    "en": "Sorry, I cannot answer right now. Please try again in a moment.",
    "zh": "抱歉，我现在无法回答。请稍后再试。",
    "de": "Entschuldigung, ich kann gerade nicht antworten. Bitte versuchen Sie es gleich noch einmal.",
    "es": "Lo siento, ahora no puedo responder. Inténtelo de nuevo dentro de un momento.",
    "fr": "Désolé, je ne peux pas répondre pour le moment. Veuillez réessayer dans un instant.",
}
_HAN = re.compile(rf"[{HAN}]")


def apology(language: str, said: str) -> str:
    """A short apology.

    Args:
        language: BCP 47 tag of the talk; empty to go by the script of what was said.
        said: what the user said.
    """
    tag = primary(language) or ("zh" if _HAN.search(said) else "en")
    return _WORDS.get(tag, _WORDS["en"])
