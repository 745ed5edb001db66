"""A recording becomes an avatar; a killed training goes on; what is no recording of a person is refused."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from demo import clip
from portrait import STAGES, Avatar, Progress, RecordingError, Report, Synthesizer, TrainingParameters, train
from portrait.training.preparing import FRAMES, LANDMARKS
from portrait.training.stages import listen
from portrait.workspace import Workspace

TINY = TrainingParameters(steps=8, motion_steps=10, size=128, loop_seconds=1)
KILLED_RUN = """
import sys
from pathlib import Path
import portrait, portrait.training.imaging
portrait.training.imaging.CHECKPOINT_EVERY_S = 0.0
def tell(progress):
    sys.stdout.write(f"{progress.stage} {progress.step}\\n")
    sys.stdout.flush()
video, work, out = map(Path, sys.argv[1:])
portrait.train(video, work, out, portrait.TrainingParameters(steps=8, motion_steps=10, size=128, loop_seconds=1), tell)
"""


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recording") / "presenter.mp4"
    clip.make(path, seconds=6, size=256)
    return path


@pytest.fixture(scope="module")
def trained(recording: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Report, list[Progress], Path]:
    """Trained in two runs: the first process is killed in the middle of the image network."""
    folder = tmp_path_factory.mktemp("training")
    paths = [str(recording), str(folder / "work"), str(folder / "avatars" / "presenter")]
    with subprocess.Popen([sys.executable, "-c", KILLED_RUN, *paths], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.split() == ["face", "4"]:
                process.kill()
                break
    assert process.returncode == -9
    kept = (folder / "work" / FRAMES).stat().st_mtime_ns
    told: list[Progress] = []
    report = train(recording, folder / "work", folder / "avatars" / "presenter", TINY, told.append)
    assert (folder / "work" / FRAMES).stat().st_mtime_ns == kept
    return report, told, folder


def test_a_killed_training_goes_on(trained: tuple[Report, list[Progress], Path]) -> None:
    _, told, _ = trained
    assert [p.step for p in told if p.stage == "face" and p.steps > 1][0] in (4, 5)
    assert tuple(dict.fromkeys(p.stage for p in told)) == STAGES
    assert [p.fraction for p in told] == sorted(p.fraction for p in told)
    assert told[-1].fraction == pytest.approx(1)
    assert any(p.preview and p.preview.suffix == ".jpg" for p in told)


def test_the_report_is_complete(trained: tuple[Report, list[Progress], Path]) -> None:
    report, _, _ = trained
    assert report.metrics.keys() >= {
        "psnr", "psnr_face", "psnr_mouth", "ssim", "ssim_face", "ssim_mouth", "lmd_px", "lmd_iod", "lmd_centred_iod",
        "aperture_correlation", "aperture_correlation_rolled", "aperture_std_ratio", "sharpness", "jitter",
        "flicker", "lag_ms",
    }  # fmt: skip
    assert report.baselines.keys() == {"closed_mouth", "looped_mouth", "mean_crop", "true_shapes"}
    assert report.seconds.keys() == set(STAGES)
    assert Avatar.load(report.avatar).metrics == report.metrics


def test_the_avatar_speaks(trained: tuple[Report, list[Progress], Path], recording: Path) -> None:
    from portrait.media.video import audio, probe

    report, _, _ = trained
    files = {p.name for p in report.avatar.iterdir()}
    assert files == {
        "avatar.json", "face.safetensors", "motion.safetensors", "person.safetensors", "track.safetensors",
        "base.mp4", "idle.mp4", "mouths.jpg", "thumbnail.jpg",
    }  # fmt: skip
    assert "评测报告" in (report.avatar.parents[1] / "work" / "report.html").read_text(encoding="utf-8")
    avatar = Avatar.load(report.avatar)
    assert probe(report.avatar / "idle.mp4").duration_s == pytest.approx(avatar.footage.idle_length / 25, abs=0.05)
    performance = Synthesizer(avatar).stream()
    frames = list(performance.push(audio(recording)[:16000])) + list(performance.flush())
    assert len(frames) == 25
    assert frames[0].shape == (128, 128, 3)


def test_trained_again_nothing_is_done_again(trained: tuple[Report, list[Progress], Path], recording: Path) -> None:
    report, _, folder = trained
    told: list[Progress] = []
    again = train(recording, folder / "work", folder / "avatars" / "presenter", TINY, told.append)
    assert again == report
    assert len(told) == len(STAGES)


def test_one_process_finds_what_several_found(
    trained: tuple[Report, list[Progress], Path], recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report, _, folder = trained
    shutil.copytree(folder / "work", tmp_path / "work")
    found = Workspace(tmp_path / "work").load(LANDMARKS)
    for stage in ("track", "evaluate"):
        (tmp_path / "work" / f"{stage}.done").unlink()
    monkeypatch.setattr("portrait.training.stages.most_workers", lambda device: 1)
    again = train(recording, tmp_path / "work", tmp_path / "avatar", TINY)
    alone = Workspace(tmp_path / "work").load(LANDMARKS)
    assert all((alone[name] == found[name]).all() for name in found)
    assert (again.metrics, again.baselines) == (report.metrics, report.baselines)


def test_with_an_encoder_and_enough_footage_it_learns_to_hear_by_that_too(
    trained: tuple[Report, list[Progress], Path], recording: Path, encoder: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    report, _, folder = trained
    work, out = tmp_path / "work", tmp_path / "avatar"
    shutil.copytree(folder / "work", work)
    monkeypatch.setattr("portrait.training.stages.most_workers", lambda device: 1)
    short = listen(recording, work, TINY, encoder=encoder).heard()
    assert short["shape_correlation"] == report.metrics["shape_correlation"]
    assert not (work / "ear.safetensors").exists()
    (work / "motion.done").unlink()
    monkeypatch.setattr("portrait.training.stages.LEAST_EAR_S", 2.0)
    train(recording, work, out, TINY, encoder=encoder)
    avatar = Avatar.load(out)
    assert avatar.ear is not None
    assert avatar.card["ear"] == {"name": encoder.name, "encoder": avatar.ear.encoder, "without": short}
    assert listen(recording, work, TINY, encoder=encoder).heard() != short
    assert (out / "motion.safetensors").read_bytes() == (report.avatar / "motion.safetensors").read_bytes()
    assert len(list(Synthesizer(avatar, encoder=encoder).stream().push(np.zeros(32000, np.float32)))) == 44  # in fours


@pytest.mark.parametrize(("variant", "reason"), [({"faces": 0}, "no-face"), ({"audio": False}, "no-audio")])
def test_what_cannot_become_an_avatar(tmp_path: Path, variant: dict[str, int], reason: str) -> None:
    clip.make(tmp_path / "bad.mp4", seconds=2, size=256, **variant)
    with pytest.raises(RecordingError) as caught:
        train(tmp_path / "bad.mp4", tmp_path / "work", tmp_path / "out", TINY)
    assert caught.value.reason == reason
