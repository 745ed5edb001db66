"""The models that this machine would do well with."""

from __future__ import annotations

from collections.abc import Iterator

from cli.checks.finding import Finding, Level
from models import catalogue
from models.errors import ModelError
from models.folder import ModelFolder


def findings() -> Iterator[Finding]:
    """A finding about each; none is needed."""
    try:
        recommended = [model for model in catalogue.load().values() if model.recommended]
    except ModelError as error:
        yield Finding(Level.WARNING, "models", error.message)
        return
    folder = ModelFolder.here()
    for model in recommended:
        subject = f"model: {model.name}"
        try:
            folder.get(model)
        except ModelError as error:
            yield Finding(Level.NOTE, subject, f"{error.message} {model.purpose_in('en')}", error.remedy)
        else:
            yield Finding(Level.GOOD, subject, "here")
