"""A voice learnt from a recording, and a base voice's frames turned into that voice.

What is kept of a person: pitch (mean and range of its logarithm), speaking rate, the long-term level and spread of
every spectral coefficient, and for some thousand frames of the base voice how the person's frames that say the same
sound differ from them. Speech is converted by looking up each frame of the base voice among those, never across voices,
and moving it by their mean difference: what the base voice says well stays well said.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file
from scipy.ndimage import gaussian_filter1d
from scipy.signal import find_peaks

from services.common.arrays import Doubles, Flags, Floats, Indices
from services.tts import loudness, pairing
from services.tts.world import FRAMES_PER_S, SAMPLE_RATE, Frames, synthesise

FORMAT = 3
STAMP = f"world-{FORMAT}"
"""Of voices that are learnt here: those with another are to be learnt anew."""
_PAIRS = 3000
_MATCHED = slice(1, 20)  # coefficients that tell sounds apart; the first is the level
_NEIGHBOURS = 16
_SMOOTHING_FRAMES = 5.0  # of the differences only: the movements of the base voice stay
_PITCH_OUTLIER = 0.6  # natural log units around the median: half an octave and a bit, beyond it dio has erred
_RANGE_FACTOR = (0.5, 2.0)
_LEVELLED = 2  # utterances of the base voice that tell how loud a person becomes over it
_SYLLABLE_PROMINENCE = 0.2  # natural log units: 0.9 dB
_TENSORS, _NUMBERS = "voice.safetensors", "voice.json"


@dataclass(frozen=True)
class Speaker:
    """What a few numbers say about how a person speaks."""

    pitch_mean: float  # of log hertz
    pitch_std: float
    syllables_per_s: float


@dataclass(frozen=True)
class VoiceModel:
    """Everything that conversion needs; n pairs of frames."""

    speaker: Speaker
    base: Speaker  # the same numbers of the base voice
    statistics: Floats  # (4, CEPSTRA): mean and deviation of the base voice, then of the person
    keys: Floats  # (n, features) frames of the base voice, in context
    cepstra: Floats  # (n, CEPSTRA) what the person's envelope has more
    aperiodicity: Floats  # (n, bands) likewise
    loud: float  # `Frames.loud` of the base voice
    gain: float = 1.0  # that brings what is converted to the level of all speech

    def save(self, folder: Path) -> None:
        """Write the model as one safetensors and one JSON file."""
        tensors = {name: getattr(self, name).astype(np.float16) for name in ("keys", "cepstra", "aperiodicity")}
        save_file(tensors | {"statistics": self.statistics.astype(np.float32)}, folder / _TENSORS)
        numbers = {
            "format": FORMAT,
            "speaker": asdict(self.speaker),
            "base": asdict(self.base),
            "loud": self.loud,
            "gain": self.gain,
        }
        (folder / _NUMBERS).write_text(json.dumps(numbers, indent=1))

    @classmethod
    def open(cls, folder: Path) -> VoiceModel:
        """Read what `save` wrote."""
        tensors = {name: array.astype(np.float32) for name, array in load_file(folder / _TENSORS).items()}
        numbers = json.loads((folder / _NUMBERS).read_text())
        speaker, base = Speaker(**numbers["speaker"]), Speaker(**numbers["base"])
        return cls(speaker, base, **tensors, loud=numbers["loud"], gain=numbers["gain"])

    @staticmethod
    def stamp(folder: Path) -> int:
        """Changes when the model in the folder does."""
        return (folder / _NUMBERS).stat().st_mtime_ns

    def convert(self, frames: Frames, pitch_mean: float | None = None) -> Frames:
        """Frames of the base voice in the person's voice.

        Args:
            pitch_mean: of log hertz, of the speech that the frames are part of; their own if it is not told. The
                person's mean takes its place.
        """
        mean, std, person_mean, person_std = self.statistics
        normal = (frames.cepstra - mean) / std
        nearest = self._nearest(_features(normal))
        cepstra = frames.cepstra + _smooth(self.cepstra[nearest].mean(1))
        cepstra[:, 0] = _level(
            normal[:, 0] * person_std[0] + person_mean[0], cepstra[:, 0], frames.active_beside(self.loud)
        )
        aperiodicity = np.minimum(frames.aperiodicity + _smooth(self.aperiodicity[nearest].mean(1)), 0)
        return Frames(self._pitch(frames, pitch_mean), cepstra, aperiodicity)

    def _nearest(self, features: Floats) -> Indices:
        distances = pairing.squared_distances(features, self.keys)
        return np.argpartition(distances, _NEIGHBOURS, axis=1)[:, :_NEIGHBOURS]

    def _pitch(self, frames: Frames, mean: float | None) -> Doubles:
        """It takes the person's mean, and moves about it as widely as the person does."""
        voiced = frames.voiced
        if not voiced.any():
            return frames.f0
        pitch = np.log(frames.f0[voiced])
        widening = np.clip(self.speaker.pitch_std / max(self.base.pitch_std, 1e-3), *_RANGE_FACTOR)
        f0 = frames.f0.copy()
        about = pitch.mean() if mean is None else mean
        f0[voiced] = np.exp(self.speaker.pitch_mean + (pitch - about) * widening)
        return f0


def learn(reference: Frames, banks: list[list[Frames]]) -> VoiceModel:
    """Learn a person's voice from analysed speech.

    Args:
        banks: utterances of the base voice. Each bank is paired with the whole reference; the first has to hold
            every sound of a language, for its averages are compared with the person's.
    """
    main = joined(banks[0])
    statistics = np.stack([*_mean_std(main), *_mean_std(reference)]).astype(np.float32)
    pairs = [_paired(reference, bank, statistics) for bank in banks]
    keys, cepstra, aperiodicity = map(np.concatenate, zip(*pairs, strict=True))
    model = VoiceModel(describe(reference), describe(main), statistics, keys, cepstra, aperiodicity, main.loud)
    said = np.concatenate([synthesise(model.convert(part)) for part in banks[0][:_LEVELLED]])
    return replace(model, gain=loudness.speech_gain(said, SAMPLE_RATE))


def _paired(reference: Frames, bank: list[Frames], statistics: Floats) -> tuple[Floats, Floats, Floats]:
    """Keys of the base voice, and by what the person's envelopes and aperiodicities differ from its own."""
    own = joined(bank)
    keys = np.concatenate([_features((part.cepstra - statistics[0]) / statistics[1]) for part in bank])
    chosen, wanted = _spread(own.active), _spread(reference.active)
    target = _features((reference.cepstra - statistics[2]) / statistics[3])[wanted]
    nearest, weights = pairing.pair(keys[chosen], target, own.voiced[chosen], reference.voiced[wanted])
    differences = [
        ((theirs[wanted][nearest] * weights[..., None]).sum(1) - ours[chosen]).astype(np.float32)
        for theirs, ours in ((reference.cepstra, own.cepstra), (reference.aperiodicity, own.aperiodicity))
    ]
    return keys[chosen], *differences


def describe(frames: Frames) -> Speaker:
    """Pitch and speaking rate of someone. Needs voiced frames."""
    pitch = np.log(frames.f0[frames.voiced])
    pitch = pitch[np.abs(pitch - np.median(pitch)) < _PITCH_OUTLIER]
    return Speaker(float(pitch.mean()), float(pitch.std()), _syllable_rate(frames))


def shifted(frames: Frames, semitones: float) -> Frames:
    """The same speech, higher or lower."""
    return replace(frames, f0=frames.f0 * 2 ** (semitones / 12))


def _syllable_rate(frames: Frames) -> float:
    """Peaks of the smoothed level per second of speech; pauses do not count."""
    level = gaussian_filter1d(frames.cepstra[:, 0], 6)
    peaks, _ = find_peaks(level, prominence=_SYLLABLE_PROMINENCE)
    active = frames.active
    return float(np.count_nonzero(active[peaks] & frames.voiced[peaks]) / max(active.sum() / FRAMES_PER_S, 0.1))


def _smooth(differences: Floats) -> Doubles:
    return np.asarray(gaussian_filter1d(differences.astype(np.float64), _SMOOTHING_FRAMES, axis=0))


def _level(spoken: Doubles, paired: Doubles, active: Flags) -> Doubles:
    """Half the course of the sentence, half how loud the person says each sound; pauses stay pauses."""
    return np.asarray(np.where(active, (spoken + paired) / 2, np.minimum(spoken, paired)))


def _features(normal: Doubles) -> Floats:
    return pairing.in_context(normal[:, _MATCHED].astype(np.float32))


def _spread(mask: Flags) -> Indices:
    """At most `_PAIRS` of the marked frames, evenly spread."""
    marked: Indices = np.flatnonzero(mask)
    chosen: Indices = marked[np.linspace(0, len(marked) - 1, min(len(marked), _PAIRS)).astype(int)]
    return chosen


def _mean_std(frames: Frames) -> tuple[Doubles, Doubles]:
    speech = frames.cepstra[frames.active]
    return speech.mean(0), speech.std(0) + 1e-6


def joined(bank: list[Frames]) -> Frames:
    """Utterances one after the other."""
    f0, cepstra, aperiodicity = (
        np.concatenate([getattr(part, name) for part in bank]) for name in ("f0", "cepstra", "aperiodicity")
    )
    return Frames(f0, cepstra, aperiodicity)
