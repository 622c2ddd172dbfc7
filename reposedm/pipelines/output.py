"""From latents to the pictures a method returns: RGBA, straight alpha, uint8."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from reposedm.pipelines.base import Image

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
    values = (decoded.float().clamp(-1, 1) + 1) / 2  # C,H,W
    if len(values) == 3:
        opaque = torch.ones_like(values[:1])
        layer = opaque if alpha is None else alpha[0].to(values).clamp(0, 1)
        values = torch.cat([values, layer])
    array: Image = (values * 255).round().byte().permute(1, 2, 0).cpu().numpy()
    return array
