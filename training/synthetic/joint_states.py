"""Which joints are seen: one under its own clothes is, one behind another part is behind."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reposedm.pose import JointState
from training.synthetic.body import facing

Array = NDArray[Any]

OWN_PARTS: Final = {
    2: (2, 3, 5, 17), 5: (2, 3, 6, 17), 3: (5, 7), 6: (6, 8), 4: (7, 9), 7: (8, 10),
    8: (3, 4, 11, 18), 11: (3, 4, 12, 18), 9: (11, 13, 18), 12: (12, 14, 18),
    10: (13, 15), 13: (14, 16),
}  # fmt: skip
"""Body parts that may be seen in front of a joint of the same limb."""
TOLERANCE: Final = (
    0.35, 2.1, 1.0, 0.75, 0.6, 1.0, 0.75, 0.6, 1.7, 1.0, 0.9, 1.7, 1.0, 0.9, 0.3, 0.3, 0.45, 0.45,
)  # fmt: skip
"""How deep each joint lies in the body, dm."""
CLOTHES: Final = 0.6
"""How much more of one's own clothes may be in front of a joint, dm."""
ENOUGH: Final = 0.4
"""The part of the pixels around a joint that must show its own parts."""
AWAY: Final = -0.08


def joint_states(screen: Array, part: Array, depth: Array, head: Array) -> NDArray[np.uint8]:
    """State of every joint, uint8 (18,) of ``JointState``.

    Args:
        screen: (18, 3) x, y in pixels and depth in dm.
        part: uint8 (H, W) body part at each pixel, 0 the background.
        depth: float32 (H, W).
        head: (3, 3) from the head's axes to the scene's.
    """
    height, width = part.shape
    states = np.full(18, JointState.HIDDEN, np.uint8)
    radius = max(1, height // 256)
    for joint, (x, y, z) in enumerate(screen):
        if not (0 <= x < width and 0 <= y < height):
            continue
        row, column = int(y), int(x)
        own = OWN_PARTS.get(joint)
        slack = TOLERANCE[joint] + (0.1 if own is None else CLOTHES)
        seen = bool(z <= depth[row, column] + slack)
        if own is not None:
            around = part[
                max(0, row - radius) : row + radius + 1,
                max(0, column - radius) : column + radius + 1,
            ]
            seen = seen and bool(np.isin(around, own).mean() >= ENOUGH)
        elif joint != 1:  # the far side of the head is never seen
            seen = seen and bool((head @ facing(joint))[2] >= AWAY)
        states[joint] = JointState.VISIBLE if seen else JointState.BEHIND
    return states
