"""F^0, learned: which bone a cell of the target goes with, from the two skeletons alone.

The analytic limb mapping blends the bones by distance. What it cannot know is learned here: which
of two crossing limbs is in front, how far a turned trunk moves, where a loose sleeve ends, and
whether the photo shows the cell at all. No picture is looked at, so it costs a fraction of
recurrent alignment, in training and in use; that starts from what this finds. With its last layer
zero, as at the start, it is the analytic mapping exactly.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reposedm.models.layers import ResidualBlock, group_norm, zero
from reposedm.models.mapping import BONES, FAR, Limbs

POSTURE = 108
_BONES = len(BONES)
_FARTHEST = 8.0


class LimbPrior(nn.Module):
    """Limbs to a mapping and its visibility.

    Args:
        width: channels inside.
        blocks: residual blocks.
        gain: step in cells that an output of 1 means.
    """

    def __init__(self, width: int, blocks: int, gain: float) -> None:
        """Build; arguments above."""
        super().__init__()
        self.gain = gain
        self.stem = nn.Conv2d(3 * _BONES, width, 3, padding=1)
        self.posture = nn.Sequential(
            nn.Linear(POSTURE, 2 * width), nn.SiLU(), nn.Linear(2 * width, 2 * width), nn.SiLU()
        )
        self.blocks = nn.ModuleList(
            ResidualBlock(width, width, embedding=2 * width) for _ in range(blocks)
        )
        self.norm = group_norm(width)
        self.out = zero(nn.Conv2d(width, _BONES + 3, 3, padding=1))

    def forward(self, limbs: Limbs) -> tuple[Tensor, Tensor]:
        """F^0 (B, 2, h, w), offsets in cells, and the logit (B, 1, h, w) that the photo shows."""
        near = (limbs.nearness / _FARTHEST).clamp_min(-1)  # B,K,h,w; -1: far, or says nothing
        moved = (limbs.moved.flatten(1, 2) / (4 * self.gain)).clamp(-2, 2)  # B,2K,h,w
        x = self.stem(torch.cat([near, moved], 1).to(self.stem.weight.dtype))  # B,C,h,w
        posture = self.posture(limbs.joints.to(x.dtype))  # B,2C
        for block in self.blocks:
            x = block(x, posture)
        x = self.out(F.silu(self.norm(x))).float()  # B,K+3,h,w
        change = torch.where(limbs.nearness > FAR, x[:, :_BONES] * 2, 0.0)
        return limbs.blended(change) + x[:, _BONES:-1] * self.gain, x[:, -1:]
