"""An avatar on disk: avatars/<name>/ with weights in safetensors, footage as video, and a report card in JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from portrait.arrays import Arrays, Floats
from portrait.errors import AvatarError
from portrait.face.renderer import Face, contiguous
from portrait.face.still_face import StillFace
from portrait.face.trained_face import TrainedFace
from portrait.footage.walk import Footage, Walk
from portrait.mouth.motion import Motion
from portrait.mouth.shape import Shape
from portrait.mouth.visemes import Visemes
from portrait.tracking.geometry import Canon

FORMAT = 2
CARD, MOTION, PERSON, TRACK = "avatar.json", "motion.safetensors", "person.safetensors", "track.safetensors"
EAR = "ear.safetensors"
BASE, IDLE, THUMBNAIL = "base.mp4", "idle.mp4", "thumbnail.jpg"
KINDS: dict[str, tuple[type[Face], type[Motion] | type[Visemes]]] = {
    TrainedFace.KIND: (TrainedFace, Motion), StillFace.KIND: (StillFace, Visemes)
}  # fmt: skip
"""What draws and what hears, by what an avatar was made from."""
_UNREADABLE = (OSError, LookupError, TypeError, ValueError, RuntimeError, SafetensorError)


@dataclass(frozen=True)
class Ear:
    """A motion model that needs an encoder beside the sound, and which encoder it has learned with."""

    motion: Motion
    encoder: str
    """The fingerprint of its weights."""


@dataclass(frozen=True)
class Avatar:
    """One person, ready to speak. `folder` holds the base footage that the arrays describe."""

    folder: Path
    size: int
    canon: Canon
    shape: Shape
    motion: Motion | Visemes
    """Sound to coefficients: learned from the person, or by the table of many. Needs nothing but the sound."""
    face: Face
    """Shape to picture: learned from the person's recording, or bent from a photo."""
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
    ear: Ear | None = None
    """The same as `motion`, but heard by an encoder too, if the avatar has learned with one."""
    card: dict[str, Any] = field(default_factory=dict)
    """avatar.json: provenance, parameters, metrics, baselines."""

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.name

    @property
    def kind(self) -> str:
        """What it was made from: "video" or "photo"."""
        return self.face.KIND

    @property
    def metrics(self) -> dict[str, float]:
        """Held-out metrics measured when it was trained."""
        return dict(self.card.get("metrics", {}))

    def walk(self, head_motion: float = 1.0) -> Walk:
        """The endless order in which the base frames play; 0 to 1: how lively, see Walk."""
        return Walk(self.footage, head_motion)

    @classmethod
    def load(cls, folder: Path) -> Avatar:
        """Read an avatar.

        Raises:
            AvatarError: it is missing, incomplete, damaged or of a format that this version does not know.
        """
        try:
            card = json.loads((folder / CARD).read_text(encoding="utf-8"))
            if card["format"] == FORMAT:
                return cls._of(folder, card)
        except _UNREADABLE as error:
            raise AvatarError(f"{folder.name}: not a complete avatar") from error
        raise AvatarError(f"{folder.name}: avatar format {card['format']} is not {FORMAT}")

    @classmethod
    def _of(cls, folder: Path, card: dict[str, Any]) -> Avatar:
        face, motion = KINDS[card.get("kind", TrainedFace.KIND)]
        person, track = load_file(folder / PERSON), load_file(folder / TRACK)
        canon = _canon(person)
        return cls(
            folder, int(card["size"]), canon, _shape(person), motion(_full(load_file(folder / MOTION))),
            face.load(folder, person, canon), person["rest"], track["matrices"], track["poses"], track["shown"],
            Footage.of(track), _ear(folder, card), card,
        )  # fmt: skip

    def save(self) -> None:
        """Write everything but the videos into `folder`; the card comes last, so that it marks a complete avatar."""
        self.folder.mkdir(parents=True, exist_ok=True)
        person = _person(self.canon, self.shape, self.rest) | self.face.save(self.folder)
        person["overdraw"] = np.array([self.face.overdraw], np.float32)
        track = {"matrices": self.matrices, "poses": self.poses, "shown": self.shown} | self.footage.arrays
        save_file(contiguous(_halved(self.motion.state)), self.folder / MOTION)
        if self.ear:
            save_file(contiguous(_halved(self.ear.motion.state)), self.folder / EAR)
        save_file(contiguous(person), self.folder / PERSON)
        save_file(contiguous(track), self.folder / TRACK)
        self.write_card()

    def write_card(self) -> None:
        """Write avatar.json atomically."""
        card = {"format": FORMAT, "engine": "portrait", "kind": self.kind, "size": self.size, "fps": 25} | self.card
        if self.ear:
            card["ear"] = self.card.get("ear", {}) | {"encoder": self.ear.encoder}
        part = self.folder / f".{CARD}.part"
        part.write_text(json.dumps(card, indent=2, ensure_ascii=False), encoding="utf-8")
        part.replace(self.folder / CARD)


def _ear(folder: Path, card: dict[str, Any]) -> Ear | None:
    if "ear" not in card:
        return None
    return Ear(Motion(_full(load_file(folder / EAR))), str(card["ear"]["encoder"]))


def _person(canon: Canon, shape: Shape, rest: Floats) -> Arrays:
    return {
        "template": canon.template, "iod": np.array([canon.iod], np.float32), "mask": canon.mask,
        "mean": shape.mean, "components": shape.components, "deviation": shape.deviation, "rest": rest,
    }  # fmt: skip


def _canon(person: Arrays) -> Canon:
    return Canon(person["template"], float(person["iod"][0]), int(person["mask"].shape[0]), person["mask"])


def _shape(person: Arrays) -> Shape:
    return Shape(person["mean"], person["components"], person["deviation"])


HALVED = ("net", "kernel_axes", "kernel_rows", "token_axes")
"""Arrays of the motion model whose precision half as many bits can carry."""


def _halved(state: Arrays) -> Arrays:
    return {k: v.astype(np.float16) if k.startswith(HALVED) else v for k, v in state.items()}


def _full(state: Arrays) -> Arrays:
    return {k: v.astype(np.float32) if v.dtype == np.float16 else v for k, v in state.items()}
