"""The reasons that code can fail with, read from the code itself."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

REASON = re.compile(r"[A-Z][A-Z0-9_]+|[a-z]+(-[a-z]+)+")


def in_file(path: Path) -> Iterator[tuple[int, str]]:
    """Every reason in a file, and its line: `reason="…"`, `default_reason = "…"`, what errors begin with."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "RecordingError":  # also of one word
            yield from (
                (told.lineno, told.value.upper().replace("-", "_"))
                for told in node.args[:1]
                if isinstance(told, ast.Constant)
            )
        for value in _nodes(node):
            if isinstance(value, ast.Constant) and REASON.fullmatch(str(value.value)):
                yield value.lineno, value.value.upper().replace("-", "_")


def _nodes(node: ast.AST) -> list[ast.expr]:
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("Lack", "Problem"):
        return [leaf for told in node.args[:1] for leaf in _alternatives(told)]
    if isinstance(node, ast.Call):
        named = [keyword.value for keyword in node.keywords if keyword.arg == "reason"]
        is_error = isinstance(node.func, ast.Name) and re.search(
            r"(CallError|RecordingError|refusal|invalid)$", node.func.id
        )
        return named + (node.args[:3] if is_error else [])
    if isinstance(node, ast.Assign) and any(getattr(target, "id", "") == "default_reason" for target in node.targets):
        return [node.value]
    if isinstance(node, ast.Dict):
        told = [
            value for key, value in zip(node.keys, node.values, strict=True) if getattr(key, "value", "") == "reason"
        ]
        return [leaf for value in told for leaf in _alternatives(value)]
    return []


def _alternatives(value: ast.expr) -> list[ast.expr]:
    return value.values if isinstance(value, ast.BoolOp) else [value]
