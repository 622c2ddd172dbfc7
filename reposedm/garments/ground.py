"""A product picture: which pixels are the garment's, before a plain ground."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from reposedm.errors import ImageError

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]

_RIM: Final = 0.02
"""Width of the rim that is taken for ground, in parts of the shorter side."""
_LEAST: Final = 5.0
"""Least distance in CIE Lab between a garment's pixel and its ground."""
_SLOPE: Final = 0.4
"""Lightness per pixel, in Lab, from which there is an edge."""
_UNEVEN: Final = 14.0
"""Spread of the rim's colours, in Lab, from which a ground is no longer plain."""


def check_not_blank(image: Image) -> None:
    """Refuse a picture of one colour, whatever it should show.

    Raises:
        ImageError: nothing is to be seen on it.
    """
    step = max(1, max(image.shape[:2]) // 512)
    small = image[::step, ::step].reshape(-1, 3).astype(np.float32)
    if float(np.abs(small - np.median(small, axis=0)).mean()) < 0.5:
        raise ImageError(
            "The garment photo is empty, one colour all over: choose a picture of the garment."
        )


def is_plain(image: Image) -> bool:
    """Whether a picture's rim has one colour, as the ground of a product picture has."""
    return _spread(_lab(image)) < _UNEVEN


def product_alpha(image: Image) -> Floats:
    """The alpha of a garment before a plain ground: float32 (H, W) in [0, 1].

    Args:
        image: uint8 (H, W, 3) RGB.

    Raises:
        ImageError: the picture is empty, or its ground is not plain.
    """
    check_not_blank(image)
    lab = _lab(image)
    spread = _spread(lab)
    if spread >= _UNEVEN:
        raise ImageError(
            "Nobody was found on the garment photo and its ground is not plain: choose a picture "
            "of the garment on a plain ground, or of a person who wears it."
        )
    ground = np.median(lab[_rim(lab.shape[:2])], axis=0)
    distance = np.linalg.norm(lab - ground, axis=-1)
    near = distance < max(_LEAST, 2.5 * spread)
    garment = ~_joined_to_rim(near & ~_faint_edges(lab[..., 0], distance))
    if garment.any() and float(np.median(distance[garment])) > 5 * _LEAST:
        garment &= ~_gaps(near & garment)  # between sleeve and side, between the legs
    garment = _large_pieces(garment)
    if not 0.005 < garment.mean() < 0.98:
        raise ImageError(
            "No garment could be told from the ground of the garment photo: choose a picture of "
            "one garment with some ground around it, in a colour other than the ground's."
        )
    soft = cv2.GaussianBlur(garment.astype(np.float32), (0, 0), 0.8)
    return np.asarray(np.clip(2 * soft - 0.9, 0, 1), np.float32)


def _lab(image: Image) -> Floats:
    return cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)  # type: ignore[return-value]


def _rim(shape: tuple[int, ...]) -> NDArray[np.bool_]:
    width = max(2, round(_RIM * min(shape)))
    rim = np.ones(shape, bool)
    rim[width:-width, width:-width] = False
    return rim


def _spread(lab: Floats) -> float:
    """How far from its median the rim is, for nine pixels of ten; a garment may touch one side."""
    rim = lab[_rim(lab.shape[:2])]
    return float(np.quantile(np.linalg.norm(rim - np.median(rim, axis=0), axis=-1), 0.8))


def _faint_edges(light: Floats, distance: Floats) -> NDArray[np.bool_]:
    """Where white cloth ends on white paper: steps of lightness too small for a threshold.

    A shadow is as faint, but has no edge.
    """
    smooth = cv2.GaussianBlur(light, (0, 0), 1.2)
    slope = np.hypot(
        *(cv2.Sobel(smooth, cv2.CV_32F, *axis, scale=1 / 8) for axis in ((1, 0), (0, 1)))
    )
    still = float(np.quantile(slope[_rim(light.shape)], 0.98))
    faint = cv2.dilate(distance, np.ones((7, 7))) < 2.5 * _LEAST
    edges = (slope > max(_SLOPE, 1.5 * still)) & faint
    return np.asarray(cv2.dilate(edges.astype(np.uint8), np.ones((3, 3))) > 0)


def _joined_to_rim(near: NDArray[np.bool_]) -> NDArray[np.bool_]:
    _, pieces = cv2.connectedComponents(near.astype(np.uint8), connectivity=4)
    edge = np.concatenate((pieces[0], pieces[-1], pieces[:, 0], pieces[:, -1]))
    outside = np.zeros(int(pieces.max()) + 1, bool)
    outside[np.unique(edge)] = True
    outside[0] = False
    return np.asarray(outside[pieces])


def _gaps(inner: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Enclosed places of the ground's colour that are too large for a print or a button."""
    count, pieces, stats, _ = cv2.connectedComponentsWithStats(inner.astype(np.uint8))
    large = stats[:, cv2.CC_STAT_AREA] > 0.004 * inner.size
    large[0] = False
    return np.asarray(large[pieces]) if count > 1 else np.zeros_like(inner)


def _large_pieces(garment: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Without dust: pieces of a twentieth of the largest, and more."""
    opened = cv2.morphologyEx(garment.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    count, pieces, stats, _ = cv2.connectedComponentsWithStats(opened)
    if count < 2:
        return np.zeros_like(garment)
    areas = stats[:, cv2.CC_STAT_AREA].copy()
    areas[0] = 0
    return np.asarray((areas > 0.05 * areas.max())[pieces])
