"""What lies in a folder for pocket-tts: a language as Kyutai gives it away, or a model of one's own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from services.common.engine import Lack

SETTING = "TTS_POCKET_MODEL"
_KIND = "pocket-tts"
_REMEDY = f"Set {SETTING} to a whole folder of a model for pocket-tts."
_TOKENIZERS = ("tokenizer.json", "tokenizer.model")
_LANGUAGES = {
    "english": "en",
    "french": "fr",
    "german": "de",
    "portuguese": "pt",
    "italian": "it",
    "spanish": "es",
    "dutch": "nl",
}


@dataclass(frozen=True)
class Files:
    """A model's folder.

    Args:
        config: name of one of the package's configurations, for a folder without a `config.yaml`.
    """

    folder: Path
    config: str

    @property
    def weights(self) -> Path:
        return self.folder / "model.safetensors"

    @property
    def tokenizer(self) -> Path:
        """The first there is of those it may have."""
        paths = [self.folder / name for name in _TOKENIZERS]
        return next((path for path in paths if path.is_file()), paths[0])

    @property
    def own_config(self) -> Path | None:
        path = self.folder / "config.yaml"
        return path if path.is_file() else None

    @property
    def languages(self) -> tuple[str, ...]:
        """Those of a configuration of the package; nobody knows those of another."""
        return () if self.own_config else tuple(filter(None, [_LANGUAGES.get(self.config.partition("_")[0])]))

    def speaker(self, name: str) -> Path | None:
        """A voice that comes with the model: that of a name, or else the first."""
        folder = self.folder / "embeddings"
        if name:
            return folder / f"{name}.safetensors"
        return min(folder.glob("*.safetensors"), default=None)

    def lack(self, speaker: str) -> Lack | None:
        """What is missing. Cheap: only names are read."""
        wanted = [self.weights, self.tokenizer]
        if speaker and (voice := self.speaker(speaker)):
            wanted.append(voice)
        missing = next((path for path in wanted if not path.is_file()), None)
        if not missing:
            return None
        file = str(missing.relative_to(self.folder))
        values = {"kind": _KIND, "file": file, "setting": SETTING}
        return Lack("MODEL_FILE_MISSING", f"It is a {_KIND}, but {file} is missing.", _REMEDY, values)

    def unreadable(self) -> Lack:
        """pocket-tts cannot make anything of it."""
        names = ", ".join(path.name for path in (self.own_config, self.weights, self.tokenizer) if path)
        values = {"file": names, "setting": SETTING}
        return Lack("MODEL_FILE_UNREADABLE", f"{names} of its model cannot be read.", _REMEDY, values)
