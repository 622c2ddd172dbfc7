"""Where in the source picture each point of the target picture is."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from training.synthetic.person import Person
from training.synthetic.raster import BIAS
from training.synthetic.views import View

Array = NDArray[Any]

SAME_POINT: Final = 0.45
"""A point is hidden in the source when something is this much nearer there, dm."""
STEP: Final = 0.12
"""Neighbouring pixels of a canonical map at 256 x 176 are about this far apart, dm."""
TOGETHER: Final = 3
"""Canonical neighbours that are farther apart in the picture are not averaged, pixels."""


def exact_flow(
    person: Person, source: View, target: View
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """The mapping between two views of one person in one outfit, from the geometry.

    Args:
        person: of both views.
        source: where it looks.
        target: for whose pixels.

    Returns:
        float32 (H, W, 2), position (x, y) in the source for each pixel of the target, centres at
        +0.5; and bool (H, W), where the source shows that very point. Elsewhere on the person the
        position is where the point would be; outside it is -1.
    """
    seen = target.triangle >= 0
    corners = person.triangles[target.triangle[seen]]  # n,3
    second, third = target.weights[seen].T
    shares = np.stack((1 - second - third, second, third), 1)
    points = (source.screen[corners] * shares[..., None]).sum(1)  # n,3
    height, width = source.part.shape
    x, y, z = points.T
    inside = (x >= 0) & (y >= 0) & (x < width) & (y < height)
    column = np.clip(x, 0, width - 1).astype(int)
    row = np.clip(y, 0, height - 1).astype(int)
    # Depths in the buffer are less their material's bias.
    bias = person.raster_table[person.material[target.triangle[seen]], BIAS]
    shown = inside & (z - bias < source.depth[row, column] + SAME_POINT)
    shown &= source.segment[row, column] == target.segment[seen]
    flow = np.full((*seen.shape, 2), -1, np.float32)
    valid = np.zeros(seen.shape, bool)
    flow[seen], valid[seen] = points[:, :2], shown
    return flow, valid


def canonical_flow(
    source: tuple[Array, Array], target: tuple[Array, Array], within: float = STEP
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """The mapping between any two pictures from their canonical maps alone.

    For each label the nearest points of the source, and the mean of their pixels.

    Args:
        source: labels (h, w), 0 outside, and canonical places (h, w, 3).
        target: the same of the target.
        within: a point farther from all points of the source than this is not shown, dm.

    Returns:
        As ``exact_flow``; -1 wherever the source does not show the point.
    """
    from scipy.spatial import cKDTree

    (labels, places), (wanted, goals) = source, target
    flow = np.full((*wanted.shape, 2), -1, np.float32)
    for label in np.unique(wanted[wanted > 0]):
        here, there = labels == label, wanted == label
        if here.sum() < 3:
            continue
        pixels = np.argwhere(here)[:, ::-1] + 0.5  # x, y
        distance, nearest = cKDTree(places[here]).query(goals[there], k=3)
        near = pixels[nearest]  # n,3,2
        shares = 1 / (distance + 0.01) ** 2
        mean = (near * (shares / shares.sum(1, keepdims=True))[..., None]).sum(1)
        torn = np.abs(near - near[:, :1]).max((1, 2)) > TOGETHER
        found = np.where(torn[:, None], near[:, 0], mean)
        flow[there] = np.where((distance[:, 0] < within)[:, None], found, -1)
    return flow, flow[..., 0] >= 0


def mapping(flow: Array, valid: Array) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A flow as the networks use it: offsets (2, H, W) in pixels, 0 where not valid; and (H, W)."""
    height, width = valid.shape
    rows, columns = np.mgrid[:height, :width].astype(np.float32) + np.float32(0.5)
    offsets = np.stack((flow[..., 0] - columns, flow[..., 1] - rows))
    return np.where(valid, offsets, 0).astype(np.float32), valid.astype(np.float32)
