"""A Whisper model that says one sentence whatever it hears, in the true format: its weights are written, not learned.

No layer adds anything, so what the decoder says next follows from the position alone. What the encoder makes of a
sound can be made to follow it: then its first layers are drawn by chance.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from ctranslate2.specs.whisper_spec import WhisperSpec
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE

_WIDTH, _MELS, _POSITIONS, _WINDOW = 64, 80, 448, 1500
_TASK = 1  # the place of the last token that tells the decoder what to do
_SURE = 5.0
_SPECIAL = ("endoftext", "startoftranscript", "startoflm", "startofprev", "transcribe", "translate", "nospeech")


def make(folder: Path, words: list[str], *, seed: int | None = None) -> Path:
    """Write the model, which knows English alone, and return its folder.

    Args:
        words: of the sentence, as Whisper has them: most begin with a space.
        seed: what its encoder hears by; it is deaf without.
    """
    said = [_in_bytes(word) for word in words]
    tokens = list(dict.fromkeys([*sorted(pre_tokenizers.ByteLevel.alphabet()), *said]))
    tokens += [f"<|{name}|>" for name in (*_SPECIAL, "notimestamps")]
    tokens += [f"<|{0.02 * at:.2f}|>" for at in range(_WINDOW + 1)]
    ids = {token: at for at, token in enumerate(tokens)}
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer(BPE(ids, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.save(str(folder / "tokenizer.json"))
    _save(folder, tokens, [ids[token] for token in [*said, "<|endoftext|>"]], seed)
    return folder


def _in_bytes(word: str) -> str:
    return str(pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False).pre_tokenize_str(word)[0][0])


def _save(folder: Path, tokens: list[str], said: list[int], seed: int | None) -> None:
    spec = WhisperSpec(1, 1, 1, 1)
    _fill(spec.encoder, _WINDOW)
    spec.encoder.conv1.weight, spec.encoder.conv1.bias = _zeros(_WIDTH, _MELS, 3), _zeros(_WIDTH)
    spec.encoder.conv2.weight, spec.encoder.conv2.bias = _zeros(_WIDTH, _WIDTH, 3), _zeros(_WIDTH)
    if seed is not None:
        rng = np.random.default_rng(seed)
        for conv in (spec.encoder.conv1, spec.encoder.conv2):
            conv.weight = rng.normal(0, 0.1, conv.weight.shape).astype(np.float32)
    _fill(spec.decoder, _POSITIONS)
    spec.decoder.embeddings.weight = _zeros(len(tokens), _WIDTH)
    # A place has a column of its own: without VNNI two products of eight bits are added in sixteen, which overflow.
    places = np.clip(np.arange(_POSITIONS) - _TASK, 0, len(said) - 1)
    spec.decoder.position_encodings.encodings = np.eye(_WIDTH, dtype=np.float32)[places]
    projection = _zeros(len(tokens), _WIDTH)
    projection[said, np.arange(len(said))] = _SURE
    spec.decoder.projection.weight = projection
    spec.register_vocabulary(tokens)
    spec.config.suppress_ids, spec.config.suppress_ids_begin = [], []
    spec.config.alignment_heads = [(0, 0)]
    spec.validate()
    spec.optimize(quantization="int8")
    spec.save(str(folder))


def _fill(part: Any, positions: int) -> None:
    """Layers that add nothing to what goes through them."""
    part.position_encodings.encodings = _zeros(positions, _WIDTH)
    _keep(part.layer_norm)
    for layer in part.layer:
        attentions = [layer.self_attention, *([layer.attention] if hasattr(layer, "attention") else [])]
        for attention in attentions:
            _keep(attention.layer_norm)
            rows = (3, 1) if attention is layer.self_attention else (1, 2, 1)
            for linear, times in zip(attention.linear, rows, strict=True):
                linear.weight, linear.bias = _zeros(times * _WIDTH, _WIDTH), _zeros(times * _WIDTH)
        _keep(layer.ffn.layer_norm)
        for linear in (layer.ffn.linear_0, layer.ffn.linear_1):
            linear.weight, linear.bias = _zeros(_WIDTH, _WIDTH), _zeros(_WIDTH)


def _keep(norm: Any) -> None:
    norm.gamma, norm.beta = np.ones(_WIDTH, np.float32), _zeros(_WIDTH)


def _zeros(*shape: int) -> np.ndarray:
    return np.zeros(shape, np.float32)
