"""The parent's side of the process in which OpenVoice converts; see `child.py`."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np

from services.common.arrays import Samples
from services.common.errors import Unavailable
from services.common.jobs.process import crashed
from services.tts.model_process import Died, ModelProcess, Refused
from services.tts.openvoice.files import CHECKPOINTS, PYTHON, Files

LONGEST_S = 300.0  # of a sentence or a recording; what takes longer hangs
LONGEST_LOAD_S = 600.0
_CHILD = Path(__file__).with_name("child.py")
_SLACK_S = 0.1  # that what is converted may be longer or shorter


class Converter:
    """OpenVoice's converter, loaded. Several threads may call it; they take turns.

    Raises:
        Unavailable: it cannot be loaded, and why.
    """

    def __init__(self, files: Files, device: str) -> None:
        task = {"source": files.source, "device": device}
        paths = {"config": str(files.config), "checkpoint": str(files.checkpoint)}
        command = [files.python, "-E", str(_CHILD)]
        try:
            self._process = ModelProcess(command, task | paths, longest_load_s=LONGEST_LOAD_S)
        except Refused as error:
            raise _refused(error.told) from error
        except Died as error:
            raise _failed("it ended at once") from error
        self.rate = int(self._process.loaded["rate"])

    def learn(self, samples: Samples) -> Samples:
        """The tone colour of speech at `rate`.

        Raises:
            Internal: OpenVoice died of it, or failed.
        """
        colour = self._asked(threading.Event(), {"do": "learn"}, samples)
        if not len(colour) or not np.isfinite(colour).all():
            raise crashed()
        return colour

    def convert(self, gone: threading.Event, samples: Samples, of: Samples, to: Samples, tau: float) -> Samples:
        """Speech at `rate` in another tone colour, as long as it was; as it was, where nobody waits any more.

        Raises:
            Internal: OpenVoice died of it, failed, or answered nonsense.
        """
        asked = {"do": "convert", "of": of.tolist(), "to": to.tolist(), "tau": tau}
        converted = self._asked(gone, asked, samples)
        if gone.is_set():
            return samples
        if abs(len(converted) - len(samples)) > _SLACK_S * self.rate or not np.isfinite(converted).all():
            raise crashed()
        return np.pad(converted, (0, max(len(samples) - len(converted), 0)))[: len(samples)]

    def close(self) -> None:
        """End the process."""
        self._process.close()

    def _asked(self, gone: threading.Event, asked: dict[str, Any], samples: Samples) -> Samples:
        try:
            return self._process.ask(gone, asked, samples, longest_s=LONGEST_S)
        except (Died, Refused) as error:
            raise crashed() from error


def _refused(told: dict[str, Any]) -> Unavailable:
    what = str(told.get("what", ""))[:60]
    if told["error"] == "package":
        remedy = f'"${PYTHON}" -m pip install {what}'
        message = f"The Python of {PYTHON} lacks the package '{what}'. Run: {remedy}"
        return Unavailable(message, reason="PACKAGE_MISSING", values={"package": what, "remedy": remedy})
    if told["error"] == "checkpoint":
        file = "config.json, checkpoint.pth"
        message = (
            f"{file} of its model cannot be read ({what}). Set {CHECKPOINTS} to the whole folder `checkpoints_v2`."
        )
        values = {"file": file, "setting": CHECKPOINTS}
        return Unavailable(message, reason="MODEL_FILE_UNREADABLE", values=values)
    return _failed(f"no device {what}" if told["error"] == "device" else what)


def _failed(what: str) -> Unavailable:
    message = f"OpenVoice does not start ({what}). Run its own demo with the Python of {PYTHON}, and mend what it says."
    values = {"program": "OpenVoice", "what": what, "setting": PYTHON}
    return Unavailable(message, reason="PROGRAM_FAILED", values=values)
