"""The registered voices, in storage.

`voices/<name>/` holds `voice.json` (the manifest), `reference.wav` (the whole recording, 24 kHz mono) and one folder
for each engine that has analysed it. An engine that meets a voice for the first time analyses it then.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
import wave
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import dropwhile, islice
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field, TypeAdapter

from services.common import audio, pages
from services.common.arrays import Samples
from services.common.consent import checked_consent
from services.common.conversion import read_wav
from services.common.disk import forget_leftovers
from services.common.engine import Capability
from services.common.errors import AlreadyExists, Conflict, InvalidInput, NotFound
from services.common.files import UPLOADS, upload_folder
from services.common.names import checked_name
from services.common.shelf import Shelf
from services.common.storage import Storage
from services.common.tidying import Lasting
from services.tts.engine import TtsEngine
from services.tts.judging import LEARNT_S, Judgement, judge

REFERENCE, REFERENCE_RATE = "reference.wav", 24_000
TARGET_RMS = 10 ** (-23 / 20)
_SILENCE_DB = 40  # quieter than the loudest moment by so much counts as silence at the ends
_FOLDER, _MANIFEST = "voices", "voice.json"
_MARKER = "analysed.json"
_YEAR_9999_S = 253_402_300_799
Seconds = Annotated[float, Field(ge=0, le=_YEAR_9999_S)]
_HALF_FOR_S = 3600.0  # longer than the making of any takes


@dataclass(frozen=True)
class Voice:
    """What is known of a voice; times are seconds since the epoch."""

    name: str
    engine: str
    duration_s: Seconds
    transcript: str
    consent_by: str
    consent_at: Seconds
    created_at: Seconds
    recording_sha256: str
    training_id: str = ""  # whose avatar it was made for, if for one
    judgement: Judgement | None = None  # none of voices from before there was one


_VOICE = TypeAdapter(Voice)


class Voices:
    """Registers, lists, analyses and forgets voices."""

    def __init__(self, storage: Storage, work_folder: Path) -> None:
        self._storage, self._work_folder = storage, work_folder
        self._shelf = Shelf(storage, _FOLDER, _MANIFEST)
        self._half = Lasting()

    def get(self, name: str) -> Voice:
        """Raises:
        NotFound: there is no such voice.
        Conflict: its files are damaged.
        """
        name = checked_name(name, "voice")
        try:
            voice = _VOICE.validate_python(self._shelf.read(name) | {"name": name})
        except FileNotFoundError as error:
            raise _no_voice(name) from error
        except ValueError as error:
            raise _damaged(name) from error
        if not self._storage.exists(f"{self._key(name)}/{REFERENCE}"):
            raise _damaged(name)
        return voice

    def list(self, after: str | None = None) -> Iterator[Voice | tuple[str, Conflict]]:
        """Every voice behind a name, by name; of one that is damaged, its name and what is wrong."""
        for name in pages.after(self._shelf.names(), after):
            try:
                yield self.get(name)
            except NotFound:
                continue  # being made or forgotten
            except Conflict as error:
                yield name, error

    @staticmethod
    def checked(name: str, consent_by: str) -> tuple[str, str]:
        """What can be judged before the recording is there: the name and who consented, as they will be kept.

        Raises:
            InvalidInput: one of them will not do.
        """
        return checked_name(name), checked_consent(consent_by)

    def existing(self, name: str, consent_by: str, digest: str) -> Voice | None:
        """The voice that was made of this recording under this name, if it was.

        Args:
            digest: SHA-256 of the recording, in hexadecimal digits.

        Raises:
            InvalidInput: the name or the consent will not do.
            AlreadyExists: another recording has the name.
            Conflict: the name is that of a damaged voice.
        """
        name, _ = self.checked(name, consent_by)
        try:
            existing = self.get(name)
        except NotFound:
            return None
        if existing.recording_sha256 == digest:
            return existing
        message = f"A voice named '{name}' exists already. Choose another name, or delete that voice first."
        raise AlreadyExists(message, reason="VOICE_EXISTS", field="name", values={"name": name})

    def told_again(self, name: str, digest: str, transcript: str, consent_by: str, consent_at: float = 0.0) -> Voice:
        """A voice whose recording came once more: who consents now counts, and what is said in it where that was told.

        The same person's consent keeps its date, so that telling the same twice changes nothing.

        Args:
            digest: of the recording that came, as for `existing`.
            consent_at: when the consent was given, if that is known from elsewhere; 0 for now. Nothing that is told
                with an older consent than the voice has counts.

        Raises:
            NotFound: it has been forgotten meanwhile.
            AlreadyExists, Conflict: as `existing`.
        """
        _, consent_by = self.checked(name, consent_by)
        known = self.existing(name, consent_by, digest)
        if not known:
            raise _no_voice(name)
        if consent_at and consent_at <= known.consent_at:
            return known
        voice, now = known, time.time()
        if transcript:
            voice = replace(voice, transcript=transcript)
        if consent_by != voice.consent_by:
            voice = replace(voice, consent_by=consent_by, consent_at=min(consent_at, now) or now)
        if voice != known:
            self._write(voice)
        return voice

    @contextlib.contextmanager
    def told_if_gone(self, name: str) -> Iterator[None]:
        """Tell of a voice that is forgotten while it is used what is told of one that was never there.

        Raises:
            NotFound: a file is missing, and so is the voice.
        """
        try:
            yield
        except FileNotFoundError:
            self.get(name)
            raise

    def learn(
        self,
        engine: TtsEngine,
        folder: Path,
        *,
        name: str,
        seconds: float,
        transcript: str,
        consent_by: str,
        digest: str,
        training_id: str = "",
        consent_at: float = 0.0,
    ) -> Voice:
        """What `keep` can store: `engine` learns the recording that lies in `folder` as `REFERENCE`, `seconds` long.

        Args:
            consent_at: when it was given, if that is known from elsewhere; 0 for now.

        Raises:
            InvalidInput, AlreadyExists, Conflict: as `existing`, or nothing can be learnt from the recording.
            Unsupported: the engine speaks in no voice but its own.
        """
        if existing := self.existing(name, consent_by, digest):
            return existing
        now, first = time.time(), engine.info().name
        name, consent_by = self.checked(name, consent_by)
        _analyse(engine, folder / REFERENCE, transcript, folder / first)
        judgement = judged(folder / REFERENCE, seconds)
        consent_at = min(consent_at, now) or now
        return Voice(name, first, seconds, transcript, consent_by, consent_at, now, digest, training_id, judgement)

    def keep(self, voice: Voice, folder: Path) -> Voice:
        """Store what was learnt in `folder`, unless that recording has become a voice by now; raises as `existing`."""
        if existing := self.existing(voice.name, voice.consent_by, voice.recording_sha256):
            return existing
        self._storage.delete_folder(self._key(voice.name))  # what is left of a forgotten voice would count as learnt
        (folder / _MANIFEST).write_text(json.dumps(asdict(voice), ensure_ascii=False))
        self._storage.put_folder(folder, self._key(voice.name), _MANIFEST)
        return voice

    def analysed(self, engine: TtsEngine, name: str) -> Path | None:
        """An engine's own local folder of a voice, if the engine has ever analysed it.

        Raises:
            NotFound: there is no such voice.
            Unsupported: the engine speaks in no voice but its own.
            Conflict: its files are damaged.
        """
        voice = self.get(name)
        if Capability.CLONING not in engine.info().capabilities:
            raise engine.no_cloning("config.voice")
        key = self._engine_key(engine, name)
        if not self._storage.exists(f"{key}/{_MARKER}") or self._storage.read(f"{key}/{_MARKER}") != _marker(
            engine, voice.transcript
        ):
            return None
        return self._storage.local_folder(key, _MARKER)

    def analyse(self, engine: TtsEngine, name: str) -> Path:
        """The same folder; the engine analyses the voice now if it never has, which may take seconds."""
        voice = self.get(name)
        if not self.analysed(engine, name):
            reference = self._storage.local_file(self.reference(name))
            with upload_folder(self._work_folder) as folder:
                with _damage_told(voice.name):
                    _analyse(engine, reference, voice.transcript, folder / "voice")
                self.get(name)  # if it has been forgotten meanwhile, nothing of it may come back
                self._storage.put_folder(folder / "voice", self._engine_key(engine, name), _MARKER)
        return self._storage.local_folder(self._engine_key(engine, name), _MARKER)

    def _engine_key(self, engine: TtsEngine, name: str) -> str:
        return f"{self._key(name)}/{engine.info().name}"

    def reference(self, name: str) -> str:
        """Storage key of a voice's reference recording."""
        self.get(name)
        return f"{self._key(name)}/{REFERENCE}"

    def set_transcript(self, name: str, transcript: str) -> Voice:
        """Note what is said in the reference recording."""
        voice = replace(self.get(name), transcript=transcript)
        self._write(voice)
        return voice

    def _write(self, voice: Voice) -> None:
        manifest = json.dumps(asdict(voice), ensure_ascii=False).encode()
        self._storage.write(f"{self._key(voice.name)}/{_MANIFEST}", manifest)

    def delete(self, name: str, training_id: str = "") -> None:
        """Forget a voice, also a damaged one; with a `training_id` only the one that was made for that.

        Raises:
            NotFound: there is no such voice.
        """
        with contextlib.suppress(Conflict):
            if self.get(name).training_id != training_id and training_id:
                raise _no_voice(name)
        self._storage.delete_folder(self._key(name), _MANIFEST)

    def expire(self) -> int:
        """Forget what is left of voices whose making or forgetting was killed; returns of how many."""
        names = self._storage.folders("voices")
        half = [name for name in names if not self._storage.exists(f"voices/{name}/{_MANIFEST}")]
        left = self._half.among(half, _HALF_FOR_S)
        for name in left:
            self._storage.delete_folder(f"voices/{name}")
        return len(left) + forget_leftovers(self._work_folder, UPLOADS)

    @staticmethod
    def _key(name: str) -> str:
        return f"{_FOLDER}/{checked_name(name, 'voice')}"


def judged(reference: Path, seconds: float) -> Judgement:
    """What a recording sounds like, `seconds` long, in which something can be heard."""
    return judge(_beginning(reference), seconds)


def _no_voice(name: str) -> NotFound:
    message = f"There is no voice '{name}'. Choose one from the list of voices, or register it first."
    return NotFound(message, reason="VOICE_NOT_FOUND", field="voice", values={"name": name})


def _damaged(name: str) -> Conflict:
    message = f"The files of the voice '{name}' are damaged. Delete it and register it again from its recording."
    return Conflict(message, reason="VOICE_DAMAGED", field="voice", values={"name": name})


@contextlib.contextmanager
def _damage_told(name: str) -> Iterator[None]:
    """A recording that could be learnt from when it was stored, and now cannot, is damaged."""
    try:
        yield
    except (wave.Error, EOFError, ValueError, InvalidInput) as error:
        raise _damaged(name) from error


def _analyse(engine: TtsEngine, reference: Path, transcript: str, folder: Path) -> None:
    folder.mkdir()
    engine.enrol(prepared(_beginning(reference)), REFERENCE_RATE, transcript, folder)
    (folder / _MARKER).write_bytes(_marker(engine, transcript))


def _marker(engine: TtsEngine, transcript: str) -> bytes:
    """What tells that a folder is whole, how the engine made it, and of which words, where they matter to it."""
    known = {"transcript_sha256": hashlib.sha256(transcript.encode()).hexdigest()} if engine.learns_transcript else {}
    return json.dumps(known | ({"enrolment": engine.enrolment} if engine.enrolment else {})).encode()


def _beginning(reference: Path) -> Samples:
    """As much of a recording as engines learn from: float32 at `REFERENCE_RATE`."""
    seconds = (audio.from_pcm(pcm) for pcm in read_wav(reference))
    heard = dropwhile(lambda second: np.abs(second).max() < audio.SILENCE_PEAK, seconds)
    return np.concatenate(list(islice(heard, LEARNT_S)))


def prepared(samples: Samples) -> Samples:
    """Silence at the ends trimmed, level normalised to -23 dB RMS without clipping."""
    window = REFERENCE_RATE // 50
    level = np.sqrt(np.convolve(samples**2, np.full(window, 1 / window), "same"))
    loud = np.flatnonzero(level > level.max() * 10 ** (-_SILENCE_DB / 20))
    speech = samples[loud[0] : loud[-1] + 1]
    gain = TARGET_RMS / max(float(np.sqrt(np.mean(speech**2))), 1e-6)
    return np.asarray(speech * min(gain, 1 / np.abs(speech).max()), np.float32)
