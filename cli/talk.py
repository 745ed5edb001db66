"""`visavis talk`: a live talk through the gateway, as the page has it."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import click
from rich.console import Console
from websockets.exceptions import WebSocketException

from cli.chat import lines, only
from cli.engines import engine_option
from cli.generate import PITCH_HELP, RATE_HELP, VOICE_HELP
from cli.local.programs import reachable
from cli.screen import console
from cli.settings import LocalSettings
from cli.videos import next_video
from client.remote.gateway import Gateway
from client.remote.live_socket import LiveSocket, Piece
from client.talk.microphone import RATE
from client.talk.playing import Playing
from client.wire.errors import CallError

PIECE_S = 0.02
REPORT_S = 0.2
"""How often the gateway is told how much of a reply has been played."""
QUIET_S = 3.0
"""After a recording, nothing more is expected when nothing has happened for so long …"""
UNDECIDED_S = 30.0
"""… or for so long, if the last that happened was that the avatar heard somebody."""


@click.command()
@click.option("--gateway", help="Address of the page; that of this machine unless given.")
@click.option("--avatar", default="", help="Whom to talk with; may be left out when there is only one.")
@click.option("--voice", default="", help=VOICE_HELP)
@click.option("--persona", default="", help="Who the avatar is meant to be; see the page of the language service.")
@click.option("--language", default="", help="Language of the talk, e.g. en or zh.")
@engine_option("--asr-engine", "hears you")
@engine_option("--llm-engine", "answers")
@engine_option("--tts-engine", "speaks")
@click.option("--rate", type=float, default=1.0, show_default=True, help=RATE_HELP)
@click.option("--pitch", type=float, default=0.0, show_default=True, help=PITCH_HELP)
@click.option(
    "--audio", type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Send this recording as a microphone would, instead of typing, and leave after the last reply.",
)  # fmt: skip
@click.option(
    "-o", "--output", type=click.Path(file_okay=False, path_type=Path), help="Folder to save each reply's MP4 in."
)
def talk(gateway: str | None, avatar: str, audio: Path | None, output: Path | None, **wanted: Any) -> None:
    """Talk live with an avatar, through the gateway: each reply is shown as it comes, and speech may interrupt it.

    Of a reply that is cut short, the avatar remembers what a player would have played by then.
    Ctrl-C cuts a reply short, Ctrl-D leaves. A gateway that asks for a token gets that of GATEWAY_TOKEN.
    """
    settings, screen = LocalSettings(), console()
    sound = _pcm(audio) if audio else b""
    url = gateway or f"http://{reachable(settings.gateway_host)}:{settings.gateway_port}"
    door = Gateway(url, settings.gateway_token.get_secret_value())
    avatar = avatar or only([one["name"] for one in door.avatars() if not one["error"]])
    chat = door.create_chat(avatar=avatar, pitch_semitones=wanted.pop("pitch"), **wanted)
    try:
        with contextlib.closing(_connect(door, chat)) as socket:
            going = _Talk(socket, screen, output, avatar)
            if audio:
                _send(going, sound)
            else:
                _type(going, screen)
    finally:
        with contextlib.suppress(CallError):  # a gateway that has gone has told so already
            door.delete_chat(chat)


def _connect(door: Gateway, chat: str) -> LiveSocket:
    try:
        return LiveSocket(door.url, chat, token=door.token)
    except (OSError, WebSocketException) as error:
        raise click.ClickException(f"The gateway takes no live connection: {error}") from None


def _pcm(path: Path) -> bytes:
    """A recording in any container as signed 16-bit mono PCM at the microphone's rate."""
    import av  # takes a moment, and only recordings need it

    from basics.media import open_media

    try:
        with open_media(path) as file:
            resampler = av.AudioResampler("s16", "mono", RATE)
            frames = itertools.chain(file.decode(audio=0), [None])
            pieces = [bytes(one.planes[0])[: 2 * one.samples] for frame in frames for one in resampler.resample(frame)]
    except (av.FFmpegError, IndexError):
        raise click.BadParameter("There is no sound in this file.", param_hint="--audio") from None
    return b"".join(pieces)


def _type(going: _Talk, screen: Console) -> None:
    screen.print(f"You are talking with {going.avatar}. Ctrl-D leaves.", style="dim")
    for line in lines(screen):
        going.say(line)
        try:
            going.wait_for_reply()
        except KeyboardInterrupt:
            going.stop()
            going.wait_for_reply()


def _send(going: _Talk, sound: bytes) -> None:
    """Say a recording as fast as it was spoken, and be silent until all has been answered."""
    size = round(PIECE_S * RATE) * 2
    begin = time.monotonic()
    for number in itertools.count():
        time.sleep(max(0.0, begin + number * PIECE_S - time.monotonic()))
        piece = sound[number * size : (number + 1) * size]
        going.hear(piece.ljust(size, b"\0"))
        if not piece and going.is_settled(begin + len(sound) / 2 / RATE):
            break
    if not going.was_asked:
        raise click.ClickException("Nothing could be understood in this recording.")


class _Talk:
    """Shows what comes over a connection, in a thread, and saves each reply's video."""

    def __init__(self, socket: LiveSocket, screen: Console, folder: Path | None, avatar: str) -> None:
        self.avatar = avatar
        self._socket, self._screen, self._folder = socket, screen, folder
        self._changed = threading.Condition()
        self._asked = 0
        self._answered: set[int] = set()
        self._is_undecided = self._is_closed = False
        self._latest = time.monotonic()
        self._reply, self._playing = 0, Playing()  # the latest
        self._fps, self._came_s = 25.0, 0.0
        self._video: IO[bytes] | None = None
        threading.Thread(target=self._follow, daemon=True).start()
        threading.Thread(target=self._report, daemon=True).start()

    @property
    def was_asked(self) -> bool:
        """Whether there was anything to answer."""
        return self._asked > 0

    def say(self, text: str) -> None:
        """Write something."""
        self._asked += 1
        with _hung_up():
            self._socket.say(text)

    def stop(self) -> None:
        """End the reply."""
        with _hung_up():
            self._tell_played()
            self._socket.stop()

    def hear(self, pcm: bytes) -> None:
        """Say something."""
        with _hung_up():
            self._socket.hear(pcm)

    def wait_for_reply(self) -> None:
        """Wait until everything that was asked has been answered."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed or self._is_answered)
        if not self._is_answered:
            raise click.ClickException("The gateway has ended the talk.")

    def is_settled(self, spoken_at: float) -> bool:
        """Whether nothing more is to be expected after speech that ended at a time of `time.monotonic`."""
        quiet_s = UNDECIDED_S if self._is_undecided else QUIET_S
        return self._is_answered and time.monotonic() - max(self._latest, spoken_at) > quiet_s

    @property
    def _is_answered(self) -> bool:
        return len(self._answered) >= self._asked

    def _follow(self) -> None:
        with contextlib.closing(self), contextlib.suppress(WebSocketException):
            for message in self._socket:
                with self._changed:
                    if isinstance(message, Piece):
                        self._piece(message)
                    else:
                        self._happened(message)
                    self._latest = time.monotonic()
                    self._changed.notify_all()

    def _report(self) -> None:
        with contextlib.suppress(WebSocketException):
            while not self._is_closed:
                time.sleep(REPORT_S)
                self._tell_played()

    def _tell_played(self) -> None:
        with self._changed:
            reply, seconds = self._reply, self._playing.seconds
        if reply not in self._answered and seconds:
            self._socket.played(reply, seconds)

    def close(self) -> None:
        """Nothing more comes."""
        with self._changed:
            self._is_closed = True
            self._end_video()
            self._changed.notify_all()

    def _piece(self, piece: Piece) -> None:
        if piece.number == 0:
            self._reply, self._playing, self._came_s = piece.reply, Playing(), 0.0
        else:
            self._came_s = piece.frame_index / self._fps
            self._playing.came(self._came_s)
            self._go_on()
        if not self._folder:
            return
        if piece.number == 0:
            self._end_video()
            self._video = next_video(self._folder, self.avatar).open("wb")
        if self._video:
            self._video.write(piece.data)

    def _go_on(self) -> None:
        if not self._is_undecided:
            self._playing.play()

    def _happened(self, event: dict[str, Any]) -> None:
        match event:
            case {"type": "hearing"}:
                self._is_undecided = True
                self._playing.pause()
            case {"type": "resumed"}:
                self._is_undecided = False
                self._go_on()
            case {"type": "interim", "text": text} if self._screen.is_terminal:
                self._tell(text.ljust(self._screen.width - 1), style="dim", end="\r", no_wrap=True, overflow="ellipsis")
            case {"type": "transcript", "text": text, "end_s": float() | int()}:
                self._is_undecided, self._asked = False, self._asked + 1
                self._tell(f"You said: {text}".ljust(self._screen.width - 1 if self._screen.is_terminal else 0))
            case {"type": "delta", "text": text}:
                self._tell(text, end="")
            case {"type": "media", "fps": fps}:
                self._fps = fps
            case {"type": "apology" | "error", "error": {"message": message}}:
                self._tell(f"\n{message}", style="red")
                self._answer(event if event["type"] == "error" else {})
            case {"type": "interrupted"}:
                self._tell(" …")
                self._answer(event)
            case {"type": "done", "reply": reply, "latency": latency}:
                self._socket.played(reply, self._came_s, is_over=True)  # all of it has been shown
                stages = ", ".join(f"{stage} {seconds:.2f} s" for stage, seconds in latency.items())
                self._tell(f"\n{stages}", style="dim")
                self._answer(event)

    def _answer(self, event: dict[str, Any]) -> None:
        """A reply is over, however it ended."""
        if event.get("reply"):
            self._answered.add(event["reply"])
            self._end_video()

    def _end_video(self) -> None:
        if self._video:
            self._video.close()
            self._tell(f"Saved {self._video.name}", style="dim")
            self._video = None

    def _tell(self, text: str, **how: Any) -> None:
        self._screen.print(text, markup=False, soft_wrap="no_wrap" not in how, **how)


@contextlib.contextmanager
def _hung_up() -> Iterator[None]:
    """Say so when the connection is gone."""
    try:
        yield
    except WebSocketException:
        raise click.ClickException("The gateway has ended the talk.") from None
