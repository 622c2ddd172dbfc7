"""What a detector returns."""

from __future__ import annotations

from dataclasses import dataclass

from reposedm.pose.pose import Pose


@dataclass(frozen=True)
class Detection:
    """One person found on a photograph.

    Attributes:
        pose: the 18 joints, in pixels of the photograph.
        box: (left, top, right, bottom) of the whole person, pixels, inside the photograph.
        confidence: in [0, 1]; how sure the detector is that this is a person.
        notes: sentences for the user ("the feet are outside the photo").
    """

    pose: Pose
    box: tuple[float, float, float, float]
    confidence: float
    notes: tuple[str, ...] = ()

    @property
    def area(self) -> float:
        """Area of the box in square pixels; people are ordered by it."""
        left, top, right, bottom = self.box
        return max(0.0, right - left) * max(0.0, bottom - top)
