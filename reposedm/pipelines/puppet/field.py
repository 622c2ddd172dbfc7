"""Where each target point of a layer looks in the source: bones, trunk, head, and smooth joints.

All maps go backwards, target -> source, on (N, 2) points, so a picture is one ``cv2.remap``. Bones
that share a joint both map it exactly; near it their rotation is interpolated, not their positions,
which keeps elbows and armpits round at any angle.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from reposedm.pipelines.puppet.body import Points, angle_of, rotation, similarity, wrap

Array = NDArray[np.float64]


class Map(Protocol):
    """A map from target points (N, 2) to source points (N, 2)."""

    @property
    def turn(self) -> float:
        """Rotation of the map, source angle minus target angle, in radians."""
        ...

    def __call__(self, points: Points) -> Points:
        """Map (N, 2) target points."""
        ...


def smoothstep(values: Array, low: float, high: float) -> Array:
    """0 below ``low``, 1 above ``high``, smooth between."""
    t = np.clip((values - low) / max(high - low, 1e-9), 0, 1)
    return np.asarray(t * t * (3 - 2 * t))


@dataclass(frozen=True)
class BoneMap:
    """A straight bone: stretches along itself, keeps the person's scale across and beyond its ends.

    Attributes:
        source: (2, 2) its two ends in the source.
        target: (2, 2) its two ends in the target.
        scale: target size over source size of the whole person.
    """

    source: Points
    target: Points
    scale: float

    @property
    def turn(self) -> float:
        """Source direction minus target direction, radians."""
        return wrap(
            angle_of(self.source[1] - self.source[0]) - angle_of(self.target[1] - self.target[0])
        )

    @property
    def direction(self) -> Points:
        """Unit vector along the bone in the target."""
        along = self.target[1] - self.target[0]
        return along / max(float(np.linalg.norm(along)), 1e-9)

    def __call__(self, points: Points) -> Points:
        """Map (N, 2) target points."""
        along_s = self.source[1] - self.source[0]
        length_s = max(float(np.linalg.norm(along_s)), 1e-6)
        length_t = max(float(np.linalg.norm(self.target[1] - self.target[0])), 1e-6)
        unit_s = along_s / length_s
        unit_t = self.direction
        offset = points - self.target[0]
        t = offset @ unit_t
        n = (offset @ np.array([-unit_t[1], unit_t[0]])) / self.scale
        inner = np.clip(t, 0, length_t)
        g = inner * (length_s / length_t) + (t - inner) / self.scale
        across = np.array([-unit_s[1], unit_s[0]])
        return np.asarray(self.source[0] + g[:, None] * unit_s + n[:, None] * across)


@dataclass(frozen=True)
class TrunkMap:
    """An affine map through the trunk's joints, and a smooth residual to make it exact there."""

    source: Points
    target: Points
    affine: Array
    offset: Points
    residual: Points
    spread: float
    turn: float

    @classmethod
    def fit(cls, source: Points, target: Points, scale: float) -> TrunkMap:
        """Fit to (N, 2) control points; ``scale`` sets the size where the points leave it open."""
        similar, _ = similarity(source, target)
        turn = -angle_of(similar[:, 0])
        unit = max(float(np.ptp(target, axis=0).max()), 1e-6)
        # Ridge regression towards the rigid map: five joints do not always span the plane.
        prior = rotation(turn) / scale
        centre_s, centre_t = source.mean(0), target.mean(0)
        a, b = target - centre_t, source - centre_s
        ridge = (0.10 * unit) ** 2 * np.eye(2)
        affine = np.linalg.solve(a.T @ a + ridge, a.T @ b + ridge @ prior.T).T
        offset = centre_s - affine @ centre_t
        residual = source - (target @ affine.T + offset)
        return cls(source, target, affine, offset, residual, 0.35 * unit, turn)

    def __call__(self, points: Points) -> Points:
        """Map (N, 2) target points."""
        square = ((points[:, None] - self.target) ** 2).sum(-1)
        near = 1 / (square + 1e-6) * np.exp(-square / (2 * self.spread**2))
        weight = near / (near.sum(1, keepdims=True) + 4 / self.spread**2)
        return np.asarray(points @ self.affine.T + self.offset + weight @ self.residual)


@dataclass(frozen=True)
class SimilarityMap:
    """Rotation, scale and shift; the head's map."""

    matrix: Array
    offset: Points
    turn: float

    def __call__(self, points: Points) -> Points:
        """Map (N, 2) target points."""
        return np.asarray(points @ self.matrix.T + self.offset)


@dataclass(frozen=True)
class Joint:
    """A joint at which two maps meet: ``before`` (towards the trunk) and ``after``.

    Attributes:
        source: where the joint is in the source.
        target: where it is in the target.
        before: map of the part towards the trunk.
        after: map of the part away from it.
        axis: unit vector in the target, from before to after.
        width: half the width of the zone of blending, target pixels.
        radius: of the limb at the joint, target pixels.
    """

    source: Points
    target: Points
    before: Map
    after: Map
    axis: Points
    width: float
    radius: float

    @classmethod
    def between(
        cls,
        source: Points,
        target: Points,
        before: Map,
        after: Map,
        *,
        directions: tuple[Points, Points],
        radius: float,
    ) -> Joint:
        """A joint whose zone follows the bisector of two target directions.

        ``radius`` is the limb's, in target pixels.
        """
        axis = directions[0] + directions[1]
        length = float(np.linalg.norm(axis))
        if length < 1e-3:
            axis, length = np.array([-directions[1][1], directions[1][0]]), 1.0
        width = radius * float(np.clip(length / 1.6, 0.3, 1.0))
        return cls(source, target, before, after, axis / length, width, radius)

    def share(self, points: Points) -> Array:
        """(N,) how much each target point belongs to the part after the joint."""
        return smoothstep((points - self.target) @ self.axis, -self.width, self.width)

    def blend(self, points: Points, share: Array) -> Points:
        """Map points with ``share`` (N,) of ``after``, turning round the joint."""
        turn = wrap(self.after.turn - self.before.turn)
        first = self.before(points) - self.before(self.target[None])
        second = self.after(points) - self.after(self.target[None])
        second = second @ rotation(-turn).T
        mixed = first + share[:, None] * (second - first)
        cos, sin = np.cos(turn * share), np.sin(turn * share)
        x = mixed[:, 0] * cos - mixed[:, 1] * sin
        y = mixed[:, 0] * sin + mixed[:, 1] * cos
        return np.asarray(np.stack([x, y], 1) + self.source)


@dataclass(frozen=True)
class LimbMap:
    """One bone's layer: its own map, blended into its neighbours' at both ends."""

    own: BoneMap
    root: Joint
    end: Joint | None
    root_fade: float = 0.0
    """How much of the layer's cap on the root's other side is hidden: a far turn whirls it."""

    @property
    def turn(self) -> float:
        """The bone's own rotation."""
        return self.own.turn

    def __call__(self, points: Points) -> Points:
        """Map (N, 2) target points."""
        result = self.own(points)
        core = self._core(points, self.end) if self.end is not None else None
        free: Array = np.ones(len(points))
        if self.end is not None and core is not None:
            share = self.end.share(points) * (1 - core)
            rows = np.flatnonzero(share > 1e-4)
            result[rows] = self.end.blend(points[rows], share[rows])
            free = np.asarray(1 - share)
        share = np.maximum(self.root.share(points), self._core(points, self.root))
        rows = np.flatnonzero((share < 1 - 1e-4) & (free > 1e-4))
        moved = self.root.blend(points[rows], share[rows]) - self.own(points[rows])
        result[rows] += moved * free[rows, None]
        return result

    def _core(self, points: Points, joint: Joint) -> Array:
        """(N,) 1 near the bone and away from a joint: there the bone holds against its neighbour.

        Without it, a limb that is folded back onto its neighbour would be cut at the bisector.
        """
        along = self.own.direction
        start = self.own.target[0] if joint is self.root else self.own.target[1]
        sign = 1.0 if joint is self.root else -1.0
        offset = points - start
        t = offset @ along * sign
        n = np.abs(offset @ np.array([-along[1], along[0]]))
        r = joint.radius
        return np.asarray(smoothstep(t, 0.8 * r, 1.5 * r) * (1 - smoothstep(n, 1.2 * r, 1.8 * r)))

    def cover(self, points: Points) -> Array | None:
        """(N,) factor of the layer's alpha at target points, or None for 1 everywhere.

        On a neighbour's side of a bent joint the map follows the neighbour; beyond the cap, where
        that would show this layer's pixels a second time, it is hidden.
        """
        factor = np.ones(len(points))
        for joint in (self.root, self.end):
            if joint is None:
                continue
            turn = abs(wrap(joint.after.turn - joint.before.turn))
            if turn < 0.05:
                continue
            offset = points - joint.target
            share = joint.share(points)
            if joint is self.end:
                share = 1 - share
            distance = np.hypot(offset[:, 0], offset[:, 1]) / joint.radius
            ours = np.maximum(smoothstep(share, 0.6, 1.0), self._core(points, joint))
            hidden = (1 - ours) * smoothstep(distance, 1.05, 1.35)
            factor *= 1 - hidden * min(1.0, turn / 0.3)
            if joint is self.root and self.root_fade > 0:
                near = 1 - smoothstep(distance, 1.5, 2.2)
                factor *= 1 - self.root_fade * near * (1 - smoothstep(share, 0.2, 0.4))
        return factor if factor.min() < 1 else None


@dataclass(frozen=True)
class HeadMap:
    """The head's similarity, turning into the trunk's map down the neck."""

    head: SimilarityMap
    joint: Joint
    low: float
    high: float

    @property
    def turn(self) -> float:
        """The head's own rotation."""
        return self.head.turn

    def __call__(self, points: Points) -> Points:
        """Map (N, 2) target points; ``low``..``high`` along the neck is blended."""
        joint = self.joint
        share = smoothstep((points - joint.target) @ joint.axis, self.low, self.high)
        shift = self.head(joint.target[None]) - joint.source
        return np.asarray(joint.blend(points, share) + share[:, None] * shift)
