"""Somebody else's image, run as a tool: commands in one container of a Docker engine, which may be another machine's.

Files go in and come out through Docker's API, so that nothing of this machine is mounted. The container's own program
is `cat`, which ends when its input does: when this process dies, however that happens, the engine closes the input and
removes the container.
"""

from __future__ import annotations

import contextlib
import io
import tarfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from services.common.errors import ServiceError, Unavailable

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

LABEL = "visavis.engine"
_CONNECT_S = 10  # until the engine answers
_LOOK_S = 0.1  # between looks at a command that runs
_KILLED = 137  # exit status
_MOST_BYTES = 512 * 1024 * 1024  # of one file that comes out


@dataclass(frozen=True)
class Image:
    """What a container is made of.

    Attributes:
        name: of the image, present on the engine's machine.
        setting: the variable that names it, for errors.
        folders: paths on that machine, or names of volumes, each with where the image reads it.
        memory: bytes that it may take; 0 for no limit.
    """

    name: str
    engine: str
    setting: str
    folders: Mapping[str, str] = field(default_factory=dict)
    has_gpu: bool = False
    shared_memory: str = "1g"
    memory: int = 0


class Gone(Exception):
    """The container is no more: somebody closed it, or it died."""


class Box:
    """A running container of an image, in which the image's own program is called again and again.

    Raises:
        Unavailable: no engine can be reached, the image is not there, or cannot be kept running.
    """

    def __init__(self, image: Image) -> None:
        self._image = image
        self._client = _connected(image)
        try:
            self._container, self._program, self._folder = self._made()
        except ServiceError:
            self._client.close()
            raise

    def put(self, files: Mapping[str, bytes]) -> None:
        """Write files, with the folders they are in."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            for folder in sorted({str(PurePosixPath(path).parent) for path in files}):
                entry = tarfile.TarInfo(folder.lstrip("/"))
                entry.type, entry.mode = tarfile.DIRTYPE, 0o777  # whoever the image's program runs as
                archive.addfile(entry)
            for path, data in files.items():
                entry = tarfile.TarInfo(path.lstrip("/"))
                entry.size, entry.mode = len(data), 0o644
                archive.addfile(entry, io.BytesIO(data))
        self._asked(self._container.put_archive, "/", packed.getvalue())

    def run(self, arguments: Sequence[str], stop: threading.Event, seconds: float) -> str:
        """Call the image's program; what it printed, which may be anything: never log it.

        Raises:
            Gone: it was stopped, and the container with it.
            Unavailable: it takes longer than it may, or ran out of memory.
        """
        api = self._client.api
        command = [*self._program, *arguments]
        call = self._asked(api.exec_create, self._container.id, command, workdir=self._folder)["Id"]
        printed: list[bytes] = []
        reader = threading.Thread(target=self._read, args=(call, printed), daemon=True)
        reader.start()
        deadline = time.monotonic() + seconds
        while reader.is_alive():
            reader.join(_LOOK_S)
            if stop.is_set():
                self.close()
                raise Gone
            if time.monotonic() > deadline:
                self.close()
                raise self._failed("took too long for this. Try again with less text.", reason="IMAGE_TIMEOUT")
        status = self._asked(api.exec_inspect, call)["ExitCode"]
        if status == _KILLED:
            raise self._failed("was stopped for want of memory. Give it more.", reason="IMAGE_OUT_OF_MEMORY")
        return b"".join(printed).decode("utf-8", "replace")

    def get(self, path: str) -> bytes | None:
        """A file's bytes; None where there is none."""
        from docker.errors import NotFound

        try:
            stream, about = self._asked(self._container.get_archive, path)
        except NotFound:
            return None
        if about["size"] > _MOST_BYTES:
            return None
        packed = io.BytesIO(b"".join(stream))
        with tarfile.open(fileobj=packed) as archive:
            member = archive.extractfile(archive.getmember(PurePosixPath(path).name))
            return member.read() if member else None

    def forget(self, paths: Sequence[str]) -> None:
        """Delete files."""
        self._asked(self._container.exec_run, ["rm", "-f", *paths])

    def close(self) -> None:
        """End what runs in it, and remove it. Any thread may."""
        from docker.errors import APIError
        from requests.exceptions import RequestException

        with contextlib.suppress(APIError, RequestException):  # it removes itself when its input ends
            self._container.remove(force=True, v=True)
        self._input.close()
        self._client.close()

    def _made(self) -> tuple[Container, list[str], str]:
        from docker.errors import APIError, ImageNotFound
        from docker.types import DeviceRequest

        image = self._image
        gpus = [DeviceRequest(count=-1, capabilities=[["gpu"]])] if image.has_gpu else []
        try:
            config = self._client.images.get(image.name).attrs["Config"]
            container = self._client.containers.create(
                image.name,
                entrypoint=["cat"],
                command=[],
                stdin_open=True,
                auto_remove=True,
                network_mode="none",
                labels={LABEL: image.engine},
                volumes={where: {"bind": path, "mode": "ro"} for where, path in image.folders.items()},
                device_requests=gpus,
                shm_size=image.shared_memory,
                mem_limit=image.memory or None,
                security_opt=["no-new-privileges"],
            )
            self._input = container.attach_socket(params={"stdin": 1, "stream": 1})
            container.start()
        except ImageNotFound as error:
            message = f"The Docker engine has no image '{image.name}'. Load it there, or correct {image.setting}."
            values = {"image": image.name, "setting": image.setting}
            raise Unavailable(message, reason="IMAGE_MISSING", values=values) from error
        except APIError as error:
            raise self._failed(
                "could not be started. The Docker engine's log says why.", reason="IMAGE_CANNOT_START"
            ) from error
        program = [*(config.get("Entrypoint") or []), *(config.get("Cmd") or [])]
        return container, program, config.get("WorkingDir") or "/"

    def _read(self, call: str, printed: list[bytes]) -> None:
        """Until the command ends, or the container is removed under it."""
        from docker.errors import APIError
        from requests.exceptions import RequestException

        try:
            printed.extend(self._client.api.exec_start(call, stream=True))
        except (APIError, RequestException, OSError, ValueError):
            return

    def _asked(self, ask: Any, *arguments: Any, **options: Any) -> Any:
        """An answer of the engine; raises `Gone` where it has no such container any more."""
        from docker.errors import APIError, NotFound
        from requests.exceptions import RequestException

        try:
            return ask(*arguments, **options)
        except NotFound as error:
            if "container" in str(error.explanation).lower():
                raise Gone from error
            raise
        except APIError as error:
            raise Gone from error
        except RequestException as error:
            raise _unreachable(self._image) from error

    def _failed(self, what: str, *, reason: str) -> Unavailable:
        message = f"The image '{self._image.name}' {what}"
        return Unavailable(message, reason=reason, values={"image": self._image.name})


def _connected(image: Image) -> DockerClient:
    import docker
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    try:
        client = docker.from_env(timeout=_CONNECT_S)
        client.ping()
    except (DockerException, RequestException) as error:
        raise _unreachable(image) from error
    client.api.timeout = None  # type: ignore[assignment]  # of requests; a command may be silent for long; `run` knows for how long
    return client


def _unreachable(image: Image) -> Unavailable:
    message = f"'{image.engine}' needs a Docker engine, and none can be reached. Start one, or set DOCKER_HOST."
    return Unavailable(message, reason="DOCKER_UNREACHABLE", values={"engine": image.engine})
