"""What one visitor's session remembers on the Garment tab: two photos, poses, masks, results."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from reposedm.imaging import Photo
from reposedm.jobs.detect import photo_key
from reposedm.pose import Pose
from reposedm.ui.session import Session

EDITOR_SIDE = 1024
"""Long side of the picture that the mask is painted on, pixels."""

Mask = NDArray[np.bool_]


@dataclass
class GarmentSession(Session):
    """``photo`` and ``sources`` are the person's; ``sources`` holds the one who is dressed."""

    garment: Photo | None = None
    garment_id: str = ""
    garment_pose: Pose | None = None
    """As corrected in the editor, or known of an example; None: found on the photo."""
    automatic: NDArray[np.float32] | None = None
    """The automatic mask, float32 (H, W) of the photo's size."""
    offered: Mask | None = None
    """The same as the editor got it, smaller."""
    canvas: Path | None = None
    waiting: dict[str, Pose] = field(default_factory=dict)
    """Poses already known for photos that are about to arrive, by their key."""

    def set_garment(self, photo: Photo) -> None:
        """Take a new garment photo."""
        self.garment = photo
        self.garment_id = photo_key(photo.pixels)
        self.garment_pose = self.waiting.pop(self.garment_id, None)
        self.automatic, self.offered = None, None

    def person(self) -> Pose | None:
        """Where the person is on the photo, if that is known."""
        return self.sources[0] if self.sources else None

    def write_canvas(self) -> Path:
        """The photo as the mask is painted on it; its file."""
        assert self.photo is not None
        path = self._canvas_file()
        if not path.exists():
            picture = Image.fromarray(self.photo.pixels)
            picture.thumbnail((EDITOR_SIDE, EDITOR_SIDE), Image.Resampling.LANCZOS)
            picture.save(path, compress_level=1)
        self.canvas = path
        return path

    def _canvas_file(self) -> Path:
        return self.folder() / f"canvas-{self.photo_id[:16]}.png"

    def offer(self, mask: NDArray[np.float32] | None) -> Mask | None:
        """Remember an automatic mask; it in the size of the canvas."""
        self.automatic, self.offered = mask, None
        if mask is not None:
            with Image.open(self.write_canvas()) as canvas:
                size = canvas.size
            self.offered = cv2.resize(mask, size, interpolation=cv2.INTER_AREA) > 0.5
        return self.offered

    def painted(self, mask: Mask | None) -> NDArray[np.float32] | None:
        """The photo's mask from what came back from the editor; None: the automatic one.

        Where the user changed nothing it is the automatic mask itself, at the photo's resolution.
        """
        if mask is None or self.photo is None or self.canvas is None:
            return None
        if self.canvas != self._canvas_file():
            return None  # the editor still shows the photo before this one
        height, width = self.photo.pixels.shape[:2]
        offered = self.offered
        if offered is None and not mask.any():
            return None  # nothing was offered and nothing painted: the job says what is wrong
        if offered is not None and mask.shape != offered.shape:
            mask = _resized(mask, (offered.shape[1], offered.shape[0]))
        if offered is not None and (mask != offered).mean() < 0.0005:
            return None  # a canvas rounds soft edges: that is no brush
        full = _resized(mask, (width, height)).astype(np.float32)
        if offered is None or self.automatic is None:
            return full
        same = _resized(mask == offered, (width, height))
        return np.where(same, self.automatic, full).astype(np.float32)

    def clear(self) -> None:
        """Forget everything and delete every file of this session."""
        super().clear()
        self.garment, self.garment_id, self.garment_pose = None, "", None
        self.automatic, self.offered, self.canvas = None, None, None
        self.waiting.clear()


def _resized(mask: Mask, size: tuple[int, int]) -> Mask:
    return cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
