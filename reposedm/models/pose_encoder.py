"""The target pose as the U-Net's second input, beside the noisy latent."""

from __future__ import annotations

from typing import Literal

from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn

from reposedm.errors import WeightsError
from reposedm.models.bounds import check_choice, check_int
from reposedm.models.layers import ResidualBlock


class PoseEncoder(ModelMixin, ConfigMixin):
    """A pose on the feature grid to a pose latent.

    Args:
        pose_representation: "heat_maps": a small conv net on one heat map a joint;
            "map_latent" (the paper): the autoencoder's latent of the drawn map. It goes through a
            1x1 convolution that starts as the identity, which the U-Net's first layer could do too.
        in_channels: joints, or channels of the autoencoder's latent.
        channels: of the pose latent; equal to in_channels for "map_latent".
        width: channels inside the conv net.
        blocks: residual blocks of the conv net.

    Raises:
        WeightsError: an argument out of bounds.
    """

    @register_to_config
    def __init__(
        self,
        pose_representation: Literal["heat_maps", "map_latent"] = "heat_maps",
        in_channels: int = 18,
        channels: int = 16,
        width: int = 64,
        blocks: int = 2,
    ) -> None:
        """Build; arguments above."""
        super().__init__()
        check_choice("pose_representation", pose_representation, ("heat_maps", "map_latent"))
        check_int("in_channels", in_channels, 1, 256)
        check_int("channels", channels, 1, 2048)
        check_int("width", width, 8, 2048, step=8)
        check_int("blocks", blocks, 0, 16)
        if pose_representation == "map_latent":
            if channels != in_channels:
                raise WeightsError(
                    f"a map's latent keeps its {in_channels} channels: not {channels}"
                )
            layer = nn.Conv2d(in_channels, channels, 1)
            nn.init.dirac_(layer.weight)
            nn.init.zeros_(layer.bias)
            self.net = nn.Sequential(layer)
        else:
            self.net = nn.Sequential(
                nn.Conv2d(in_channels, width, 3, padding=1),
                *(ResidualBlock(width, width) for _ in range(blocks)),
                nn.SiLU(),
                nn.Conv2d(width, channels, 3, padding=1),
            )

    @classmethod
    def tiny(cls, channels: int = 4) -> PoseEncoder:
        """A configuration on heat maps for tests, under 0.02 M parameters."""
        return cls(channels=channels, width=16, blocks=1)

    def forward(self, pose: Tensor) -> Tensor:
        """(B, in_channels, h, w) -> (B, channels, h, w)."""
        return self.net(pose)
