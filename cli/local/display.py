"""What `visavis up` shows: a table that follows the programs, or one line per change where there is no terminal."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.table import Table

from cli.local.supervisor import State, Supervisor, Watched

_STYLES = {
    State.STARTING: "yellow",
    State.LOADING: "yellow",
    State.READY: "green",
    State.PAUSING: "red",
    State.GIVEN_UP: "bold red",
}


class Display:
    """Shows a supervisor's programs while it is open."""

    def __init__(self, console: Console, supervisor: Supervisor) -> None:
        self._console, self._supervisor = console, supervisor
        self._shown: dict[str, State] = {}
        self._began = time.monotonic()
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None

    def __enter__(self) -> Display:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def update(self) -> None:
        """Show how things stand now."""
        if self._live:
            self._live.update(_table(self._supervisor.watched), refresh=True)
            return
        for one in self._supervisor.watched:
            if self._shown.get(one.program.name) is not one.state:
                self._shown[one.program.name] = one.state
                seconds = time.monotonic() - self._began
                self._console.print(f"{seconds:6.1f} s  {one.program.name:<8} {one.state}", highlight=False)


def _table(watched: list[Watched]) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False)
    for column in ("program", "state", "address", "process", ""):
        table.add_column(column)
    for one in watched:
        state = f"[{_STYLES[one.state]}]{one.state}[/]"
        process = str(one.pid or "") if one.program.is_here else "elsewhere"
        table.add_row(one.program.name, state, one.program.address, process, one.note)
    return table
