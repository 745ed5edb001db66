"""RVC, offline: another engine's own voice, converted to that of a model which was trained with RVC."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from services.common.engine import Capability, EngineInfo, Lack
from services.tts.converters.engine import ConverterSettings, ConvertingEngine
from services.tts.converters.program import Program

_PREFIX = "TTS_RVC_"
_MODEL, _INDEX, _SOURCE, _METHOD = (f"{_PREFIX}{name}" for name in ("MODEL", "INDEX", "SOURCE", "F0_METHOD"))
_MODEL_REMEDY = f"Set {_MODEL} to a model for inference that RVC trained: a `.pth` of its assets/weights."
_INDEX_REMEDY = f"Set {_INDEX} to the model's own `added….index`, or leave it empty."
_CLASSIC, _MAIN = "infer/modules/vc/modules.py", "infer/vc/modules.py"  # by which its two lines are known
_LINES = {
    True: (("pm", "harvest", "crepe", "rmvpe"), "assets/hubert/hubert_base.pt"),
    False: (("pm", "rmvpe", "fcpe"), "assets/hubert_base/config.json"),
}
"""Of the classic line and of the main one: how the pitch is heard, and a network that each needs."""


class Settings(ConverterSettings):
    """Where RVC and a model lie, over which voice it works, and how it converts (in brackets RVC's own names)."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX)

    model: str = ""
    """Path of a model for inference, a `.pth` of RVC's assets/weights."""

    index: str = ""
    """Path of its `added….index`; empty for none."""

    speaker: int = Field(0, ge=0, le=10_000)
    """Which voice of a model with several."""

    base: str = Field("espeak", pattern="^(espeak|piper|kokoro|natural)$")
    """The engine whose own voice is converted, with its own settings: espeak, piper, kokoro or natural."""

    f0_method: Literal["pm", "harvest", "crepe", "rmvpe", "fcpe"] = "rmvpe"
    """How the pitch is heard [f0method]: pm, rmvpe; harvest, crepe in the classic branch; fcpe in the main one."""

    semitones: int = Field(0, ge=-24, le=24)
    """By how much higher the model's person speaks than the base voice [f0up_key]: 12 for a woman over a man's."""

    index_rate: float = Field(0.66, ge=0, le=1)
    """How much is taken from the index: more is nearer to the person, and says sounds less clearly."""

    protect: float = Field(0.33, ge=0, le=0.5)
    """How far what has no voice, such as breath and s, is kept from the index: 0.5 not at all, less keeps more."""

    rms_mix_rate: float = Field(1.0, ge=0, le=1)
    """Whose course the loudness takes: 0 that of the base voice, 1 that of the model."""


class Engine(ConvertingEngine):
    """Speaks in the voice of its model."""

    settings_type = Settings

    def __init__(self, settings: Settings) -> None:
        unreadable = {
            "checkpoint": ("The file", _MODEL, _MODEL_REMEDY),
            "index": ("The index", _INDEX, _INDEX_REMEDY),
        }
        program = Program("RVC", _PREFIX, "rvc", (_CLASSIC, _MAIN), settings.python, settings.source, unreadable)
        super().__init__(settings, program)
        self._settings = settings

    def task(self) -> dict[str, Any]:
        """The model, its index, and how it converts."""
        settings = self._settings
        how = settings.model_dump(
            include={"speaker", "f0_method", "semitones", "index_rate", "protect", "rms_mix_rate"}
        )
        paths = {name: str(Path(path).resolve()) if path else "" for name, path in self._paths().items()}
        return {**paths, "device": settings.device, "how": how}

    def environment(self) -> dict[str, str]:
        """What RVC keeps in its `.env`, and the card: it takes the best that it sees."""
        model = Path(self._settings.model).resolve()
        found = {
            "weight_root": str(model.parent),
            "rmvpe_root": "assets/rmvpe",
            "index_root": "",
            "outside_index_root": "",
        }
        kind, _, number = self._settings.device.partition(":")
        seen = {"CUDA_VISIBLE_DEVICES": number} if number or kind == "cpu" else {}
        return found | seen

    def info(self) -> EngineInfo:
        """What the base voice can do, in one voice."""
        base = self._base.info()
        able = base.capabilities - {Capability.READING, Capability.CLONING}
        return EngineInfo("rvc", "1 and 2", base.languages, frozenset(able), f"MIT (RVC) AND {base.licence}")

    def files_lack(self) -> Lack | None:
        """What of the model is missing, or of the networks beside it, or is set to what this RVC has not."""
        for setting, path in self._paths().items():
            if path and not Path(path).is_file():
                variable, remedy = (_MODEL, _MODEL_REMEDY) if setting == "model" else (_INDEX, _INDEX_REMEDY)
                return self._program.file_missing(f"its {setting}", variable, remedy)
        source, method = Path(self._settings.source), self._settings.f0_method
        methods, hubert = _LINES[(source / _CLASSIC).is_file()]
        if method not in methods:
            reason = f"Its settings are wrong: {_METHOD}."
            remedy = f"Set {_METHOD} to one that this RVC has: {', '.join(methods)}."
            return Lack("SETTINGS_WRONG", reason, remedy, {"settings": _METHOD})
        for network in (hubert, *(["assets/rmvpe/rmvpe.pt"] if method == "rmvpe" else [])):
            if not (source / network).is_file():
                remedy = f"Put it into the checkout that {_SOURCE} names; RVC's README says where it is had."
                return self._program.file_missing(network, _SOURCE, remedy)
        return None

    def lack(self) -> Lack | None:
        """What is missing of RVC, of its model, or of the base voice."""
        if not self._settings.model:
            remedy = f"{_MODEL_REMEDY} Then restart the service."
            return Lack("MODEL_PATH_UNNAMED", "It is not told where its model lies.", remedy, {"setting": _MODEL})
        return super().lack()

    def how(self, voice: Path | None) -> dict[str, Any]:
        """As it was loaded to.

        Raises:
            Unsupported: somebody else's voice is asked for.
        """
        if voice:
            raise self.no_cloning("config.voice")
        return {}

    def _paths(self) -> dict[str, str]:
        return {"model": self._settings.model, "index": self._settings.index}
