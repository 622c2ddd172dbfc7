"""The photo encoder: B1's appearance path, and the encoder inside recurrent alignment (Eq. 9)."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn

from reposedm.errors import SettingsError
from reposedm.models.bounds import check_choice, check_int
from reposedm.models.layers import ResidualBlock

Resolution = Literal["full", "half", "latent"]


class PhotoEncoder(ModelMixin, ConfigMixin):
    """A photo, and where its person's joints are, to features at several resolutions.

    Args:
        photo_channels: 3, 4 with an alpha, or the channels of latents.
        heat_channels: heat maps of the person's own pose that join at 1/8; 0: none.
        width: channels at 1/4 of the photo; half as many at 1/2.
        features: D, channels of every level that comes out.
        levels: how many levels come out: 1/8, 1/16, ...
        blocks: residual blocks at 1/8.
        resolution: "full": as the photo is; "half": shrink it first (half of the time);
            "latent": the input already has 1/8 of the photo's size.

    Raises:
        WeightsError: an argument out of bounds.
    """

    @register_to_config
    def __init__(
        self,
        *,
        photo_channels: int = 3,
        heat_channels: int = 18,
        width: int = 64,
        features: int = 128,
        levels: int = 3,
        blocks: int = 2,
        resolution: Resolution = "full",
    ) -> None:
        """Build; arguments above."""
        super().__init__()
        check_int("photo_channels", photo_channels, 1, 128)
        check_int("heat_channels", heat_channels, 0, 133)
        check_int("width", width, 8, 1024, step=8)
        check_int("features", features, 8, 2048, step=8)
        check_int("levels", levels, 1, 5)
        check_int("blocks", blocks, 0, 16)
        check_choice("resolution", resolution, ("full", "half", "latent"))
        self.stem = nn.Sequential(*_stem(photo_channels, width, resolution))
        stem_width = photo_channels if resolution == "latent" else width
        stride = 1 if resolution == "latent" else 2
        self.join = nn.Conv2d(stem_width, features, 3, stride, padding=1)
        self.heat = nn.Conv2d(heat_channels, features, 1) if heat_channels else None
        self.refine = nn.Sequential(*(ResidualBlock(features, features) for _ in range(blocks)))
        self.down = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(features, features, 3, 2, padding=1), ResidualBlock(features, features)
            )
            for _ in range(levels - 1)
        )

    @classmethod
    def paper(cls, **changes: object) -> PhotoEncoder:
        """About 7 M parameters, features of 256 channels: B1's partner of ``UNet.paper``."""
        large: dict[str, object] = {"features": 256, "width": 128}
        return cls(**(large | changes))

    @classmethod
    def tiny(cls, photo_channels: int = 3, heat_channels: int = 18) -> PhotoEncoder:
        """A configuration for tests, under 0.1 M parameters."""
        return cls(
            photo_channels=photo_channels, heat_channels=heat_channels, width=16, features=16,
            blocks=1,
        )  # fmt: skip

    def forward(
        self, photo: Tensor, heat: Tensor | None = None, levels: int | None = None
    ) -> list[Tensor]:
        """Encode.

        Args:
            photo: (B, photo_channels, H, W) in [-1, 1]; latents for resolution "latent".
            heat: (B, heat_channels, h, w), h = H / 8; None exactly if heat_channels is 0.
            levels: how many levels are wanted; None: all.

        Returns:
            [(B, D, h, w), (B, D, h/2, w/2), ...], odd sizes rounded up.

        Raises:
            SettingsError: heat maps missing, superfluous or on another grid.
        """
        if self.config.resolution == "half":
            photo = F.avg_pool2d(photo, 2)
        x = self.join(self.stem(photo))  # B,D,h,w
        if (heat is None) != (self.heat is None):
            raise SettingsError(
                "this encoder " + ("needs" if self.heat else "takes no") + " heat maps"
            )
        if self.heat is not None and heat is not None:
            if heat.shape[2:] != x.shape[2:]:
                got, wanted = tuple(heat.shape[2:]), tuple(x.shape[2:])
                raise SettingsError(f"heat maps must be {wanted} cells for this photo, not {got}")
            x = x + self.heat(heat)  # B,D,h,w
        return self.levels_of(self.refine(x), levels)

    def levels_of(self, features: Tensor, levels: int | None = None) -> list[Tensor]:
        """(B, D, h, w) and what the further levels make of it, [(B, D, h, w), ...]."""
        found = [features]
        for down in self.down[: None if levels is None else levels - 1]:
            found.append(down(found[-1]))  # B,D,h/2,w/2
        return found


def _stem(channels: int, width: int, resolution: Resolution) -> list[nn.Module]:
    """From the photo to 1/4 of its size (of the full photo's size, for a half photo too)."""
    if resolution == "latent":
        return []
    if resolution == "half":
        return [nn.Conv2d(channels, width, 3, 2, padding=1), ResidualBlock(width, width)]
    return [
        nn.Conv2d(channels, width // 2, 3, 2, padding=1),
        ResidualBlock(width // 2, width // 2),
        nn.Conv2d(width // 2, width, 3, 2, padding=1),
        ResidualBlock(width, width),
    ]
