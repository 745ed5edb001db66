"""What CosyVoice is asked, in which of its five ways; models of three generations want it said differently."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from services.tts.reference import Reference
from services.tts.sentences import language_of

PROMPT_RATE = 16_000
_END = "<|endofprompt|>"
_ASSISTANT = "You are a helpful assistant."  # what the third generation was taught to hear first
_RATES = {1: 22_050, 2: 24_000, 3: 24_000}
_LANGUAGES = {
    1: ("zh", "en", "ja", "yue", "ko"),
    2: ("zh", "en", "ja", "yue", "ko"),
    3: ("zh", "en", "ja", "yue", "ko", "de", "es", "fr", "it", "ru"),
}
_BUILT_IN = {"zh": "中文女", "en": "英文女", "ja": "日语男", "yue": "粤语女", "ko": "韩语女"}
_NAME = re.compile(r"cosyvoice([123](?!\d))?", re.IGNORECASE)


class Way(StrEnum):
    """One of the server's ways of speaking, by its name in the server's addresses."""

    SFT = "sft"  # in a voice that is built in
    ZERO_SHOT = "zero_shot"  # in that of a recording whose words are known
    CROSS_LINGUAL = "cross_lingual"  # in that of a recording, in any language
    INSTRUCT = "instruct"  # in a voice that is built in, as it is told
    INSTRUCT2 = "instruct2"  # in that of a recording, as it is told


@dataclass(frozen=True)
class Model:
    """What the name of a model tells: `iic/CosyVoice2-0.5B`, `Fun-CosyVoice3-0.5B-2512`, `CosyVoice-300M-SFT`."""

    generation: int  # 1 to 3
    has_speakers: bool = False  # voices are built in
    follows: bool = False  # those that are built in speak as they are told

    @property
    def rate(self) -> int:
        """Of the sound that it sends, in Hz; neither wire tells."""
        return _RATES[self.generation]

    @property
    def languages(self) -> tuple[str, ...]:
        """What it speaks."""
        return _LANGUAGES[self.generation]

    def speaks(self, language: str) -> bool:
        """Whether a BCP 47 tag is of one of its languages."""
        return _primary(language) in self.languages

    @property
    def clones(self) -> bool:
        """Whether it speaks in the voice of a recording."""
        return not self.has_speakers

    @classmethod
    def named(cls, name: str) -> Model:
        """Raises:
        ValueError: the name is none of CosyVoice's.
        """
        found = _NAME.search(name)
        if not found:
            raise ValueError("the name of a model of CosyVoice holds CosyVoice, CosyVoice2 or CosyVoice3")
        generation = int(found[1] or 1)
        follows = generation == 1 and "instruct" in name.lower()
        return cls(generation, generation == 1 and (follows or "sft" in name.lower()), follows)


@dataclass(frozen=True)
class Asked:
    """One sentence for the server; `way` tells which of the rest count."""

    way: Way
    text: str
    speaker: str = ""
    prompt_text: str = ""
    prompt_pcm: bytes = b""  # 16 kHz, 16-bit mono
    instruction: str = ""


def in_built_in(model: Model, text: str, language: str, speaker: str, instruction: str) -> Asked | None:
    """A sentence in a voice that is built in; None if there is none."""
    speaker = speaker or (_BUILT_IN.get(_primary(language), _BUILT_IN["en"]) if model.has_speakers else "")
    if not speaker:
        return None
    if model.follows and instruction:
        return Asked(Way.INSTRUCT, _plain(text), speaker, instruction=_plain(instruction) + _END)
    return Asked(Way.SFT, _plain(text), speaker)


def in_voice(model: Model, text: str, language: str, reference: Reference, instruction: str) -> Asked:
    """A sentence in the voice of a recording.

    Zero-shot goes on speaking where the recording ends, so it wants its words, and their language. Whether two are the
    same is known of those that are told by their script; of others it is not, and cross-lingual is never wrong.
    """
    text, prompt = _plain(text), reference.pcm
    before = _ASSISTANT + _END if model.generation == 3 else ""
    if instruction and model.generation > 1:
        told = f"{_ASSISTANT} " if model.generation == 3 else ""
        return Asked(Way.INSTRUCT2, text, prompt_pcm=prompt, instruction=told + _plain(instruction) + _END)
    words = _plain(reference.transcript)
    if words and _primary(language_of(words)) == _primary(language):
        return Asked(Way.ZERO_SHOT, text, prompt_text=before + words, prompt_pcm=prompt)
    if model.generation == 1:
        before = f"<|{_primary(language)}|>" if _primary(language) in model.languages else ""
    return Asked(Way.CROSS_LINGUAL, before + text, prompt_pcm=prompt)


def _plain(text: str) -> str:
    """Without what a model would take for one of its marks."""
    return text.replace("<|", " ").replace("|>", " ").strip()


def _primary(tag: str) -> str:
    first, *rest = tag.lower().replace("_", "-").split("-")
    return "yue" if first == "zh" and {"hk", "mo", "yue"} & set(rest) else first
