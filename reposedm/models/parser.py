"""The garment parser: which of twelve things every pixel of a person is.

Small enough for a CPU core: it looks at a person of 128 x 88 pixels, the trunk works at 1/4 of that
and below, and a thin layer on the pixels themselves draws the edges.
"""

from __future__ import annotations

from typing import Final

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn

from reposedm.errors import SettingsError
from reposedm.models.bounds import check_int
from reposedm.models.trunk import MULTIPLE, PATCH, Trunk, shuffled

HEAT_SIGMA: Final = 1.0
"""Of the heat maps, in cells of their own grid."""
HEAT_STRIDE: Final = 4
"""Pixels of the photo per cell of the heat maps."""


class GarmentParser(ModelMixin, ConfigMixin):
    """A photo of a person and the pose's heat maps to logits of classes.

    Args:
        classes: of ``reposedm.garments.labels.CLASSES``.
        heat_channels: joints.
        widths: channels at 1/4, 1/8 and 1/16 of the photo.
        blocks: residual blocks at 1/16.
        edge: channels at the full size, where edges are drawn.

    Raises:
        WeightsError: an argument out of bounds.
    """

    @register_to_config
    def __init__(
        self,
        *,
        classes: int = 12,
        heat_channels: int = 18,
        widths: tuple[int, int, int] = (40, 64, 80),
        blocks: int = 2,
        edge: int = 8,
    ) -> None:
        """Build; arguments above."""
        super().__init__()
        check_int("classes", classes, 2, 256)
        check_int("heat_channels", heat_channels, 1, 64)
        check_int("edge", edge, 4, 128)
        self.trunk = Trunk(widths, blocks, heat_channels)
        self.rough = shuffled(widths[0], classes, PATCH)
        self.photo = nn.Conv2d(3, edge, 3, padding=1)
        self.draw = nn.Conv2d(classes + edge, edge, 3, padding=1)
        self.edges = nn.Conv2d(edge, classes, 1)

    @classmethod
    def tiny(cls) -> GarmentParser:
        """A configuration for tests, under 20,000 parameters."""
        return cls(widths=(8, 8, 16), blocks=1, edge=4)

    def forward(self, photo: Tensor, heat: Tensor) -> Tensor:
        """Parse.

        Args:
            photo: (B, 3, H, W) in [-1, 1], sides multiples of 4; 88 x 128 is what it is
                trained at.
            heat: (B, 18, H/4, W/4) in [0, 1], of the person that is meant; other people count as
                background.

        Returns:
            Logits (B, classes, H, W).

        Raises:
            SettingsError: a photo or heat maps of another size.
        """
        height, width = photo.shape[2:]
        grid = (height // HEAT_STRIDE, width // HEAT_STRIDE)
        if height % MULTIPLE or width % MULTIPLE or tuple(heat.shape[2:]) != grid:
            raise SettingsError(
                f"the parser takes photos with sides that are multiples of {MULTIPLE} and heat "
                f"maps of a quarter, not {width} x {height} and {tuple(heat.shape[2:])[::-1]}"
            )
        features, _ = self.trunk(photo, heat)  # B,c,H/4,W/4
        rough = F.pixel_shuffle(self.rough(features), PATCH)  # B,K,H,W
        both = torch.cat([rough, self.photo(photo)], 1)
        both = both.contiguous(memory_format=torch.channels_last)
        return rough + self.edges(F.silu(self.draw(F.silu(both))))  # B,K,H,W
