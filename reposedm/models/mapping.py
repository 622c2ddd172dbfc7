"""Mappings: where each target cell looks in the source (Eq. 7), and the analytic one of the limbs.

A mapping F is (B, 2, h, w): offsets (x, y) in cells of its own grid. The target cell with centre
``p`` shows what the source has at ``p + F(p)``; centres are at +0.5 (``align_corners=False``).
Offsets, not positions: doing nothing is exactly zero, and nothing is then changed by a single bit.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

BONES: Final = (
    (1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7),
    (1, 8), (8, 9), (9, 10), (1, 11), (11, 12), (12, 13),
    (1, 0), (0, 14), (14, 16), (0, 15), (15, 17),
    (2, 8), (5, 11), (8, 11), (2, 5),
)  # fmt: skip
"""OpenPose's 17 drawn bones, both sides of the trunk, the hip line and the shoulder line."""

TRUNK_MEASURES: Final = (
    (1, 8, 11, 1.0), (1, 8, 8, 1.02), (1, 11, 11, 1.02), (2, 5, 5, 0.72),
    (8, 9, 9, 0.83), (11, 12, 12, 0.83), (9, 10, 10, 0.78), (12, 13, 13, 0.78),
    (2, 3, 3, 0.58), (5, 6, 6, 0.58), (3, 4, 4, 0.50), (6, 7, 7, 0.50), (1, 0, 0, 0.42),
)  # fmt: skip
"""(from, to, to) and their distance in trunk heights, most reliable first."""

FAR: Final = -1e4
"""Logarithm of the weight of a bone that says nothing; any other is larger."""

Padding = Literal["border", "zeros"]


def identity(batch: int, shape: tuple[int, int], like: Tensor | None = None) -> Tensor:
    """The mapping that moves nothing: zeros (B, 2, h, w), float32, on the device of ``like``."""
    device = None if like is None else like.device
    return torch.zeros(batch, 2, *shape, device=device)


def centres(shape: tuple[int, int], device: torch.device) -> Tensor:
    """Centres (x, y) of a grid's cells: float32 (2, h, w), the first at (0.5, 0.5)."""
    h, w = shape
    y = (torch.arange(h, device=device) + 0.5)[:, None].expand(h, w)
    x = (torch.arange(w, device=device) + 0.5)[None].expand(h, w)
    return torch.stack([x, y])


def sample(image: Tensor, points: Tensor, padding: Padding = "border") -> Tensor:
    """Bilinear sampling that returns a pixel exactly, bit for bit, at its centre.

    (torch's ``grid_sample`` goes through coordinates in -1..1 and rounds on the way.)

    Args:
        image: (B, C, H, W).
        points: (B, 2, h, w) positions (x, y) in pixels of the image, centres at +0.5.
        padding: what is outside: the nearest pixel of the edge, or zero.

    Returns:
        (B, C, h, w), dtype of the image; differentiable in both arguments.
    """
    channels, height, width = image.shape[1:]
    x, y = (points.float().nan_to_num() - 0.5).unbind(1)  # B,h,w
    if padding == "border":
        x, y = x.clamp(0, width - 1), y.clamp(0, height - 1)
    else:
        x, y = x.clamp(-2, width + 1), y.clamp(-2, height + 1)
    left, top = x.detach().floor(), y.detach().floor()
    right_share, lower_share = (x - left)[:, None], (y - top)[:, None]  # B,1,h,w
    column, row = left.long(), top.long()
    pixels = image.flatten(2)  # B,C,HW

    def corner(row: Tensor, column: Tensor) -> Tensor:  # B,C,h,w
        inner_row, inner_column = row.clamp(0, height - 1), column.clamp(0, width - 1)
        index = (inner_row * width + inner_column).flatten(1)[:, None]  # B,1,hw
        found = pixels.gather(2, index.expand(-1, channels, -1)).unflatten(2, row.shape[1:])
        if padding == "zeros":
            inside = (row == inner_row) & (column == inner_column)
            found = found * inside[:, None]
        return found

    upper, lower = (
        (a := corner(r, column)) + right_share * (corner(r, column + 1) - a) for r in (row, row + 1)
    )
    return (upper + lower_share * (lower - upper)).to(image.dtype)


def compose(mapping: Tensor, step: Tensor) -> Tensor:
    """Eq. 7: one mapping after another, F^{n+1}(x) = F^n(x + dF(x)) + dF(x).

    Args:
        mapping: F^n, (B, 2, h, w).
        step: dF^{n+1}, (B, 2, h, w).

    Returns:
        F^{n+1}, (B, 2, h, w).
    """
    points = centres((step.shape[2], step.shape[3]), step.device) + step  # B,2,h,w
    return sample(mapping, points) + step


def warp(image: Tensor, mapping: Tensor, padding: Padding = "border") -> Tensor:
    """W(I; F) of Eq. 9: the image seen through a mapping of any resolution.

    Args:
        image: (B, C, H, W).
        mapping: (B, 2, h, w); resized to H x W.
        padding: what is outside the image: the nearest pixel of its edge, or zero.

    Returns:
        (B, C, H, W); exactly the image where the mapping is zero.
    """
    return sample(image, mapping_to_pixels(mapping, (image.shape[2], image.shape[3])), padding)


def resize_mapping(mapping: Tensor, shape: tuple[int, int]) -> Tensor:
    """The same mapping on another grid: interpolated, offsets in cells of the new grid.

    Args:
        mapping: (B, 2, h, w).
        shape: (h2, w2).

    Returns:
        float32 (B, 2, h2, w2).
    """
    h, w = mapping.shape[2:]
    mapping = mapping.float()
    if (h, w) == tuple(shape):
        return mapping
    smaller = shape[0] < h or shape[1] < w
    resized = F.interpolate(mapping, shape, mode="bilinear", antialias=smaller)
    return resized * mapping.new_tensor([shape[1] / w, shape[0] / h])[:, None, None]


def mapping_to_pixels(mapping: Tensor, size: tuple[int, int]) -> Tensor:
    """Where each pixel of a target picture of ``size`` = (H, W) looks in the source.

    Args:
        mapping: (B, 2, h, w).
        size: (H, W) of both pictures.

    Returns:
        float32 (B, 2, H, W): positions (x, y) in pixels, centres at +0.5.
    """
    return centres(size, mapping.device) + resize_mapping(mapping, size)


def mapping_from_pixels(points: Tensor, size: tuple[int, int]) -> Tensor:
    """The mapping of a grid whose cells look at ``points``: the inverse of ``mapping_to_pixels``.

    Args:
        points: (B, 2, h, w) positions (x, y) in pixels of a picture of ``size``.
        size: (H, W) of that picture.

    Returns:
        float32 (B, 2, h, w) offsets in cells.
    """
    h, w = points.shape[2:]
    cells = points.float() * points.new_tensor([w / size[1], h / size[0]])[:, None, None]
    return cells - centres((h, w), points.device)


class Limbs(NamedTuple):
    """What each bone says about each cell of the target; bones as in ``BONES``.

    Attributes:
        moved: where the cell would look if it went with that bone: offsets, (B, K, 2, h, w).
        nearness: logarithm of the bone's weight, (B, K, h, w); ``FAR`` where it says nothing.
        joints: both poses in trunk heights about the middle of their drawn joints, and which joints
            are drawn, source first, (B, 108): x, y and drawn of 18 joints each.
        fallback: offsets in cells where no bone counts, (B, 2, 1, 1).
    """

    moved: Tensor
    nearness: Tensor
    joints: Tensor
    fallback: Tensor

    def blended(self, change: Tensor | float = 0.0) -> Tensor:
        """The bones' offsets, (B, 2, h, w), by their weights, whose logarithms may be changed."""
        weights = (self.nearness + change).softmax(1)  # B,K,h,w
        mapping = (weights[:, :, None] * self.moved).sum(1)  # B,2,h,w
        known = (self.nearness > FAR).any(1, keepdim=True)
        return torch.where(known, mapping, self.fallback)

    def to(self, device: torch.device | str) -> Limbs:
        """On another device."""
        return Limbs(*(one.to(device) for one in self))


@torch.no_grad()
def limb_mapping(
    source_joints: Tensor,
    target_joints: Tensor,
    source_states: Tensor,
    target_states: Tensor,
    *,
    size: tuple[int, int],
    shape: tuple[int, int],
) -> Tensor:
    """F^0 from the two skeletons alone: each cell goes with the bones that are near it.

    Along a bone a position is scaled by the ratio of its lengths, beyond its ends and across it by
    the ratio of the trunk heights; bones are blended by exp(-1.5 d / (0.12 trunk height)), d the
    distance to the bone. Only bones counted that both poses have, and that do not point at the
    camera. Without any, all cells follow the mean of the joints in common; without those, nothing
    moves. Equal poses give exactly zero.

    Args:
        source_joints: (B, 18, 2) positions (x, y) in pixels of the frame.
        target_joints: (B, 18, 2).
        source_states: (B, 18), 0 hidden, 1 behind, 2 visible.
        target_states: (B, 18).
        size: (H, W) of the frame in pixels.
        shape: (h, w) of the mapping's grid.

    Returns:
        float32 (B, 2, h, w), offsets in cells.
    """
    found = limbs_of(
        source_joints, target_joints, source_states, target_states, size=size, shape=shape
    )
    return found.blended().contiguous()


@torch.no_grad()
def limbs_of(
    source_joints: Tensor,
    target_joints: Tensor,
    source_states: Tensor,
    target_states: Tensor,
    *,
    size: tuple[int, int],
    shape: tuple[int, int],
) -> Limbs:
    """The bones' offsets and weights that ``limb_mapping`` blends; arguments as there."""
    device = source_joints.device
    source, target = source_joints.float(), target_joints.float()  # B,J,2
    known = (source_states > 0) & (target_states > 0)  # B,J
    trunk_s, trunk_t = _trunk_heights(source, target, known, size)  # B each
    scale = (trunk_t / trunk_s).clamp(0.1, 10)[:, None, None]  # B,1,1

    start, end = torch.tensor(BONES, device=device).T
    along_s, along_t = source[:, end] - source[:, start], target[:, end] - target[:, start]
    length_s, length_t = along_s.norm(dim=2), along_t.norm(dim=2)  # B,K
    usable = known[:, start] & known[:, end]
    usable &= (length_s > 0.02 * trunk_s[:, None]) & (length_t > 0.02 * trunk_t[:, None])
    unit_s = along_s / length_s.clamp_min(1e-6)[..., None]  # B,K,2
    unit_t = along_t / length_t.clamp_min(1e-6)[..., None]
    side_s, side_t = (torch.stack([-u[..., 1], u[..., 0]], -1) for u in (unit_s, unit_t))

    cell = centres(shape, device).new_tensor([size[1] / shape[1], size[0] / shape[0]])
    points = centres(shape, device).flatten(1).T * cell  # N,2 in pixels
    offset = points - target[:, start, None]  # B,K,N,2
    along = (offset * unit_t[:, :, None]).sum(-1)  # B,K,N
    across = (offset * side_t[:, :, None]).sum(-1)
    inner = along.minimum(length_t[..., None]).clamp_min(0)
    distance = torch.hypot(along - inner, across)

    # Differences, not positions, so that equal poses cancel exactly.
    stretch = (length_s / length_t.clamp_min(1e-6))[..., None]  # B,K,1
    looked_along = along / scale + inner * (stretch - 1 / scale)
    moved = (source[:, start] - target[:, start])[:, :, None]  # B,K,1,2
    moved = (
        moved + looked_along[..., None] * unit_s[:, :, None] - along[..., None] * unit_t[:, :, None]
    )
    moved = moved + (across / scale)[..., None] * side_s[:, :, None]
    moved = moved - across[..., None] * side_t[:, :, None]  # B,K,N,2

    nearness = -1.5 * distance / (0.12 * trunk_t[:, None, None])
    nearness = torch.where(usable[..., None], nearness.clamp_min(FAR / 2), FAR)
    moved = torch.where(usable[..., None, None], moved / cell, 0.0)
    fallback = _mean_move(source, target, known) / cell  # B,1,2
    return Limbs(
        moved.transpose(2, 3).unflatten(3, shape),
        nearness.unflatten(2, shape),
        torch.cat(
            [_posture(source, source_states, trunk_s), _posture(target, target_states, trunk_t)], 1
        ),
        fallback.transpose(1, 2)[..., None],
    )


def _posture(joints: Tensor, states: Tensor, trunk: Tensor) -> Tensor:
    """x, y in trunk heights about the middle of the drawn joints, and drawn: (B, 54)."""
    drawn = (states > 0)[..., None].float()  # B,J,1
    middle = (joints * drawn).sum(1, keepdim=True) / drawn.sum(1, keepdim=True).clamp_min(1)
    relative = (joints - middle) / trunk[:, None, None] * drawn
    return torch.cat([relative.clamp(-10, 10), drawn], 2).flatten(1)


def _mean_move(source: Tensor, target: Tensor, known: Tensor) -> Tensor:
    """Mean of source - target over the joints in common, (B, 1, 2); zero without any."""
    weight = known[..., None].float()
    moves = torch.where(known[..., None], source - target, 0.0)
    return moves.sum(1, keepdim=True) / weight.sum(1, keepdim=True).clamp_min(1)


def _trunk_heights(
    source: Tensor, target: Tensor, known: Tensor, size: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """Neck to the middle of the hips in both poses, (B,) pixels each, or the best stand-in.

    The same measure is taken on both sides, so that their ratio means something.
    """
    table = torch.tensor(TRUNK_MEASURES, device=source.device)
    a, b, c = table[:, :3].long().T
    ratio = table[:, 3]

    def measure(joints: Tensor) -> Tensor:  # B,M
        middle = (joints[:, b] + joints[:, c]) / 2
        return (joints[:, a] - middle).norm(dim=2) / ratio

    heights_s, heights_t = measure(source), measure(target)
    least = 0.02 * size[0]
    usable = known[:, a] & known[:, b] & known[:, c] & (heights_s > least) & (heights_t > least)
    order = torch.arange(len(ratio), 0, -1, device=source.device)
    first = (usable * order).argmax(1, keepdim=True)  # B,1
    found = usable.any(1)
    usual = torch.full_like(heights_s[:, 0], 0.3 * size[0])
    return (
        torch.where(found, heights_s.gather(1, first)[:, 0], usual),
        torch.where(found, heights_t.gather(1, first)[:, 0], usual),
    )
