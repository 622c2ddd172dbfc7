"""Where the photo's edge cuts a person off: moved into the picture, the cut fades out softly."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reposedm.pipelines.puppet.body import Points
from reposedm.pipelines.puppet.field import Array, smoothstep

LEFT, TOP, RIGHT, BOTTOM = range(4)


def cut_edges(
    alpha: NDArray[np.uint8], origin: tuple[int, int], size: tuple[int, int]
) -> tuple[int, ...]:
    """The edges of a photo of ``size`` that cut through a layer.

    Args:
        alpha: uint8 (h, w), the layer's.
        origin: (x, y) of its first pixel in the photo.
        size: (width, height) of the photo.
    """
    height, width = alpha.shape
    edges = (
        (LEFT, origin[0] <= 0, alpha[:, 0]),
        (TOP, origin[1] <= 0, alpha[0]),
        (RIGHT, origin[0] + width >= size[0], alpha[:, -1]),
        (BOTTOM, origin[1] + height >= size[1], alpha[-1]),
    )
    return tuple(edge for edge, there, line in edges if there and (line > 128).sum() > 2)


def border_fade(
    source: Points, target: Points, size: tuple[int, int], edges: tuple[int, ...], width: float
) -> Array | None:
    """(N,) factor of a cut layer's alpha, or None where nothing fades.

    Fades within ``width`` of the cut, but not where the target lies as near to the picture's edge:
    there the picture cuts the person off just as the photo did.

    Args:
        source: (N, 2) places in the photo.
        target: (N, 2) where they are shown, photo pixels.
        size: (width, height) of the photo.
        edges: those that cut the layer.
        width: pixels.
    """
    here = np.min([_distance(source, size, edge) for edge in edges], axis=0)
    there = np.min([_distance(target, size, edge) for edge in range(4)], axis=0)
    moved_in = smoothstep((there - np.maximum(here, 0)) / width, 0.2, 1.0)
    factor = np.asarray(1 - moved_in * (1 - smoothstep(here, 0.0, width)))
    return factor if factor.min() < 1 else None


def _distance(points: Points, size: tuple[int, int], edge: int) -> Array:
    """(N,) how far inside one edge of the photo."""
    x, y = points[:, 0], points[:, 1]
    return np.asarray((x, y, size[0] - x, size[1] - y)[edge])
