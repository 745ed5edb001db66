"""How the older form routes spell avatars, devices and parameters."""

from __future__ import annotations

import json
import re

from gateway.refusal import Refusal


def avatar_of(model_param: str) -> str:
    """An avatar's name from `May`, `output/May`, `TalkingGaussian/output/May` or `/app/TalkingGaussian/output/May`."""
    parts = [part for part in model_param.strip().replace("\\", "/").split("/") if part not in ("", ".")]
    if not parts or ".." in parts:
        message = "Give the name of an avatar, for example `May` or `output/May`."
        raise Refusal(message, reason="AVATAR_MISSING", field="model_param")
    return parts[-1]


def device_of(gpu_choice: str) -> str:
    """`CPU` → `cpu`, `GPU1` → `cuda:1`; empty, for whatever is free, when nothing is said."""
    choice = gpu_choice.strip().lower()
    if choice in ("", "cpu"):
        return choice
    match = re.fullmatch(r"(?:gpu|cuda:?)?\s*(\d+)", choice)
    if not match:
        raise Refusal("Choose CPU, GPU0, GPU1 and so on.", reason="DEVICE_UNKNOWN", field="gpu_choice")
    return f"cuda:{int(match[1])}"


def parameters_of(custom_params: str) -> dict[str, str]:
    """Parameters from a JSON object or from `name=value` pairs between commas, semicolons, blanks or lines."""
    text = custom_params.strip()
    if text.startswith("{"):
        try:
            given = json.loads(text)
        except ValueError:
            raise Refusal("This is no JSON object.", reason="NOT_AN_OBJECT", field="custom_params") from None
        return {name: str(value) for name, value in given.items()}
    pairs = [pair for pair in re.split(r"[,;\s]+", text) if pair]
    bad = [pair for pair in pairs if "=" not in pair.strip("-")]
    if bad:
        message = "Write parameters as name=value, separated by commas."
        raise Refusal(message, reason="PARAMETERS_WRONG", field="custom_params")
    return dict(pair.lstrip("-").split("=", 1) for pair in pairs)
