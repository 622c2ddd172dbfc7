"""Which triangle is seen where: a depth buffer with layers, cuts and cut-out textures (numba)."""

# ruff: noqa: PLR0912, PLR0917
# (compiled functions: no keywords, and a call in the innermost loop would cost)

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]

FAR: Final = 1e9
"""Depth where nothing is."""
BIAS, ALPHA_SLOT, CULL = 0, 1, 2
"""Columns of the raster's material table: depth towards the camera (dm), slot or -1, 0 or 1."""

DITHER: Final = (
    np.array(((0, 8, 2, 10), (12, 4, 14, 6), (3, 11, 1, 9), (15, 7, 13, 5)), np.float32) + 0.5
) / 16 * 190 + 35
"""Thresholds of the alpha test: ordered, so that hair thins out instead of breaking off."""


class Buffers:
    """What a raster pass writes: depth, triangle and two of the barycentrics per sample."""

    def __init__(self, height: int, width: int) -> None:
        """Empty buffers."""
        self.depth = np.full((height, width), FAR, np.float32)
        self.triangle = np.full((height, width), -1, np.int32)
        self.weights = np.zeros((height, width, 2), np.float32)


def rasterise(
    screen: NDArray[np.float32],
    triangles: NDArray[np.int32],
    materials: NDArray[np.int32],
    cuts: NDArray[np.float32],
    uv: NDArray[np.float32],
    table: NDArray[np.float32],
    alphas: NDArray[np.uint8],
    size: tuple[int, int],
) -> Buffers:
    """Draw triangles, nearest first by depth less the material's bias.

    Args:
        screen: (N, 3) x, y in samples (centres at +0.5), depth growing away from the camera.
        triangles: (T, 3) vertex indices.
        materials: (T,) row of ``table`` per triangle.
        cuts: (N, C) kept where every interpolated cut is >= 0.
        uv: (T, 3, 2) of the corners, v up.
        table: (M, 3) bias, alpha slot, culling.
        alphas: (A, S, S) cut-out textures.
        size: (H, W) in samples.
    """
    out = Buffers(*size)
    _raster(
        screen, triangles, materials, cuts, uv, table, alphas, DITHER,
        out.depth, out.triangle, out.weights,
    )  # fmt: skip
    return out


@njit(fastmath=True, cache=True)
def _opacity(alphas: Array, slot: int, u: float, v: float) -> int:  # pragma: no cover - compiled
    side = alphas.shape[1]
    column = min(int((u - np.floor(u)) * side), side - 1)
    row = max(0, min(int((1.0 - (v - np.floor(v))) * side), side - 1))
    return alphas[slot, row, column]


@njit(fastmath=True, cache=True)
def _raster(
    screen: Array, triangles: Array, materials: Array, cuts: Array, uv: Array, table: Array,
    alphas: Array, dither: Array, depth: Array, triangle: Array, weights: Array,
) -> None:  # fmt: skip  # pragma: no cover - compiled
    height, width = depth.shape
    fields = cuts.shape[1]
    for t in range(triangles.shape[0]):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        x0, y0 = screen[a, 0], screen[a, 1]
        x1, y1 = screen[b, 0], screen[b, 1]
        x2, y2 = screen[c, 0], screen[c, 1]
        left, right = min(x0, x1, x2), max(x0, x1, x2)
        top, bottom = min(y0, y1, y2), max(y0, y1, y2)
        if right < 0 or bottom < 0 or left > width or top > height:
            continue
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        row = table[materials[t]]
        if abs(area) < 1e-9 or (row[CULL] > 0 and area >= 0):
            continue
        gone, crossed = False, False
        for k in range(fields):
            outside = (cuts[a, k] < 0) + (cuts[b, k] < 0) + (cuts[c, k] < 0)
            gone = gone or outside == 3
            crossed = crossed or outside > 0
        if gone:
            continue
        first_x, last_x = max(0, int(np.ceil(left - 0.5))), min(width - 1, int(right - 0.5))
        first_y, last_y = max(0, int(np.ceil(top - 0.5))), min(height - 1, int(bottom - 0.5))
        inverse = 1.0 / area
        slot = int(row[ALPHA_SLOT])
        for y in range(first_y, last_y + 1):
            py = y + 0.5 - y0
            for x in range(first_x, last_x + 1):
                px = x + 0.5 - x0
                w1 = (px * (y2 - y0) - (x2 - x0) * py) * inverse
                w2 = ((x1 - x0) * py - px * (y1 - y0)) * inverse
                w0 = 1.0 - w1 - w2
                if w0 < 0 or w1 < 0 or w2 < 0:
                    continue
                z = w0 * screen[a, 2] + w1 * screen[b, 2] + w2 * screen[c, 2] - row[BIAS]
                if z >= depth[y, x] or z < 0.5:
                    continue
                if crossed:
                    kept = True
                    for k in range(fields):
                        if w0 * cuts[a, k] + w1 * cuts[b, k] + w2 * cuts[c, k] < 0:
                            kept = False
                    if not kept:
                        continue
                if slot >= 0:
                    u = w0 * uv[t, 0, 0] + w1 * uv[t, 1, 0] + w2 * uv[t, 2, 0]
                    v = w0 * uv[t, 0, 1] + w1 * uv[t, 1, 1] + w2 * uv[t, 2, 1]
                    if _opacity(alphas, slot, u, v) < dither[y % 4, x % 4]:
                        continue
                depth[y, x] = z
                triangle[y, x] = t
                weights[y, x, 0] = w1
                weights[y, x, 1] = w2
