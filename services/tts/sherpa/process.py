"""The parent's side of the process in which a model speaks; see `child.py`."""

from __future__ import annotations

import sys
import threading
from typing import Any

from services.common.arrays import Samples
from services.tts.model_process import ModelProcess
from services.tts.sherpa.files import Files

LONGEST_S = 120.0  # of a sentence; one that takes longer hangs
LONGEST_LOAD_S = 600.0


class SpeakingProcess(ModelProcess):
    """A model in a process of its own. Several threads may call it; they take turns.

    Raises:
        Died: the model cannot be loaded.
    """

    def __init__(self, files: Files, *, threads: int, provider: str) -> None:
        task = {"kind": files.kind.value, "paths": files.paths, "threads": threads, "provider": provider}
        super().__init__([sys.executable, "-m", "services.tts.sherpa.child"], task, longest_load_s=LONGEST_LOAD_S)
        self.rate, self.speakers = int(self.loaded["rate"]), int(self.loaded["speakers"])

    def speak(self, gone: threading.Event, **asked: Any) -> Samples:
        """Float32 samples at `rate`; none where the model cannot say any of the text, or nobody waits.

        Raises:
            Died: it did, in the middle of this. It is started anew for the next text.
        """
        return self.ask(gone, asked, longest_s=LONGEST_S)
