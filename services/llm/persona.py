"""Who the avatar can be. A persona is a folder: `persona.toml` and the Markdown files it answers from."""

from __future__ import annotations

import threading
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from basics.languages import primary
from services.common.errors import NotFound
from services.llm.documents import Passage, passages
from services.llm.knowledge import Knowledge, Vocabulary

SHIPPED = Path(__file__).parent / "personas"


@dataclass(frozen=True)
class Persona:
    """A manner of speaking and documents to answer from. Texts are by language (`en`, `zh`, …)."""

    name: str
    title: str
    languages: tuple[str, ...]
    greetings: Mapping[str, str]
    topics: Mapping[str, str]
    style: Mapping[str, str]
    knowledge: Mapping[str, Knowledge]
    hotwords: tuple[str, ...] = ()
    """Names and rare words that may well be said to it."""
    speaks: tuple[str, ...] = ()
    """Languages that its description names, if it does."""

    def spoken(self, texts: Mapping[str, str], language: str) -> str:
        """One of the persona's texts, in the language or else in its first one that has it; may be empty."""
        for tag in (primary(language), *self.languages):
            if tag in texts:
                return texts[tag]
        return ""

    def knows(self, language: str) -> Knowledge:
        """Its documents in a language, or else in its own first language."""
        tags = (primary(language), *self.languages)
        return next(self.knowledge[tag] for tag in tags if tag in self.knowledge)


class Personas:
    """The personas of some folders. Edits and new folders are seen at once, without a restart.

    Args:
        folders: each holds one folder per persona; earlier ones win.
    """

    def __init__(self, *folders: Path) -> None:
        self._folders = folders
        self._read: dict[Path, tuple[object, Persona]] = {}
        self._lock = threading.Lock()

    def names(self) -> list[str]:
        """Their names, sorted."""
        return sorted(self._paths())

    def get(self, name: str) -> Persona:
        """One persona.

        Raises:
            NotFound: there is none of that name; the message lists those there are.
        """
        path = self._paths().get(name)
        if path is None:
            message = f"There is no such persona; choose one of: {', '.join(self.names())}."
            raise NotFound(message, reason="NO_SUCH_PERSONA", field="persona")
        with self._lock:
            state = _state(path)
            if path not in self._read or self._read[path][0] != state:
                self._read[path] = (state, read_persona(path))
            return self._read[path][1]

    def _paths(self) -> dict[str, Path]:
        return {
            path.parent.name: path.parent
            for folder in reversed(self._folders)
            for path in sorted(folder.glob("*/persona.toml"))
        }


def read_persona(folder: Path) -> Persona:
    """Read a persona's folder.

    Raises:
        ValueError: `persona.toml` is no valid TOML.
    """
    described = tomllib.loads((folder / "persona.toml").read_text("utf-8"))
    texts = [path.read_text("utf-8") for path in sorted(folder.rglob("*.md"))]
    found: dict[str, list[Passage]] = {language: [] for language in described.get("languages", ["en"])}
    for text in texts:
        for passage in passages(text):
            found.setdefault(passage.language, []).append(passage)
    vocabulary = Vocabulary(described.get("synonyms", []))
    title = described.get("title", folder.name)
    return Persona(
        name=folder.name,
        title=title,
        languages=tuple(described.get("languages", ["en"])),
        greetings=described.get("greetings", {}),
        topics=described.get("topics", {}),
        style=described.get("style", {}),
        knowledge={language: Knowledge(of_it, vocabulary) for language, of_it in found.items()},
        hotwords=(title, *described.get("hotwords", ())),
        speaks=tuple(described.get("languages", ())),
    )


def _state(folder: Path) -> object:
    files = [folder / "persona.toml", *folder.rglob("*.md")]
    return sorted((path, path.stat().st_mtime_ns) for path in files)
