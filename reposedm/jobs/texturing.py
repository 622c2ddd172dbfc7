"""A generated person with the photo's own texture: what the app, augmentation and re-ID share."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from reposedm.imaging import Frame
from reposedm.imaging.texture import EYES_AND_NOSE, NECK, Warped, textured
from reposedm.pipelines.base import Correspondence
from reposedm.pose import JointState, Pose

Image = NDArray[np.uint8]
_HEAD: Final = [EYES_AND_NOSE[0], NECK]


def with_texture(  # noqa: PLR0917  a photo, its person, and a picture of them
    photo: Image,
    mask: NDArray[np.float32],
    source: Pose,
    target: Pose,
    frame: Frame,
    layer: Image,
    *,
    found: Correspondence | None,
    warped: Warped | None,
) -> tuple[Image, Frame]:
    """A generated layer with the photo's pixels where they are known to be right; see ``textured``.

    Args:
        photo: uint8 (H, W, 3).
        mask: float32 (H, W) in [0, 1], the person on it.
        source: their pose, in its pixels.
        target: the wanted one, in the same.
        frame: where ``layer`` lies on the photo.
        layer: uint8 (h, w, 4), the new person.
        found: where the method found the photo's person again; None: the layer stays as it is.
        warped: ``puppets.warped_person`` of the same.

    Returns:
        The layer, and its frame: the same part of the photo, in more pixels if the photo has more.
    """
    if found is None:
        return layer, frame
    poses = (source, target)
    seen = all((pose.state[[NECK, *EYES_AND_NOSE]] == JointState.VISIBLE).all() for pose in poses)
    known = all((pose.state[_HEAD] != JointState.HIDDEN).all() for pose in poses)
    return textured(
        photo, mask, frame, layer, found.mapping, found.visible,
        faces=(source.points, target.points) if seen else None,
        warped=warped,
        head=np.asarray(target.points[_HEAD], np.float32) if known else None,
    )  # fmt: skip
