"""The landmark network: where collar, cuffs, waist, hem and legs of a garment alone are."""

from __future__ import annotations

from typing import Final

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn

from reposedm.errors import SettingsError
from reposedm.models.bounds import check_int
from reposedm.models.trunk import MULTIPLE, Trunk, shuffled

CELL: Final = 2
"""Pixels of the picture per cell of the maps."""


class GarmentLandmarks(ModelMixin, ConfigMixin):
    """A picture of a garment on a plain ground to a map per landmark, and whether it has it.

    Args:
        landmarks: of ``reposedm.garments.joints.LANDMARKS``.
        widths: channels at 1/4, 1/8 and 1/16 of the picture.
        blocks: residual blocks at 1/16.

    Raises:
        WeightsError: an argument out of bounds.
    """

    @register_to_config
    def __init__(
        self,
        *,
        landmarks: int = 16,
        widths: tuple[int, int, int] = (32, 56, 64),
        blocks: int = 2,
    ) -> None:
        """Build; arguments above."""
        super().__init__()
        check_int("landmarks", landmarks, 1, 256)
        self.trunk = Trunk(widths, blocks, 0)
        self.maps = shuffled(widths[0], landmarks, 2)
        self.known = nn.Linear(2 * widths[2], landmarks)

    @classmethod
    def tiny(cls) -> GarmentLandmarks:
        """A configuration for tests, under 20,000 parameters."""
        return cls(widths=(8, 8, 16), blocks=1)

    def forward(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        """Look.

        Args:
            picture: (B, 3, H, W) in [-1, 1], sides multiples of 4; 88 x 128 is what it
                is trained at.

        Returns:
            Logits of the landmarks' places, (B, 16, H/2, W/2), a softmax over each map away from
            probabilities; and logits of the garment having them at all, (B, 16).

        Raises:
            SettingsError: a picture of another size.
        """
        if picture.shape[2] % MULTIPLE or picture.shape[3] % MULTIPLE:
            raise SettingsError(
                f"the landmark network takes pictures with sides that are multiples of {MULTIPLE}, "
                f"not {picture.shape[3]} x {picture.shape[2]}"
            )
        features, coarse = self.trunk(picture)
        pooled = torch.cat([coarse.mean((2, 3)), coarse.amax((2, 3))], 1)  # B,2c
        return F.pixel_shuffle(self.maps(features), 2), self.known(pooled)


def places(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Where each map is highest, to a part of a cell: the mean of a softmax round the peak.

    Args:
        maps: logits (B, L, h, w).

    Returns:
        (B, L, 2) x and y in pixels of the picture, centres at +0.5, and (B, L) in [0, 1]: how much
        of the map's probability lies within two cells of the peak.
    """
    batch, count, height, width = maps.shape
    share = maps.float().flatten(2).softmax(2)  # B,L,hw
    peak = share.argmax(2)
    row = torch.arange(height, device=maps.device).repeat_interleave(width)
    column = torch.arange(width, device=maps.device).repeat(height)
    near = (row - (peak // width)[..., None]).abs() <= 2  # B,L,hw
    near &= (column - (peak % width)[..., None]).abs() <= 2
    share = share * near
    mass = share.sum(2)
    x = (share * (column + 0.5)).sum(2) / mass.clamp_min(1e-9)
    y = (share * (row + 0.5)).sum(2) / mass.clamp_min(1e-9)
    return torch.stack([x, y], 2).reshape(batch, count, 2) * CELL, mass
