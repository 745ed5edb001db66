"""A generated video judged by a true one: known answers, and what is refused, in words."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from demo import clip
from portrait import NotComparable, RecordingError, evaluate, page
from portrait.arrays import Frame, Samples
from portrait.measuring import syncnet
from portrait.measuring.comparison import Comparison, pictures
from portrait.measuring.metrics import Measurement
from portrait.measuring.showing import Pair, Showing
from portrait.media.video import Movie, audio

FRAMES = 50
PIXELS = {"psnr", "ssim", "lmd_px", "lmd_iod"}


@pytest.fixture(scope="module")
def material(demo_clip: Path) -> tuple[list[Frame], Samples]:
    """Two seconds of the presenter."""
    seen = [picture for picture, _ in zip(pictures(demo_clip), range(FRAMES), strict=False)]
    return seen, audio(demo_clip)[: FRAMES * 640]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Iterable[Frame], Samples], Path]:
    """Write frames with a sound to a file of that name."""
    folder = tmp_path_factory.mktemp("films")

    def write(name: str, seen: Iterable[Frame], sound: Samples) -> Path:
        seen = list(seen)
        with Movie(folder / f"{name}.mp4", size=(seen[0].shape[1], seen[0].shape[0]), crf=10, sound=True) as movie:
            for picture in seen:
                movie.push(picture)
            movie.hear(sound)
        return folder / f"{name}.mp4"

    return write


@pytest.fixture(scope="module")
def true(material: tuple[list[Frame], Samples], film: Callable[..., Path]) -> Path:
    return film("true", *material)


def test_a_video_against_itself(true: Path) -> None:
    found = evaluate(true, true)
    assert (found.kind, found.against, found.frames) == ("self-driven", "same-frames", FRAMES)
    ones = ("ssim", "aperture_correlation", "aperture_correlation_best", "aperture_std_ratio", "width_correlation",
            "sharpness", "jitter", "flicker")  # fmt: skip
    expected = {"psnr": 100.0, "lmd_px": 0.0, "lag_ms": 0.0} | dict.fromkeys(ones, 1.0)
    assert {name: found.measured.metrics[name] for name in expected} == pytest.approx(expected, abs=1e-4)
    assert found.warnings == ("same-file", "short")
    assert found.lip_sync == {"not_measured": "no-checkpoint"}
    assert len(found.showing.strip) == 25


def test_lips_that_come_two_frames_late_and_blurred_and_noisy(
    true: Path, material: tuple[list[Frame], Samples], film: Callable[..., Path]
) -> None:
    seen, sound = material
    rng = np.random.default_rng(0)
    late = [seen[max(0, i - 2)] for i in range(FRAMES)]
    grain = [
        np.clip(cv2.GaussianBlur(p, (0, 0), 2) + rng.normal(0, 5, p.shape[:2])[..., None].round(), 0, 255) for p in late
    ]
    found = evaluate(true, film("late", [p.astype(np.uint8) for p in grain], sound)).measured
    assert found.metrics["lag_ms"] == 80
    assert found.metrics["aperture_correlation_best"] > 0.9
    assert found.metrics["aperture_correlation"] < found.metrics["aperture_correlation_best"] - 0.05
    assert found.metrics["flicker"] > 2
    soft = evaluate(true, film("soft", [cv2.GaussianBlur(p, (0, 0), 2) for p in seen], sound)).measured
    assert soft.metrics["sharpness"] < 0.3
    assert soft.metrics["flicker"] < 1.1
    assert soft.metrics["lag_ms"] == 0


def test_a_frozen_mouth_has_no_range(
    true: Path, material: tuple[list[Frame], Samples], film: Callable[..., Path]
) -> None:
    seen, sound = material
    found = evaluate(true, film("frozen", [seen[0]] * FRAMES, sound)).measured
    assert found.metrics["aperture_std_ratio"] == pytest.approx(0, abs=0.1)
    assert found.metrics["flicker"] < 0.7  # not 0: laid upon the true head, a still one moves


def test_the_same_words_from_another_head_are_compared_by_the_lips_only(
    true: Path, material: tuple[list[Frame], Samples], film: Callable[..., Path]
) -> None:
    seen, sound = material
    aside = film("aside", [np.roll(picture, 40, axis=1) for picture in seen], sound)
    found = evaluate(true, aside)
    assert (found.kind, found.against) == ("cross-driven", "speaker")
    assert not PIXELS & found.measured.metrics.keys()
    assert found.measured.metrics["aperture_correlation"] > 0.9


def test_other_words_have_no_true_mouth(
    true: Path, material: tuple[list[Frame], Samples], film: Callable[..., Path]
) -> None:
    seen, sound = material
    found = evaluate(true, film("other", seen[:40], sound[::-1][: 40 * 640]))
    assert (found.kind, found.against) == ("cross-driven", "footage")
    assert found.measured.metrics.keys() == {"sharpness", "aperture_std_ratio", "jitter", "flicker"}
    assert found.as_dict()["lag_curve"] == {}
    assert "plot-lag" not in page(found)


def _refused(true: Path, generated: Path) -> tuple[str, str, str]:
    with pytest.raises(NotComparable) as caught:
        evaluate(true, generated)
    return caught.value.reason, caught.value.video, str(caught.value)


def test_what_cannot_be_compared_is_refused_in_words(
    true: Path, material: tuple[list[Frame], Samples], film: Callable[..., Path], tmp_path: Path
) -> None:
    seen, sound = material
    small = film("small", [cv2.resize(picture, (192, 192)) for picture in seen], sound)
    assert _refused(true, small)[:2] == ("size", "generated")
    assert "256x256 and 192x192; scale one to the other's" in _refused(true, small)[2]
    assert (
        _refused(true, film("brief", seen[:40], sound))[2] == "the videos differ in length: 50 and 40 frames at 25 fps"
    )
    assert _refused(true, film("still", seen, sound * 0))[:2] == ("no-sound", "generated")
    assert _refused(film("blink", seen[:10], sound), true)[:2] == ("too-short", "true")
    twins = film("twins", [np.concatenate([picture, picture], axis=1) for picture in seen[:20]], sound)
    assert _refused(true, twins)[:2] == ("two-faces", "generated")
    clip.make(tmp_path / "quick.mp4", seconds=0.2, size=64, fps=50)
    assert "differ in frame rate: 25 and 50 frames" in _refused(true, tmp_path / "quick.mp4")[2]
    faceless = film("faceless", [picture // 8 + 100 for picture in np.zeros_like(seen)], sound)
    assert _refused(true, faceless)[:2] == ("no-face", "generated")
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(RecordingError):
        evaluate(true, tmp_path / "text.mp4")


def test_only_the_published_checkpoint_counts(
    material: tuple[list[Frame], Samples], film: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, sound = material
    brief = film("sixteen", seen[:16], sound[: 16 * 640])
    torch.manual_seed(0)
    torch.save(syncnet.SyncNet().state_dict(), tmp_path / "own.model")
    assert evaluate(brief, brief, syncnet=tmp_path / "own.model").lip_sync == {"not_measured": "unknown-checkpoint"}
    monkeypatch.setattr(syncnet, "CHECKSUM", syncnet.digest(tmp_path / "own.model"))
    found = evaluate(brief, brief, syncnet=tmp_path / "own.model")
    assert found.lip_sync["lse_d_true"] == found.lip_sync["lse_d_generated"]
    assert "LSE-C, generated" in page(found)


class Reader(HTMLParser):
    """Notes what a page refers to, and that its tags are balanced."""

    VOID = {"meta", "img", "path", "polyline"}  # noqa: RUF012 - never written to

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.references: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.references += [value or "" for name, value in attributes if name in ("src", "href", "data", "action")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert tag in self.VOID or self.open.pop() == tag


def _made_up() -> Comparison:
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)
    pair = Pair(3, frame, frame, frame[:32, :32], frame[:32, :32])
    series = {"aperture_true": [0.0, 0.1, 0.2], "aperture_made": [0.0, 0.1, 0.1], "lmd_iod": [0.01, 0.0, 0.02],
              "psnr_mouth": [30.0, 30.0, 30.0], "lag_ms": [-40, 0, 40], "lag_correlation": [0.1, 0.9, 0.2]}  # fmt: skip
    metrics = {"psnr": 31.234, "flicker": 0.5, "lag_ms": 0.0}
    measured, shown = Measurement(metrics, series), Showing({"best": pair, "worst": pair}, [pair, pair])
    unmeasured: dict[str, float | str] = {"not_measured": "no-checkpoint"}
    return Comparison("same-frames", 3, measured, unmeasured, ("short",), shown, {"mean_crop": {"psnr": 29.876}})


def test_the_page_stands_alone_and_speaks_both_languages() -> None:
    text = page(_made_up())
    reader = Reader()
    reader.feed(text)
    assert not reader.open
    assert all(each.startswith(("data:image/jpeg;base64,", "#")) for each in reader.references)
    assert not reader.seen & {"script", "link", "iframe", "form"}
    for foreign in ("http", "url(", "@import", "//"):
        assert foreign not in text.replace("data:image/jpeg;base64,", "").split("<body")[0], foreign
    assert "http" not in "".join(part for part in text.split('"') if not part.startswith("data:"))
    assert text.count('class="en"') == text.count('class="zh"')
    assert text.count("<svg") == 4
    for told in ("31.23", "29.88", "Report card", "评测报告", "Under five seconds", "不足五秒"):
        assert told in text, told
