"""Painting a region of a known picture, after RePaint (Lugmayr et al., CVPR 2022).

After each step the known part is put back, with as much noise as the *next* step expects: a step
from y_t gives y_{t-1}, so the known latents are re-noised to t - 1. (PIDM's appearance editing
re-noises them to t: the known part is then always one step noisier than what is painted beside it,
and the last step leaves noise in it.) After the last step the known latents are put back clean.

    y'_{t-1} = m y_{t-1} + (1 - m) (alpha_{t-1} y_0 + sigma_{t-1} eps)          RePaint, Eq. 8
    y_t      = r y_{t-1} + sqrt(sigma_t^2 - r^2 sigma_{t-1}^2) eps,  r = alpha_t / alpha_{t-1}
                                                                    a jump back, RePaint, Eq. 1
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from reposedm.diffusion.prediction import Level, mixed


@dataclass(frozen=True)
class Known:
    """What is known of the picture that is painted.

    Attributes:
        latents: y_0 of the known picture, (1 | B, c, h, w); anything inside the mask.
        mask: m, (1 | B, 1, h, w): 1 where the picture is to be painted, 0 where it is known.
        resample: how often each step is taken again after a jump back, so that the painted part
            can take up what is known beside it; 0: never.
    """

    latents: Tensor
    mask: Tensor
    resample: int = 0


def next_levels(levels: Sequence[Level]) -> list[Level]:
    """The level that each step of a run leads to: the next step's, and at last the picture's.

    Args:
        levels: of the steps, ``prediction.run_levels``.

    Returns:
        As many; the last is (1, 0), no noise.
    """
    if not levels:
        return []
    one = torch.ones_like(levels[-1].alpha)
    return [*levels[1:], Level(one, torch.zeros_like(one))]


def with_known(latents: Tensor, known: Known, level: Level, noise: Tensor) -> Tensor:
    """The latents after a step, with the known part put back at their own level (RePaint, Eq. 8).

    Args:
        latents: y_{t-1}, (B, c, h, w).
        known: what is known.
        level: of ``latents``: ``next_levels`` of the step; (1, 0) puts the clean latents back.
        noise: eps, (B, c, h, w). Samplers without chance need the same in every step: that of
            the first latents (or of the last jump back), so that the known part goes a straight
            way to its picture.

    Returns:
        (B, c, h, w).
    """
    put = mixed(known.latents.to(latents), noise, level)  # B,c,h,w
    return torch.where(known.mask.to(latents.device) > 0.5, latents, put)


def jumped_back(latents: Tensor, level: Level, earlier: Level, noise: Tensor) -> Tensor:
    """The forward process from a level to a noisier one: RePaint's jump back.

    Args:
        latents: (B, c, h, w) at ``level``.
        level: of them.
        earlier: the noisier one.
        noise: eps, (B, c, h, w), new.

    Returns:
        (B, c, h, w) at ``earlier``: of its variance, if ``latents`` had theirs.
    """
    share = earlier.alpha / level.alpha
    added = (earlier.sigma**2 - (share * level.sigma) ** 2).clamp_min(0).sqrt()
    return share * latents + added * noise


def latent_mask(mask: Tensor, factor: int) -> Tensor:
    """The cells that hold a pixel of a mask: (B, 1, H, W) -> 0 or 1, (B, 1, H / f, W / f)."""
    return (F.max_pool2d(mask.float(), factor) > 0).float()
