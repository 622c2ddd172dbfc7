"""How wide a part is along its axis: what is cut or made up stays inside its own silhouette."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reposedm.pipelines.puppet.body import Points

Mask = NDArray[np.bool_]

_BIN = 2.0
"""Working pixels per step along the axis."""

_LEAST = 4
"""Steps that must show the silhouette for it to be believed."""


@dataclass(frozen=True)
class Profile:
    """Both half widths of a part along an axis.

    Attributes:
        step: int (h, w), every pixel's step along the axis, clipped to the steps there are.
        t: (h, w), every pixel's place along the axis in pixels, from its start.
        n: (h, w), its place across.
        widths: by side -1 and 1: (steps,) how far the part reaches.
        free: by side: (steps,) where it ends against the background, not another part.
    """

    step: NDArray[np.int64]
    t: NDArray[np.float64]
    n: NDArray[np.float64]
    widths: dict[int, NDArray[np.float64]]
    free: dict[int, Mask]

    @classmethod
    def measure(cls, own: Mask, inside: Mask, start: Points, end: Points) -> Profile | None:
        """Measure ``own`` (h, w) of a person ``inside`` (h, w); None for what is too small."""
        along = np.asarray(end, float) - start
        length = float(np.linalg.norm(along))
        if length < 4 or not own.any():
            return None
        along /= length
        across = np.array([-along[1], along[0]])
        ys, xs = np.mgrid[: own.shape[0], : own.shape[1]] + 0.5
        t = (xs - start[0]) * along[0] + (ys - start[1]) * along[1]
        n = (xs - start[0]) * across[0] + (ys - start[1]) * across[1]
        low = float(t[own].min())
        step = np.floor((t - low) / _BIN).astype(np.int64)
        count = int(step[own].max()) + 1
        if count < _LEAST:
            return None
        step = np.clip(step, 0, count - 1)
        at = start + (low + (np.arange(count) + 0.5) * _BIN)[:, None] * along
        widths, free = {}, {}
        for sign in (-1, 1):
            mine = own & (sign * n > 0)
            width = np.zeros(count)
            np.maximum.at(width, step[mine], sign * n[mine])
            beside = at + (sign * (width + 3.5))[:, None] * across
            widths[sign], free[sign] = width, (width > 0) & ~_lookup(inside, beside)
        return cls(step, t, n, widths, free)

    def seen(self, sign: int) -> NDArray[np.float64] | None:
        """(steps,) half width, interpolated where another part lies there; None if unknown."""
        free = self.free[sign]
        if free.sum() < _LEAST:
            return None
        return np.interp(np.arange(len(free)), np.flatnonzero(free), self.widths[sign][free])


def within_profile(own: Mask, inside: Mask, start: Points, end: Points) -> Mask:
    """Pixels no further from an axis than the part's own silhouette.

    Where the part ends against the background its width is seen; where another part of the person
    lies against it, the width is interpolated between such places.

    Args:
        own: bool (h, w), pixels that are surely the part's.
        inside: bool (h, w), the person.
        start: one end of the axis, pixels.
        end: the other end.

    Returns:
        bool (h, w); all True for a side whose silhouette is nowhere seen.
    """
    allowed = np.ones(own.shape, bool)
    profile = Profile.measure(own, inside, start, end)
    if profile is None:
        return allowed
    for sign in (-1, 1):
        seen = profile.seen(sign)
        if seen is not None:
            side = sign * profile.n
            allowed &= (side <= 0) | (side <= seen[profile.step] + 1.5)
    return allowed


def beyond_profile(own: Mask, inside: Mask, start: Points, end: Points, radius: float) -> Mask:
    """Pixels of a limb that stick out of it towards another part it lies against.

    Where it lies against the trunk it is judged by the nearest place where that side is seen
    against the background, or by its other side: a limb is about as wide to both.

    Args:
        own: bool (h, w), the limb's pixels.
        inside: bool (h, w), the person.
        start: the bone's root, pixels.
        end: the bone's end.
        radius: the limb's usual half width, pixels.
    """
    nothing = np.zeros(own.shape, bool)
    profile = Profile.measure(own, inside, start, end)
    if profile is None:
        return nothing
    length = float(np.linalg.norm(np.asarray(end, float) - start))
    zone = own & (profile.t > 0.15 * length) & (profile.t < length)
    for sign in (-1, 1):
        if profile.free[sign].mean() > 0.5:
            continue
        limit = profile.seen(sign)
        if limit is None:
            limit = profile.seen(-sign)
        if limit is None:
            limit = np.full(len(profile.free[sign]), radius)
        limit = np.clip(1.05 * limit, 0.7 * radius, 1.5 * radius)
        steps = profile.step
        held = profile.free[sign][steps]  # its own seen silhouette
        nothing |= zone & ~held & (sign * profile.n > limit[steps])
    return nothing


def _lookup(inside: Mask, at: Points) -> Mask:
    """Values at the pixels that contain the points, False outside the picture."""
    height, width = inside.shape
    x, y = np.floor(at[:, 0]).astype(int), np.floor(at[:, 1]).astype(int)
    ok = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    return ok & inside[np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)]
