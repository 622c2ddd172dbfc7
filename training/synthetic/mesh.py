"""Moving a mesh: bones, skin and normals (numba)."""

# ruff: noqa: PLR0917
# (compiled functions: no keywords, and a call in the innermost loop would cost)

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]


@njit(cache=True)
def pose_bones(
    parent: Array, local: Array, rest: Array, turned: Array, position: Array,
) -> None:  # fmt: skip  # pragma: no cover - compiled
    """Global rotations (n, 3, 3) and joint positions (n, 3), written in place.

    ``local`` rotations are aligned with the world's axes; parents come before their children.
    """
    for bone in range(parent.shape[0]):
        above = parent[bone]
        if above < 0:
            turned[bone] = local[bone]
            continue
        for i in range(3):
            moved = position[above, i]
            for j in range(3):
                total = 0.0
                for k in range(3):
                    total += turned[above, i, k] * local[bone, k, j]
                turned[bone, i, j] = total
                moved += turned[above, i, j] * (rest[bone, j] - rest[above, j])
            position[bone, i] = moved


@njit(fastmath=True, cache=True)
def skin(
    vertices: Array, bones: Array, weights: Array, turned: Array, position: Array, rest: Array,
    out: Array,
) -> None:  # fmt: skip  # pragma: no cover - compiled
    """Linear blend skinning: (N, 3) at rest -> posed, written to ``out``; four bones each."""
    for i in range(vertices.shape[0]):
        x = y = z = 0.0
        for k in range(bones.shape[1]):
            w = weights[i, k]
            if w <= 0.0:
                continue
            b = bones[i, k]
            dx = vertices[i, 0] - rest[b, 0]
            dy = vertices[i, 1] - rest[b, 1]
            dz = vertices[i, 2] - rest[b, 2]
            r = turned[b]
            x += w * (r[0, 0] * dx + r[0, 1] * dy + r[0, 2] * dz + position[b, 0])
            y += w * (r[1, 0] * dx + r[1, 1] * dy + r[1, 2] * dz + position[b, 1])
            z += w * (r[2, 0] * dx + r[2, 1] * dy + r[2, 2] * dz + position[b, 2])
        out[i, 0] = x
        out[i, 1] = y
        out[i, 2] = z


@njit(fastmath=True, cache=True)
def normals(vertices: Array, triangles: Array, out: Array) -> None:  # pragma: no cover - compiled
    """Unit vertex normals (N, 3), weighted by area, written to ``out``."""
    out[:] = 0
    for t in range(triangles.shape[0]):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        ux = vertices[b, 0] - vertices[a, 0]
        uy = vertices[b, 1] - vertices[a, 1]
        uz = vertices[b, 2] - vertices[a, 2]
        wx = vertices[c, 0] - vertices[a, 0]
        wy = vertices[c, 1] - vertices[a, 1]
        wz = vertices[c, 2] - vertices[a, 2]
        nx, ny, nz = uy * wz - uz * wy, uz * wx - ux * wz, ux * wy - uy * wx
        for k in range(3):
            i = triangles[t, k]
            out[i, 0] += nx
            out[i, 1] += ny
            out[i, 2] += nz
    for i in range(out.shape[0]):
        length = np.sqrt(out[i, 0] ** 2 + out[i, 1] ** 2 + out[i, 2] ** 2) + 1e-12
        out[i, 0] /= length
        out[i, 1] /= length
        out[i, 2] /= length
