"""What the U-Net is put together from: blocks of convolutions and attention, level by level."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from reposedm.models.layers import Attention, ResidualBlock, positions, tokens, untokens, zero

Context = tuple[Tensor, Tensor]
"""Tokens (B, M, D) of a level of features and their positions (M, P)."""


class Level(NamedTuple):
    """What a level of the U-Net is told of the photo.

    Attributes:
        seen: what it attends to.
        added: features of its own cells, (B, N, D); None: there are none on so coarse a grid.
    """

    seen: Context
    added: Tensor | None


class TimeEmbedding(nn.Module):
    """A timestep to a vector: sines, then a two-layer perceptron."""

    def __init__(self, width: int, embedding: int) -> None:
        """Build: ``width`` sines and cosines to ``embedding`` channels."""
        super().__init__()
        self.width = width
        self.net = nn.Sequential(
            nn.Linear(width, embedding), nn.SiLU(), nn.Linear(embedding, embedding)
        )

    def forward(self, t: Tensor) -> Tensor:
        """(B,) in [0, 1000], whole or not -> (B, embedding)."""
        half = self.width // 2
        steps = torch.arange(half, device=t.device, dtype=torch.float32)
        angles = t.float()[:, None] * torch.exp(-math.log(10_000) * steps / half)  # B,half
        waves = torch.cat([angles.cos(), angles.sin()], 1)  # B,width
        return self.net(waves.to(self.net[0].weight.dtype))


class Block(nn.Module):
    """Residual convolutions, then attention to itself, then to the photo's features."""

    def __init__(
        self,
        *,
        width_in: int,
        width: int,
        embedding: int,
        context_width: int,
        head_width: int,
        attention: bool,
        cross_attention: bool = True,
        adds: bool = False,
    ) -> None:
        """Build; ``attention``: to itself; ``adds``: features are added, cell by cell, too."""
        super().__init__()
        self.convolutions = ResidualBlock(width_in, width, embedding)
        self.self_attention = Attention(width, width, head_width) if attention else None
        self.cross_attention: Any = None
        self.sum: Any = None
        if cross_attention:
            self.cross_attention = Attention(width, context_width, head_width)
        if adds:
            self.sum = zero(nn.Linear(context_width, width))

    def forward(self, x: Tensor, embedding: Tensor, level: Level, cell: float) -> Tensor:
        """(B, width_in, h, w) -> (B, width, h, w); ``cell``: side of a cell at this level."""
        x = self.convolutions(x, embedding)  # B,C,h,w
        shape = (x.shape[2], x.shape[3])
        y = tokens(x)  # B,N,C
        if self.sum is not None and level.added is not None:
            y = y + self.sum(level.added)
        if self.self_attention is None and self.cross_attention is None:
            return untokens(y, shape)
        where = positions(shape, cell, x.device)  # N,P
        if self.self_attention is not None:
            y = self.self_attention(y, y, where, where)
        if self.cross_attention is not None:
            y = self.cross_attention(y, level.seen[0], where, level.seen[1])
        return untokens(y, shape)


class Stage(nn.Module):
    """The blocks of one level, and the convolution that leaves it."""

    def __init__(self, level: int, blocks: Sequence[Block], resize: nn.Module | None) -> None:
        """Build; ``resize``: to the next level, None at the last one."""
        super().__init__()
        self.level, self.cell = level, 2.0**level
        self.blocks = nn.ModuleList(blocks)
        self.resize = resize


def ladder(
    *,
    widths: Sequence[int],
    blocks: int,
    attention: Sequence[bool],
    cross_attention: Sequence[bool],
    source_context: bool,
    context_dims: Sequence[int],
    embedding: int,
    head_width: int,
) -> tuple[nn.ModuleList, Stage, nn.ModuleList]:
    """The way down, the middle, and the way up."""
    last = len(widths) - 1

    def block(level: int, width_in: int, width: int, attends: bool) -> Block:
        context_width = context_dims[min(level, len(context_dims) - 1)]
        own = level < len(context_dims)
        return Block(
            width_in=width_in, width=width, embedding=embedding, context_width=context_width,
            head_width=head_width, attention=attends, cross_attention=cross_attention[level],
            adds=own and (source_context or not cross_attention[level]),
        )  # fmt: skip

    down, up = nn.ModuleList(), nn.ModuleList()
    width = widths[0]
    for level, wanted in enumerate(widths):
        first = block(level, width, wanted, attention[level])
        others = [block(level, wanted, wanted, attention[level]) for _ in range(blocks - 1)]
        resize = nn.Conv2d(wanted, wanted, 3, 2, padding=1) if level < last else None
        down.append(Stage(level, [first, *others], resize))
        width = wanted
    middle = Stage(last, [block(last, width, width, True)], None)
    for level in reversed(range(len(widths))):
        wanted = widths[level]  # also the width of every skip of this level
        first = block(level, width + wanted, wanted, attention[level])
        others = [block(level, 2 * wanted, wanted, attention[level]) for _ in range(blocks - 1)]
        resize = nn.Conv2d(wanted, wanted, 3, padding=1) if level else None
        up.append(Stage(level, [first, *others], resize))
        width = wanted
    return down, middle, up
