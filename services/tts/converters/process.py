"""The parent's side of a program of other people's that converts speech in a process of its own; see `child.py`."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from services.common.arrays import Samples
from services.common.jobs.process import crashed
from services.tts.converters.program import Program
from services.tts.model_process import Died, ModelProcess, Refused

LONGEST_S = 300.0  # of a sentence or a recording; what takes longer hangs
LONGEST_LOAD_S = 600.0
_SLACK_S = 0.1  # that what is converted may be longer or shorter


class Converter:
    """A converter, loaded. Several threads may call it; they take turns.

    Args:
        task: what its file beside this loads.
        environment: variables that it reads, besides those of this process.

    Raises:
        Unavailable: it cannot be loaded, and why.
    """

    def __init__(self, program: Program, task: dict[str, Any], environment: dict[str, str]) -> None:
        script = Path(__file__).with_name(f"{program.script}.py")
        self._folder = TemporaryDirectory()  # for what it writes down, which it may not live to take away
        variables = (f"{name}={value}" for name, value in {**environment, "TMPDIR": self._folder.name}.items())
        command = ["env", *variables, program.python, "-E", str(script)]
        try:
            self._process = ModelProcess(
                command, task | {"source": str(Path(program.source).resolve())}, longest_load_s=LONGEST_LOAD_S
            )
        except Refused as error:
            self._folder.cleanup()
            raise program.refused(error.told["error"], str(error.told.get("what", ""))[:60]) from error
        except Died as error:
            self._folder.cleanup()
            raise program.failed("it ended at once") from error
        self.rate = int(self._process.loaded["rate"])

    def learn(self, samples: Samples) -> Samples:
        """What it makes of speech at `rate`: numbers.

        Raises:
            Internal: it died of that, or failed.
        """
        learnt = self._asked(threading.Event(), {"do": "learn"}, samples)
        if not len(learnt) or not np.isfinite(learnt).all():
            raise crashed()
        return learnt

    def convert(self, gone: threading.Event, samples: Samples, how: dict[str, Any]) -> Samples:
        """Speech at `rate` in another voice, as long as it was; as it was, where nobody waits any more.

        Raises:
            Internal: it died of that, failed, or answered nonsense.
        """
        converted = self._asked(gone, {"do": "convert", **how}, samples)
        if gone.is_set():
            return samples
        if abs(len(converted) - len(samples)) > _SLACK_S * self.rate or not np.isfinite(converted).all():
            raise crashed()
        return np.pad(converted, (0, max(len(samples) - len(converted), 0)))[: len(samples)]

    def close(self) -> None:
        """End the process."""
        self._process.close()
        self._folder.cleanup()

    def _asked(self, gone: threading.Event, asked: dict[str, Any], samples: Samples) -> Samples:
        try:
            return self._process.ask(gone, asked, samples, longest_s=LONGEST_S)
        except Refused as error:
            raise crashed() from error
        except Died as error:
            for left in Path(self._folder.name).iterdir():
                shutil.rmtree(left, ignore_errors=True)
            raise crashed() from error
