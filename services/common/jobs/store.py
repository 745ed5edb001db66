"""The durable table of jobs, shared by every replica that reaches the database."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import sqlite3
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sa

from basics.problem import Problem
from services.common.errors import NotFound

logger = logging.getLogger(__name__)


class State(Enum):
    """Where a job stands; `WAITING` is a job whose input has not arrived yet."""

    WAITING = "waiting"
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether nothing will change any more."""
        return self in (State.SUCCEEDED, State.FAILED, State.CANCELLED)


DAY_S = 24 * 3600
BUSY_S = 10  # that SQLite waits for whoever writes
MAX_REQUEST_ID = 64
"""Characters; a UUID has 36."""
MAX_STAGE = 40
OTHERS_AHEAD = 4
"""How often another service that starts may be ahead: once with the table, and with each column that came later."""
Counted = Literal["attempt", "loss", "nothing"]
"""As what the end of an attempt is counted: the job's own fault, none that is known, or nobody's."""


@dataclass(frozen=True)
class Job:
    """One row: a full snapshot. Times are seconds since the epoch, 0 when not yet; people read them, nothing is
    decided by them that a clock which is set could spoil."""

    id: str
    kind: str
    spec: dict[str, Any]  # what to do, as JSON
    state: State = State.QUEUED
    stage: str = ""
    progress: float = 0.0
    eta_s: float | None = None
    details: dict[str, Any] = field(default_factory=dict)  # step, steps, loss, preview
    error: Problem | None = None
    warnings: tuple[Problem, ...] = ()  # it goes on all the same
    result: dict[str, Any] | None = None
    device: str = ""  # asked for while queued, in use while running
    request_id: str | None = None
    cancel_requested: bool = False
    attempt: int = 0
    losses: int = 0  # attempts since it last got further that ended, and nobody knows by whose fault
    runner: str = ""
    heartbeat_at: float = 0.0
    created_at: float = 0.0
    started_at: float = 0.0
    ended_at: float = 0.0

    def can_resume(self, keep_days: float) -> bool:
        """Whether it has failed, and so lately that what it had made by then is still kept."""
        return self.state is State.FAILED and time.time() - self.ended_at < keep_days * DAY_S


_metadata = sa.MetaData()
_jobs = sa.Table(
    "jobs",
    _metadata,
    sa.Column("id", sa.String(80), primary_key=True),
    sa.Column("kind", sa.String(40), nullable=False, index=True),
    sa.Column("spec", sa.JSON, nullable=False),
    sa.Column("state", sa.String(12), nullable=False, index=True),
    sa.Column("stage", sa.String(MAX_STAGE), nullable=False),
    sa.Column("progress", sa.Float, nullable=False),
    sa.Column("eta_s", sa.Float),
    sa.Column("details", sa.JSON, nullable=False),
    sa.Column("error", sa.JSON(none_as_null=True)),
    sa.Column("result", sa.JSON(none_as_null=True)),
    sa.Column("device", sa.String(16), nullable=False),
    sa.Column("request_id", sa.String(80), unique=True),  # the kind, a colon, and MAX_REQUEST_ID at most
    sa.Column("cancel_requested", sa.Boolean, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("runner", sa.String(120), nullable=False),
    sa.Column("heartbeat_at", sa.Float, nullable=False),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("started_at", sa.Float, nullable=False),
    sa.Column("ended_at", sa.Float, nullable=False),
    sa.Column("losses", sa.Integer, nullable=False, server_default="0"),
    sa.Column("warnings", sa.JSON, nullable=False, server_default="[]"),
)


Jobs = list[Job]  # where the method `list` hides the type


class JobStore:
    """Every change is one statement whose WHERE says what must still hold, so replicas cannot run a job twice."""

    def __init__(self, url: str) -> None:
        parsed = sa.make_url(url)
        # Parameters hold names and words of people, which have no place in an error or a log.
        self._engine = sa.create_engine(parsed, pool_pre_ping=True, hide_parameters=True)
        if parsed.get_backend_name() == "sqlite":
            sa.event.listen(self._engine, "connect", _tune_sqlite)
        if parsed.get_backend_name() == "sqlite" and parsed.database not in (None, ":memory:"):
            file = Path(parsed.database)
            file.parent.mkdir(parents=True, exist_ok=True)
            _move_aside_if_damaged(file)
            _follow_file(self._engine, file, self._create_table)
        self._create_table()

    def _create_table(self) -> None:
        for _ in range(OTHERS_AHEAD):
            # Another service made it, or the next column, between the look and the making.
            with contextlib.suppress(sa.exc.OperationalError, sa.exc.ProgrammingError, sa.exc.IntegrityError):
                return self._lay_out()
        return self._lay_out()  # anything else fails again here

    def _lay_out(self) -> None:
        """Make the table, or the columns that a version before had not."""
        _metadata.create_all(self._engine)
        with self._engine.begin() as connection:
            there = {column["name"] for column in sa.inspect(connection).get_columns(_jobs.name)}
            for column in _jobs.columns:
                if column.name not in there:
                    definition = sa.schema.CreateColumn(column).compile(dialect=self._engine.dialect)
                    connection.execute(sa.text(f"ALTER TABLE {_jobs.name} ADD COLUMN {definition}"))

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()

    def create(
        self,
        kind: str,
        spec: dict[str, Any],
        *,
        device: str = "",
        request_id: str = "",
        waiting: bool = False,
        stage: str = "",
        warnings: tuple[Problem, ...] = (),
    ) -> Job:
        """A new job, or the one that the same `request_id` made before."""
        job = Job(
            id=f"{kind}-{uuid.uuid4().hex[:12]}",
            kind=kind,
            spec=spec,
            state=State.WAITING if waiting else State.QUEUED,
            stage=stage,
            device=device,
            warnings=warnings,
            request_id=f"{kind}:{request_id}" if request_id else None,
            created_at=time.time(),
            heartbeat_at=time.time(),
        )
        row = {column.name: getattr(job, column.name) for column in _jobs.columns}
        try:
            with self._engine.begin() as connection:
                connection.execute(_jobs.insert().values(_stored(row)))
        except sa.exc.IntegrityError:
            existing = self._select(_jobs.c.request_id == job.request_id)
            if not existing:
                raise
            return existing[0]
        return job

    def get(self, job_id: str, kind: str = "") -> Job:
        """Raises:
        NotFound: there is no such job, or it is of another kind.
        """
        found = self._select(_jobs.c.id == job_id)
        if not found or (kind and found[0].kind != kind):
            raise no_such_job()
        return found[0]

    def find_request(self, kind: str, request_id: str) -> Job | None:
        """The job that this request made, if it has made one."""
        found = self._select(_jobs.c.request_id == f"{kind}:{request_id}") if request_id else []
        return found[0] if found else None

    def list(self, kinds: tuple[str, ...], limit: int = 100, behind: tuple[float, str] | None = None) -> Jobs:
        """Jobs of some kinds, newest first; only those behind a time of creation and an id (of any kind), if given."""
        place = sa.tuple_(_jobs.c.created_at, _jobs.c.id)
        conditions = [_jobs.c.kind.in_(kinds), *([place < sa.tuple_(*behind)] if behind else [])]
        return self._select(*conditions, order=(_jobs.c.created_at.desc(), _jobs.c.id.desc()), limit=limit)

    def active(self, kind: str) -> Jobs:
        """Jobs of a kind that have not ended, oldest first."""
        open_states = [state.value for state in State if not state.is_final]
        return self._select(_jobs.c.kind == kind, _jobs.c.state.in_(open_states), order=(_jobs.c.created_at.asc(),))

    def failed(self, kind: str) -> Jobs:
        """Jobs of a kind that have failed."""
        return self._select(_jobs.c.kind == kind, _jobs.c.state == State.FAILED.value)

    def queue_index(self, job: Job) -> int:
        """How many jobs of the kind wait before this one."""
        if job.state is not State.QUEUED:
            return 0
        ahead = sa.select(sa.func.count()).where(
            _jobs.c.kind == job.kind, _jobs.c.state == State.QUEUED.value, _jobs.c.created_at < job.created_at
        )
        with self._engine.connect() as connection:
            return connection.execute(ahead).scalar_one()

    def update(
        self,
        job_id: str,
        *,
        only: tuple[State, ...] = (),
        held_by: str = "",
        heard_at: float | None = None,
        **changes: Any,
    ) -> bool:
        """Change a job if it is in one of the states `only`, in the hands of the runner `held_by`, and was last heard
        of at `heard_at`; tells whether."""
        if "stage" in changes:
            changes["stage"] = changes["stage"][:MAX_STAGE]  # engines name their stages as they like
        condition = [_jobs.c.id == job_id]
        if only:
            condition.append(_jobs.c.state.in_([state.value for state in only]))
        if held_by:
            condition.append(_jobs.c.runner == held_by)
        if heard_at is not None:
            condition.append(_jobs.c.heartbeat_at == heard_at)
        with self._engine.begin() as connection:
            return connection.execute(_jobs.update().where(*condition).values(_stored(changes))).rowcount == 1

    def finish(self, job_id: str, state: State, **options: Any) -> bool:
        """End a job under the conditions of `update`, with its changes; tells whether they held."""
        return self.update(job_id, **{"ended_at": time.time(), "eta_s": None, **options, "state": state})

    def claim(self, kind: str, device: str, runner: str, *, only_asked: bool = False) -> Job | None:
        """Take the oldest queued job that asked for this device, or (unless `only_asked`) for any."""
        waiting = self._select(
            _jobs.c.kind == kind,
            _jobs.c.state == State.QUEUED.value,
            _jobs.c.device.in_([device] if only_asked else ["", device]),
            order=(_jobs.c.created_at.asc(),),
            limit=5,
        )
        now = time.time()
        for job in waiting:
            changes: dict[str, Any] = {
                "state": State.RUNNING,
                "device": device,
                "runner": runner,
                "heartbeat_at": now,
                "started_at": job.started_at or now,
                "attempt": job.attempt + 1,
            }
            if self.update(job.id, only=(State.QUEUED,), **changes):
                return self.get(job.id)
        return None

    def requeue(
        self, job: Job, *, held_by: str = "", heard_at: float | None = None, counts_as: Counted = "attempt"
    ) -> bool:
        """Queue a running job again, under the conditions of `update`; it will go on from its checkpoint.

        Args:
            counts_as: what the end of this attempt is to the job.
        """
        changes = {
            "state": State.QUEUED,
            "runner": "",
            "eta_s": None,
            "device": job.spec.get("device", ""),
            "attempt": job.attempt if counts_as == "attempt" else max(0, job.attempt - 1),
            "losses": _jobs.c.losses + int(counts_as == "loss"),
        }
        return self.update(job.id, only=(State.RUNNING,), held_by=held_by, heard_at=heard_at, **changes)

    def resume(self, job: Job) -> bool:
        """Queue a failed job again as if nothing had happened; tells whether it had failed."""
        changes = {
            "state": State.QUEUED,
            "error": None,
            "ended_at": 0.0,
            "attempt": 0,
            "losses": 0,
            "cancel_requested": False,
            "device": job.spec.get("device", ""),
        }
        return self.update(job.id, only=(State.FAILED,), **changes)

    def delete(self, job_id: str) -> bool:
        """Forget a job that has ended; tells whether it did."""
        ended = [state.value for state in State if state.is_final]
        gone = _jobs.delete().where(_jobs.c.id == job_id, _jobs.c.state.in_(ended))
        with self._engine.begin() as connection:
            return connection.execute(gone).rowcount == 1

    def _select(self, *conditions: Any, order: tuple[Any, ...] = (), limit: int | None = None) -> Jobs:
        query = sa.select(_jobs).where(*conditions).order_by(*order).limit(limit)
        with self._engine.connect() as connection:
            rows = connection.execute(query).mappings().all()
        return [_job(row) for row in rows]


def no_such_job() -> NotFound:
    """The error for an id that names no job."""
    return NotFound("There is no such job.", reason="JOB_NOT_FOUND", field="id")


def _stored(values: dict[str, Any]) -> dict[str, Any]:
    """Values of a job as the table holds them."""
    return values | {
        name: to_column(values[name]) for name, to_column in _TO_COLUMN.items() if values.get(name) is not None
    }


_TO_COLUMN: dict[str, Callable[[Any], Any]] = {
    "state": lambda state: state.value,
    "error": asdict,
    "warnings": lambda warnings: [asdict(one) for one in warnings],
}


def _job(row: sa.RowMapping) -> Job:
    return Job(
        **{
            **row,
            "state": State(row["state"]),
            "error": Problem(**row["error"]) if row["error"] else None,
            "warnings": tuple(Problem(**one) for one in row["warnings"]),
        }
    )


def _tune_sqlite(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute(f"PRAGMA busy_timeout={BUSY_S * 1000}")
    cursor.close()


def _move_aside_if_damaged(file: Path) -> bool:
    """Tells whether it did. Services that find the damage at the same time look one after the other."""
    with file.with_name(f"{file.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _is_damaged(file):
            return False
        aside = file.with_name(f"{file.name}.damaged-{time.strftime('%Y%m%d-%H%M%S')}")
        for suffix in ("-wal", "-shm", ""):  # the table last: until then it is found damaged again
            with contextlib.suppress(FileNotFoundError):
                file.with_name(file.name + suffix).replace(aside.with_name(aside.name + suffix))
    logger.error(
        "the job table was damaged and is moved aside; a new one begins, without the jobs so far. Avatars, voices and "
        "videos are where they were. What is left of the table can be read with: sqlite3 FILE .recover",
        extra={"fields": {"file": str(file), "moved_to": str(aside)}},
    )
    return True


def _is_damaged(file: Path) -> bool:
    try:
        with contextlib.closing(sqlite3.connect(file, timeout=BUSY_S)) as connection:
            found: object = connection.execute("PRAGMA quick_check(1)").fetchone()
            return found != ("ok",)
    except sqlite3.DatabaseError as error:
        return _tells_damage(error)


def _tells_damage(error: BaseException) -> bool:
    """Whether this is no table any more. One that is locked, or may not be read, is as good as ever."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _follow_file(engine: sa.Engine, file: Path, create_table: Callable[[], None]) -> None:
    """A table that is found damaged while it is used is moved aside too; who has it open then opens the new one."""

    @sa.event.listens_for(engine, "connect")
    def note(_connection: Any, record: Any) -> None:
        record.info["inode"] = file.stat().st_ino

    @sa.event.listens_for(engine, "checkout")
    def compare(_connection: Any, record: Any, _proxy: Any) -> None:
        if not file.exists() or record.info["inode"] != file.stat().st_ino:
            raise sa.exc.DisconnectionError("the table was replaced")

    @sa.event.listens_for(engine, "handle_error")
    def renew(context: sa.engine.ExceptionContext) -> None:
        if _tells_damage(context.original_exception) and _move_aside_if_damaged(file):
            create_table()
