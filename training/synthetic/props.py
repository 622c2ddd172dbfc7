"""What people sit on: a box that is in the picture but no part of the person."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from training.synthetic.labels import Material
from training.synthetic.person import Person
from training.synthetic.workroom import CUTS

Array = NDArray[Any]

HALF: Final = (2.3, 2.0)
"""Half the width and half the depth of a seat, dm."""
BEHIND: Final = 0.5
"""How far the middle of the seat is behind the hips, dm."""


def with_seat(
    points: Array, person: Person, seat: Array, turned: Array
) -> tuple[NDArray[np.float32], Person]:
    """The points and the mesh with a box on the floor behind them; the person's come first.

    Args:
        points: float32 (N, 3) in the scene.
        person: whose mesh it is.
        seat: (3,) middle of the top of the box under the hips, in the scene.
        turned: (3, 3) from the pose to the scene.
    """
    corners, faces = box(max(float(seat[1]), 0.5))
    moved = corners @ turned.T + (seat * (1, 0, 1)) - turned @ (0, 0, BEHIND)
    count, more = len(points), len(faces)
    lists = {
        "triangles": faces + count,
        "uv": np.zeros((more, 3, 2)),
        "chart": np.zeros((more, 3, 2)),
        "part": np.zeros(more),
        "material": np.full(more, int(Material.PROP)),
        "segment": np.zeros(more),
        "cuts": np.ones((len(corners), CUTS)),
    }
    joined: dict[str, Any] = {}
    for name, values in lists.items():
        own = getattr(person, name)
        joined[name] = np.ascontiguousarray(np.concatenate((own, values.astype(own.dtype))))
    return np.concatenate((points, moved.astype(np.float32))), replace(person, **joined)


def box(height: float) -> tuple[Array, Array]:
    """A box on the floor: (24, 3) corners, four a face so that edges are sharp; (12, 3) faces."""
    corners: list[Array] = []
    faces: list[tuple[int, int, int]] = []
    for axis in range(3):
        for sign in (-1.0, 1.0):
            first, second = (axis + 1) % 3, (axis + 2) % 3
            start = len(corners)
            for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
                corner = np.zeros(3)
                corner[axis], corner[first], corner[second] = sign, a * sign, b
                corners.append(corner)
            faces += [(start, start + 1, start + 2), (start, start + 2, start + 3)]
    scaled = np.array(corners) * (HALF[0], height / 2, HALF[1]) + (0, height / 2, 0)
    return scaled, np.array(faces, np.int32)
