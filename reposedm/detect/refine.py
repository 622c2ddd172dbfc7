"""A coarse mask made to follow the edges of the photograph (colour guided filter, box filters)."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]


def guided_filter(
    guide: NDArray[np.uint8], plane: Plane, radius: int, eps: float, shrink: int = 1
) -> Plane:
    """The plane as a local linear function of the guide's colours (He et al., 2010).

    Args:
        guide: uint8 (H, W, 3).
        plane: float32 (H, W).
        radius: half the side of the window, pixels.
        eps: how much colour variance counts as flat; colours are in [0, 1].
        shrink: coefficients are computed on a picture this many times smaller (the fast filter).
    """
    height, width = plane.shape
    size = (max(1, round(width / shrink)), max(1, round(height / shrink)))
    colours = guide.astype(np.float32) / 255
    small = cv2.resize(colours, size, interpolation=cv2.INTER_AREA) if shrink > 1 else colours
    values = cv2.resize(plane, size, interpolation=cv2.INTER_AREA) if shrink > 1 else plane
    slope, offset = _coefficients(small, values, max(1, round(radius / shrink)), eps)
    if shrink > 1:
        slope = cv2.resize(slope, (width, height), interpolation=cv2.INTER_LINEAR)
        offset = cv2.resize(offset, (width, height), interpolation=cv2.INTER_LINEAR)
    return ((slope * colours).sum(2) + offset).astype(np.float32)


def _coefficients(guide: Plane, plane: Plane, radius: int, eps: float) -> tuple[Plane, Plane]:
    """Slopes (H, W, 3) and offset (H, W), averaged over the windows that hold a pixel."""

    def mean(values: Plane) -> Plane:
        side = 2 * radius + 1
        return cv2.blur(values, (side, side), borderType=cv2.BORDER_REFLECT)  # type: ignore[return-value]

    mean_guide, mean_plane = mean(guide), mean(plane)
    cross = mean(guide * plane[..., None]) - mean_guide * mean_plane[..., None]
    r, g, b = cv2.split(guide)
    mr, mg, mb = cv2.split(mean_guide)
    rr, gg, bb = (mean(x * x) - m * m + eps for x, m in ((r, mr), (g, mg), (b, mb)))
    rg, rb, gb = mean(r * g) - mr * mg, mean(r * b) - mr * mb, mean(g * b) - mg * mb
    # The inverse of each pixel's symmetric 3 x 3 covariance, by cofactors.
    c00, c01, c02 = gg * bb - gb * gb, rb * gb - rg * bb, rg * gb - rb * gg
    c11, c12, c22 = rr * bb - rb * rb, rb * rg - rr * gb, rr * gg - rg * rg
    det = rr * c00 + rg * c01 + rb * c02
    x, y, z = cv2.split(cross)
    slope = cv2.merge(
        [
            (c00 * x + c01 * y + c02 * z) / det,
            (c01 * x + c11 * y + c12 * z) / det,
            (c02 * x + c12 * y + c22 * z) / det,
        ]
    )
    offset = mean_plane - (slope * mean_guide).sum(2)
    return mean(slope), mean(offset)


def follow_edges(image: NDArray[np.uint8], coarse: Plane, radius: int) -> Plane:
    """Soft alpha float32 (H, W) in [0, 1] from a coarse one, sure parts kept sure.

    Args:
        image: uint8 (H, W, 3) RGB.
        coarse: float32 (H, W) in [0, 1]; 0.5 is the edge.
        radius: how far the edge may be off, pixels.
    """
    shrink = max(1, radius // 4)
    fine = guided_filter(image, coarse, radius, 1e-4, shrink)
    fine = np.clip((fine - 0.2) / 0.6, 0, 1)
    # Far from the coarse edge the filter has nothing to say.
    side = 2 * radius + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    sure = (coarse > 0.5).astype(np.uint8)
    inner, outer = cv2.erode(sure, kernel), cv2.dilate(sure, kernel)
    return np.where(inner > 0, np.maximum(fine, coarse), np.where(outer > 0, fine, 0)).astype(
        np.float32
    )
