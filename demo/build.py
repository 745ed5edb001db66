"""Draw the presenter's clip and train the avatar that ships with Visavis: `python -m demo.build`.

It takes about as long as training from any one-minute recording. The result lies in demo/avatar and is committed.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from portrait.parameters import Quality

NAME = "Vera"
TARGET = Path(__file__).parent / "avatar"
MAX_BYTES = 10 * 2**20
WIDTH, LOOP_S = 0.7, 30  # a drawn face needs less, and the avatar must stay small enough to ship
ABOUT = {
    "voice": "",  # the speech engine's own, which is hers
    "consent": {"given_by": "nobody is shown: drawn by the code in demo/", "time": "2026-11-20T00:00:00+00:00"},
    "statement": "A synthetic presenter, drawn and voiced by code. She has no likeness to anyone.",
    "licence": "Apache-2.0",
}


def build(target: Path, recording: Path | None, seconds: float, quality: Quality, work: Path | None = None) -> None:
    """Draw the clip (unless there is one), train, and leave the avatar in `target`; `work` lets a killed run go on."""
    import portrait
    from demo import clip
    from portrait.training.stages import REPORT_CARD

    console = Console()
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "avatar"
        if recording is None:
            recording = Path(folder) / "vera.mp4"
            clip.make(recording, seconds=seconds)
        parameters = portrait.TrainingParameters(quality=quality, width=WIDTH, loop_seconds=LOOP_S)
        with console.status("drawing and training") as status:
            report = portrait.train(
                recording,
                work or Path(folder) / "work",
                made,
                parameters,
                lambda progress: status.update(f"{progress.stage} {progress.fraction:.0%}"),
            )
        avatar = portrait.Avatar.load(made)
        avatar.card.update(ABOUT, created_at=datetime.now(UTC).isoformat(timespec="seconds"))
        avatar.write_card()
        shutil.copy((work or Path(folder) / "work") / REPORT_CARD, made)
        size = sum(file.stat().st_size for file in made.rglob("*") if file.is_file())
        if size > MAX_BYTES:
            raise SystemExit(f"The avatar takes {size / 2**20:.1f} MB; at most {MAX_BYTES / 2**20:g} may be shipped.")
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(made, target, copy_function=shutil.copyfile)  # images are built from it: not private
    console.print(report.metrics)
    console.print(f"{target}: {size / 2**20:.1f} MB")


def main() -> None:
    """Read the command line and build."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clip", type=Path, help="train from this clip instead of drawing one")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--quality", choices=("draft", "standard", "high"), default="standard")
    parser.add_argument("--work", type=Path, help="keep working files here, and continue from them")
    parser.add_argument("--out", type=Path, default=TARGET / NAME)
    options = parser.parse_args()
    build(options.out, options.clip, options.seconds, options.quality, options.work)


if __name__ == "__main__":
    main()
