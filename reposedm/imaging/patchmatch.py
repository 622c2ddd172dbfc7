"""Patch search for hole filling: for every cell of a hole, where in the known part to copy from.

Randomised correspondence search (PatchMatch) over a pyramid, all cells at once instead of scan-line
by scan-line, so that numpy can do it. Deterministic: its random numbers have a fixed seed.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]

_RADIUS = 2
"""Patches are 5 x 5 cells."""


def match_offsets(
    base: NDArray[np.float32], hole: Mask, source: Mask, factor: int, seed: int = 0
) -> NDArray[np.float32] | None:
    """Offsets (cells, row then column) from hole cells to the source cells that continue them.

    Args:
        base: float32 (H, W, 3) with the hole filled roughly.
        hole: bool (H, W).
        source: bool (H, W), where copies may come from.
        factor: side of a cell in pixels.
        seed: of the search.

    Returns:
        float32 (h, w, 2), 0 outside the hole; None if the source has no whole patch.
    """
    levels = [factor]
    while min(hole.shape) / levels[-1] > 40 and len(levels) < 4:
        levels.append(levels[-1] * 2)
    random = np.random.default_rng(seed)
    offsets: NDArray[np.float32] | None = None
    for cell in reversed(levels):
        size = (max(1, hole.shape[1] // cell), max(1, hole.shape[0] // cell))
        picture = cv2.resize(base, size, interpolation=cv2.INTER_AREA)
        share = cv2.resize(hole.astype(np.float32), size, interpolation=cv2.INTER_AREA)
        usable = cv2.resize(source.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0.98
        found = _level(picture, share > 0.01, usable, offsets, random)
        offsets = found if found is not None else offsets
    if offsets is None or offsets.shape[:2] != (size[1], size[0]):
        return None
    return offsets


def _level(
    picture: NDArray[np.float32],
    hole: Mask,
    usable: Mask,
    coarse: NDArray[np.float32] | None,
    random: np.random.Generator,
) -> NDArray[np.float32] | None:
    """Search and vote at one pyramid level; ``coarse`` are the offsets of the level above."""
    height, width = hole.shape
    whole = cv2.erode(
        usable.astype(np.uint8),
        np.ones((2 * _RADIUS + 1,) * 2, np.uint8),
        borderType=cv2.BORDER_CONSTANT,
        borderValue=0,
    ).astype(bool)
    centres = np.argwhere(whole).astype(np.int32)
    cells = np.argwhere(hole).astype(np.int32)
    if len(centres) == 0 or len(cells) == 0:
        return None
    index = np.full((height, width), -1, np.int32)
    index[tuple(cells.T)] = np.arange(len(cells))
    if coarse is None:
        places = centres[random.integers(len(centres), size=len(cells))]
        rounds, searches = 4, 5
    else:
        grown = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_NEAREST)
        ratio = np.array([height / coarse.shape[0], width / coarse.shape[1]], np.float32)
        places = cells + np.rint(grown[tuple(cells.T)] * ratio).astype(np.int32)
        rounds, searches = 2, 3
        picture = _vote(picture, cells, index, _legal(places, whole, cells, centres, random))
    search = _Search(whole, cells, index=index, random=random)
    places = _legal(places, whole, cells, centres, random)
    for turn in range(rounds):
        places = search.improve(picture, places, searches)
        if turn + 1 < rounds:
            picture = _vote(picture, cells, index, places)
    offsets = np.zeros((height, width, 2), np.float32)
    offsets[tuple(cells.T)] = places - cells
    return offsets


def _legal(
    places: NDArray[np.int32],
    whole: Mask,
    cells: NDArray[np.int32],
    centres: NDArray[np.int32],
    random: np.random.Generator,
) -> NDArray[np.int32]:
    """Replace places that are not the centre of a whole source patch by random ones that are."""
    height, width = whole.shape
    bad = ((places < 0) | (places >= (height, width))).any(1)
    clipped = np.clip(places, 0, (height - 1, width - 1))
    bad |= ~whole[tuple(clipped.T)]
    fresh = centres[random.integers(len(centres), size=len(cells))]
    return np.where(bad[:, None], fresh, clipped).astype(np.int32)


class _Search:
    """Propagation and random search for one picture's hole cells."""

    def __init__(
        self,
        whole: Mask,
        cells: NDArray[np.int32],
        *,
        index: NDArray[np.int32],
        random: np.random.Generator,
    ) -> None:
        self.whole, self.cells, self.index, self.random = whole, cells, index, random
        self.shape = whole.shape
        steps = np.arange(-_RADIUS, _RADIUS + 1)
        self.steps = np.stack(np.meshgrid(steps, steps, indexing="ij"), -1).reshape(-1, 2)

    def patches(
        self, picture: NDArray[np.float32], places: NDArray[np.int32]
    ) -> NDArray[np.float32]:
        """(N, 75) colours of the patches round ``places``, borders clamped."""
        height, width = self.shape
        ys = np.clip(places[:, :1] + self.steps[:, 0], 0, height - 1)
        xs = np.clip(places[:, 1:] + self.steps[:, 1], 0, width - 1)
        flat: NDArray[np.float32] = picture.reshape(-1, 3)[ys * width + xs].reshape(len(places), -1)
        return flat

    def improve(
        self, picture: NDArray[np.float32], places: NDArray[np.int32], searches: int
    ) -> NDArray[np.int32]:
        """Try neighbours' offsets and random places round the present ones; keep the better."""
        wanted = self.patches(picture, self.cells)
        best = places, self._cost(picture, wanted, places)
        limit = np.array(self.shape) - 1
        reach = max(self.shape) / 2
        everywhere = np.ones(len(places), bool)
        for turn in range(searches):
            for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0)):
                step = 1 + (searches - 1 - turn) * 2
                near = self.cells + np.array([dy * step, dx * step], np.int32)
                inside = ((near >= 0) & (near <= limit)).all(1)
                other = np.where(inside, self.index[tuple(np.clip(near, 0, limit).T)], -1)
                candidate = best[0][other] - near + self.cells
                best = self._keep(picture, wanted, best, candidate, other >= 0)
            radius = max(1.0, reach * 0.35**turn)
            jump = self.random.uniform(-radius, radius, places.shape)
            candidate = best[0] + np.rint(jump).astype(np.int32)
            best = self._keep(picture, wanted, best, candidate, everywhere)
        return best[0]

    def _keep(
        self,
        picture: NDArray[np.float32],
        wanted: NDArray[np.float32],
        best: tuple[NDArray[np.int32], NDArray[np.float32]],
        candidate: NDArray[np.int32],
        allowed: Mask,
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        places, cost = best
        height, width = self.shape
        allowed = allowed & ((candidate >= 0) & (candidate < self.shape)).all(1)
        clipped = np.clip(candidate, 0, (height - 1, width - 1))
        allowed &= self.whole[tuple(clipped.T)] & (clipped != places).any(1)
        rows = np.flatnonzero(allowed)
        if not len(rows):
            return places, cost
        new = self._cost(picture, wanted[rows], clipped[rows])
        better = new < cost[rows]
        places, cost = places.copy(), cost.copy()
        places[rows[better]] = clipped[rows[better]]
        cost[rows[better]] = new[better]
        return places, cost

    def _cost(
        self,
        picture: NDArray[np.float32],
        wanted: NDArray[np.float32],
        places: NDArray[np.int32],
    ) -> NDArray[np.float32]:
        difference = wanted - self.patches(picture, places)
        cost: NDArray[np.float32] = np.einsum("nk,nk->n", difference, difference)
        return cost


def _vote(
    picture: NDArray[np.float32],
    cells: NDArray[np.int32],
    index: NDArray[np.int32],
    places: NDArray[np.int32],
) -> NDArray[np.float32]:
    """Each hole cell becomes the mean of what the overlapping patches say of it."""
    height, width = index.shape
    total = picture[tuple(places.T)] * 2.0
    count = np.full((len(cells), 1), 2.0, np.float32)
    limit = (height - 1, width - 1)
    for dy in range(-1, 2):
        for dx in range(-1, 2):
            step = np.array([dy, dx], np.int32)
            near = np.clip(cells + step, 0, limit)
            other = index[tuple(near.T)]
            there = np.clip(places[other] - step, 0, limit)
            use = (other >= 0).astype(np.float32)[:, None]
            total += picture[tuple(there.T)] * use
            count += use
    voted = picture.copy()
    voted[tuple(cells.T)] = total / count
    return voted
