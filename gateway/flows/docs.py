"""The description of the REST interface."""

from __future__ import annotations

import json
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, jsonify

blueprint = Blueprint("docs", __name__)


@cache
def document() -> dict[str, Any]:
    """The OpenAPI document, with the version that runs."""
    described: dict[str, Any] = json.loads((Path(__file__).parents[1] / "openapi.json").read_text(encoding="utf-8"))
    described["info"]["version"] = version("visavis")
    return described


@blueprint.get("/api/v1/openapi.json")
def openapi() -> Response:
    return jsonify(document())
