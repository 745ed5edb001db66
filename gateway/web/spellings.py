"""How the older form routes spell avatars, engines, devices and parameters."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from gateway.refusal import Refusal
from gateway.web.fields import no_choice, pairs

_FIELDS = {
    "avatar": "model_param",
    "device": "gpu_choice",
    "engine": "model_choice",
    "params": "custom_params",
    "text": "target_text",
    "video": "ref_video",
}
_OLDER_NAMES = {"glm": "zhipu", "zhipuai": "zhipu", "chatglm": "zhipu", "gpt": "openai", "chatgpt": "openai"}
"""Of engines, as older scripts say them and as they are called now."""


def field_of(field: str | None) -> str | None:
    """How the older routes spell a field, e.g. `custom_params` for `params.steps`."""
    return _FIELDS.get((field or "").partition(".")[0], field)


def avatar_of(model_param: str) -> str:
    """An avatar's name from `May`, `output/May`, `TalkingGaussian/output/May` or `/app/TalkingGaussian/output/May`."""
    parts = [part for part in model_param.strip().replace("\\", "/").split("/") if part not in ("", ".")]
    if not parts or ".." in parts:
        message = "'model_param' must be the name of an avatar, for example `May` or `output/May`."
        raise Refusal(message, reason="AVATAR_MISSING", field="model_param")
    return parts[-1]


def device_of(gpu_choice: str) -> str:
    """`CPU` → `cpu`, `GPU1` → `cuda:1`; empty, for whatever is free, when nothing is said."""
    choice = gpu_choice.strip().lower()
    if choice in ("", "cpu"):
        return choice
    match = re.fullmatch(r"(?:gpu|cuda:?)?\s*(\d+)", choice)
    if not match:
        raise Refusal("'gpu_choice' must be CPU, GPU0, GPU1 and so on.", reason="DEVICE_UNKNOWN", field="gpu_choice")
    return f"cuda:{int(match[1])}"


def engine_of(given: str, names: Iterable[str], field: str) -> str:
    """The one of some names that is meant, as `ER-NeRF` means `er_nerf` and `GLM` `zhipu`; empty when nothing is said.

    Raises:
        Refusal: it is none of them; the message lists them.
    """
    spelled = {_plain(name): name for name in names if name}
    plain = _plain(given)
    meant = plain if plain in spelled else _OLDER_NAMES.get(plain, plain)
    if given and meant not in spelled:
        raise no_choice(field, spelled.values())
    return spelled[meant] if given else ""


def _plain(name: str) -> str:
    return re.sub(r"[\s_.-]+", "", name).casefold()


def parameters_of(custom_params: str) -> dict[str, str]:
    """Parameters from a JSON object or from `name=value` pairs between commas, semicolons, blanks or lines."""
    text = custom_params.strip()
    if text.startswith("{"):
        try:
            return pairs(json.loads(text), "custom_params")
        except (ValueError, RecursionError):
            message, values = "'custom_params' is no JSON object.", {"field": "custom_params"}
            raise Refusal(message, reason="NOT_AN_OBJECT", field="custom_params", values=values) from None
    words = [word for word in re.split(r"[,;\s]+", text) if word]
    if any("=" not in word.strip("-") for word in words):
        message = "Write 'custom_params' as name=value, separated by commas."
        raise Refusal(message, reason="PARAMETERS_WRONG", field="custom_params")
    return pairs(dict(word.lstrip("-").split("=", 1) for word in words), "custom_params")
