"""A face learned from a recording: the image network, the person's own mouths, and how much the network shuts lips."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import cv2
import numpy as np
import torch
from safetensors.torch import load_file, save_file

from portrait.arrays import Arrays, Floats, Frame
from portrait.compute.device import bfloat16_is_quick, channels_last, choose
from portrait.face.dataset import contours, masked
from portrait.face.detail import Detail, Gallery
from portrait.face.jaw import Jaw
from portrait.face.network import FaceNet, fold_batch_norm
from portrait.face.renderer import FACE, Face, Renderer
from portrait.tracking.geometry import Canon, cut_out, paste

MOUTHS = "mouths.jpg"


@dataclass(frozen=True)
class TrainedFace(Face):
    """Mouth shapes to pictures by a network, with the fine detail of real mouths."""

    KIND: ClassVar[str] = "video"
    net: FaceNet
    gallery: Gallery
    """The person's own mouths, for fine detail."""
    overdraw: float = 1.0

    def renderer(self, canon: Canon, device: str = "auto") -> Renderer:
        """The network on a device: "auto", "cpu", "cuda:0"."""
        return _NetRenderer(self, canon, device)

    def save(self, folder: Path) -> Arrays:
        """Write weights, in half precision, and the sheet of mouths."""
        weights = {k: v.half() if v.is_floating_point() else v for k, v in self.net.state_dict().items()}
        save_file({k: v.contiguous().cpu() for k, v in weights.items()}, folder / FACE)
        _save_sheet(self.gallery.sheet(), folder / MOUTHS)
        return {"mouths": self.gallery.mouths}

    @classmethod
    def load(cls, folder: Path, person: Arrays, canon: Canon) -> Self:
        """Read what `save` wrote."""
        gallery = Gallery.of_sheet(_sheet(folder / MOUTHS), person["mouths"])
        return cls(FaceNet.of(load_file(folder / FACE)), gallery, float(person["overdraw"][0]))


def _save_sheet(sheet: Frame, path: Path) -> None:
    """JPEG with full colour resolution: a quarter of a lossless picture's size, and as sharp."""
    quality = [cv2.IMWRITE_JPEG_QUALITY, 95]
    quality += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    _, data = cv2.imencode(path.suffix, cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR), quality)
    path.write_bytes(data.tobytes())  # cv2.imwrite does not say when the disk is full


def _sheet(path: Path) -> Frame:
    sheet = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if sheet is None:
        raise ValueError(f"{path.name} is missing or damaged")
    return np.ascontiguousarray(sheet[..., ::-1])


class _NetRenderer(Renderer):
    """Crop, jaw, contours, network, real detail, blend; these are also the steps that are timed."""

    def __init__(self, face: TrainedFace, canon: Canon, device: str) -> None:
        super().__init__()
        self._canon, self._feather = canon, canon.feather
        self._jaw = Jaw(face.gallery.mouths.mean(axis=0), canon)
        self._detail = Detail(face.gallery, canon)
        self._device = choose(device)
        self._dtype = torch.bfloat16 if bfloat16_is_quick(self._device) else torch.float32
        folded = fold_batch_norm(copy.deepcopy(face.net).eval().float().cpu())
        self._net = channels_last(folded.to(self._device, dtype=self._dtype))

    def render(self, pictures: Sequence[Frame], matrices: Floats, shown: Floats, mouths: Floats) -> list[Frame]:
        with self.timed("raster"):
            crops = [cut_out(p, m, self._canon.side) for p, m in zip(pictures, matrices, strict=True)]
            maps = np.stack([contours(mouth, self._canon) for mouth in mouths])
        with self.timed("jaw"):
            rings = [self._jaw.follow(*each) for each in zip(crops, shown, mouths, strict=True)]
        with self.timed("network"):
            drawn = self._draw(masked(np.stack([ring for ring, _ in rings]), self._canon), maps)
        with self.timed("detail"):
            fine = [self._detail.restore(crop, mouth) for crop, mouth in zip(drawn, mouths, strict=True)]
        with self.timed("blend"):
            rows = zip(pictures, fine, rings, matrices, strict=True)
            return [self._blend(picture, crop, *ring, matrix) for picture, crop, ring, matrix in rows]

    def _blend(self, picture: Frame, made: Frame, ring: Frame, moved: Floats, matrix: Floats) -> Frame:
        """Drawn inside the mask, warped where the jaw moved, and untouched elsewhere."""
        crop = np.asarray(cv2.blendLinear(made, ring, self._feather, 1 - self._feather), np.uint8)
        return paste(picture, crop, np.maximum(np.minimum(2 * self._feather, 1), moved), matrix)

    def _draw(self, holes: Frame, maps: Frame) -> Frame:
        with torch.inference_mode():
            picture = torch.from_numpy(holes).to(self._device).permute(0, 3, 1, 2).to(self._dtype) / 255
            lines = torch.from_numpy(maps).to(self._device).to(self._dtype) / 255
            picture = picture.contiguous(memory_format=torch.channels_last)
            made = self._net(picture, lines.contiguous(memory_format=torch.channels_last))
            pixels = (made.float() * 255).round_().clamp_(0, 255).to(torch.uint8)
            return np.ascontiguousarray(pixels.permute(0, 2, 3, 1).cpu().numpy())
