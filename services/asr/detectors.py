"""Models that tell where an utterance ends: Silero's, whether a voice is heard, and Smart Turn, whether somebody has
finished. Both are small, and optional: `services/asr/endpointing.py` makes do without.
"""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from models.errors import ModelError
from models.folder import find
from services.asr.endpointing import Endpointer
from services.asr.engine import SAMPLE_RATE
from services.common.audio import from_pcm
from services.common.engine import Lack, lack_of

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

logger = logging.getLogger(__name__)

SILERO, SMART_TURN = "silero-vad", "smart-turn"
"""Their names in the catalogue of models."""

_WINDOW, _CONTEXT, _STATE = 512, 64, (2, 1, 128)  # samples that Silero judges at once, and before them; its memory
_TURN_S = 8  # of an utterance, its end, by which Smart Turn judges


class Silero:
    """Silero's detector of voices. One serves all streams, from any thread."""

    def __init__(self, folder: Path) -> None:
        self._session = _session(folder / "silero_vad.onnx")

    def listen(self) -> SileroStream:
        """Begin a stream."""
        return SileroStream(self._session)


class SileroStream:
    """One stream of sound."""

    def __init__(self, session: InferenceSession) -> None:
        self._session = session
        self._state = np.zeros(_STATE, np.float32)
        self._context = np.zeros(_CONTEXT, np.float32)
        self._waiting = np.zeros(0, np.float32)
        self._probability = 0.0

    def voice_probability(self, pcm: bytes) -> float:
        """How probable a voice is at the end of what comes next: signed 16-bit mono at 16 kHz, of any length."""
        self._waiting = np.concatenate([self._waiting, from_pcm(pcm)])
        while len(self._waiting) >= _WINDOW:
            window, self._waiting = self._waiting[:_WINDOW], self._waiting[_WINDOW:]
            inputs = {
                "input": np.concatenate([self._context, window])[np.newaxis].astype(np.float32),
                "state": self._state,
                "sr": np.array(SAMPLE_RATE),
            }
            probability, self._state = self._session.run(None, inputs)
            self._context = window[-_CONTEXT:]
            self._probability = float(probability.item())
        return self._probability


class SmartTurn:
    """Tells by the voice whether a speaker has finished. One serves all streams, from any thread."""

    def __init__(self, folder: Path) -> None:
        from faster_whisper.feature_extractor import FeatureExtractor

        self._session = _session(folder / "smart-turn-v3.2-cpu.onnx")
        self._features = FeatureExtractor(chunk_length=_TURN_S)

    def __call__(self, pcm: bytes) -> float:
        """How probable it is that an utterance is over, which has paused: signed 16-bit mono at 16 kHz, with the pause.

        It costs about 25 ms of processor time, however long the utterance is.
        """
        logits = self._session.run(None, {"input_features": self._heard(from_pcm(pcm))})[0]
        return float(logits.item())

    def _heard(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Features of its last seconds, with silence before what is shorter, at a level that all have."""
        length = _TURN_S * SAMPLE_RATE
        last = samples[-length:]
        window = np.pad(last, (length - len(last), 0)).astype(np.float32)
        window = (window - window.mean()) / np.sqrt(window.var() + 1e-7)
        frames = length // self._features.hop_length
        features: NDArray[np.float32] = self._features(window, padding=0)[:, :frames]
        return features[np.newaxis].astype(np.float32)


class Detectors:
    """Those that may be used. Each is, from the next stream on after its model has come.

    Args:
        voice: whether Silero's is among them.
        turn: whether Smart Turn is.
    """

    def __init__(self, *, voice: bool = True, turn: bool = True) -> None:
        self._allowed = [name for name, is_allowed in ((SILERO, voice), (SMART_TURN, turn)) if is_allowed]
        self._loaded: dict[str, Any] = {}
        self._loading = threading.Lock()

    def load(self) -> None:
        """Load those whose models are here, so that no stream waits for that."""
        with self._loading:
            for name in [name for name in self._allowed if name not in self._loaded]:
                self._try(name)

    def endpointer(self, **how: Any) -> Endpointer:
        """Finds utterances in one stream; keywords as of `Endpointer`."""
        self.load()
        silero = self._loaded.get(SILERO)
        voice = silero.listen() if silero else None
        return Endpointer(**how, voice=voice, has_finished=self._loaded.get(SMART_TURN))

    def lacks(self) -> dict[str, Lack | None]:
        """What each of those that may be used lacks. Cheap."""
        return {name: None if name in self._loaded else _lack(name) for name in self._allowed}

    def _try(self, name: str) -> None:
        try:
            self._loaded[name] = _LOADING[name](find(name))
        except ModelError:
            pass  # `lacks` tells
        except Exception:  # noqa: BLE001 - whatever is wrong with it: speech is heard without
            logger.exception("a detector cannot be loaded", extra={"model": name})
            self._allowed.remove(name)


_LOADING: dict[str, type[Silero | SmartTurn]] = {SILERO: Silero, SMART_TURN: SmartTurn}


def _lack(name: str) -> Lack | None:
    try:
        find(name)
    except ModelError as error:
        return lack_of(error)
    return None


def _session(path: Path) -> InferenceSession:
    """One processor: what they compute is too little to share, and somebody else computes at the same time."""
    from onnxruntime import InferenceSession, SessionOptions

    options = SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
