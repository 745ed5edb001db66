"""What a program begins with: its settings; where they are wrong, it ends and says which."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any, TypeVar

S = TypeVar("S")
WRONG_SETTINGS = 78
"""The exit status (EX_CONFIG of sysexits.h): who starts the program need not try again."""


def settings(kind: type[S]) -> S:
    """Settings of the environment, a class of pydantic-settings. Ends the program where they are wrong."""
    try:
        return kind()
    except ValueError as error:  # what both pydantic and pydantic-settings raise
        sys.stderr.write("".join(f"{line}\n" for line in _told(error, kind)))
        sys.exit(WRONG_SETTINGS)


def _told(error: Any, kind: Any) -> Iterator[str]:
    """A line for each setting; of its value, which may be a key, nothing."""
    if not hasattr(error, "errors"):
        yield str(error)
        return
    for one in error.errors(include_input=False, include_url=False, include_context=False):
        name = kind.model_config.get("env_prefix", "") + "_".join(map(str, one["loc"]))
        message = one["msg"].removeprefix("Value error, ")
        is_told = not one["loc"] or name.upper() in message
        yield message if is_told else f"{name.upper()} is wrong: {message}. docs/configuration.md tells of it."
