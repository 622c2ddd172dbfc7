"""The ``Pose`` type: one person's 18 joints on one photograph."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reposedm.errors import PoseError
from reposedm.pose.skeleton import JOINTS, MIRROR, N_JOINTS


class JointState(IntEnum):
    """What is known of a joint.

    HIDDEN joints are not drawn and have no heat map, but keep their coordinates, so that a click
    brings them back. BEHIND joints are occluded: drawn, with a heat-map peak of 0.5.
    """

    HIDDEN = 0
    BEHIND = 1
    VISIBLE = 2


@dataclass(frozen=True, eq=False)
class Pose:
    """One person's joints, in pixels of the original upright photograph.

    Attributes:
        points: float32 (18, 2), x right and y down, pixel centres at +0.5.
        score: float32 (18,), the detector's confidence in [0, 1]; 1 where a person set the joint.
        state: uint8 (18,) of ``JointState``.
        size: (width, height) of the photograph in pixels.
        extras: foreign fields of the file it came from (hands, face), carried through untouched.

    Raises:
        PoseError: shapes, non-finite numbers, states or sizes that no photograph has.
    """

    points: NDArray[np.float32]
    score: NDArray[np.float32]
    state: NDArray[np.uint8]
    size: tuple[int, int]
    extras: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check and freeze: a ``Pose`` that exists is one that every layer can trust."""
        points = _array(self.points, (N_JOINTS, 2), np.float32, "points")
        score = _array(self.score, (N_JOINTS,), np.float32, "score")
        state = _array(self.state, (N_JOINTS,), np.uint8, "state")
        if state.max() > JointState.VISIBLE:
            raise PoseError(f"a joint's state is 0, 1 or 2, not {int(state.max())}")
        width, height = (int(side) for side in self.size)
        if not (1 <= width <= 65535 and 1 <= height <= 65535):
            raise PoseError(f"a photo of {width} x {height} pixels is not possible")
        object.__setattr__(self, "points", points)
        object.__setattr__(self, "score", np.clip(score, 0, 1))
        object.__setattr__(self, "state", state)
        object.__setattr__(self, "size", (width, height))
        for values in (self.points, self.score, self.state):
            values.setflags(write=False)

    def __eq__(self, other: object) -> bool:
        """Equal when every joint, state and the photo's size are; scores and extras included."""
        return (
            isinstance(other, Pose)
            and self.size == other.size
            and np.array_equal(self.points, other.points)
            and np.array_equal(self.score, other.score)
            and np.array_equal(self.state, other.state)
            and self.extras == other.extras
        )

    __hash__ = None  # type: ignore[assignment]

    @property
    def drawn(self) -> NDArray[np.bool_]:
        """(18,) True where the joint is visible or behind."""
        return self.state >= JointState.BEHIND

    @property
    def visible(self) -> NDArray[np.bool_]:
        """(18,) True where the joint is in plain view."""
        return self.state == JointState.VISIBLE

    def replace(self, **changes: Any) -> Pose:
        """A copy with some fields changed."""
        return dataclasses.replace(self, **changes)

    def transformed(self, scale: ArrayLike, offset: ArrayLike, size: tuple[int, int]) -> Pose:
        """``points * scale + offset`` on a photo of ``size``; hands and face are left behind."""
        points = self.points * np.asarray(scale, np.float32) + np.asarray(offset, np.float32)
        return self.replace(points=points, size=size, extras={})

    def mirrored(self) -> Pose:
        """The pose in the mirrored photograph: x -> width - x, left and right exchanged."""
        order = list(MIRROR)
        points = self.points[order].copy()
        points[:, 0] = self.size[0] - points[:, 0]
        return self.replace(
            points=points, score=self.score[order], state=self.state[order], extras={}
        )

    def box(self) -> tuple[float, float, float, float] | None:
        """(left, top, right, bottom) of the drawn joints, or None without any."""
        if not self.drawn.any():
            return None
        points = self.points[self.drawn]
        (left, top), (right, bottom) = points.min(0), points.max(0)
        return float(left), float(top), float(right), float(bottom)

    def check_usable(self) -> Pose:
        """Itself, when a person can be reposed into it (C-26).

        Raises:
            PoseError: every joint is hidden, or all drawn joints lie on one spot.
        """
        if not self.drawn.any():
            raise PoseError("every joint is hidden: show at least the shoulders and hips")
        if np.ptp(self.points[self.drawn], axis=0).max() < 1:
            raise PoseError("all joints lie on one spot: spread the skeleton, or choose a preset")
        return self


def _array(values: ArrayLike, shape: tuple[int, ...], dtype: type, name: str) -> NDArray[Any]:
    try:
        array = np.array(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise PoseError(f"{name} of a pose must be numbers") from error
    if array.shape != shape:
        raise PoseError(f"{name} of a pose must have the shape {shape}, not {array.shape}")
    bad = ~np.isfinite(array).reshape(N_JOINTS, -1).all(1)
    if bad.any():
        raise PoseError(f"{JOINTS[int(bad.argmax())]}: {name} must be finite numbers")
    with np.errstate(over="ignore"):
        if np.abs(array).max() > 1e6 or (dtype is np.uint8 and array.min() < 0):
            raise PoseError(f"{name} of a pose are out of any possible range")
    return array.astype(dtype)
