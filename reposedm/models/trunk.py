"""The small U-Net trunk of the garment networks: a photo to features at a quarter of its size."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reposedm.models.bounds import check_int, check_ints
from reposedm.models.layers import ResidualBlock

PATCH = 4
"""Pixels of the photo per feature cell, along each side."""
MULTIPLE = 4
"""Sides of a photo must be multiples of this."""


def shuffled(width: int, channels: int, factor: int) -> nn.Conv2d:
    """A 1 x 1 convolution before a pixel shuffle by ``factor`` to ``channels``.

    At the start all pixels of a cell have the same weights: else cells show as a pattern for long.
    """
    layer = nn.Conv2d(width, channels * factor * factor, 1)
    with torch.no_grad():
        for values in (layer.weight, layer.bias):
            if values is not None:
                values.copy_(values[:: factor * factor].repeat_interleave(factor * factor, 0))
    return layer


class Trunk(nn.Module):
    """A photo, and where joints are if that is known, to features at 1/4.

    All work is at 1/4 to 1/16, where a convolution of a CPU is cheap; pixels inside a cell of 1/4
    are channels. The mean over the whole grid is added at 1/16: what light, what person.

    Args:
        widths: channels at 1/4, 1/8 and 1/16.
        blocks: residual blocks at 1/16.
        heat_channels: maps that join at 1/4; 0: none.

    Raises:
        WeightsError: an argument out of bounds.
    """

    def __init__(self, widths: Sequence[int], blocks: int, heat_channels: int) -> None:
        """Build; arguments above."""
        super().__init__()
        fine, middle, coarse = check_ints("widths", widths, 3, 8, 512)
        check_int("blocks", blocks, 1, 8)
        check_int("heat_channels", heat_channels, 0, 64)
        self.stem = nn.Conv2d(3 * PATCH * PATCH, fine, 3, padding=1)
        self.heat = nn.Conv2d(heat_channels, fine, 3, padding=1) if heat_channels else None
        self.fine = ResidualBlock(fine, fine)
        self.to_middle = nn.Conv2d(fine, middle, 3, 2, padding=1)
        self.middle = ResidualBlock(middle, middle)
        self.to_coarse = nn.Conv2d(middle, coarse, 3, 2, padding=1)
        self.coarse = nn.Sequential(*(ResidualBlock(coarse, coarse) for _ in range(blocks)))
        self.context = nn.Linear(coarse, coarse)
        self.up_middle = nn.Conv2d(coarse + middle, middle, 1)
        self.down_middle = ResidualBlock(middle, middle)
        self.up_fine = nn.Conv2d(middle + fine, fine, 1)
        self.down_fine = ResidualBlock(fine, fine)

    def forward(self, photo: Tensor, heat: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Look.

        Args:
            photo: (B, 3, H, W) in [-1, 1], sides multiples of 4.
            heat: (B, heat_channels, H/4, W/4).

        Returns:
            Features at 1/4, (B, fine, H/4, W/4), and the coarsest, (B, coarse, H/16, W/16), odd
            sizes rounded up.
        """
        cells = F.pixel_unshuffle(photo, PATCH)  # B,48,H/4,W/4
        x = self.stem(cells.contiguous(memory_format=torch.channels_last))
        if self.heat is not None and heat is not None:
            x = x + self.heat(heat)
        fine = self.fine(x)
        x = self.to_middle(fine)  # B,c,H/8,W/8
        middle = self.middle(x)
        x = self.to_coarse(middle)  # B,c,H/16,W/16
        x = x + self.context(x.mean((2, 3)))[:, :, None, None]
        coarse = self.coarse(x)
        x = F.interpolate(coarse, middle.shape[2:], mode="nearest")
        x = self.down_middle(self.up_middle(torch.cat([x, middle], 1)))  # B,c,H/8,W/8
        x = F.interpolate(x, fine.shape[2:], mode="nearest")
        x = self.down_fine(self.up_fine(torch.cat([x, fine], 1)))  # B,c,H/4,W/4
        return x, coarse
