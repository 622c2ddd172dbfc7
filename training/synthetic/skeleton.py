"""A skeleton being posed."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from training.synthetic import mesh
from training.synthetic.assets import Assets
from training.synthetic.maths import Matrix, two_bone

Array = NDArray[Any]

SIDES: Final = ("L", "R")
SIGN: Final = {"L": 1.0, "R": -1.0}


class Skeleton:
    """Bones whose local rotations are aligned with the world's axes.

    A vertex moves as ``turned @ (v - rest) + position``.

    Attributes:
        rest: float64 (bones, 3), moved as a whole by ``shift``.
        local: float64 (bones, 3, 3).
        turned: float64 (bones, 3, 3) global rotations, after ``update``.
        position: float64 (bones, 3), after ``update``.
    """

    def __init__(self, assets: Assets, joints: Array) -> None:
        """At rest."""
        self.bones, self.bone, self._parent = assets.bones, assets.bone, assets.parent
        self.rest = np.ascontiguousarray(joints, np.float64)
        count = len(self.bones)
        self.local = np.tile(np.eye(3), (count, 1, 1))
        self.turned = np.tile(np.eye(3), (count, 1, 1))
        self.position = self.rest.copy()

    def update(self) -> None:
        """Bring all bones to where their local rotations put them."""
        mesh.pose_bones(self._parent, self.local, self.rest, self.turned, self.position)

    def shift(self, offset: ArrayLike) -> None:
        """Move the whole skeleton."""
        self.rest = self.rest + np.asarray(offset, np.float64)
        self.position = self.position + np.asarray(offset, np.float64)

    def at(self, bone: str) -> Array:
        """(3,) where a joint is now."""
        return self.position[self.bone[bone]]

    def rotation(self, bone: str) -> Matrix:
        """(3, 3) global rotation of a bone now."""
        return self.turned[self.bone[bone]]

    def span(self, first: str, second: str) -> Array:
        """(3,) from one joint to another at rest."""
        return self.rest[self.bone[second]] - self.rest[self.bone[first]]

    def turn(self, bone: str, rotation: Matrix) -> None:
        """Set a local rotation."""
        self.local[self.bone[bone]] = rotation

    def face(self, bone: str, rotation: Matrix) -> None:
        """Set a global rotation; bones above must be up to date."""
        index = self.bone[bone]
        self.local[index] = self.turned[self._parent[index]].T @ rotation
        self.update()

    def reach(
        self, chain: tuple[str, str, str], target: ArrayLike, pole: ArrayLike
    ) -> tuple[Matrix, Matrix]:
        """Global rotations of both bones of a limb for its end to come to the target."""
        first, middle, end = chain
        return two_bone(
            self.span(first, middle), self.span(middle, end), self.at(first), target, pole
        )
