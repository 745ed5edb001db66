"""The registered voices, in storage.

`voices/<name>/` holds `voice.json` (the manifest), `reference.wav` (the whole recording, 24 kHz mono) and one folder
for each engine that has analysed it. An engine that meets a voice for the first time analyses it then.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import tempfile
import threading
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np

from services.common import audio
from services.common.errors import AlreadyExists, InvalidInput, NotFound
from services.common.names import checked_name
from services.common.storage import Storage
from services.tts.engine import TtsEngine

logger = logging.getLogger(__name__)
REFERENCE_RATE = 24_000
TARGET_RMS = 10 ** (-23 / 20)
_SILENCE_DB = 40  # quieter than the loudest moment by so much counts as silence at the ends
_MANIFEST = "voice.json"
_MARKER = "analysed.json"


@dataclass(frozen=True)
class Voice:
    """What is known of a voice; times are seconds since the epoch."""

    name: str
    engine: str
    duration_s: float
    transcript: str
    consent_by: str
    consent_at: float
    created_at: float
    recording_sha256: str


class Voices:
    """Registers, lists, analyses and forgets voices."""

    def __init__(self, storage: Storage, engine: TtsEngine, max_minutes: float) -> None:
        self._storage, self._engine, self._max_minutes = storage, engine, max_minutes
        self._analysing = threading.Lock()

    def get(self, name: str) -> Voice:
        """Raises:
        NotFound: there is no such voice.
        """
        try:
            return Voice(**json.loads(self._storage.read(f"{self._key(name)}/{_MANIFEST}")))
        except FileNotFoundError as error:
            message = f"There is no voice '{name}'. Choose one from the list of voices, or register it first."
            raise NotFound(message, reason="VOICE_NOT_FOUND", field="voice", values={"name": name}) from error

    def list(self) -> list[Voice]:
        """Every voice that is whole, by name. One whose manifest cannot be read is left out."""
        voices = []
        for name in self._storage.folders("voices"):
            try:
                voices.append(self.get(name))
            except (NotFound, InvalidInput):
                continue  # being made or forgotten, or no voice at all
            except (ValueError, TypeError, OSError):
                logger.warning("a voice's manifest cannot be read")
        return voices

    def create(self, recording: BinaryIO, name: str, transcript: str, consent_by: str) -> Voice:
        """Register a voice; the same recording under the same name is answered with the voice that exists.

        Raises:
            InvalidInput: the name, the consent or the recording will not do.
            AlreadyExists: another recording has the name.
        """
        name = checked_name(name)
        if not consent_by.strip():
            message = "Say who allowed the use of this voice."
            raise InvalidInput(message, reason="CONSENT_MISSING", field="consent")
        digest = hashlib.file_digest(recording, "sha256").hexdigest()
        existing = self._existing(name)
        if existing and existing.recording_sha256 == digest:
            return existing
        if existing:
            message = f"A voice named '{name}' exists already. Choose another name, or delete that voice first."
            raise AlreadyExists(message, reason="VOICE_EXISTS", field="name", values={"name": name})
        recording.seek(0)
        samples = audio.decode(recording, REFERENCE_RATE, max_seconds=self._max_minutes * 60)
        audio.check_audible(samples)
        now = time.time()
        voice = Voice(
            name, self._engine.info().name, len(samples) / REFERENCE_RATE, transcript, consent_by, now, now, digest
        )
        self._store(voice, samples)
        return voice

    def _existing(self, name: str) -> Voice | None:
        try:
            return self.get(name)
        except NotFound:
            return None

    def _store(self, voice: Voice, samples: np.ndarray) -> None:
        with tempfile.TemporaryDirectory() as folder:
            self._analyse(samples, voice.transcript, Path(folder) / voice.engine)
            (Path(folder) / "reference.wav").write_bytes(audio.wav_bytes(samples, REFERENCE_RATE))
            (Path(folder) / _MANIFEST).write_text(json.dumps(asdict(voice), ensure_ascii=False))
            self._storage.put_folder(Path(folder), self._key(voice.name), _MANIFEST)

    def _analyse(self, samples: np.ndarray, transcript: str, folder: Path) -> None:
        folder.mkdir()
        self._engine.enrol(_prepared(samples), REFERENCE_RATE, transcript, folder)
        (folder / _MARKER).write_text("{}")

    def folder(self, name: str) -> Path:
        """The engine's own local folder of a voice, analysed now if it never was."""
        voice = self.get(name)
        key = f"{self._key(name)}/{self._engine.info().name}"
        with self._analysing:
            if not self._storage.exists(f"{key}/{_MARKER}"):
                samples = audio.decode(io.BytesIO(self._storage.read(self.reference(name))), REFERENCE_RATE)
                with tempfile.TemporaryDirectory() as folder:
                    self._analyse(samples, voice.transcript, Path(folder) / "voice")
                    self._storage.put_folder(Path(folder) / "voice", key, _MARKER)
            return self._storage.local_folder(key, _MARKER)

    def reference(self, name: str) -> str:
        """Storage key of a voice's reference recording."""
        self.get(name)
        return f"{self._key(name)}/reference.wav"

    def set_transcript(self, name: str, transcript: str) -> Voice:
        """Note what is said in the reference recording."""
        voice = replace(self.get(name), transcript=transcript)
        manifest = json.dumps(asdict(voice), ensure_ascii=False).encode()
        self._storage.write(f"{self._key(name)}/{_MANIFEST}", manifest)
        return voice

    def delete(self, name: str) -> None:
        """Forget a voice."""
        self.get(name)
        self._storage.delete_folder(self._key(name), _MANIFEST)

    @staticmethod
    def _key(name: str) -> str:
        return f"voices/{checked_name(name, 'voice')}"


def _prepared(samples: np.ndarray) -> np.ndarray:
    """Silence at the ends trimmed, level normalised to -23 dB RMS without clipping."""
    window = REFERENCE_RATE // 50
    level = np.sqrt(np.convolve(samples**2, np.full(window, 1 / window), "same"))
    loud = np.flatnonzero(level > level.max() * 10 ** (-_SILENCE_DB / 20))
    speech = samples[loud[0] : loud[-1] + 1]
    gain = TARGET_RMS / max(float(np.sqrt(np.mean(speech**2))), 1e-6)
    return (speech * min(gain, 1 / np.abs(speech).max())).astype(np.float32)
