"""Says a tone as long as its text; fails as the images it stands in for when the text asks for that."""

import argparse
import math
import os
import signal
import struct
import sys
import time
import wave
from pathlib import Path

RATE = 22_050
MODELS = Path("/app/models")


def failed(what: str) -> None:
    sys.stdout.write(f"[ERROR] {what}\n")
    raise SystemExit(0)  # as rvc-app does


parser = argparse.ArgumentParser()
parser.add_argument("--ref", "--ref-audio", "-r", dest="ref", required=True)
parser.add_argument("--ref-text", default="")
parser.add_argument("--text-file", "--target-text-file", "-t", dest="text", required=True)
parser.add_argument("--out", "-o", required=True)
told = parser.parse_args()
text = Path(told.text).read_text("utf-8")
with wave.open(told.ref) as reference:
    assert reference.getnframes()
if len(text) > 45:
    failed("too long")
if MODELS.is_dir() and not (MODELS / "weights").is_file():
    failed("no weights")
if "fail" in text:
    failed("as asked")
if "slow" in text:
    time.sleep(600)
if "dies" in text:
    os.kill(os.getpid(), signal.SIGKILL)
hertz = 300 if told.ref_text else 200
level = 0 if "silent" in text else 9000
seconds = 0.1 * len(text)
samples = [int(level * math.sin(2 * math.pi * hertz * at / RATE)) for at in range(int(seconds * RATE))]
with wave.open(told.out, "wb") as out:
    out.setparams((1, 2, RATE, 0, "NONE", ""))
    out.writeframes(struct.pack(f"<{len(samples)}h", *samples))
if "half" in text:
    Path(told.out).write_bytes(Path(told.out).read_bytes()[:20])
sys.stdout.write(f"Saved cloned audio to {told.out} (sr={RATE})\n")
