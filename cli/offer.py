"""What `make run` asks once: whether to get the models that this machine would do well with."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click
import psutil
from rich.console import Console

from cli.models import fetch
from models import catalogue
from models.catalogue import Catalogue, Model
from models.disk import in_words, require_space
from models.errors import ModelError, NoSpace
from models.folder import ModelFolder, State

ASK, NONE, ALL = "ask", "none", "all"
ASKED = ".asked"  # in the folder of models: the names that somebody did not want
MEMORY_SHARE = 4  # a model may need so much of the machine's: others live here too
USUAL_BITS_PER_S = 20e6


def offer(choice: str, folder: ModelFolder, screen: Console) -> None:
    """Get the models that are chosen, or ask for those that are recommended; go on without what cannot be had.

    Args:
        choice: "ask", "none", "all", or names with commas between them.
    """
    try:
        wanted = [
            model for model in _chosen(choice, catalogue.load(), folder) if folder.state(model) is not State.WHOLE
        ]
        if wanted and (choice != ASK or _agreed(wanted, folder, screen)):
            fetch(wanted, folder)
    except (ModelError, OSError) as error:
        screen.print(f"Going on without: {error}", style="yellow", markup=False, soft_wrap=True)


def _chosen(choice: str, known: Catalogue, folder: ModelFolder) -> list[Model]:
    if choice in (ASK, ALL):
        asked = choice == ASK
        return [model for model in known.values() if (model.recommended or not asked) and _fits(model, folder)]
    return [] if choice == NONE else [known[name.strip()] for name in choice.split(",")]


def _fits(model: Model, folder: ModelFolder) -> bool:
    """Whether this machine has the memory to run a model, and the room to keep it."""
    try:
        require_space(folder.root, 2 * model.size)
    except NoSpace:
        return False
    return model.memory_mb * 2**20 * MEMORY_SHARE <= psutil.virtual_memory().total


def _agreed(wanted: Sequence[Model], folder: ModelFolder, screen: Console) -> bool:
    """Whether somebody wants them. Who says no is not asked again, and without a terminal nobody is."""
    refused = _refused(folder)
    names = [model.name for model in wanted if model.name not in refused]
    if not names:
        return False
    size = sum(model.size for model in wanted)
    told = " ".join(f"{model.name}: {model.purpose_in('en')}" for model in wanted)
    offered = f"Recommended for this machine: {told} {in_words(size)}, {_minutes(size)} at 20 Mbit/s."
    if not screen.is_terminal or not sys.stdin.isatty():
        screen.print(f"{offered} Get it: MODELS={','.join(names)} make run", soft_wrap=True)
        return False
    if click.confirm(f"{offered} Get it now?", default=True):
        return True
    folder.root.mkdir(parents=True, exist_ok=True)
    (folder.root / ASKED).write_text("\n".join([*refused, *names]))
    screen.print(f"You will not be asked again. Later: visavis models pull {' '.join(names)}", soft_wrap=True)
    return False


def _refused(folder: ModelFolder) -> list[str]:
    try:
        return (folder.root / ASKED).read_text().splitlines()
    except OSError:
        return []


def _minutes(size: int) -> str:
    minutes = round(size * 8 / USUAL_BITS_PER_S / 60)
    return f"about {minutes} min" if minutes else "less than a minute"
