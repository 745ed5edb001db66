"""Whether somebody is heard over a reply, and the reply is not: python -m bench.live_echo speech.wav ….

Replies that our own voices speak are played, the microphone hears them in a small room, and recordings are spoken over
them from several moments on, as loud as the reply or more softly. What it hears goes through the echo canceller and
the recogniser's endpointer as in a live talk, and 20 ms of it are never late: the figures do not depend on the machine.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bench.live_client import RATE, TICK
from bench.live_sound import Samples, in_a_room, loudness, spoken
from client.talk.echo import EchoCanceller, Sound
from services.asr.endpointing import Endpointer, SpeechStarted
from services.tts import espeak_ng

REPLY = (
    "You can make an avatar of yourself from a minute of video. Open the page called train, choose a clip in which you "
    "speak to the camera, and wait until it is ready. However, if you wait until Thursday, somebody will look at it "
    "with you, and then we can decide together what is best. Are you sure that you want to keep it?"
)
VOICES, LEVEL = ("gmw/en+f3", "gmw/en+m3"), 3000.0
DELAYS_S, ECHOES_DB, USERS_DB = (0.05, 0.2, 0.35), (None, -25.0, -15.0, -8.0), (0.0, -10.0)
EARLY_S, LATER_S = (0.3, 0.6, 1.0), (1.5, 2.5, 4.5, 8.0)
BEGIN_S, AFTER_S, HISS = 1.0, 3.0, 5.0
REPORT_S, REPORT_LATE_S = 0.25, 0.08


def main() -> None:
    """Print a table: by echo and level of the user, milliseconds until they are heard, and who never is."""
    parser = argparse.ArgumentParser(prog="python -m bench.live_echo", description=__doc__.splitlines()[0])
    parser.add_argument("recordings", nargs="+", type=Path, help="who speaks over the replies")
    recordings: list[Samples] = [spoken(path).astype(np.float64) for path in parser.parse_args().recordings]
    replies = [_reply(voice) for voice in VOICES]
    print("| echo | false pauses | user | in the first second, p50 / p95 ms | later |\n|---|---|---|---|---|")
    for echo_db in ECHOES_DB:
        rooms = [_room(reply, delay, echo_db) for reply in replies for delay in DELAYS_S]
        each = [reply for reply in replies for _ in DELAYS_S]
        false = sum(len(list(_onsets(reply, room))) for reply, room in zip(each, rooms, strict=True))
        for user_db in USERS_DB:
            columns = [_column(replies, echo_db, recordings, user_db, moments) for moments in (EARLY_S, LATER_S)]
            name = "none" if echo_db is None else f"{echo_db:g} dB"
            print(
                f"| {name} | {false} of {len(rooms)} replies | {user_db:g} dB | {columns[0]} | {columns[1]} |",
                flush=True,
            )


def _reply(voice: str) -> Sound:
    samples = espeak_ng.speak(REPLY, voice).samples
    sound = Sound()
    sound.push(espeak_ng.SAMPLE_RATE, (samples * LEVEL / loudness(samples)).astype("<i2").tobytes())
    return sound


def _samples(sound: Sound) -> Samples:
    pieces = [sound.read(at) for at in range(0, sound.length, RATE // 100)]
    return np.concatenate(pieces).astype(np.float64)


def _room(reply: Sound, delay_s: float, echo_db: float | None) -> Samples:
    """What the microphone hears of the reply, and a quiet hiss."""
    played = np.pad(_samples(reply), (int(BEGIN_S * RATE), 0))
    hiss = HISS * np.random.default_rng(0).standard_normal(len(played) + RATE)
    if echo_db is not None:
        echo = in_a_room(played, delay_s, LEVEL * 10 ** (echo_db / 20))
        hiss[: len(echo)] += echo[: len(hiss)]
    return hiss


def _column(
    replies: list[Sound], echo_db: float | None, recordings: list[Samples], user_db: float, moments: tuple[float, ...]
) -> str:
    waits = []
    for reply, moment, recording in itertools.product(replies, moments, recordings):
        heard, at = _room(reply, 0.2, echo_db), int((BEGIN_S + moment) * RATE)
        voice = recording * LEVEL * 10 ** (user_db / 20) / loudness(recording)
        heard[at : at + len(voice)] += voice[: len(heard) - at]
        onsets = _onsets(reply, heard[: at + int(AFTER_S * RATE)])
        waits.append(next((onset - BEGIN_S - moment for onset in onsets if onset > BEGIN_S + moment), np.inf))
    never = int(np.isinf(waits).sum())
    middle, late = 1000 * np.quantile(waits, [0.5, 0.95], method="higher")
    return f"{middle:.0f} / {late:.0f}" + (f", {never} of {len(waits)} not within {AFTER_S:g} s" if never else "")


def _onsets(reply: Sound, microphone: Samples) -> Iterator[float]:
    """Seconds at which it is told that somebody began to speak; the client reports, a little late, what it plays."""
    canceller, endpointer = EchoCanceller(), Endpointer(hangover_ms=400)
    chance, due = np.random.default_rng(1), BEGIN_S
    ticks = microphone.clip(-32768, 32767).astype("<i2")
    for start in range(0, len(ticks) - TICK, TICK):
        now = start / RATE
        if start == int(BEGIN_S * RATE):
            canceller.play(reply)
        if now >= due:
            canceller.played(max(0.0, now - BEGIN_S - chance.uniform(0, REPORT_LATE_S)))
            due += REPORT_S
        events = endpointer.push(canceller.clean(ticks[start : start + TICK].tobytes()))
        if any(isinstance(event, SpeechStarted) for event in events):
            yield now + TICK / RATE


if __name__ == "__main__":
    main()
