"""What the talking head hears: mel spectrum, phone posteriors and phone-state scores, one hundred times a second.

`features` is `FeatureStream` fed once, so that training and live speech hear the same. Whatever is normalised is so
against running means of the speech heard so far; nothing looks further ahead than `LOOK_AHEAD_SAMPLES`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from portrait.arrays import Floats
from portrait.sound import phones, spectrum
from portrait.sound.phones import BILABIALS, PHONES, SILENCE, STATE_COUNT
from portrait.sound.spectrum import SAMPLE_RATE

__all__ = [
    "BILABIALS", "FEATURES_PER_SECOND", "FEATURE_SIZE", "LOOK_AHEAD_SAMPLES", "MEL", "PHONES", "POSTERIOR",
    "SAMPLE_RATE", "SCORE", "SILENCE", "FeatureStream", "features",
]  # fmt: skip


FEATURES_PER_SECOND = SAMPLE_RATE // spectrum.HOP
MEL = slice(0, 80)
POSTERIOR = slice(80, 80 + len(PHONES))
SCORE = slice(POSTERIOR.stop, POSTERIOR.stop + STATE_COUNT)
FEATURE_SIZE = SCORE.stop
LOOK_AHEAD_SAMPLES = spectrum.LEAD + phones.DELTA_SPAN * spectrum.HOP
"""Samples needed after a feature's own 10 ms before it can be told: 605, that is 38 ms."""

_MEL_SIZE = MEL.stop
_ROW = _MEL_SIZE + spectrum.CEPSTRUM_SIZE
_SPAN = phones.DELTA_SPAN
_SLICE = 10 * SAMPLE_RATE
"""Samples heard at once, whatever is pushed: bounds the memory; and of the voice, as much as is worth hearing first."""

# Speech is told from silence, and levels from each other, by log power in nats on the 16-bit scale.
_LEVEL_PRIOR = 17.5
"""Of speech at -22 dB of full scale."""
_PEAK_LEAST = 12.0
_PEAK_RISE = 0.3
"""Of the way that the peak goes up in a frame: a click is not yet a loud voice."""
_PEAK_DECAY, _PEAK_DECAY_IN_SILENCE = 0.002, 0.0001
"""Per frame: a murmur after a shout is soon heard, and minutes of silence do not turn its hiss into speech."""
_GATE = 5.0
"""Under the recent peak, where speech ends."""
_MEL_FLOOR, _BAND_FLOOR = -11.0, -13.0
"""Log power, relative to speech, added to every band: a synthetic voice's silence is then like a quiet room's."""
_HANGOVER = 25
"""Frames after speech that count for the means: the pauses between words do, the silence between turns does not."""
_MEMORY = 1000
_PRIOR_WEIGHT = 30
"""Frames that the running means remember, and that their prior is worth."""
# The priors are rounded averages over espeak-ng and public domain readings (LibriVox), at eight places of the mel axis.
_MEL_PRIOR = np.interp(np.arange(_MEL_SIZE), np.linspace(0, 79, 8), [-8, -5.5, -6, -7, -6, -5.5, -7, -8.5])
_CEPSTRUM_PRIOR = np.array([-32, 8, -5, 13, -11, 0, -6, -6, 3, -3, 5, 0, 0])

_MEL_DEVIATION = 3.0
_SCORE_RANGE = 40.0
"""Nats under the best state of the frame where scores are cut off; typical ones lie 12 +- 6 under it."""


def features(samples: Floats, *, warp: float = 1.0) -> Floats:
    """Hear a whole recording: mono 16 kHz samples (n,) in -1..1 become features (ceil(n / 160), 248).

    Row t stands for the 10 ms from sample 160 t on: mel powers and scores are near zero mean and unit deviation,
    posteriors sum to one. `warp` (0.88 to 1.12) listens as if the formants were lower by that factor (vocal tract
    length perturbation, Jaitly and Hinton 2013), so that training meets other voices than the one recorded.
    ValueError if the samples are not finite or not one channel.
    """
    stream = FeatureStream(samples, warp=warp)
    return np.concatenate([stream.push(samples), stream.flush()])


class FeatureStream:
    """Hears speech as it comes: `push` samples, get the features that are certain; `flush` ends the utterance.

    What it has learned of the voice stays for the next utterance: keep one stream per voice. Some seconds of the
    `voice` to come, where there are any, spare it the uncertainty of the first second. Memory is bounded.
    """

    def __init__(self, voice: Floats | None = None, *, warp: float = 1.0) -> None:
        self._mel_filters = spectrum.mel_filters(warp)
        self._cepstral_filters = spectrum.cepstral_filters(warp)
        self._noise = spectrum.NoiseRemoval()
        self._gate = _SpeechGate()
        self._level = _RunningMean(np.array([_LEVEL_PRIOR]))
        self._mean = _RunningMean(np.concatenate([_MEL_PRIOR, _CEPSTRUM_PRIOR]))
        self._begin()
        if voice is not None:
            self._hear(_checked(voice[:_SLICE]))
            self._begin()

    def _begin(self) -> None:
        self._samples = np.zeros(spectrum.LEAD + 1, np.float32)  # one more: pre-emphasis looks one sample back
        self._received = self._framed = 0
        self._rows = np.zeros((0, _ROW), np.float32)

    def push(self, samples: Floats) -> Floats:
        """Features (t, 248) that the samples so far allow, each once: all but the last LOOK_AHEAD_SAMPLES."""
        samples = _checked(samples)
        self._received += len(samples)
        slices = [samples[start : start + _SLICE] for start in range(0, max(len(samples), 1), _SLICE)]
        return np.concatenate([self._tell(*self._hear(piece)) for piece in slices])

    def flush(self) -> Floats:
        """The remaining features, as if silence followed; the stream is then ready for another utterance."""
        frames = -(-self._received // spectrum.HOP) - self._framed
        needed = (frames - 1) * spectrum.HOP + spectrum.FRAME + 1
        rows, means = self._hear(np.zeros(max(0, needed - len(self._samples)), np.float32))
        told = self._tell(*(np.concatenate([each, each[-1:].repeat(_SPAN, axis=0)]) for each in (rows, means)))
        self._begin()
        return told

    def _hear(self, samples: Floats) -> tuple[Floats, Floats]:
        """Log-mel and cepstra (t, 93) of the frames that `samples` complete, and their running means (t, 93)."""
        self._samples = np.concatenate([self._samples, samples])
        power = spectrum.power_spectra(self._samples)
        self._samples = self._samples[len(power) * spectrum.HOP :]
        self._framed += len(power)
        loudness = np.log(power.mean(axis=1) + 1e-3)
        speech, active = self._gate(loudness)
        level = self._level(loudness[:, None], speech)
        mel = np.log(power @ self._mel_filters * np.exp(-level) + np.exp(_MEL_FLOOR))
        bands = self._noise(power @ self._cepstral_filters)
        cepstra = spectrum.cepstra(np.log(bands * np.exp(-level) + np.exp(_BAND_FLOOR)))
        rows = np.concatenate([mel, cepstra], axis=1)
        return rows.astype(np.float32), self._mean(rows, active).astype(np.float32)

    def _tell(self, rows: Floats, means: Floats) -> Floats:
        """Features of the frames whose neighbours on both sides are now known."""
        before = self._rows if len(self._rows) else rows[:1].repeat(_SPAN, axis=0)
        self._rows = np.concatenate([before, rows])
        ready = max(0, len(self._rows) - 2 * _SPAN)
        if not ready:
            return np.zeros((0, FEATURE_SIZE), np.float32)
        told = _features(self._rows, means[len(means) - ready :])
        self._rows = self._rows[ready:]
        return told


def _features(rows: Floats, means: Floats) -> Floats:
    """Features (t, 248) of rows (t + 6, 93), normalised by means (t, 93)."""
    mel = (rows[_SPAN:-_SPAN, :_MEL_SIZE] - means[:, :_MEL_SIZE]) / np.float32(_MEL_DEVIATION)
    cepstra = phones.with_deltas(rows[:, _MEL_SIZE:])
    cepstra[:, : spectrum.CEPSTRUM_SIZE] -= means[:, _MEL_SIZE:]
    scores = phones.acoustic_model().scores(cepstra)
    posteriors = phones.posteriors(scores)
    scores -= scores.max(axis=1, keepdims=True)
    np.maximum(scores, np.float32(-_SCORE_RANGE), out=scores)
    return np.concatenate([mel, posteriors, scores / np.float32(6) + np.float32(2)], axis=1)


def _checked(samples: Floats) -> Floats:
    """One channel of numbers: a single NaN would stay in the running means for good."""
    samples = np.asarray(samples, np.float32)
    if samples.ndim != 1 or not np.isfinite(samples).all():
        raise ValueError("the samples must be one channel of finite numbers")
    return samples


class _SpeechGate:
    """Tells speech from silence by loudness against the recent peak."""

    def __init__(self) -> None:
        self._peak, self._since = _LEVEL_PRIOR, _HANGOVER + 1

    def __call__(self, loudness: Floats) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Whether each of the next frames (t,) is speech, and whether it is speech or follows it closely."""
        since = np.array([self._frames_since_speech(each) for each in loudness.tolist()], int)
        return since == 0, since <= _HANGOVER

    def _frames_since_speech(self, loudness: float) -> int:
        self._peak += _PEAK_RISE * max(0.0, loudness - self._peak)
        speech = loudness > max(self._peak, _PEAK_LEAST) - _GATE
        self._since = 0 if speech else self._since + 1
        self._peak -= _PEAK_DECAY if self._since <= _HANGOVER else _PEAK_DECAY_IN_SILENCE
        return self._since


class _RunningMean:
    """Mean of the frames that count, forgetting slowly; starts from a prior."""

    def __init__(self, prior: NDArray[np.float64]) -> None:
        self._sums = np.append(prior, 1.0) * _PRIOR_WEIGHT
        self._keep = 1 - 1 / _MEMORY

    def __call__(self, values: NDArray[np.floating], counts: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Mean (t, d) after each of the next frames (t, d), of which only those that count are looked at."""
        counted = np.concatenate([values[counts], np.ones((counts.sum(), 1))], axis=1)
        sums = lfilter([1.0], [1.0, -self._keep], counted, axis=0, zi=self._keep * self._sums[None])[0]
        sums = np.concatenate([self._sums[None], sums])
        self._sums = sums[-1]
        means: NDArray[np.float64] = sums[:, :-1] / sums[:, -1:]
        return means[np.cumsum(counts)]
