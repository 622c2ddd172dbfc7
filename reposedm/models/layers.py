"""The parts that several networks share: residual block, attention, positions, neighbourhoods.

Tensors that depend only on a grid's size (positions, masks, indices) are cached by size and device,
never registered: a buffer that is not in the weights file would stay on ``meta`` after loading.
"""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

POSITION_CHANNELS = 32


def zero(module: nn.Module) -> nn.Module:
    """The module with all its parameters zero: as part of a residual it changes nothing yet."""
    for parameter in module.parameters():
        nn.init.zeros_(parameter)
    return module


def group_norm(width: int) -> nn.GroupNorm:
    """Group normalisation with at most 32 groups of at least 8 channels."""
    groups = next(g for g in range(max(1, min(32, width // 8)), 0, -1) if width % g == 0)
    return nn.GroupNorm(groups, width)


class ResidualBlock(nn.Module):
    """Two convolutions beside a skip; an embedding, where there is one, scales and shifts."""

    def __init__(self, width_in: int, width_out: int, embedding: int | None = None) -> None:
        """Build for width_in -> width_out channels, modulated by (B, embedding) if given."""
        super().__init__()
        self.norm1 = group_norm(width_in)
        self.conv1 = nn.Conv2d(width_in, width_out, 3, padding=1)
        self.modulation = None if embedding is None else nn.Linear(embedding, 2 * width_out)
        self.norm2 = group_norm(width_out)
        self.conv2 = zero(nn.Conv2d(width_out, width_out, 3, padding=1))
        self.skip = nn.Identity() if width_in == width_out else nn.Conv2d(width_in, width_out, 1)

    def forward(self, x: Tensor, embedding: Tensor | None = None) -> Tensor:
        """(B, width_in, h, w), (B, E) -> (B, width_out, h, w)."""
        y = self.conv1(F.silu(self.norm1(x)))  # B,C,h,w
        y = self.norm2(y)
        if self.modulation is not None:
            scale, shift = self.modulation(F.silu(embedding))[:, :, None, None].chunk(2, 1)
            y = y * (1 + scale) + shift  # B,C,h,w
        return self.skip(x) + self.conv2(F.silu(y))


class Attention(nn.Module):
    """Residual multi-head attention: x + out(softmax(q k^T / sqrt(d)) v), zero at the start.

    Positions are added to what queries and keys are made of, never to values: *where* decides who
    is listened to, *what* is heard.
    """

    def __init__(self, width: int, context_width: int, head_width: int, *, start: bool = True):
        """Build; ``start``: begin as the identity (zero output layer)."""
        super().__init__()
        self.heads = width // head_width
        self.norm = nn.LayerNorm(width)
        self.context_norm = nn.LayerNorm(context_width)
        self.q = nn.Linear(width, width, bias=False)
        self.k = nn.Linear(context_width, width, bias=False)
        self.v = nn.Linear(context_width, width, bias=False)
        self.q_position = nn.Linear(POSITION_CHANNELS, width, bias=False)
        self.k_position = nn.Linear(POSITION_CHANNELS, width, bias=False)
        self.out = nn.Linear(width, width)
        if start:
            zero(self.out)

    def forward(
        self,
        x: Tensor,
        context: Tensor,
        x_positions: Tensor,
        context_positions: Tensor,
        mask: Tensor | None = None,
    ) -> Tensor:
        """Let every token of x listen to the context.

        Args:
            x: (B, N, width).
            context: (B, M, context_width); x itself for self-attention.
            x_positions: (N, POSITION_CHANNELS).
            context_positions: (M, POSITION_CHANNELS).
            mask: bool (N, M), True where a token may listen; None: everywhere.

        Returns:
            (B, N, width).
        """
        own = context is x
        normed = self.norm(x)  # B,N,C
        heard = self.context_norm(x if own else context)  # B,M,Cc
        q = self._split(self.q(normed) + self.q_position(x_positions))  # B,heads,N,d
        k = self._split(self.k(heard) + self.k_position(context_positions))  # B,heads,M,d
        v = self._split(self.v(heard))  # B,heads,M,d
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)  # B,heads,N,d
        return x + self.out(y.transpose(1, 2).flatten(2))

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class FeedForward(nn.Module):
    """Residual two-layer perceptron on each token."""

    def __init__(self, width: int, factor: int = 2) -> None:
        """Build with a hidden layer ``factor`` times as wide."""
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, factor * width)
        self.down = zero(nn.Linear(factor * width, width))

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, width) -> (B, N, width)."""
        return x + self.down(F.gelu(self.up(self.norm(x))))


def tokens(x: Tensor) -> Tensor:
    """(B, C, h, w) -> (B, h w, C), row by row."""
    return x.flatten(2).transpose(1, 2)


def untokens(x: Tensor, shape: tuple[int, int]) -> Tensor:
    """(B, h w, C) -> (B, C, h, w), the inverse of ``tokens``."""
    return x.transpose(1, 2).unflatten(2, shape)


@lru_cache(maxsize=64)
def positions(shape: tuple[int, int], cell: float, device: torch.device) -> Tensor:
    """Sines and cosines of the cells' centres, so that grids of different levels can be compared.

    Args:
        shape: (h, w) of the grid.
        cell: side of its cells, in cells of the finest level.
        device: where the result lives.

    Returns:
        float32 (h w, POSITION_CHANNELS); wavelengths from 4 to 256 cells of the finest level.
    """
    h, w = shape
    with torch.inference_mode(False):  # a cached inference tensor could not be trained with
        count = POSITION_CHANNELS // 4
        wavelengths = 4 * 64 ** (torch.arange(count, device=device) / (count - 1))  # 4 .. 256
        waves = 2 * torch.pi / wavelengths
        y = (torch.arange(h, device=device) + 0.5)[:, None] * cell * waves  # h,K
        x = (torch.arange(w, device=device) + 0.5)[:, None] * cell * waves  # w,K
        rows = torch.cat([y.sin(), y.cos()], 1)[:, None].expand(h, w, -1)
        columns = torch.cat([x.sin(), x.cos()], 1)[None].expand(h, w, -1)
        return torch.cat([rows, columns], 2).reshape(h * w, POSITION_CHANNELS)


@lru_cache(maxsize=64)
def neighbourhood_mask(shape: tuple[int, int], side: int, device: torch.device) -> Tensor:
    """N(x) of Eq. 5 for a whole grid: who is within ``side // 2`` cells of whom.

    Returns:
        bool (h w, h w).
    """
    h, w = shape
    with torch.inference_mode(False):
        y = torch.arange(h, device=device).repeat_interleave(w)
        x = torch.arange(w, device=device).repeat(h)
        near_y = (y[:, None] - y[None]).abs() <= side // 2
        near_x = (x[:, None] - x[None]).abs() <= side // 2
        return near_y & near_x


@lru_cache(maxsize=64)
def window_index(
    shape: tuple[int, int], radius: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Indices of the (2R+1)^2 cells around each cell, and which of them exist.

    Returns:
        int64 (h w, (2R+1)^2), row by row of the window, and bool of the same shape; cells outside
        the grid carry a valid index and False.
    """
    h, w = shape
    with torch.inference_mode(False):
        reach = torch.arange(-radius, radius + 1, device=device)
        y = torch.arange(h, device=device)[:, None, None, None] + reach[:, None]  # h,1,K,1
        x = torch.arange(w, device=device)[:, None, None] + reach  # w,1,K
        inside = (y >= 0) & (y < h) & (x >= 0) & (x < w)  # h,w,K,K
        index = y.clamp(0, h - 1) * w + x.clamp(0, w - 1)  # h,w,K,K
        return index.reshape(h * w, -1), inside.reshape(h * w, -1)
