"""Smooth random planes, from a small bank: making them anew would cost more than rendering."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]
BANK = 6


def smooth_noise(
    rng: np.random.Generator, side: int, octaves: tuple[int, ...], falloff: float = 1.0
) -> Plane:
    """Noise (side, side) of mean 0 and deviation 1.

    Args:
        rng: which of the bank, and its reflection.
        side: in pixels.
        octaves: cells along a side of each layer.
        falloff: an octave of k cells has the weight k ** -falloff.
    """
    plane = _bank(side, octaves, falloff)[rng.integers(BANK)]
    if rng.random() < 0.5:
        plane = plane[:, ::-1]
    if rng.random() < 0.5:
        plane = plane[::-1]
    return plane


@lru_cache(maxsize=32)
def _bank(side: int, octaves: tuple[int, ...], falloff: float) -> list[Plane]:
    rng = np.random.default_rng((side, *octaves))
    return [_noise(rng, side, octaves, falloff) for _ in range(BANK)]


def _noise(rng: np.random.Generator, side: int, octaves: tuple[int, ...], falloff: float) -> Plane:
    total = np.zeros((side, side), np.float32)
    for cells in octaves:
        layer = rng.standard_normal((cells, cells)).astype(np.float32)
        wide = cv2.resize(layer, (side, side), interpolation=cv2.INTER_CUBIC)
        total += wide / np.float32(cells**falloff)
    total -= total.mean()
    return np.asarray(total / (total.std() + 1e-6), np.float32)
