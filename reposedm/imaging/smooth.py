"""Smooth filling of unknown pixels: a membrane over a hole, by averaging on a pyramid."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


def smooth_fill(values: NDArray[np.float32], known: Mask) -> NDArray[np.float32]:
    """Fill unknown pixels smoothly (push-pull on a pyramid); known pixels stay as they are.

    Args:
        values: float32 (H, W, C).
        known: bool (H, W). With no known pixel at all the values are returned unchanged.
    """
    if known.all() or not known.any():
        return values.copy()
    weight = known.astype(np.float32)
    pyramid = [(values * weight[..., None], weight)]
    while min(pyramid[-1][1].shape) > 1:
        colour, weight = pyramid[-1]
        if weight.min() > 0.2:
            break
        size = ((weight.shape[1] + 1) // 2, (weight.shape[0] + 1) // 2)
        pyramid.append(
            (
                channels(cv2.resize(colour, size, interpolation=cv2.INTER_AREA)),
                cv2.resize(weight, size, interpolation=cv2.INTER_AREA),
            )
        )
    colour, weight = pyramid[-1]
    mean = colour.sum((0, 1)) / max(float(weight.sum()), 1e-6)
    result = (colour + 1e-4 * mean) / (weight[..., None] + 1e-4)
    for colour, weight in reversed(pyramid[:-1]):
        size = (weight.shape[1], weight.shape[0])
        coarse = channels(cv2.resize(result, size, interpolation=cv2.INTER_LINEAR))
        part = np.minimum(weight, 1)[..., None]
        result = colour + coarse * (1 - part)
    return np.where(known[..., None], values, result).astype(np.float32)


def channels(array: NDArray[np.float32]) -> NDArray[np.float32]:
    """OpenCV drops a last axis of length 1; put it back."""
    return array if array.ndim == 3 else array[..., None]
