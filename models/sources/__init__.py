"""Where models come from. A source brings what it can into a `Staging`, whose sums decide what is taken.

`web` downloads files, `packages` asks pip for wheels, `unpacking` takes files out of folders and archives.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from models import catalogue
from models.folder import Staging
from models.progress import Meter
from models.settings import ModelSettings
from models.sources import packages, unpacking, web
from models.threads import in_thread


async def fetch(source: catalogue.Source, staging: Staging, settings: ModelSettings, meter: Meter) -> None:
    """Bring the missing files of a model from one source, as far as it has them.

    Raises:
        SourceFailed: it did not help, and why.
        BadArchive: what came from it cannot be used.
    """
    told = name_of(source, settings)
    match source:
        case catalogue.Local():
            await in_thread(unpacking.take, staging, source, [source.path])
        case catalogue.Packages():
            await packages.fetch(source, staging, meter, told)
        case catalogue.WebArchive():
            await web.fetch_archive(source, staging, settings, meter, told)
        case _:
            await web.fetch_files(source, web.base_of(source, settings), staging, settings, meter, told)


def name_of(source: catalogue.Source, settings: ModelSettings) -> str:
    """A source in words, e.g. "huggingface.co/Systran/faster-whisper-base"."""
    match source:
        case catalogue.Local():
            return source.path.name
        case catalogue.Packages():
            return "the Python package index"
        case catalogue.WebArchive() | catalogue.Web():
            return _without_scheme(source.url)
        case catalogue.HuggingFace():
            return f"{_without_scheme(settings.huggingface_url)}/{source.repository}"
        case catalogue.ModelScope():
            return f"{_without_scheme(settings.modelscope_url)}/{source.repository}"


def _without_scheme(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.hostname}{f':{parts.port}' if parts.port else ''}{parts.path}".rstrip("/")
