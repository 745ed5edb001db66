"""A model for pocket-tts in its true format, so small that it loads at once and says nothing that means anything."""

from __future__ import annotations

import json
from pathlib import Path

import safetensors.torch
import torch
from pocket_tts import TTSModel
from tokenizers import Tokenizer, models, pre_tokenizers

WORDS = ("[UNK]", "Hello", "hello", "there", "Good", "morning", ".", ",", "!", "?")
FRAME_S = 1 / 12.5


def _config() -> dict:
    seanet = {
        "dimension": 16, "channels": 1, "n_filters": 4, "n_residual_layers": 1, "ratios": [6, 5, 4], "kernel_size": 3,
        "residual_kernel_size": 3, "last_kernel_size": 3, "dilation_base": 2, "pad_mode": "constant", "compress": 2,
    }  # fmt: skip
    transformer = {
        "d_model": 16, "num_heads": 2, "num_layers": 1, "layer_scale": 0.01, "context": 20, "dim_feedforward": 16,
        "input_dimension": 16, "output_dimensions": [16],
    }  # fmt: skip
    return {
        "default_eos_threshold": -1e9,  # it ends as soon as it may
        "flow_lm": {
            "dtype": "float32",
            "flow": {"depth": 1, "dim": 8},
            "transformer": {"d_model": 16, "hidden_scale": 1, "max_period": 10000, "num_heads": 2, "num_layers": 1},
            "lookup_table": {"dim": 16, "n_bins": len(WORDS), "tokenizer": "tokenizers", "tokenizer_path": ""},
        },
        "mimi": {
            "dtype": "float32", "sample_rate": 24000, "inner_dim": 8, "outer_dim": 16, "channels": 1,
            "frame_rate": 12.5, "seanet": seanet, "transformer": transformer,
            "quantizer": {"dimension": 8, "output_dimension": 16},
        },
    }  # fmt: skip


def write(folder: Path, *, clones: bool = True) -> Path:
    """Write the model into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer(models.WordLevel({word: at for at, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    config = _config()
    config["flow_lm"]["lookup_table"]["tokenizer_path"] = str(folder / "tokenizer.json")
    (folder / "config.yaml").write_text(json.dumps(config))
    torch.manual_seed(1)
    model = TTSModel.load_model(config=folder / "config.yaml")
    weights = {name: value.detach().clone() for name, value in model.state_dict().items()}
    weights["flow_lm.speaker_proj_weight"] = torch.randn_like(weights["flow_lm.speaker_proj_weight"]) * clones
    safetensors.torch.save_file(weights, folder / "model.safetensors")
    return folder
