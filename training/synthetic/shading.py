"""Light on the person: key with soft shadows, sky, fill, highlights, hollows (numba)."""

# ruff: noqa: PLR0915, PLR0917
# (compiled functions: no keywords, and a call in the innermost loop would cost)

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from training.synthetic.raster import FAR, Buffers, rasterise

Array = NDArray[Any]

TEXTURE_SLOT, FABRIC_SLOT, SPECULAR, GLOSS, WRAP, KIND, SUBSURFACE = range(7)
"""Columns of the shading's material table."""
CLOTH, HAIR = 2, 3
SHADOW_SIDE: Final = 224
LIGHT_AWAY: Final = 60.0
"""Distance of the light's plane, dm."""
TAPS: Final = 16

_angles = np.arange(TAPS)[None] * 2.399963 + np.arange(8)[:, None] * 0.785
_reach = (0.25 + 1.25 * (np.arange(TAPS) + 0.5) / TAPS)[None]
_TAP_OFFSETS: Final = np.stack(
    (np.cos(_angles) * _reach, np.sin(_angles) * _reach, np.broadcast_to(_reach, _angles.shape)), 2
).astype(np.float32)


@dataclass(frozen=True, eq=False)
class ShadowMap:
    """Depth as the key light sees it.

    Attributes:
        depth: float32 (224, 224).
        axes: (3, 3) right, up and towards the light.
        frame: (3,) centre x, centre y and pixels per dm.
    """

    depth: Array
    axes: Array
    frame: Array


def shadow_map(
    points: Array, seen: Array, triangles: Array, material: Array, cuts: Array, uv: Array,
    table: Array, alphas: Array, axes: Array,
) -> ShadowMap:  # fmt: skip
    """Render the person from the light.

    Args:
        points: (N, 3) in the scene.
        seen: vertices that the map must hold.
        triangles: as in ``rasterise``, and so are all that follow.
        material: (T,).
        cuts: (N, C).
        uv: (T, 3, 2).
        table: (M, 3).
        alphas: cut-outs.
        axes: (3, 3) of the light.
    """
    flat: Array = points @ axes.T.astype(np.float32)
    low, high = flat[seen].min(0), flat[seen].max(0)
    scale = 0.94 * SHADOW_SIDE / max(float(high[0] - low[0]), float(high[1] - low[1]))
    frame = np.array(((low[0] + high[0]) / 2, (low[1] + high[1]) / 2, scale))
    screen = np.empty_like(flat)
    screen[:, :2] = (flat[:, :2] - frame[:2].astype(np.float32)) * np.float32(scale)
    screen[:, :2] += SHADOW_SIDE / 2
    screen[:, 2] = LIGHT_AWAY - flat[:, 2]
    flat_table = table.copy()
    flat_table[:, 0], flat_table[:, 2] = 0, 0
    size = (SHADOW_SIDE, SHADOW_SIDE)
    drawn = rasterise(screen, triangles, material, cuts, uv, flat_table, alphas, size)
    return ShadowMap(drawn.depth, axes, frame)


def hollows(depth: Array, scale: float) -> NDArray[np.float32]:
    """How open to the sky each pixel is, (H, W) in 0..1; ``scale`` is pixels per dm."""
    import cv2

    out = np.empty(depth.shape, np.float32)
    _hollows(depth, scale, _TAP_OFFSETS, FAR, out)
    return np.asarray(cv2.blur(out, (3, 3)))


def shade(
    buffers: Buffers, points: Array, normals: Array, mesh: Any, shadows: ShadowMap, light: Array,
    eye: Array, samples: int, openness: Array,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:  # fmt: skip
    """The person in linear light, (H, W, 3), times its coverage (H, W).

    Args:
        buffers: ``samples`` times as large as the picture along each side.
        points: (N, 3) in the scene.
        normals: (N, 3).
        mesh: triangles, material, uv, chart, shading_table and textures, as a ``Person`` has them.
        shadows: of the key light.
        light: (16,), see ``Scene.lights``.
        eye: (3,) the camera.
        samples: along each side of a pixel.
        openness: (H, W).
    """
    height, width = openness.shape
    color, cover = np.zeros((height, width, 3), np.float32), np.zeros((height, width), np.float32)
    _shade(
        buffers.triangle, buffers.weights, mesh.triangles, mesh.material, points, normals,
        mesh.uv, mesh.chart, mesh.shading_table, mesh.textures, shadows.depth, shadows.axes,
        shadows.frame, light, eye, samples, openness, color, cover,
    )  # fmt: skip
    return color, cover


@njit(fastmath=True, cache=True)
def lit_share(
    depth: Array, axes: Array, frame: Array, x: float, y: float, z: float, bias: float,
    spread: float,
) -> float:  # fmt: skip  # pragma: no cover - compiled
    """The part of the key light that reaches a point: 5 x 5 samples of the shadow map."""
    side = depth.shape[0]
    u = (axes[0, 0] * x + axes[0, 1] * y + axes[0, 2] * z - frame[0]) * frame[2] + side * 0.5
    v = (axes[1, 0] * x + axes[1, 1] * y + axes[1, 2] * z - frame[1]) * frame[2] + side * 0.5
    away = 60.0 - (axes[2, 0] * x + axes[2, 1] * y + axes[2, 2] * z) - bias
    lit = 0.0
    for j in range(-2, 3):
        row = int(v + j * spread)
        for i in range(-2, 3):
            column = int(u + i * spread)
            if row < 0 or column < 0 or row >= side or column >= side or depth[row, column] > away:
                lit += 1.0
    return lit / 25.0


@njit(fastmath=True, cache=True)
def _texel(
    textures: Array, slot: int, u: float, v: float, out: Array,
) -> None:  # fmt: skip  # pragma: no cover - compiled
    """Bilinear, wrapping; sRGB squared to about linear, in 0..1."""
    side = textures.shape[1]
    x, y = (u - np.floor(u)) * side - 0.5, (1.0 - (v - np.floor(v))) * side - 0.5
    left, top = int(np.floor(x)), int(np.floor(y))
    a, b = x - left, y - top
    right, below = (left + 1) % side, (top + 1) % side
    left, top = left % side, top % side
    for c in range(3):
        upper = textures[slot, top, left, c] * (1 - a) + textures[slot, top, right, c] * a
        lower = textures[slot, below, left, c] * (1 - a) + textures[slot, below, right, c] * a
        value = (upper * (1 - b) + lower * b) * 0.00392156863
        out[c] = value * value


@njit(fastmath=True, cache=True)
def _hollows(
    depth: Array, scale: float, taps: Array, far: float, out: Array,
) -> None:  # fmt: skip  # pragma: no cover - compiled
    height, width = depth.shape
    for y in range(height):
        for x in range(width):
            here = depth[y, x]
            if here >= far * 0.5:
                out[y, x] = 1.0
                continue
            turn = (x * 7 + y * 13) % 8
            blocked = 0.0
            for k in range(taps.shape[1]):
                column = int(x + taps[turn, k, 0] * scale + 0.5)
                row = int(y + taps[turn, k, 1] * scale + 0.5)
                if row < 0 or column < 0 or row >= height or column >= width:
                    continue
                nearer = here - depth[row, column]
                if 0.10 < nearer < 3.0:
                    rise = min(1.0, (nearer - 0.10) / taps[turn, k, 2])
                    blocked += rise * (1.0 - nearer / 3.0)
            out[y, x] = 1.0 - 0.85 * blocked / taps.shape[1]


@njit(fastmath=True, cache=True)
def _shade(
    triangle: Array, weights: Array, triangles: Array, material: Array, points: Array,
    normals: Array, uv: Array, chart: Array, table: Array, textures: Array, depth: Array,
    axes: Array, frame: Array, light: Array, eye: Array, samples: int, openness: Array,
    color: Array, cover: Array,
) -> None:  # fmt: skip  # pragma: no cover - compiled
    height, width = cover.shape
    base, cloth = np.zeros(3), np.zeros(3)
    share = 1.0 / (samples * samples)
    for row in range(height):
        for column in range(width):
            for sample in range(samples * samples):
                y = row * samples + sample // samples
                x = column * samples + sample % samples
                t = triangle[y, x]
                if t < 0:
                    continue
                w1, w2 = weights[y, x, 0], weights[y, x, 1]
                w0 = 1 - w1 - w2
                a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
                of = table[material[t]]
                nx = w0 * normals[a, 0] + w1 * normals[b, 0] + w2 * normals[c, 0]
                ny = w0 * normals[a, 1] + w1 * normals[b, 1] + w2 * normals[c, 1]
                nz = w0 * normals[a, 2] + w1 * normals[b, 2] + w2 * normals[c, 2]
                px = w0 * points[a, 0] + w1 * points[b, 0] + w2 * points[c, 0]
                py = w0 * points[a, 1] + w1 * points[b, 1] + w2 * points[c, 1]
                pz = w0 * points[a, 2] + w1 * points[b, 2] + w2 * points[c, 2]
                scale = 1.0 / (np.sqrt(nx * nx + ny * ny + nz * nz) + 1e-9)
                nx, ny, nz = nx * scale, ny * scale, nz * scale
                vx, vy, vz = eye[0] - px, eye[1] - py, eye[2] - pz
                scale = 1.0 / np.sqrt(vx * vx + vy * vy + vz * vz)
                vx, vy, vz = vx * scale, vy * scale, vz * scale
                facing = nx * vx + ny * vy + nz * vz
                open_sky = openness[row, column]
                if facing < 0:
                    nx, ny, nz, facing = -nx, -ny, -nz, -facing
                    if of[KIND] == CLOTH:  # the inside of a garment
                        open_sky *= 0.45
                u = w0 * uv[t, 0, 0] + w1 * uv[t, 1, 0] + w2 * uv[t, 2, 0]
                v = w0 * uv[t, 0, 1] + w1 * uv[t, 1, 1] + w2 * uv[t, 2, 1]
                _texel(textures, int(of[TEXTURE_SLOT]), u, v, base)
                if of[FABRIC_SLOT] >= 0:
                    u = w0 * chart[t, 0, 0] + w1 * chart[t, 1, 0] + w2 * chart[t, 2, 0]
                    v = w0 * chart[t, 0, 1] + w1 * chart[t, 1, 1] + w2 * chart[t, 2, 1]
                    _texel(textures, int(of[FABRIC_SLOT]), u, v, cloth)
                    for k in range(3):
                        base[k] *= cloth[k] * 2.0
                toward = nx * axes[2, 0] + ny * axes[2, 1] + nz * axes[2, 2]
                lit = 1.0
                if toward > -of[WRAP]:
                    lit = lit_share(
                        depth, axes, frame, px + nx * 0.12, py + ny * 0.12, pz + nz * 0.12,
                        0.14, 1.2,
                    )  # fmt: skip
                    lit = 1.0 - light[15] * (1.0 - lit)
                diffuse = max(0.0, (toward + of[WRAP]) / (1 + of[WRAP])) * lit
                reddish = of[SUBSURFACE] * max(0.0, 0.25 - abs(toward)) * 1.2 * lit
                fill = max(0.0, nx * light[12] + ny * light[13] + nz * light[14])
                sky = 0.5 + 0.5 * ny
                hx, hy, hz = axes[2, 0] + vx, axes[2, 1] + vy, axes[2, 2] + vz
                scale = 1.0 / np.sqrt(hx * hx + hy * hy + hz * hz)
                half = (nx * hx + ny * hy + nz * hz) * scale
                shine = 0.0
                if of[KIND] == HAIR:  # a band across strands that hang down
                    along = hy * scale - ny * half
                    across = np.sqrt(max(0.0, 1 - along * along))
                    shine = of[SPECULAR] * across ** of[GLOSS] * lit * max(0.0, toward + 0.3)
                elif half > 0:
                    shine = of[SPECULAR] * half ** of[GLOSS] * lit
                rim = (1 - facing) * (1 - facing)
                shine += of[SPECULAR] * 0.6 * rim * rim * open_sky
                for k in range(3):
                    around = light[3 + k] * sky + light[6 + k] * (1 - sky) + light[9 + k] * fill
                    direct = diffuse + reddish if k == 0 else diffuse
                    energy = around * open_sky + light[k] * direct
                    gleam = shine * (0.3 + 0.7 * base[k]) * light[k]
                    color[row, column, k] += (base[k] * energy + gleam) * share
                cover[row, column] += share
