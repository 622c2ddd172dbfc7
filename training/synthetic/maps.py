"""Canonical maps in files: a part and a place in its box, 8 bits each."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.synthetic.labels import MIRRORED_PARTS

Array = NDArray[Any]


def encode(part: Array, canonical: Array, boxes: Array) -> NDArray[np.uint8]:
    """Parts (H, W) and places (H, W, 3) -> uint8 (H, W, 4): the place in the part's box, the part.

    A step is about 2 mm.
    """
    low, high = boxes[part][..., 0, :], boxes[part][..., 1, :]
    share = np.clip((canonical - low) / np.maximum(high - low, 1e-6), 0, 1)
    place = (share * 255 + 0.5).astype(np.uint8) * (part > 0)[..., None].astype(np.uint8)
    return np.concatenate((place, part[..., None].astype(np.uint8)), -1)


def decode(pixels: Array, boxes: Array) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """What ``encode`` was given, places to a step; 0 outside the person."""
    part = pixels[..., 3]
    low, high = boxes[part][..., 0, :], boxes[part][..., 1, :]
    place = low + pixels[..., :3].astype(np.float32) / 255 * (high - low)
    return part, (place * (part > 0)[..., None]).astype(np.float32)


def mirrored(part: Array, canonical: Array) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """The maps of the mirrored picture: left and right exchanged in what they name as well."""
    swapped = np.array(MIRRORED_PARTS, np.uint8)[part[:, ::-1]]
    places = canonical[:, ::-1] * np.array((-1, 1, 1), np.float32)
    return np.ascontiguousarray(swapped), np.ascontiguousarray(places, np.float32)
