"""What the talking head hears: mel spectrum, phone posteriors and phone-state scores, one hundred times a second.

`features` is `FeatureStream` fed once, so that training and live speech hear the same. Whatever is normalised is so
against running means of the speech heard so far, which start from a prior worth a second of speech; nothing looks
further ahead than `LOOK_AHEAD_SAMPLES`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from portrait import phones, spectrum
from portrait.phones import BILABIALS, PHONES, SILENCE, STATE_COUNT
from portrait.spectrum import SAMPLE_RATE

__all__ = [
    "BILABIALS", "FEATURES_PER_SECOND", "FEATURE_SIZE", "LOOK_AHEAD_SAMPLES", "MEL", "PHONES", "POSTERIOR",
    "SAMPLE_RATE", "SCORE", "SILENCE", "FeatureStream", "features",
]  # fmt: skip

Array = NDArray[np.float32]

FEATURES_PER_SECOND = SAMPLE_RATE // spectrum.HOP
MEL = slice(0, 80)
POSTERIOR = slice(80, 80 + len(PHONES))
SCORE = slice(POSTERIOR.stop, POSTERIOR.stop + STATE_COUNT)
FEATURE_SIZE = SCORE.stop
LOOK_AHEAD_SAMPLES = spectrum.LEAD + phones.DELTA_SPAN * spectrum.HOP
"""Samples needed after a feature's own 10 ms before it can be told: 605, that is 38 ms."""

_SPAN = phones.DELTA_SPAN
_NOISE_FLOOR = -11.0
"""Log power, against the mean of speech, under which nothing is told apart: studio silence sounds like a quiet room."""
_GATE = 5.0
"""Nats of power under the recent peak where speech ends."""
_PEAK_DECAY = 0.002
"""Nats per frame that the recent peak sinks: a whisper after a shout is speech again within seconds."""
_HANGOVER = 25
"""Frames after speech that still count for the means: the pauses between words do, the silence between turns does not."""
_SCORE_RANGE = 40.0
"""Nats under the best state of the frame where scores are cut off."""
_MEMORY = 1000
_PRIOR_WEIGHT = 100
"""Frames of speech that the running means remember, and that their prior is worth."""
_SLICE = 10 * SAMPLE_RATE
_LEVEL_PRIOR = 17.5
_PEAK_LEAST = 12.0
_ROW = 80 + spectrum.CEPSTRUM_SIZE
_MEL_DEVIATION = 3.0
_SCORE_DEVIATION = 10.0
_SCORE_OFFSET = 2.0
_MEL_PRIOR = np.interp(np.arange(80), np.linspace(0, 79, 8), [-8, -5.5, -6, -7, -6, -5.5, -7, -8.5])
_CEPSTRUM_PRIOR = np.array([-32, 8, -5, 13, -11, 0, -6, -6, 3, -3, 5, 0, 0])


def features(samples: Array, *, warp: float = 1.0) -> Array:
    """Hear a whole recording: mono 16 kHz float samples in -1..1 to (ceil(n / 160), 248) features.

    Row t stands for the 10 ms from sample 160 t on. `warp` (0.88 to 1.12) moves the formants as a vocal tract shorter by
    that factor would (vocal tract length perturbation), for training with other voices than the one recorded.
    """
    stream = FeatureStream(warp=warp)
    return np.concatenate([stream.push(samples), stream.flush()])


class FeatureStream:
    """Hears speech as it comes: `push` samples, get the features that are certain; `flush` ends the utterance.

    What it has learned of the voice stays for the next utterance. Memory does not grow with the speech heard.
    """

    def __init__(self, *, warp: float = 1.0) -> None:
        self._mel_filters = spectrum.mel_filters(warp)
        self._cepstral_filters = spectrum.cepstral_filters(warp)
        self._noise = spectrum.NoiseRemoval()
        self._gate = _SpeechGate()
        self._level = _RunningMean(np.array([_LEVEL_PRIOR]))
        self._mean = _RunningMean(np.concatenate([_MEL_PRIOR, _CEPSTRUM_PRIOR]))
        self._begin()

    def _begin(self) -> None:
        self._samples = np.zeros(spectrum.LEAD + 1, np.float32)  # one more: pre-emphasis looks one sample back
        self._received = self._framed = 0
        self._rows = self._means = np.zeros((0, _ROW), np.float32)

    def push(self, samples: Array) -> Array:
        """Features (t, 248) that the samples so far allow, each once: all but the last LOOK_AHEAD_SAMPLES."""
        samples = np.asarray(samples, np.float32)
        self._received += len(samples)
        slices = [samples[start : start + _SLICE] for start in range(0, max(len(samples), 1), _SLICE)]
        return np.concatenate([self._tell(*self._hear(piece)) for piece in slices])

    def flush(self) -> Array:
        """The remaining features, as if silence followed; the stream is then ready for another utterance."""
        frames = -(-self._received // spectrum.HOP) - self._framed
        needed = (frames - 1) * spectrum.HOP + spectrum.FRAME + 1
        rows, means = self._hear(np.zeros(max(0, needed - len(self._samples)), np.float32))
        told = self._tell(*(np.concatenate([each, each[-1:].repeat(_SPAN, axis=0)]) for each in (rows, means)))
        self._begin()
        return told

    def _hear(self, samples: Array) -> tuple[Array, Array]:
        """Log-mel and cepstra (t, 93) of the frames that `samples` complete, and the running means (t, 93) there."""
        self._samples = np.concatenate([self._samples, samples])
        power = spectrum.power_spectra(self._samples)
        self._samples = self._samples[len(power) * spectrum.HOP :]
        self._framed += len(power)
        loudness = np.log(power.mean(axis=1) + 1e-3)
        speech, active = self._gate(loudness)
        level = self._level(loudness[:, None], speech)
        mel = np.log(power @ self._mel_filters * np.exp(-level) + np.exp(_NOISE_FLOOR))
        bands = self._noise(power @ self._cepstral_filters)
        cepstra = spectrum.cepstra(np.log(bands * np.exp(-level) + np.exp(_NOISE_FLOOR - 2)))
        rows = np.concatenate([mel, cepstra], axis=1)
        return rows.astype(np.float32), self._mean(rows, active).astype(np.float32)

    def _tell(self, rows: Array, means: Array) -> Array:
        """Features of the frames whose neighbours on both sides are now known."""
        before = self._rows if len(self._rows) else rows[:1].repeat(_SPAN, axis=0)
        self._rows = np.concatenate([before, rows])
        ready = max(0, len(self._rows) - 2 * _SPAN)
        if not ready:
            return np.zeros((0, FEATURE_SIZE), np.float32)
        told = _features(self._rows, means[len(means) - ready :])
        self._rows = self._rows[ready:]
        return told


def _features(rows: Array, means: Array) -> Array:
    """Features (t, 248) of rows (t + 6, 93), normalised by means (t, 93)."""
    mel = (rows[_SPAN:-_SPAN, :80] - means[:, :80]) / np.float32(_MEL_DEVIATION)
    cepstra = phones.with_deltas(rows[:, 80:])
    cepstra[:, : spectrum.CEPSTRUM_SIZE] -= means[:, 80:]
    scores = phones.acoustic_model().scores(cepstra)
    posteriors = phones.posteriors(scores)
    scores -= scores.max(axis=1, keepdims=True)
    scores = np.maximum(scores, -_SCORE_RANGE) / np.float32(_SCORE_DEVIATION) + np.float32(_SCORE_OFFSET)
    return np.concatenate([mel, posteriors, scores], axis=1)


class _SpeechGate:
    """Tells speech from silence by loudness against the recent peak."""

    def __init__(self) -> None:
        self._peak, self._since = _LEVEL_PRIOR, _HANGOVER + 1

    def __call__(self, loudness: Array) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Whether each of the next frames (t,) is speech, and whether it is speech or follows it closely."""
        time = np.arange(1, len(loudness) + 1)
        peaks = np.maximum.accumulate(np.append(self._peak, loudness + _PEAK_DECAY * time))[1:] - _PEAK_DECAY * time
        speech = loudness > peaks - _GATE
        since = time - np.maximum.accumulate(np.where(speech, time, -self._since))
        if len(time):
            self._peak, self._since = max(peaks[-1], _PEAK_LEAST), min(int(since[-1]), _HANGOVER + 1)
        return speech, since <= _HANGOVER


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
        return (sums[:, :-1] / sums[:, -1:])[np.cumsum(counts)]
