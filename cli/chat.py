"""`visavis chat`: talk with an avatar from the terminal."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import click
from rich.console import Console

from cli.engines import engine_option
from cli.generate import HEAD_HELP, MOUTH_HELP, PITCH_HELP, RATE_HELP, VOICE_HELP
from cli.screen import connect, console, explain
from cli.videos import next_video
from client import library
from client.talk import cast
from client.talk.conversation import Apology, Conversation, Delta, Done, Event, Media, MediaType
from client.wire.errors import CallError

_MARKS = {
    "llm_first_token": "first word",
    "first_sentence": "first sentence",
    "tts_first_audio": "first sound",
    "render_first_fragment": "first picture",
    "done": "all sent",
}


@click.command()
@click.option("--avatar", default="", help="Whom to talk with; may be left out when there is only one.")
@click.option("--voice", default="", help=VOICE_HELP)
@click.option("--persona", default="", help="Who the avatar is meant to be; see the page of the language service.")
@click.option("--language", default="", help="Language of the talk, e.g. en or zh.")
@engine_option("--asr-engine", "hears you")
@engine_option("--llm-engine", "answers")
@engine_option("--tts-engine", "speaks")
@click.option("--rate", type=float, default=1.0, show_default=True, help=RATE_HELP)
@click.option("--pitch", type=float, default=0.0, show_default=True, help=PITCH_HELP)
@click.option("--mouth-amplitude", type=float, default=1.0, show_default=True, help=MOUTH_HELP)
@click.option("--head-motion", type=float, default=1.0, show_default=True, help=HEAD_HELP)
@click.option(
    "--audio", type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Say this recording instead of typing, and leave after the reply.",
)  # fmt: skip
@click.option(
    "-o", "--output", type=click.Path(file_okay=False, path_type=Path), help="Folder to save each reply's MP4 in."
)
def chat(audio: Path | None, output: Path | None, pitch: float, **wanted: Any) -> None:
    """Talk with an avatar: type a line, read and save its reply. Ctrl-C cuts a reply short, Ctrl-D leaves."""
    services, screen = connect(), console()
    wanted["avatar"] = wanted["avatar"] or only([one.name for one in library.avatars(services) if not one.error])
    chosen = cast.known(services, cast.chosen_of({name: wanted.pop(name) for name in cast.NAMES}))
    conversation = Conversation(services, **chosen, pitch_semitones=pitch, **wanted)
    shown = _Replies(screen, output)
    if audio:
        with audio.open("rb") as file:
            heard = conversation.listen(file)
        screen.print(f"You said: {heard}", markup=False, soft_wrap=True)
        shown.show(conversation, heard)
        return
    screen.print(f"You are talking with {conversation.avatar}. Ctrl-D leaves.", style="dim")
    for line in lines(screen):
        try:
            shown.show(conversation, line)
        except CallError as error:
            screen.print(explain(error.message, error.field), style="red", markup=False)


def only(found: list[str]) -> str:
    """The avatar's name, if there is only one."""
    if not found:
        raise click.ClickException("There is no avatar yet. Train one: visavis train VIDEO --name … --consent-by …")
    if len(found) > 1:
        raise click.UsageError(f"Choose one with --avatar: {', '.join(found)}")
    return found[0]


def lines(screen: Console) -> Iterator[str]:
    """What the user types, until there is no more."""
    while True:
        try:
            line = input("you> " if screen.is_terminal else "").strip()
        except (EOFError, KeyboardInterrupt):
            screen.print()
            return
        if line:
            yield line


@dataclass
class _Replies:
    """Shows replies as they come, and saves their videos."""

    screen: Console
    folder: Path | None

    def show(self, conversation: Conversation, text: str) -> None:
        """One turn. Ctrl-C ends the reply; what was said by then stays in the avatar's memory."""
        with contextlib.ExitStack() as stack:
            video = self._video(stack, conversation.avatar)
            events = stack.enter_context(contextlib.closing(conversation.reply(text)))
            try:
                for event in events:
                    self._take(event, video)
            except KeyboardInterrupt:
                self.screen.print(" …")
        if video:
            self.screen.print(f"Saved {video.name}", style="dim", soft_wrap=True)

    def _video(self, stack: contextlib.ExitStack, avatar: str) -> IO[bytes] | None:
        if not self.folder:
            return None
        return stack.enter_context(next_video(self.folder, avatar).open("wb"))

    def _take(self, event: Event, video: IO[bytes] | None) -> None:
        if isinstance(event, Delta):
            self.screen.print(event.text, end="", markup=False, soft_wrap=True)
        elif isinstance(event, Apology):
            self.screen.print(f"\n{event.error.message}", style="red", markup=False)
        elif isinstance(event, MediaType) and video:
            video.write(event.init_segment)
        elif isinstance(event, Media) and video:
            video.write(event.data)
        elif isinstance(event, Done):
            marks = (
                f"{label} {event.timeline[mark]:.2f} s" for mark, label in _MARKS.items() if mark in event.timeline
            )
            self.screen.print(f"\n{', '.join(marks)}", style="dim", soft_wrap=True)
