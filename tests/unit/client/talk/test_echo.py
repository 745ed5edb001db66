"""The avatar's voice in the microphone: it is not taken for a user's, and a user is heard over it."""

from __future__ import annotations

import numpy as np
import pytest

from client.talk.echo import EchoCanceller, Sound
from client.talk.microphone import RATE
from services.asr.endpointing import Endpointer, SpeechStarted
from services.tts import espeak_ng

REPLY = (
    "You can make your own avatar from a minute of video. Open the page called train, choose a clip in which one "
    "person speaks to the camera, and wait until it is ready. Then choose a voice, and talk to it. It will answer "
    "you with the voice that you gave it, and you can interrupt it whenever you like."
)
OTHER_REPLY = (
    "The quick answer is no. However, if you wait until Thursday, somebody will look at it with you, and then we can "
    "decide together what is best. Are you sure that you want to keep it?"
)
QUESTION = "Wait a moment, please. I would like to ask you something else."
BEGIN_S = 1.0
REPORT_S = 0.25
TICK = RATE // 50
LEVEL = 3000.0
NO_ECHO = -100


def level(sound: np.ndarray) -> float:
    """Of its speech, without the pauses."""
    loudness = np.sqrt((sound[: len(sound) // TICK * TICK].reshape(-1, TICK) ** 2).mean(axis=1))
    return float(np.sqrt((loudness[loudness > 0.05 * loudness.max()] ** 2).mean()))


def spoken(text: str, voice: str) -> Sound:
    """A synthesised voice at unit level, as a reply brings it."""
    samples = espeak_ng.speak(text, voice).samples
    sound = Sound()
    sound.push(espeak_ng.SAMPLE_RATE, (samples * LEVEL / level(samples)).astype("<i2").tobytes())
    return sound


def samples_of(sound: Sound) -> np.ndarray:
    return np.frombuffer(bytes(sound._samples), "<i2").astype(float)


@pytest.fixture(scope="module")
def reply() -> Sound:
    return spoken(REPLY, "gmw/en+f3")


@pytest.fixture(scope="module")
def question() -> np.ndarray:
    found = samples_of(spoken(QUESTION, "gmw/en+m3"))
    return found[np.flatnonzero(np.abs(found) > 0.03 * np.abs(found).max())[0] :]


def heard_of(reply: Sound, delay_s: float, decibels: float) -> np.ndarray:
    """The reply as the microphone hears it in a small room, and a quiet hiss."""
    chance = np.random.default_rng(0)
    decay = np.exp(-6.9 * np.arange(RATE // 4) / (RATE // 4))
    room = np.concatenate([[1.0], 0.3 * chance.standard_normal(len(decay)) * decay])
    echo = np.convolve(samples_of(reply), room)
    echo *= LEVEL * 10 ** (decibels / 20) / level(echo)
    mixed = np.concatenate([np.zeros(int((BEGIN_S + delay_s) * RATE)), echo])
    return mixed + 5 * chance.standard_normal(len(mixed))


def with_speech(microphone: np.ndarray, speech: np.ndarray, at_s: float) -> np.ndarray:
    mixed, at = microphone.copy(), int(at_s * RATE)
    mixed[at : at + len(speech)] += speech[: len(mixed) - at]
    return mixed


def onsets(microphone: np.ndarray, reply: Sound | None) -> list[float]:
    """When speech is heard, if the reply is known and the client tells now and then how much of it has been played."""
    canceller, endpointer, found = EchoCanceller(), Endpointer(hangover_ms=400), []
    chance, due = np.random.default_rng(1), BEGIN_S
    for start in range(0, len(microphone), TICK):
        now = start / RATE
        if reply and start == int(BEGIN_S * RATE):
            canceller.play(reply)
        if reply and now >= due:
            canceller.played(max(0.0, now - BEGIN_S - chance.uniform(0, 0.08)))  # reports are under way for a while
            due += REPORT_S
        clean = canceller.clean(microphone[start : start + TICK].clip(-32768, 32767).astype("<i2").tobytes())
        found += [now + TICK / RATE for event in endpointer.push(clean) if isinstance(event, SpeechStarted)]
    return found


@pytest.mark.parametrize("delay_s", [0.1, 0.2, 0.3])
def test_a_reply_is_not_taken_for_somebody_speaking(reply, delay_s):
    microphone = heard_of(reply, delay_s, -15)
    assert onsets(microphone, None)
    assert onsets(microphone, reply) == []


@pytest.mark.parametrize("delay_s", [0.1, 0.3])
def test_a_loud_reply_is_not_either_once_the_room_is_known(reply, delay_s):
    assert [at for at in onsets(heard_of(reply, delay_s, -6), reply) if at > BEGIN_S + 2] == []


def test_a_client_that_begins_late_or_stands_still_is_not_taken_for_one_with_headphones(reply):
    stands_s, stood_s = 3.0, 1.5
    told, gap = samples_of(reply), np.zeros(int(stood_s * RATE))
    played = Sound()
    played.push(RATE, np.insert(told, int(stands_s * RATE), gap).astype("<i2").tobytes())
    echo = heard_of(played, 0.2, -15)[int(BEGIN_S * RATE) :].astype("<i2")
    canceller, endpointer, found = EchoCanceller(), Endpointer(hangover_ms=400), []
    canceller.play(reply)
    canceller.clean(bytes(2 * 2 * RATE))
    for start in range(0, 8 * RATE, TICK):
        now = start / RATE
        if start % (RATE // 5) == 0 and not stands_s < now < stands_s + stood_s:
            canceller.played(now if now <= stands_s else now - stood_s)
        found += endpointer.push(canceller.clean(echo[start : start + TICK].tobytes()))
    assert not [event for event in found if isinstance(event, SpeechStarted)]


@pytest.mark.parametrize("at_s", [2.0, 4.1, 9.3])
@pytest.mark.parametrize("delay_s", [0.1, 0.3])
def test_somebody_who_speaks_over_it_is_heard_at_once(reply, question, delay_s, at_s):
    first, *_ = onsets(with_speech(heard_of(reply, delay_s, -15), question, at_s), reply)
    assert at_s < first < at_s + 0.4


@pytest.mark.parametrize("at_s", [1.0, 1.5, 4.1])
def test_somebody_with_headphones_is_heard_at_once(reply, question, at_s):
    first, *_ = onsets(with_speech(heard_of(reply, 0.1, NO_ECHO), question, at_s), reply)
    assert at_s < first < at_s + 0.4


@pytest.mark.parametrize("decibels", [NO_ECHO, -25, -15])
@pytest.mark.parametrize("at_s", [4.1, 6.0, 9.3])
def test_somebody_who_speaks_softly_is_heard_over_a_reply_that_has_sounded_for_a_while(reply, question, decibels, at_s):
    softly = question * 10 ** (-8 / 20)
    first, *_ = onsets(with_speech(heard_of(reply, 0.2, decibels), softly, at_s), reply)
    assert at_s < first < at_s + 0.5


@pytest.mark.parametrize("delay_s", [0.1, 0.35])
@pytest.mark.parametrize("decibels", [-8, -15, -30])
def test_another_voice_is_not_taken_for_somebody_either(delay_s, decibels):
    reply = spoken(OTHER_REPLY, "gmw/en+m3")
    assert onsets(heard_of(reply, delay_s, decibels), reply) == []


def test_who_was_heard_once_is_heard_in_full_while_the_reply_is_paused(reply, question):
    canceller, pcm = EchoCanceller(), question[: len(question) // 160 * 160].astype("<i2").tobytes()
    canceller.play(reply)
    canceller.clean(bytes(2 * RATE // 10 * 2))
    canceller.pause()
    canceller.clean(bytes(2 * RATE))  # what was still under way has faded
    canceller.played(0.3)
    assert canceller.clean(pcm) == pcm


def test_a_reply_that_begins_while_somebody_speaks_does_not_silence_them(reply, question):
    canceller, pcm = EchoCanceller(), (question / 8)[: len(question) // 160 * 160].astype("<i2").tobytes()
    canceller.pause()
    canceller.play(reply)
    assert canceller.clean(pcm) == pcm
    canceller.resume()
    canceller.played(0.5)
    assert canceller.clean(pcm) != pcm


def test_nothing_is_changed_while_nothing_is_played(question):
    canceller, pcm = EchoCanceller(), question.astype("<i2").tobytes()
    clean = b"".join(canceller.clean(pcm[at : at + 700]) for at in range(0, len(pcm), 700))
    assert clean == pcm[: len(clean)] and len(pcm) - len(clean) < RATE // 100 * 2


def test_a_client_that_no_longer_tells_what_it_plays_is_heard_as_it_is(reply, question):
    canceller = EchoCanceller()
    canceller.play(reply)
    canceller.clean(bytes(4 * RATE))
    pcm = question[: len(question) // 160 * 160].astype("<i2").tobytes()
    assert canceller.clean(pcm) == pcm


def test_a_sound_keeps_its_length_and_is_silent_beyond_it():
    sound = Sound()
    for _ in range(10):
        sound.push(24_000, (8000 * np.sin(np.arange(2400) / 10)).astype("<i2").tobytes())
    assert len(samples_of(sound)) == pytest.approx(RATE, rel=0.05)
    assert np.abs(sound.read(RATE // 2)).max() > 7000
    assert not sound.read(2 * RATE).any()
