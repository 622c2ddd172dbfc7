"""Public autoencoders of diffusers in the place of ours: the same encode and decode."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from reposedm.errors import WeightsError
from reposedm.models.autoencoder import FACTOR, Autoencoder, check_picture


class DiffusersAutoencoder(nn.Module):
    """An ``AutoencoderKL`` or ``AutoencoderTiny`` with f = 8, behind ``Autoencoder``'s interface.

    Latents are scaled and shifted as the model's configuration says; of a posterior the mean is
    taken. The wrapped model stays reachable as ``vae``, and is what a pipeline saves.

    Raises:
        WeightsError: a model of another kind, or one that does not shrink by 8.
    """

    def __init__(self, vae: nn.Module) -> None:
        """Wrap a model; its weights are shared, not copied."""
        super().__init__()
        name = type(vae).__name__
        config: Any = getattr(vae, "config", None)
        if name == "AutoencoderKL":
            widths = config.block_out_channels
        elif name == "AutoencoderTiny":
            widths = config.encoder_block_out_channels
        else:
            raise WeightsError(f"an autoencoder is an AutoencoderKL or AutoencoderTiny, not {name}")
        factor = 2 ** (len(widths) - 1)
        if factor != FACTOR:
            raise WeightsError(f"this {name} shrinks by {factor}, an autoencoder here by {FACTOR}")
        self.vae = vae
        self.image_channels = int(config.in_channels)
        self.latent_channels = int(config.latent_channels)

    def encode(self, x: Tensor) -> Tensor:
        """(B, image_channels, H, W) in [-1, 1] -> (B, c, H/8, W/8), scaled.

        Raises:
            ImageError: another number of channels, or a side that is not a multiple of 8.
        """
        check_picture(x, self.image_channels)
        vae: Any = self.vae
        found = vae.encode(x)
        latents = found.latents if hasattr(found, "latents") else found.latent_dist.mode()
        shift, scale = self._statistics(latents)
        return (latents - shift) * scale

    def decode(self, z: Tensor) -> Tensor:
        """(B, c, h, w) -> (B, image_channels, 8 h, 8 w), about [-1, 1], not clipped by us."""
        vae: Any = self.vae
        shift, scale = self._statistics(z)
        return vae.decode(z / scale + shift).sample

    def forward(self, x: Tensor) -> Tensor:
        """There and back."""
        return self.decode(self.encode(x))

    def _statistics(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """What is subtracted from latents and what they are then multiplied by; broadcastable."""
        config: Any = self.vae.config
        mean, std = getattr(config, "latents_mean", None), getattr(config, "latents_std", None)
        if mean is not None and std is not None:
            shift, deviation = (like.new_tensor(v).reshape(-1, 1, 1) for v in (mean, std))
            return shift, config.scaling_factor / deviation
        shift = getattr(config, "shift_factor", None) or 0.0
        return like.new_tensor(shift), like.new_tensor(config.scaling_factor)


def as_autoencoder(component: nn.Module) -> Autoencoder | DiffusersAutoencoder:
    """Whatever a pipeline was given, with ``encode``, ``decode`` and their channels.

    Raises:
        WeightsError: not an autoencoder we know.
    """
    if isinstance(component, (Autoencoder, DiffusersAutoencoder)):
        return component
    return DiffusersAutoencoder(component)
