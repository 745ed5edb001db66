"""The networks of MOSS-TTS-Nano: a large one goes from frame to frame, a small one chooses what is in a frame, and a
codec turns frames into sound and a recording into frames.

What they take and give is told by its authors' runtime: `ort_cpu_runtime.py` of
https://github.com/OpenMOSS/MOSS-TTS-Nano.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import sentencepiece

from services.common.arrays import Samples
from services.tts.moss.files import Files, WrongModel, unreadable

_AT_ONCE = (1, 1, 2, 2, 4, 4, 8)
"""Frames that are turned into sound together: few at first, for they are waited for."""
_BELOW_ONE = np.float32(0.99999994)

Codes = np.ndarray  # int32, frames by codebooks
Values = dict[str, np.ndarray]


class Endless(Exception):
    """A sentence does not end within as many frames as the model may draw."""


class Model:
    """Loads the networks; takes some seconds. What belongs to a sentence lies in its generator.

    Raises:
        WrongModel: a file cannot be used.
    """

    def __init__(self, files: Files, *, threads: int) -> None:
        self._networks = {name: _Network(path, threads) for name, path in files.networks.items()}
        try:
            self._tokenizer = sentencepiece.SentencePieceProcessor(model_file=str(files.tokenizer))
        except Exception as error:  # it has none of its own
            raise unreadable(files.tokenizer) from error
        self._numbers: dict[str, Any] = files.manifest["tts_config"]
        self._templates: dict[str, list[int]] = files.manifest["prompt_templates"]
        self._books = int(self._numbers["n_vq"])
        self._book_size = int(files.speaking["model_config"]["audio_codebook_sizes"][0])
        self._most_frames = int(files.manifest["generation_defaults"]["max_new_frames"])
        self._stream = files.codec["streaming_decode"]
        self.rate, self._channels = (int(files.codec["codec_config"][name]) for name in ("sample_rate", "channels"))
        self.digest = _digest(files.networks["codec_encode"].parent)

    def learn(self, samples: Samples) -> Codes:
        """What the codec makes of a recording at its own rate."""
        sound = np.repeat(samples[None, None], self._channels, 1)
        told = self._networks["codec_encode"](waveform=sound, input_lengths=np.array([len(samples)], np.int32))
        codes: Codes = told["audio_codes"][0, : int(told["audio_code_lengths"].item())].astype(np.int32)
        return codes

    def speak(self, voice: Codes, text: str, random: np.random.Generator) -> Generator[Samples, None, None]:
        """Sound in pieces, an item a frame, of which some are empty; closing it ends the work.

        Raises:
            Endless: it goes on after the last frame that it may draw.
        """
        decoder, drawn, sizes = _Decoder(self._networks["codec_decode_step"], self._stream), [], iter(_AT_ONCE)
        size = next(sizes)
        for frame in self._frames(self._prompt(voice, text), random):
            drawn.append(frame)
            if len(drawn) < size:
                yield np.zeros(0, np.float32)
            else:
                yield decoder(np.stack(drawn))
                drawn, size = [], next(sizes, _AT_ONCE[-1])
        if drawn:
            yield decoder(np.stack(drawn))

    def _frames(self, prompt: Codes, random: np.random.Generator) -> Generator[Codes, None, None]:
        mask = np.ones((1, len(prompt)), np.int32)
        told = self._networks["prefill"](input_ids=prompt[None], attention_mask=mask)
        seen = np.zeros((1, self._books, self._book_size), np.int32)
        for length in range(len(prompt), len(prompt) + self._most_frames):
            frame = self._frame(told["global_hidden"], seen, random)
            if frame is None:
                return
            yield frame
            seen[0, np.arange(self._books), frame] = 1
            row = np.concatenate([[self._numbers["audio_assistant_slot_token_id"]], frame]).astype(np.int32)
            past = {name.replace("present_", "past_"): each for name, each in told.items() if name != "global_hidden"}
            past["past_valid_lengths"] = np.array([length], np.int32)
            told = self._networks["decode_step"](input_ids=row[None, None], **past)
        raise Endless

    def _frame(self, hidden: np.ndarray, seen: np.ndarray, random: np.random.Generator) -> Codes | None:
        """The next frame, or None where the sentence ends."""
        chances = np.minimum(random.random(1 + self._books).astype(np.float32), _BELOW_ONE)
        told = self._networks["local_fixed_sampled_frame"](
            global_hidden=hidden.reshape(1, -1, hidden.shape[-1])[:, -1],
            repetition_seen_mask=seen,
            assistant_random_u=chances[:1],
            audio_random_u=chances[None, 1:],
        )
        return told["frame_token_ids"].reshape(-1).astype(np.int32) if told["should_continue"].item() else None

    def _prompt(self, voice: Codes, text: str) -> Codes:
        """Rows: first a piece of text, or the mark of a frame; then what is in that frame."""
        numbers, templates = self._numbers, self._templates
        before = [*templates["user_prompt_prefix_token_ids"], numbers["audio_start_token_id"]]
        after = [numbers["audio_end_token_id"], *templates["user_prompt_after_reference_token_ids"]]
        after += [*self._tokenizer.encode(text), *templates["assistant_prompt_prefix_token_ids"]]
        after += [numbers["audio_start_token_id"]]
        heard = self._rows([numbers["audio_user_slot_token_id"]] * len(voice))
        books = min(self._books, voice.shape[1])
        heard[:, 1 : 1 + books] = voice[:, :books]
        return np.concatenate([self._rows(before), heard, self._rows(after)])

    def _rows(self, first: Sequence[int]) -> Codes:
        rows = np.full((len(first), 1 + self._books), self._numbers["audio_pad_token_id"], np.int32)
        rows[:, 0] = first
        return rows


class _Decoder:
    """Frames of one sentence to mono sound, as they come; the network's memory is kept from one piece to the next."""

    def __init__(self, network: Callable[..., Values], stream: dict[str, Any]) -> None:
        self._network, self._state = network, dict[str, np.ndarray]()
        self._next: dict[str, str] = {}
        for spec in stream.get("transformer_offsets", ()):
            self._keep(spec, "", spec["shape"], np.zeros, np.int32)
        for spec in stream.get("attention_caches", ()):
            self._keep(spec, "offset_", spec["offset_shape"], np.zeros, np.int32)
            self._keep(spec, "cached_keys_", spec["cache_shape"], np.zeros, np.float32)
            self._keep(spec, "cached_values_", spec["cache_shape"], np.zeros, np.float32)
            self._keep(spec, "cached_positions_", spec["positions_shape"], _unset, np.int32)

    def __call__(self, frames: Codes) -> Samples:
        lengths = np.array([len(frames)], np.int32)
        told = self._network(audio_codes=frames[None], audio_code_lengths=lengths, **self._state)
        self._state = {name: told[after] for name, after in self._next.items()}
        samples: Samples = told["audio"][0, :, : int(told["audio_lengths"].item())].mean(0, dtype=np.float32)
        return samples

    def _keep(self, spec: dict[str, Any], part: str, shape: Sequence[int], make: Callable[..., Any], kind: Any) -> None:
        name = spec[f"{part}input_name"]
        self._state[name], self._next[name] = make(tuple(shape), dtype=kind), spec[f"{part}output_name"]


class _Network:
    """One of the graphs: values by name in, values by name out. Several threads may call it at once."""

    def __init__(self, path: Path, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # others need the processors
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its kinds have no common one of their own
            raise unreadable(path) from error
        self._outputs = [each.name for each in self._session.get_outputs()]

    def __call__(self, **values: np.ndarray) -> Values:
        return dict(zip(self._outputs, self._session.run(None, values), strict=True))


def _unset(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    return np.full(shape, -1, dtype)


def _digest(folder: Path) -> str:
    """Of the codec: what it made of a recording is nothing to another."""
    whole = hashlib.sha256()
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        with path.open("rb") as file:
            whole.update(hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()


def opened(files: Files, threads: int) -> Model:
    """A model that has heard and drawn a little, which shows that its parts belong together.

    Raises:
        WrongModel: a file cannot be used, or they do not.
    """
    try:
        model = Model(files, threads=threads)
        voice = model.learn(np.zeros(model.rate, np.float32))
        next(model.speak(voice, "Hello.", np.random.default_rng(0)), None)
    except WrongModel:
        raise
    except Exception as error:  # ONNX Runtime's have no common one of their own
        raise unreadable(files.networks["prefill"]) from error
    return model
