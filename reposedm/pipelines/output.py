"""From latents to the pictures a method returns: RGBA, straight alpha, uint8."""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor

from reposedm.pipelines.base import Image

_FIRM: Final = 2.0
"""How much steeper edges become."""

OPAQUE_NOTE = "No mask of the person was given, so the whole frame was painted."


@torch.no_grad()
def pictures(autoencoder: Any, latents: Tensor, alpha: Tensor | None) -> list[Image]:
    """Decode, one picture at a time: the decoder is what takes the most memory.

    Args:
        autoencoder: with ``decode``, and ``image_channels`` 3 or 4.
        latents: (B, c, h, w).
        alpha: (1, 1, H, W) in [0, 1], for autoencoders without one; None: opaque.

    Returns:
        B pictures, uint8 (H, W, 4).
    """
    kind = next(autoencoder.parameters()).dtype
    return [picture(autoencoder.decode(one[None].to(kind))[0], alpha) for one in latents]


def picture(decoded: Tensor, alpha: Tensor | None) -> Image:
    """One decoded picture (3 | 4, H, W) in about [-1, 1] -> uint8 (H, W, 4)."""
    values = decoded.float()
    if len(values) == 3:
        opaque = torch.ones_like(values[:1])
        layer = opaque if alpha is None else alpha[0].to(values).clamp(0, 1)
        values = torch.cat([(values.clamp(-1, 1) + 1) / 2, layer])
    else:
        values = _decided(values)
    array: Image = (values * 255).round().byte().permute(1, 2, 0).cpu().numpy()
    return array


def _decided(values: Tensor) -> Tensor:
    """RGBA (4, H, W) in [-1, 1] -> in [0, 1], with an edge where the network was not sure of one.

    A mean of many possible outlines is soft; the likeliest one is where alpha passes a half.
    Colours stay as they are: taking the grey ground back out of them made bright rims.
    """
    alpha = (values[3:].clamp(-1, 1) + 1) / 2
    colors = (values[:3].clamp(-1, 1) + 1) / 2
    firm = ((alpha - 0.5) * _FIRM + 0.5).clamp(0, 1)
    return torch.cat([colors, firm])
