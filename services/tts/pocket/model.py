"""A model of pocket-tts on a thread of its own: it says one sentence at a time, and never waits for who listens.

The package downloads what its configurations name; here they name files of a folder, so nothing is.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import tempfile
import threading
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pocket_tts import TTSModel, export_model_state
from pocket_tts.utils.config import CONFIGS_DIR, load_config

from services.common.arrays import Samples
from services.tts.pocket.files import Files

_KEPT_VOICES = 8  # some 20 MB each
logging.getLogger("pocket_tts").setLevel(logging.WARNING)  # it tells of every sentence


class Model:
    """Loads a model; takes some seconds."""

    def __init__(self, files: Files, *, threads: int, temperature: float | None) -> None:
        self._model = _loaded(files, temperature)
        torch.set_num_threads(threads)
        self._turns = ThreadPoolExecutor(1, "pocket")
        self._state = lru_cache(_KEPT_VOICES)(self._read)
        self.rate = self._model.sample_rate
        self.clones = bool(self._model.flow_lm.speaker_proj_weight.abs().max() > 0)
        """Weights that are given away without terms lack what hears a voice."""
        with files.weights.open("rb") as file:
            self.digest = hashlib.file_digest(file, "sha256").hexdigest()

    def learn(self, samples: Samples, path: Path) -> None:
        """Keep what the model makes of a recording at its own rate."""
        self._turns.submit(self._learn, samples, path).result()

    async def speak(self, voice: Path, text: str) -> AsyncGenerator[Samples, None]:
        """One sentence as it is drawn; closing the iterator ends the work after the current frame.

        Args:
            voice: what `learn` kept, or a voice that came with the model.

        Raises:
            FileNotFoundError: the voice has been deleted.
        """
        loop = asyncio.get_running_loop()
        pieces: asyncio.Queue[Samples | None] = asyncio.Queue()
        tell = partial(loop.call_soon_threadsafe, pieces.put_nowait)  # type: ignore[arg-type]  # it takes its arguments
        stop = threading.Event()
        work = loop.run_in_executor(self._turns, self._say, voice, text, stop, tell)
        work.add_done_callback(lambda _: pieces.put_nowait(None))
        try:
            while (piece := await pieces.get()) is not None:
                yield piece
            await work
        finally:
            stop.set()
            work.cancel()

    def close(self) -> None:
        """Let go of the thread when it has finished its sentence."""
        self._turns.shutdown(wait=True, cancel_futures=True)
        self._state.cache_clear()

    def _learn(self, samples: Samples, path: Path) -> None:
        with torch.no_grad():
            state = self._model.get_state_for_audio_prompt(torch.from_numpy(samples)[None])
        export_model_state(state, path)

    def _say(self, voice: Path, text: str, stop: threading.Event, tell: Any) -> None:
        state = self._state(voice, voice.stat().st_mtime_ns)
        for piece in self._model.generate_audio_stream(state, text, stop=stop):
            tell(np.asarray(piece.numpy(), np.float32))

    def _read(self, voice: Path, stamp: int) -> Any:
        """The stamp is part of what the cache remembers."""
        return self._model.get_state_for_audio_prompt(voice)


def _loaded(files: Files, temperature: float | None) -> TTSModel:
    """The model of these files alone."""
    config = load_config(files.own_config or CONFIGS_DIR / f"{files.config}.yaml")
    table = config.flow_lm.lookup_table
    table.tokenizer = "tokenizers" if files.tokenizer.suffix == ".json" else "sentencepiece"
    table.tokenizer_path = str(files.tokenizer)
    config.weights_path, config.weights_path_without_voice_cloning = str(files.weights), None
    config.flow_lm.weights_path = config.mimi.weights_path = None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.yaml"
        path.write_text(config.model_dump_json(), encoding="utf-8")  # which is YAML, too
        return TTSModel.load_model(config=path, temp=temperature)
