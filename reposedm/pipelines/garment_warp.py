"""A garment's own pixels on another body: cut out, taken apart by limbs, warped to a pose.

The puppet of the preview engine does the work; what is different is that only the garment is cut
out, that the target is another person, and that trunk and limbs come as separate layers: a sleeve
lies before the trunk, and the wearer's bare forearm between the two.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from reposedm.errors import ImageError
from reposedm.imaging.fill import fill_holes
from reposedm.pipelines.puppet.body import Body, complete, place
from reposedm.pipelines.puppet.layers import cut_layers
from reposedm.pipelines.puppet.parts import Parts, find_parts
from reposedm.pipelines.puppet.puppet import Puppet
from reposedm.pipelines.puppet.rig import LEGS, TRUNK_PART
from reposedm.pipelines.puppet.skirt import LEGS as LEG_CHAINS
from reposedm.pipelines.puppet.skirt import along_leg
from reposedm.pose import Pose

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]

_COARSE: Final = 512
"""Long side of the map of what is certain."""
_LEAST: Final = 0.2
"""A garment is not shrunk below this before it is warped."""


@dataclass(frozen=True)
class WarpedGarment:
    """A garment in place on a person: uint8 (H, W, 4) RGBA, straight alpha, of the person's photo.

    Attributes:
        trunk: the parts round the trunk; a skirt is one of them.
        limbs: sleeves and trouser legs, in front of it.
        sure: float32 (H, W) in [0, 1], how far it is right there; see ``puppet.certainty``.
        notes: sentences on what the warp cannot show.
    """

    trunk: Image
    limbs: Image
    sure: Floats
    notes: tuple[str, ...] = ()

    @property
    def alpha(self) -> Floats:
        """float32 (H, W) in [0, 1] of both layers."""
        return np.maximum(self.trunk[..., 3], self.limbs[..., 3]).astype(np.float32) / 255

    @property
    def picture(self) -> Image:
        """Both layers in one, uint8 (H, W, 4)."""
        return layered(self.trunk, self.limbs)


def layered(low: Image, high: Image) -> Image:
    """One straight-alpha RGBA picture over another one, uint8 (H, W, 4)."""
    below, above = low[..., 3:].astype(np.float32) / 255, high[..., 3:].astype(np.float32) / 255
    alpha = above + below * (1 - above)
    colours = high[..., :3] * above + low[..., :3] * below * (1 - above)
    colours = colours / np.maximum(alpha, 1 / 512)
    return np.rint(np.concatenate((colours, 255 * alpha), axis=2)).clip(0, 255).astype(np.uint8)


def warp_garment(
    image: Image,
    alpha: Floats,
    pose: Pose,
    target_pose: Pose,
    *,
    wearer_mask: Floats | None = None,
    skirt: bool = False,
) -> WarpedGarment:
    """Lay a garment onto a person.

    Args:
        image: uint8 (H, W, 3) RGB, the garment's photo.
        alpha: float32 (H, W) in [0, 1], the garment on it.
        pose: the wearer's, or the garment's own landmarks; in pixels of ``image``.
        target_pose: the person's, in pixels of their photo, whose size the result has.
        wearer_mask: float32 (H, W), everything of the wearer; None: nobody is in the garment.
        skirt: the garment goes round both legs as one piece.

    Raises:
        ImageError: the garment is not to be seen, or picture and mask do not fit.
        PoseError: a pose with nothing to hold on to.
    """
    if image.shape[:2] != alpha.shape or image.shape[1::-1] != pose.size:
        raise ImageError(
            f"a garment's photo, mask and pose must have one size, not {image.shape[1::-1]}, "
            f"{alpha.shape[::-1]} and {pose.size}"
        )
    if not (alpha > 0.5).any():
        raise ImageError("The garment is not to be seen on its photo: choose another photo.")
    image, alpha, pose, whole = _shrunk(image, alpha, pose, target_pose, wearer_mask)
    body = complete(pose)
    left, top, right, bottom = _box(np.maximum(alpha, whole))
    crop = np.s_[top:bottom, left:right]
    inner = Body(body.points - (left, top), body.known, body.state, body.unit)
    picture, cloth = np.ascontiguousarray(image[crop]), np.ascontiguousarray(alpha[crop])
    parts = find_parts(picture, np.maximum(whole[crop], cloth), inner)
    if skirt:
        parts = _as_skirt(parts, cloth, inner)
    picture, cloth = _under_arms(picture, cloth, whole[crop], inner)
    layers = cut_layers(picture, cloth, inner, parts)
    width, height = target_pose.size
    # The canvas holds the photo and the target alike; its far edges cut nothing off.
    canvas = max(image.shape[1], width) + 1, max(image.shape[0], height) + 1
    target = target_pose.replace(size=canvas, extras={})
    puppet = Puppet(body, parts, layers, (left, top), canvas)

    def drawn(wanted: set[int]) -> Image:
        some = {part: layer for part, layer in layers.items() if part in wanted}
        return np.ascontiguousarray(replace(puppet, layers=some).warp(target)[:height, :width])

    trunk = drawn({TRUNK_PART})
    limbs = drawn(set(layers) - {TRUNK_PART, 1})
    return WarpedGarment(trunk, limbs, _sure(puppet, target)[:height, :width], _notes(body, target))


def _sure(puppet: Puppet, target: Pose) -> Floats:
    """The puppet's certainty at its canvas' size, found on a smaller one: it is smooth."""
    scale = min(1.0, _COARSE / max(puppet.size))
    small, _ = puppet.certainty(target, scale=scale)
    return np.asarray(cv2.resize(small, puppet.size, interpolation=cv2.INTER_LINEAR), np.float32)


def _notes(body: Body, target: Pose) -> tuple[str, ...]:
    if place(body, target).turned:
        return (
            "Garment and person are seen from different sides: the garment shows the side that "
            "its photo shows.",
        )
    return ()


def _shrunk(
    image: Image, alpha: Floats, pose: Pose, target: Pose, wearer: Floats | None
) -> tuple[Image, Floats, Pose, Floats]:
    """The garment's photo at the person's scale, where it is larger: a warp alone would alias."""
    whole = np.zeros_like(alpha) if wearer is None else wearer.astype(np.float32)
    scale = max(_LEAST, place(complete(pose), target).scale)
    if scale >= 0.95:
        return image, alpha.astype(np.float32), pose, whole
    height, width = alpha.shape
    size = (max(8, round(width * scale)), max(8, round(height * scale)))

    def small(plane: NDArray[np.generic]) -> NDArray[np.generic]:
        return cv2.resize(plane, size, interpolation=cv2.INTER_AREA)  # type: ignore[call-overload]

    body = pose.transformed(np.array(size) / pose.size, 0, size)
    return (
        np.asarray(small(image), np.uint8),
        np.asarray(small(alpha.astype(np.float32)), np.float32),
        body,
        np.asarray(small(whole), np.float32),
    )


def _box(mask: Floats) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero((mask > 0.02).any(1)), np.flatnonzero((mask > 0.02).any(0))
    height, width = mask.shape
    return (
        max(0, int(columns[0]) - 2), max(0, int(rows[0]) - 2),
        min(width, int(columns[-1]) + 3), min(height, int(rows[-1]) + 3),
    )  # fmt: skip


def _as_skirt(parts: Parts, cloth: Floats, body: Body) -> Parts:
    """The same parts, with everything round the legs one piece that hangs from the trunk."""
    height, width = cloth.shape
    hem = 0.3
    for s in np.arange(0.3, 1.95, 0.05):
        for chain in LEG_CHAINS:
            x, y = along_leg(body.points, chain, float(s)).astype(int)
            if 0 <= x < width and 0 <= y < height and cloth[y, x] > 0.5:
                hem = float(s) + 0.05
    labels = np.where(np.isin(parts.labels, LEGS), TRUNK_PART, parts.labels).astype(np.int32)
    present = parts.present.copy()
    present[list(LEGS)], present[TRUNK_PART] = False, True
    return replace(parts, labels=labels, present=present, hem=hem)


def _under_arms(image: Image, cloth: Floats, whole: Floats, body: Body) -> tuple[Image, Floats]:
    """The garment where an arm, a bag or hair covered it: small holes are filled with its cloth."""
    side = 2 * max(2, round(0.14 * body.unit)) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    solid = (cloth > 0.5).astype(np.uint8)
    padded = np.pad(solid, side)
    closed = cv2.morphologyEx(padded, cv2.MORPH_CLOSE, kernel)[side:-side, side:-side] > 0
    hole = closed & (solid == 0) & (whole > 0.5)
    hole = cv2.morphologyEx(hole.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)) > 0
    if not hole.any():
        return image, cloth
    core = cv2.erode(solid, np.ones((3, 3), np.uint8)) > 0
    filled = fill_holes(image, cv2.dilate(hole.astype(np.uint8), np.ones((3, 3))) > 0, core)
    image = np.where(hole[..., None], filled, image)
    return image, np.where(hole, np.float32(1), cloth)
