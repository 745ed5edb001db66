"""A PostgreSQL server of one's own, for the time of the tests: a private cluster that listens on a Unix socket only."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg

SETTINGS = ("listen_addresses=", "fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=60")


def find_programs() -> Path | None:
    """The folder of initdb and pg_ctl; Debian keeps them out of PATH."""
    on_path = shutil.which("initdb")
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    candidates = [Path(on_path).resolve().parent] if on_path else folders[::-1]
    return next((folder for folder in candidates if (folder / "pg_ctl").exists()), None)


class Cluster:
    """A running server."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def new_database(self) -> str:
        """Make an empty database; its SQLAlchemy URL."""
        name = f"jobs_{uuid.uuid4().hex}"
        with psycopg.connect(host=str(self._folder), user="tester", dbname="postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return f"postgresql+psycopg://tester@/{name}?host={self._folder}"


@contextlib.contextmanager
def running_cluster(programs: Path) -> Iterator[Cluster]:
    """Start a server; it is gone afterwards. It refuses to run as root, who runs it as another user."""
    with tempfile.TemporaryDirectory(prefix="visavis-postgres-") as name:
        folder = Path(name)
        user = _user() if os.geteuid() == 0 else None
        if user:
            shutil.chown(folder, user)

        def run(program: str, *arguments: str) -> None:
            command = [str(programs / program), "-D", str(folder / "data"), *arguments]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, user=user, cwd=folder)

        run("initdb", "-U", "tester", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")
        options = " ".join(f"-c {setting}" for setting in (*SETTINGS, f"unix_socket_directories={folder}"))
        run("pg_ctl", "start", "-w", "-t", "300", "-l", str(folder / "log"), "-o", options)
        try:
            yield Cluster(folder)
        finally:
            run("pg_ctl", "stop", "-w", "-m", "immediate")


def _user() -> str:
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"
