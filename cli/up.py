"""`visavis up`: everything on this machine, until Ctrl-C."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import click
from rich.console import Console

from basics import private
from cli.local import ports
from cli.local.display import Display
from cli.local.programs import Program, programs, reachable
from cli.local.supervisor import State, Supervisor
from cli.offer import ASK, NONE, offer
from cli.screen import REFUSED, console
from cli.settings import LocalSettings
from client.wire.settings import ClientSettings
from models.folder import ModelFolder

STEP_S = 0.2
AGAIN_S = 1.0  # signals closer than this are one: `make` and `timeout` send theirs to us as well as to our group


@click.command()
@click.option(
    "--port", type=click.IntRange(1, 65535), help="Port of the page; 5001 unless GATEWAY_PORT says otherwise."
)
@click.option(
    "--data", type=click.Path(file_okay=False, path_type=Path), default=Path("data"), show_default=True,
    help="Folder for avatars, voices, jobs and logs.",
)  # fmt: skip
@click.option(
    "--models", default=NONE, show_default=True, metavar="CHOICE",
    help="Models to get first: none, all, names with commas between, or `ask` for the recommended ones.",
)  # fmt: skip
@click.option("--no-gateway", is_flag=True, help="Only the five services, no page.")
def up(port: int | None, data: Path, models: str, no_gateway: bool) -> None:
    """Start the five services and the page on this machine; Ctrl-C stops them.

    Each service reads its own settings from the environment (ASR_ENGINE, LLM_ENGINE, …) and is started where
    VISAVIS_ASR_ADDRESS and its sisters say; one whose address is another machine's is used there, not started here.
    """
    local, screen = LocalSettings(), console()
    data = data.resolve()
    wanted = programs(local, ClientSettings(), data, port=port, with_gateway=not no_gateway)
    _refuse_taken_ports(wanted)
    private.from_now_on()
    private.make_folder(data)
    offer(models or ASK, ModelFolder(Path(local.places(data)["VISAVIS_MODELS_FOLDER"])), screen)
    supervisor = Supervisor(
        wanted,
        data / "logs",
        local.log_bytes,
        lambda told: screen.print(told, style="red", markup=False, soft_wrap=True),
    )
    if not _run(supervisor, screen, data):
        raise click.exceptions.Exit(1)


def _refuse_taken_ports(wanted: list[Program]) -> None:
    if complaints := ports.complaints(wanted):
        if all(ports.OURS in complaint for complaint in complaints):
            click.echo("Visavis seems to be running here already.", err=True)
        for complaint in complaints:
            click.echo(complaint, err=True)
        raise click.exceptions.Exit(REFUSED)


def _run(supervisor: Supervisor, screen: Console, data: Path) -> bool:
    """Whether everything came up and was stopped because someone asked for it."""
    began = time.monotonic()
    told = False
    with _stop_signals() as stops:
        try:
            with Display(screen, supervisor) as display:
                while not stops and not _is_hopeless(supervisor):
                    supervisor.step()
                    display.update()
                    if supervisor.is_settled and not told:
                        told = True
                        _welcome(supervisor, screen, data, time.monotonic() - began)
                    time.sleep(STEP_S)
        finally:
            _stop(supervisor, screen)
    return not _is_hopeless(supervisor)


def _stop(supervisor: Supervisor, screen: Console) -> None:
    screen.print("Stopping; running calls get up to 20 s to finish. Ctrl-C again stops at once.")
    try:
        supervisor.stop()
    except KeyboardInterrupt:
        supervisor.kill()


def _is_hopeless(supervisor: Supervisor) -> bool:
    """Nothing is left to wait for: the page, or every service, has been given up."""
    services = [one for one in supervisor.watched if one.program.name != "gateway"]
    page = [one for one in supervisor.watched if one.program.name == "gateway"]
    return any(one.state is State.GIVEN_UP for one in page) or all(one.state is State.GIVEN_UP for one in services)


def _welcome(supervisor: Supervisor, screen: Console, data: Path, seconds: float) -> None:
    lame = [one.program.name for one in supervisor.watched if one.state is State.GIVEN_UP]
    without = f" without {', '.join(lame)}" if lame else ""
    pages = [one.program for one in supervisor.watched if one.program.name == "gateway"]
    where = f": http://{reachable(pages[0].host)}:{pages[0].port}" if pages else ""
    screen.print(f"Visavis is up after {seconds:.0f} s{without}{where}", style="bold", soft_wrap=True)
    screen.print(f"Data and logs are in {data}. Ctrl-C stops everything.", soft_wrap=True)


@contextlib.contextmanager
def _stop_signals() -> Iterator[list[float]]:
    """A list that fills when we are asked to stop; asking again later raises KeyboardInterrupt."""
    asked: list[float] = []

    def note(_number: int, _frame: object) -> None:
        asked.append(time.monotonic())
        if asked[-1] - asked[0] > AGAIN_S:
            raise KeyboardInterrupt

    names = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {name: signal.signal(name, note) for name in names}
    try:
        yield asked
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)
