"""OpenVoice V2, offline: another engine's own voice, its tone colour converted to a registered one."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field
from pydantic_settings import SettingsConfigDict

from services.common.arrays import Samples
from services.common.audio import resampled
from services.common.engine import Capability, EngineInfo, Lack, folder_unnamed
from services.tts.base_voice import ENGLISH, OTHERS, known_by
from services.tts.converters.engine import ConverterSettings, ConvertingEngine
from services.tts.converters.program import Program
from services.tts.engine import Prosody
from services.tts.reference import beginning

_SHORTEST_S, _LONGEST_S = 5.0, 120.0  # OpenVoice's own tools refuse less
_COLOUR = "colour.npy"
_METHOD = 1
_PREFIX = "TTS_OPENVOICE_"
_CHECKPOINTS = f"{_PREFIX}CHECKPOINTS"
_REMEDY = f"Set {_CHECKPOINTS} to the whole folder `checkpoints_v2`."


class Settings(ConverterSettings):
    """Where OpenVoice lies, and over which voice it works."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX)

    checkpoints: str = ""
    """Path of the folder `checkpoints_v2`, or of another converter's with `config.json` and `checkpoint.pth`."""

    tau: float = Field(0.3, gt=0, le=1)
    """How freely it varies: less keeps nearer to the base voice."""


class Engine(ConvertingEngine):
    """Speaks as another engine does, in somebody's tone colour."""

    settings_type = Settings

    def __init__(self, settings: Settings) -> None:
        unreadable = ("config.json, checkpoint.pth", _CHECKPOINTS, _REMEDY)
        program = Program(
            "OpenVoice", _PREFIX, "openvoice", ("openvoice/api.py",), settings.python, settings.source,
            {"checkpoint": unreadable},
        )  # fmt: skip
        super().__init__(settings, program)
        self._settings = settings
        self._own = np.zeros(0, np.float32)

    def load(self) -> None:
        """Load both, and let the converter hear the base voice.

        Raises:
            Unavailable: one of them cannot be loaded.
        """
        super().load()
        assert self._converter
        with self._file("checkpoint.pth").open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        self.enrolment = f"openvoice {_METHOD} {digest}"
        try:
            self._own = self._converter.learn(asyncio.run(self._heard()))
        except BaseException:
            self._converter.close()
            raise

    def task(self) -> dict[str, Any]:
        """Its two files."""
        config, checkpoint = self._file("config.json"), self._file("checkpoint.pth")
        return {"config": str(config), "checkpoint": str(checkpoint), "device": self._settings.device}

    def info(self) -> EngineInfo:
        """What the base voice can do, and cloning."""
        base = self._base.info()
        able = {Capability.CLONING} | (base.capabilities - {Capability.READING})
        licence = f"MIT (OpenVoice and its weights) AND {base.licence}"
        return EngineInfo("openvoice", "2", base.languages, frozenset(able), licence)

    def lack(self) -> Lack | None:
        """What is missing of OpenVoice, or of the base voice."""
        if not self._settings.checkpoints:
            return folder_unnamed(_CHECKPOINTS, "OpenVoice's checkpoints (`checkpoints_v2`)")
        return super().lack()

    def files_lack(self) -> Lack | None:
        """The first of its two files that is missing."""
        absent = next((name for name in ("config.json", "checkpoint.pth") if not self._file(name).is_file()), None)
        return self._program.file_missing(absent, _CHECKPOINTS, _REMEDY) if absent else None

    def enrol(self, reference: Samples, sample_rate: int, transcript: str, folder: Path) -> None:
        """Keep the tone colour of the first two minutes; the transcript is not needed.

        Raises:
            InvalidInput: silence, or less than five seconds.
            Internal: OpenVoice died of it.
        """
        assert self._converter  # since it was loaded
        samples = beginning(reference, sample_rate, self.sample_rate, shortest_s=_SHORTEST_S, longest_s=_LONGEST_S)
        colour = self._converter.learn(samples)
        np.save(folder / _COLOUR, colour, allow_pickle=False)

    def how(self, voice: Path | None) -> dict[str, Any] | None:
        """From the base's tone colour to the person's."""
        if voice is None:
            return None
        colour = np.load(voice / _COLOUR, allow_pickle=False)
        return {"of": self._own.tolist(), "to": colour.tolist(), "tau": self._settings.tau}

    def _file(self, name: str) -> Path:
        """In the folder that was named, or the converter's in it."""
        folder = Path(self._settings.checkpoints)
        return (folder / "converter" if (folder / "converter").is_dir() else folder) / name

    async def _heard(self) -> Samples:
        """What the base voice says to be known, at the converter's rate."""
        known = self._base.info().languages
        bank = known_by(known[0]) if len(known) == 1 else (*ENGLISH, *OTHERS)
        pieces = []
        for tongue, text in bank:
            language = tongue if len(known) > 1 else known[0]
            tag = {"cmn": "zh"}.get(language, language)
            async for speech in self._base.synthesize(text, language=tag, voice=None, prosody=Prosody()):
                pieces.append(resampled(speech.samples, speech.sample_rate, self.sample_rate))
        return np.concatenate(pieces)
