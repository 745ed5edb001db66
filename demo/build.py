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

NAME = "Vera"
TARGET = Path(__file__).parent / "avatar"
MAX_BYTES = 8 * 2**20
ABOUT = {
    "voice": "",  # the speech engine's own, which is hers
    "consent": {"given_by": "nobody is shown: drawn by the code in demo/", "time": "2026-11-20T00:00:00+00:00"},
    "statement": "A synthetic presenter, drawn and voiced by code. She has no likeness to anyone.",
    "licence": "Apache-2.0",
}


def build(target: Path, seconds: float, quality: str) -> None:
    """Make the clip, train, and leave the avatar in `target`."""
    import portrait
    from demo import clip

    console = Console()
    with tempfile.TemporaryDirectory() as folder:
        recording, made = Path(folder) / "vera.mp4", Path(folder) / "avatar"
        clip.make(recording, seconds=seconds)
        parameters = portrait.TrainingParameters(quality=quality, loop_seconds=12)
        with console.status("drawing and training") as status:
            report = portrait.train(
                recording,
                Path(folder) / "work",
                made,
                parameters,
                lambda progress: status.update(f"{progress.stage} {progress.fraction:.0%}"),
            )
        avatar = portrait.Avatar.load(made)
        avatar.card.update(ABOUT, created_at=datetime.now(UTC).isoformat(timespec="seconds"))
        avatar.write_card()
        size = sum(file.stat().st_size for file in made.rglob("*") if file.is_file())
        if size > MAX_BYTES:
            raise SystemExit(f"The avatar takes {size / 2**20:.1f} MB; at most {MAX_BYTES / 2**20:g} may be shipped.")
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(made, target)
    console.print(report.metrics)
    console.print(f"{target}: {size / 2**20:.1f} MB")


def main() -> None:
    """Read the command line and build."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--quality", choices=("draft", "standard", "high"), default="standard")
    parser.add_argument("--out", type=Path, default=TARGET / NAME)
    options = parser.parse_args()
    build(options.out, options.seconds, options.quality)


if __name__ == "__main__":
    main()
