"""The latent autoencoder: a picture at 1/8 of its size, 16 channels, deviation 1.

    encode(x) = P (x - m) + E(x)        P: principal components of 8x8 patches, m: mean colour
    decode(z) = P^T z + m + D(z)        E, D: convolutions that start at zero

The linear half is fitted to data in closed form (``set_principal_components``) and reconstructs a
photograph well before the first step of training, which is left with what a linear map cannot do:
edges, texture and the seams between patches. (Residual shortcuts by space-to-channel: Chen et al.,
DC-AE, 2024, who do not fit them.)
"""

from __future__ import annotations

from typing import Literal

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn

from reposedm.errors import ImageError, WeightsError
from reposedm.models.bounds import check_int
from reposedm.models.layers import zero

FACTOR = 8
"""How much smaller a latent is than its picture."""
_FINE = 4
"""How much smaller the networks' larger grid is: full size would cost most and add little."""


class Autoencoder(ModelMixin, ConfigMixin):
    """Pictures to latents and back, f = 8, convolutions only, without normalisation layers.

    Latents are normalised with ``latent_mean`` and ``latent_std``, buffers that training sets once
    the weights are final (``set_latent_statistics``); until then they are 0 and 1.

    Nothing clips: neither latents on the way in nor pictures on the way out, whose values are about
    [-1, 1] and overshoot a little at edges. Whoever shows a picture clamps it.

    Args:
        image_channels: 3: RGB; 4: RGB and alpha, all in [-1, 1].
        latent_channels: c.
        width: channels at 1/8 of the picture's size.
        blocks: residual blocks there.
        fine_width: channels at 1/4.
        fine_blocks: residual blocks there.

    Raises:
        WeightsError: an argument out of bounds.
    """

    @register_to_config
    def __init__(
        self,
        image_channels: Literal[3, 4] = 3,
        latent_channels: int = 16,
        *,
        width: int = 128,
        blocks: int = 2,
        fine_width: int = 64,
        fine_blocks: int = 2,
    ) -> None:
        """Build; arguments above."""
        super().__init__()
        check_int("image_channels", image_channels, 3, 4)
        check_int("latent_channels", latent_channels, 1, 128)
        check_int("width", width, 4, 1024)
        check_int("blocks", blocks, 0, 16)
        check_int("fine_width", fine_width, 4, 1024)
        check_int("fine_blocks", fine_blocks, 0, 16)
        pixels = image_channels * _FINE**2
        self.project = nn.Conv2d(image_channels, latent_channels, FACTOR, FACTOR)
        self.unproject = nn.ConvTranspose2d(latent_channels, image_channels, FACTOR, FACTOR)
        nn.init.orthogonal_(self.project.weight)
        with torch.no_grad():
            self.unproject.weight.copy_(self.project.weight)
        zero_biases(self.project, self.unproject)
        self.encoder = nn.Sequential(
            nn.PixelUnshuffle(_FINE),
            nn.Conv2d(pixels, fine_width, 3, padding=1),
            *(_Block(fine_width) for _ in range(fine_blocks)),
            nn.Conv2d(fine_width, width, 3, FACTOR // _FINE, padding=1),
            *(_Block(width) for _ in range(blocks)),
            nn.ReLU(),
            zero(nn.Conv2d(width, latent_channels, 3, padding=1)),
        )
        self.decoder = nn.Sequential(
            nn.Conv2d(latent_channels, width, 3, padding=1),
            *(_Block(width) for _ in range(blocks)),
            nn.Conv2d(width, fine_width * (FACTOR // _FINE) ** 2, 3, padding=1),
            nn.PixelShuffle(FACTOR // _FINE),
            *(_Block(fine_width) for _ in range(fine_blocks)),
            nn.ReLU(),
            zero(nn.Conv2d(fine_width, pixels, 3, padding=1)),
            nn.PixelShuffle(_FINE),
        )
        self.latent_mean: Tensor
        self.latent_std: Tensor
        self.register_buffer("latent_mean", torch.zeros(latent_channels))
        self.register_buffer("latent_std", torch.ones(latent_channels))

    @classmethod
    def small(cls, image_channels: Literal[3, 4] = 3, latent_channels: int = 16) -> Autoencoder:
        """About 2.5 M parameters: real time on a CPU."""
        return cls(image_channels, latent_channels, fine_width=96)

    @classmethod
    def large(cls, image_channels: Literal[3, 4] = 3, latent_channels: int = 16) -> Autoencoder:
        """About 13 M parameters."""
        return cls(
            image_channels, latent_channels, width=256, blocks=3, fine_width=160, fine_blocks=2
        )

    @classmethod
    def tiny(cls, image_channels: Literal[3, 4] = 3, latent_channels: int = 4) -> Autoencoder:
        """A configuration for tests, under 0.02 M parameters."""
        return cls(image_channels, latent_channels, width=8, blocks=1, fine_width=8, fine_blocks=0)

    @property
    def image_channels(self) -> int:
        """3 or 4."""
        return int(self.config.image_channels)

    @property
    def latent_channels(self) -> int:
        """c."""
        return int(self.config.latent_channels)

    def encode(self, x: Tensor) -> Tensor:
        """Normalised latents: mean 0 and deviation 1 a channel over the training pictures.

        Args:
            x: (B, image_channels, H, W) in [-1, 1], sides multiples of 8.

        Returns:
            (B, c, H/8, W/8).

        Raises:
            ImageError: another number of channels, or a side that is not a multiple of 8.
        """
        check_picture(x, self.image_channels)
        return (self.encode_raw(x) - self._mean()) / self._std()

    def decode(self, z: Tensor) -> Tensor:
        """Pictures of normalised latents.

        Args:
            z: (B, c, h, w).

        Returns:
            (B, image_channels, 8 h, 8 w), about [-1, 1], not clipped.
        """
        return self.decode_raw(z * self._std() + self._mean())

    def encode_raw(self, x: Tensor) -> Tensor:
        """Latents as they leave the encoder, before they are normalised."""
        return self.project(x) + self.encoder(x)

    def decode_raw(self, z: Tensor) -> Tensor:
        """Pictures of latents that were never normalised."""
        return self.unproject(z) + self.decoder(z)

    def forward(self, x: Tensor) -> Tensor:
        """There and back, (B, image_channels, H, W) to the same; what training minimises over."""
        return self.decode(self.encode(x))

    @torch.no_grad()
    def set_principal_components(self, mean: Tensor, components: Tensor) -> None:
        """Fit the linear half: latents are the patches' coordinates in ``components``.

        Args:
            mean: of each channel, (image_channels,).
            components: of 8x8 patches about that mean, orthonormal, the largest variance first,
                (c, image_channels, 8, 8).

        Raises:
            WeightsError: other shapes, numbers that are not finite, or vectors not orthonormal.
        """
        shape = self.project.weight.shape
        if components.shape != shape or mean.shape != (self.image_channels,):
            raise WeightsError(
                f"principal components must be {tuple(shape)}, with a mean a channel"
            )
        flat = components.flatten(1).double()  # c,P
        if not (flat.isfinite().all() and mean.isfinite().all()):
            raise WeightsError("principal components must be finite")
        if (flat @ flat.T - torch.eye(len(flat), dtype=flat.dtype)).abs().max() > 1e-3:
            raise WeightsError("principal components must be orthonormal")
        self.project.weight.copy_(components)
        self.project.bias.copy_(-(components.double().sum((2, 3)) @ mean.double()))
        self.unproject.weight.copy_(components)
        self.unproject.bias.copy_(mean)

    @torch.no_grad()
    def set_latent_statistics(self, mean: Tensor, std: Tensor) -> None:
        """Fix mean and deviation of the raw latents, (c,) each, measured over training pictures.

        Raises:
            WeightsError: not c finite numbers each, or a deviation that is not above 0.
        """
        channels = self.latent_channels
        if mean.shape != (channels,) or std.shape != (channels,):
            raise WeightsError(f"statistics of latents are {channels} means and deviations")
        if not (mean.isfinite().all() and std.isfinite().all() and (std > 1e-6).all()):
            raise WeightsError("statistics of latents must be finite, deviations above 0")
        self.latent_mean.copy_(mean)
        self.latent_std.copy_(std)

    def _mean(self) -> Tensor:
        return self.latent_mean[:, None, None]

    def _std(self) -> Tensor:
        return self.latent_std[:, None, None]


class _Block(nn.Module):
    """Two convolutions beside a skip."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.ReLU(), nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(), zero(nn.Conv2d(width, width, 3, padding=1)),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return x + self.net(x)


def zero_biases(*layers: nn.Module) -> None:
    """Biases of layers to zero."""
    for layer in layers:
        nn.init.zeros_(layer.bias)  # type: ignore[arg-type]


def check_picture(x: Tensor, channels: int) -> None:
    """Refuse what an autoencoder cannot encode.

    Raises:
        ImageError: another number of channels, or a side that is not a multiple of 8.
    """
    if x.ndim != 4 or x.shape[1] != channels:
        raise ImageError(
            f"the autoencoder takes pictures (B, {channels}, H, W), not {tuple(x.shape)}"
        )
    height, width = x.shape[2:]
    if height % FACTOR or width % FACTOR or not height or not width:
        raise ImageError(
            f"the autoencoder needs sides that are multiples of {FACTOR}, not {width} x {height}: "
            "resize or pad the picture"
        )
