"""How the server gets at a recording: it takes no upload, but reads a file of its own machine."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath, PureWindowsPath
from uuid import uuid4

from services.tts.gptsovits.failures import GptSovitsFailures
from services.tts.reference import Reference

_LEFT_FOR_S = 3600.0  # longer than any sentence takes
_PREFIX = "visavis-"


class Shared:
    """A folder that both see, in which a recording lies as long as it is needed.

    It is somebody's voice: when the voice is forgotten, no copy may stay. The server remembers what it has read by its
    path, so it matters that a recording's name is its own.

    Args:
        here: the folder as this service sees it; None where the server sees what this service does.
        there: as the server sees it; empty where that is the same.
    """

    def __init__(self, here: Path | None, there: str, failures: GptSovitsFailures) -> None:
        self._here, self._there, self._failures = here, there, failures
        self._lent: Counter[Path] = Counter()
        self._own = uuid4().hex[:8]  # another replica takes its copies away when it needs them no more

    def tidy(self) -> None:
        """Forget what a process left that was killed."""
        for path in self._here.glob(f"{_PREFIX}recording-*") if self._here else ():
            with suppress(OSError):
                if path.stat().st_mtime < time.time() - _LEFT_FOR_S:
                    path.unlink()

    @contextmanager
    def lent(self, reference: Reference) -> Generator[str, None, None]:
        """The path of a recording as the server sees it; not thread-safe, as an event loop is one thread.

        Raises:
            Unavailable: it cannot be written there.
        """
        if not self._here:
            yield str(reference.path.resolve())
            return
        path = self._here / f"{_PREFIX}{reference.path.stem}-{self._own}.wav"
        self._lent[path] += 1
        try:
            self._lay(reference.path, path)
            yield _joined(self._there, path.name) if self._there else str(path.resolve())
        finally:
            self._lent[path] -= 1
            if not self._lent[path]:
                del self._lent[path]
                with suppress(OSError):
                    path.unlink()

    def _lay(self, recording: Path, path: Path) -> None:
        partial = path.with_suffix(".partial")
        try:
            if not path.exists():
                shutil.copyfile(recording, partial)
                partial.replace(path)
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise self._failures.reference_not_shared() from error


def _joined(folder: str, name: str) -> str:
    """A path as its own machine writes it."""
    kind = PureWindowsPath if "\\" in folder else PurePosixPath
    return str(kind(folder, name))
