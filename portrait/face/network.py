"""The image network: a masked lower face and drawn contours in, the finished lower face out."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WIDTHS = (32, 64, 128, 192)
CONTOURS = 3
INPUTS = 3 * 4 + 2 + CONTOURS


def _convs(inputs: int, outputs: int) -> nn.Sequential:
    def conv(width: int) -> list[nn.Module]:
        return [nn.Conv2d(width, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]

    return nn.Sequential(*conv(inputs), *conv(outputs))


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.body(x))


def widths(factor: float) -> tuple[int, int, int, int]:
    """Channels of the four levels, the usual ones times `factor`, in steps of eight that processors like."""
    a, b, c, d = (max(8, 8 * round(width * factor / 8)) for width in WIDTHS)
    return a, b, c, d


class FaceNet(nn.Module):
    """U-Net between space-to-depth and pixel-shuffle, so that its body runs at half the crop's resolution."""

    def __init__(self, widths: tuple[int, int, int, int] = WIDTHS) -> None:
        super().__init__()
        a, b, c, d = widths
        self.down1, self.down2, self.down3 = _convs(INPUTS, a), _convs(a, b), _convs(b, c)
        self.bottom = nn.Sequential(_convs(c, d), _Residual(d), _Residual(d))
        self.up3, self.up2, self.up1 = _convs(d + c, c), _convs(c + b, b), _convs(b + a, a)
        self.out = nn.Conv2d(a, 12, 3, padding=1)

    @classmethod
    def of(cls, weights: dict[str, Tensor]) -> FaceNet:
        """The network that these weights belong to, in eval mode; its widths are read off them."""
        a, b, c, d = (len(weights[f"{level}.0.weight"]) for level in ("down1", "down2", "down3", "bottom.0"))
        net = cls((a, b, c, d))
        net.load_state_dict({name: value.float() for name, value in weights.items()})
        return net.eval()

    def forward(self, masked: Tensor, contours: Tensor) -> Tensor:
        """Masked crops (B, 3, S, S) and contours (B, 3, S/2, S/2), both in [0, 1], to crops (B, 3, S, S)."""
        x = F.pixel_unshuffle(masked, 2)
        x = torch.cat([x, _coordinates(x), contours], dim=1)
        one = self.down1(x)
        two = self.down2(F.max_pool2d(one, 2))
        three = self.down3(F.max_pool2d(two, 2))
        four = self.bottom(F.max_pool2d(three, 2))
        three = self.up3(torch.cat([_double(four), three], dim=1))
        two = self.up2(torch.cat([_double(three), two], dim=1))
        one = self.up1(torch.cat([_double(two), one], dim=1))
        return F.pixel_shuffle(self.out(one), 2) + 0.5


def _double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


def _coordinates(x: Tensor) -> Tensor:
    rows = torch.linspace(-1, 1, x.shape[2], device=x.device, dtype=x.dtype)
    columns = torch.linspace(-1, 1, x.shape[3], device=x.device, dtype=x.dtype)
    grid = torch.stack(torch.meshgrid(rows, columns, indexing="ij"))
    return grid.expand(x.shape[0], -1, -1, -1)


def fold_batch_norm(net: nn.Module) -> nn.Module:
    """Merge every BatchNorm into the convolution before it, in place; the network must be in eval mode."""
    for module in net.modules():
        if not isinstance(module, nn.Sequential):
            continue
        for index in range(len(module) - 1):
            conv, norm = module[index], module[index + 1]
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                module[index] = nn.utils.fusion.fuse_conv_bn_eval(conv.eval(), norm.eval())
                module[index + 1] = nn.Identity()
    return net
