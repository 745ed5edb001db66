"""An avatar on disk: avatars/<name>/ with weights in safetensors, footage as video, and a report card in JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from safetensors.torch import load_file as load_weights
from safetensors.torch import save_file as save_weights

from portrait.detail import Gallery
from portrait.errors import AvatarError
from portrait.geometry import Canon, Floats
from portrait.motion import Motion
from portrait.network import FaceNet
from portrait.shape import Shape
from portrait.still_face import StillFace
from portrait.visemes import Visemes
from portrait.walk import Footage, Walk

FORMAT = 2
CARD, FACE, MOTION, PERSON, TRACK = (
    "avatar.json", "face.safetensors", "motion.safetensors", "person.safetensors", "track.safetensors"
)  # fmt: skip
BASE, IDLE, THUMBNAIL, MOUTHS = "base.mp4", "idle.mp4", "thumbnail.jpg", "mouths.jpg"


@dataclass(frozen=True)
class Avatar:
    """One person, ready to speak. `folder` holds the base footage that the arrays describe."""

    folder: Path
    size: int
    canon: Canon
    shape: Shape
    motion: Motion | Visemes
    """Sound to coefficients: learned from the person, or by the table of many."""
    net: FaceNet | StillFace
    """Shape to picture: learned from the person's recording, or bent from a photo."""
    gallery: Gallery | None
    """The person's own mouths, for fine detail; a photo has none."""
    rest: Floats
    """(12,) coefficients of the closed, resting mouth."""
    matrices: Floats
    """(L, 2, 3) from each base frame into the canonical crop."""
    poses: Floats
    """(L, 57, 2) pose base of each base frame."""
    shown: Floats
    """(L, 12) coefficients of the mouth that each base frame shows."""
    footage: Footage
    """How one base frame may lead to another."""
    overdraw: float
    """How much farther than wanted lips are drawn open: the network closes them by as much."""
    card: dict[str, Any] = field(default_factory=dict)
    """avatar.json: provenance, parameters, metrics, baselines."""

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.name

    @property
    def kind(self) -> str:
        """What it was made from: "video" or "photo"."""
        return "photo" if isinstance(self.net, StillFace) else "video"

    @property
    def metrics(self) -> dict[str, float]:
        """Held-out metrics measured when it was trained."""
        return dict(self.card.get("metrics", {}))

    def walk(self, head_motion: float = 1.0) -> Walk:
        """The endless order in which the base frames play; 0 to 1: how lively, see Walk."""
        return Walk(self.footage, head_motion)

    @classmethod
    def load(cls, folder: Path) -> Avatar:
        """Read an avatar; AvatarError when it is missing, incomplete or of a format this version does not know."""
        try:
            card = json.loads((folder / CARD).read_text(encoding="utf-8"))
            if card.get("format") != FORMAT:
                raise AvatarError(f"{folder.name}: avatar format {card.get('format')} is not {FORMAT}")
            person, track = load_file(folder / PERSON), load_file(folder / TRACK)
            canon, state = _canon(person), _full(load_file(folder / MOTION))
            is_photo = card.get("kind") == "photo"
            return cls(
                folder, int(card["size"]), canon, _shape(person), Visemes(state) if is_photo else Motion(state),
                StillFace.of(load_file(folder / FACE), canon) if is_photo else FaceNet.of(load_weights(folder / FACE)),
                None if is_photo else _gallery(folder, person), person["rest"], track["matrices"], track["poses"],
                track["shown"], Footage.of(track), float(person["overdraw"][0]), card,
            )  # fmt: skip
        except (OSError, KeyError, ValueError, RuntimeError) as error:
            raise AvatarError(f"{folder.name}: not a complete avatar") from error

    def save(self) -> None:
        """Write everything but the videos into `folder`; the card comes last, so that it marks a complete avatar."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if isinstance(self.net, StillFace):
            save_file(_contiguous(self.net.state), self.folder / FACE)
        else:
            weights = {k: v.half() if v.is_floating_point() else v for k, v in self.net.state_dict().items()}
            save_weights({k: v.contiguous().cpu() for k, v in weights.items()}, self.folder / FACE)
        save_file(_contiguous(_halved(self.motion.state)), self.folder / MOTION)
        person = _person(self.canon, self.shape, self.rest) | {"overdraw": np.array([self.overdraw], np.float32)}
        if self.gallery:
            person["mouths"] = self.gallery.mouths
            _save_sheet(self.gallery.sheet(), self.folder / MOUTHS)
        save_file(_contiguous(person), self.folder / PERSON)
        track = {"matrices": self.matrices, "poses": self.poses, "shown": self.shown} | self.footage.arrays
        save_file(_contiguous(track), self.folder / TRACK)
        for file in self.folder.glob("*.safetensors"):
            file.chmod(0o644)  # safetensors writes for the owner only; another service's user renders
        self.write_card()

    def write_card(self) -> None:
        """Write avatar.json atomically."""
        card = {"format": FORMAT, "engine": "portrait", "kind": self.kind, "size": self.size, "fps": 25} | self.card
        part = self.folder / f".{CARD}.part"
        part.write_text(json.dumps(card, indent=2, ensure_ascii=False), encoding="utf-8")
        part.replace(self.folder / CARD)


def _person(canon: Canon, shape: Shape, rest: Floats) -> dict[str, NDArray[Any]]:
    return {
        "template": canon.template, "iod": np.array([canon.iod], np.float32), "mask": canon.mask,
        "mean": shape.mean, "components": shape.components, "deviation": shape.deviation, "rest": rest,
    }  # fmt: skip


def _canon(person: dict[str, NDArray[Any]]) -> Canon:
    return Canon(person["template"], float(person["iod"][0]), int(person["mask"].shape[0]), person["mask"])


def _shape(person: dict[str, NDArray[Any]]) -> Shape:
    return Shape(person["mean"], person["components"], person["deviation"])


def _gallery(folder: Path, person: dict[str, NDArray[Any]]) -> Gallery:
    sheet = cv2.imread(str(folder / MOUTHS), cv2.IMREAD_COLOR)
    if sheet is None:
        raise ValueError(f"{MOUTHS} is missing or damaged")
    return Gallery.of_sheet(np.ascontiguousarray(sheet[..., ::-1]), person["mouths"])


def _save_sheet(sheet: NDArray[np.uint8], path: Path) -> None:
    """JPEG with full colour resolution: a quarter of a lossless picture's size, and as sharp."""
    quality = [cv2.IMWRITE_JPEG_QUALITY, 95]
    quality += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    cv2.imwrite(str(path), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR), quality)


HALVED = ("net", "kernel_axes", "kernel_rows")
"""Arrays of the motion model whose precision half as many bits can carry."""


def _halved(state: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {k: v.astype(np.float16) if k.startswith(HALVED) else v for k, v in state.items()}


def _full(state: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {k: v.astype(np.float32) if v.dtype == np.float16 else v for k, v in state.items()}


def _contiguous(arrays: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {k: np.ascontiguousarray(v) for k, v in arrays.items()}
