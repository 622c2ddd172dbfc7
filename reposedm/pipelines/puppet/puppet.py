"""The puppet: prepared once for a photo and its pose, then warped to any pose in milliseconds."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from reposedm.errors import ImageError, SettingsError
from reposedm.pipelines.puppet.body import Body, Placement, Points, complete, place
from reposedm.pipelines.puppet.border import border_fade, cut_edges
from reposedm.pipelines.puppet.bounds import layer_bounds
from reposedm.pipelines.puppet.certainty import certainty, left_open, of_cloth
from reposedm.pipelines.puppet.closing import close_trunk
from reposedm.pipelines.puppet.field import LimbMap, Map
from reposedm.pipelines.puppet.layers import Layer, cut_layers
from reposedm.pipelines.puppet.parts import HEAD_PART, TRUNK_PART, Parts, find_parts
from reposedm.pipelines.puppet.rig import (
    L_SHIN,
    LIMBS,
    NAMES,
    R_SHIN,
    draw_order,
    part_maps,
)
from reposedm.pose import Pose
from reposedm.pose.skeleton import L_HIP, NECK, NOSE, R_HIP

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]

_GRID = 8
"""Distance in output pixels between the points at which the maps are computed exactly."""

_CHIN = (0.3, 0.6)
"""From the neck (0) to the nose (1): where a head begins to move for itself, and wholly does."""

_HAIR = (0.85, 1.15)
"""How far a head with its hair or hat reaches, in the same length."""

_FADE = 0.08
"""Trunk lengths within which a part that the photo cuts off fades, once moved into the picture."""

_FIRM = np.clip((np.arange(256) - 72) / 140 * 255, 0, 255).astype(np.uint8)
"""Alpha of a limb over the background. Its soft caps blend limbs, alone they would show as fog."""


def prepare(image: Image, source_pose: Pose, source_mask: Floats) -> Puppet:
    """Cut the person out and into layers; once per photo and source pose.

    Args:
        image: uint8 (H, W, 3) RGB.
        source_pose: the person's pose, in pixels of ``image``.
        source_mask: float32 (H, W) in [0, 1], the person's alpha.

    Raises:
        ImageError: image and mask do not fit, or the mask is empty.
        PoseError: the pose has nothing to hold on to.
    """
    if image.ndim != 3 or image.shape[2] != 3 or source_mask.shape != image.shape[:2]:
        raise ImageError(
            "the person's mask must have the photo's size: "
            f"photo {image.shape}, mask {source_mask.shape}"
        )
    mask = np.clip(np.nan_to_num(source_mask.astype(np.float32)), 0, 1)
    rows, columns = np.flatnonzero((mask > 0.02).any(1)), np.flatnonzero((mask > 0.02).any(0))
    if mask.max() < 0.5:
        raise ImageError("the mask shows no person: select the person, or detect again")
    height, width = mask.shape
    left, right = max(0, int(columns[0]) - 2), min(width, int(columns[-1]) + 3)
    top, bottom = max(0, int(rows[0]) - 2), min(height, int(rows[-1]) + 3)
    crop = np.ascontiguousarray(image[top:bottom, left:right])
    body = complete(source_pose)
    shifted = Body(body.points - (left, top), body.known, body.state, body.unit)
    parts = find_parts(crop, mask[top:bottom, left:right], shifted)
    layers = cut_layers(crop, mask[top:bottom, left:right], shifted, parts)
    return Puppet(body, parts, layers, (left, top), (width, height))


@dataclass(frozen=True)
class Puppet:
    """A person in layers, ready to be posed.

    Attributes:
        body: the complete source body, in photo pixels.
        parts: which part owns which pixel of the crop.
        layers: the cut-out parts that exist, by part.
        corner: (x, y) of the crop in the photo.
        size: (width, height) of the photo.
    """

    body: Body
    parts: Parts
    layers: dict[int, Layer]
    corner: tuple[int, int]
    size: tuple[int, int]

    def warp(self, target_pose: Pose, *, scale: float = 1.0) -> Image:
        """The person in another pose: uint8 (H * scale, W * scale, 4) RGBA, straight alpha.

        Args:
            target_pose: wanted pose in photo pixels; joints may lie outside.
            scale: size of the picture over the photo's; below 1 for dragging.

        Raises:
            PoseError: every joint of the target is hidden, or all lie on one spot.
            SettingsError: the scale is not in (0, 4].
        """
        if not 0 < scale <= 4:
            raise SettingsError(f"the preview's scale must be above 0 and at most 4, not {scale}")
        width, height = (max(1, round(side * scale)) for side in self.size)
        goal = place(self.body, target_pose)
        maps = part_maps(self.body, self.parts.radii, goal, self.parts.hem)
        boxes = {
            part: box
            for part in draw_order(self.body, goal, self.parts.hem > 0)
            if part in self.layers
            and (box := self._box(part, goal, maps, scale, (width, height))) is not None
        }
        result = np.zeros((height, width, 4), np.uint8)
        if not boxes:
            return result
        edges = np.array(list(boxes.values()))
        left, top = edges[:, 0].min(), edges[:, 1].min()
        right, bottom = edges[:, 2].max(), edges[:, 3].max()
        canvas = np.zeros((bottom - top, right - left, 4), np.uint8)
        alpha = np.zeros(canvas.shape[:2], np.uint8)
        for part, box in boxes.items():
            warped = self._warp_layer(part, maps[part], box, scale)
            inner = np.s_[box[1] - top : box[3] - top, box[0] - left : box[2] - left]
            _over(canvas[inner], warped)
            cover = warped[..., 3]
            if part in LIMBS:
                cover = cv2.LUT(cover, _FIRM)
            alpha[inner] = cv2.max(alpha[inner], cover)
        result[top:bottom, left:right] = _straight(canvas, alpha)
        if TRUNK_PART in boxes:
            guessed = not self.body.known[[R_HIP, L_HIP]].all()
            close_trunk(result, goal.points * scale, enclosed=guessed)
        return result

    def certainty(self, target_pose: Pose, *, scale: float = 1.0) -> tuple[Floats, Floats]:
        """How far ``warp``'s pixels are right, and where it has no answer; see ``certainty``.

        Arguments and errors as of ``warp``. Both are float32 (H * scale, W * scale) in [0, 1]; the
        first is 0 where nobody is shown.
        """
        goal = place(self.body, target_pose)
        found = certainty(self.body, goal)
        grey = {}
        for part, layer in self.layers.items():
            share: Any = np.float32(found.get(part, of_cloth(found)))
            if part == HEAD_PART:
                share = self._down_the_neck(layer, found)[..., None]
            rgba = np.repeat(layer.rgba[..., 3:], 4, 2)
            rgba[..., :3] = np.rint(rgba[..., :3] * share)
            grey[part] = Layer(rgba, layer.origin)
        shown = dataclasses.replace(self, layers=grey).warp(target_pose, scale=scale)
        sure: Floats = shown[..., 0].astype(np.float32) * shown[..., 3] / np.float32(255**2)
        size = (shown.shape[1], shown.shape[0])
        unknown = left_open(self.body, goal, self.parts.present, size, scale)
        return sure, unknown.astype(np.float32) / 255

    def _down_the_neck(self, layer: Layer, found: dict[int, float]) -> Floats:
        """(h, w) certainty of the head's layer: below the chin, and beside the head where a collar
        or a shoulder was taken for a part of it, it is that of the trunk."""
        neck = self.body.points[NECK]
        up = self.body.points[NOSE] - neck
        rows, columns = np.mgrid[: layer.rgba.shape[0], : layer.rgba.shape[1]] + 0.5
        x, y = np.array(layer.origin) + self.corner - neck
        square = max(float(up @ up), 1e-6)
        along = ((columns + x) * up[0] + (rows + y) * up[1]) / square
        away = np.hypot(columns + x - 1.2 * up[0], rows + y - 1.2 * up[1]) / square**0.5
        head = np.minimum((along - _CHIN[0]) / (_CHIN[1] - _CHIN[0]),
                          (_HAIR[1] - away) / (_HAIR[1] - _HAIR[0])).clip(0, 1)  # fmt: skip
        trunk = min(found[TRUNK_PART], found[HEAD_PART])
        return np.asarray(trunk + (found[HEAD_PART] - trunk) * head, np.float32)

    def feet_moved(self, target_pose: Pose) -> float:
        """How far the feet leave their place: 0 not at all (or none in the photo), 1 clearly.

        Where they do, the shadow that they stood in has to go from the background.
        """
        goal = place(self.body, target_pose)
        ends = [LIMBS[part].end for part in (R_SHIN, L_SHIN) if self.parts.present[part]]
        if not ends:
            return 0.0
        steps = np.linalg.norm(goal.points[ends] - self.body.points[ends], axis=1)
        return float(np.clip((steps.max() / self.body.unit - 0.03) / 0.12, 0, 1))

    def turns(self, target_pose: Pose) -> bool:
        """Whether the pose shows another side of the body than the photo does."""
        return place(self.body, target_pose).turned

    def notes(self, target_pose: Pose) -> tuple[str, ...]:
        """Sentences on what the warped picture cannot show of the wanted pose."""
        goal = place(self.body, target_pose)
        notes: list[str] = []
        if goal.turned:
            notes.append(
                "The preview cannot turn a person round: it shows the side that the photo shows."
            )
        missing = [
            NAMES[part]
            for part, limb in LIMBS.items()
            if goal.wanted[limb.end] and not self.parts.present[part]
        ]
        if missing:
            notes.append(f"Not in the photo, so left out of the preview: {', '.join(missing)}.")
        return tuple(notes)

    def _box(
        self,
        part: int,
        goal: Placement,
        maps: dict[int, Map],
        scale: float,
        size: tuple[int, int],
    ) -> tuple[int, int, int, int] | None:
        """Output box (left, top, right, bottom) that a part can reach, or None if outside."""
        width, height = size
        placed = layer_bounds(self.body, goal, maps, part, self._outline(part))
        low, high = placed.min(0) * scale - 3, placed.max(0) * scale + 3
        left, top = int(max(0, np.floor(low[0]))), int(max(0, np.floor(low[1])))
        right, bottom = int(min(width, np.ceil(high[0]))), int(min(height, np.ceil(high[1])))
        return (left, top, right, bottom) if right > left and bottom > top else None

    def _outline(self, part: int) -> Points:
        """(4, 2) corners of a layer in photo pixels."""
        layer = self.layers[part]
        x, y = layer.origin[0] + self.corner[0], layer.origin[1] + self.corner[1]
        h, w = layer.rgba.shape[:2]
        return np.array([[x, y], [x + w, y], [x, y + h], [x + w, y + h]], float)

    def _warp_layer(
        self, part: int, field: Map, box: tuple[int, int, int, int], scale: float
    ) -> Image:
        """One layer in its output box, premultiplied RGBA."""
        left, top, right, bottom = box
        layer = self.layers[part]
        grid_x = np.arange(left, right + _GRID, _GRID, dtype=np.float64)
        grid_y = np.arange(top, bottom + _GRID, _GRID, dtype=np.float64)
        xs, ys = np.meshgrid((grid_x + 0.5) / scale, (grid_y + 0.5) / scale)
        points = np.stack([xs.ravel(), ys.ravel()], 1)
        where = field(points)
        origin = np.array(layer.origin) + self.corner
        grid = (where - origin - 0.5).reshape(*xs.shape, 2).astype(np.float32)
        dense = _upsample(grid, right - left, bottom - top)
        warped = cv2.remap(
            layer.rgba,
            dense,
            None,  # type: ignore[arg-type]
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=(0, 0, 0, 0),
        )
        cover = field.cover(points) if isinstance(field, LimbMap) else None
        edges = cut_edges(layer.rgba[..., 3], (int(origin[0]), int(origin[1])), self.size)
        fade = (
            border_fade(where, points, self.size, edges, _FADE * self.body.unit) if edges else None
        )
        if fade is not None:
            cover = fade if cover is None else cover * fade
        if cover is not None:
            factor = _upsample(cover.reshape(xs.shape).astype(np.float32), *warped.shape[1::-1])
            warped = cv2.multiply(warped, cv2.merge([factor] * 4), dtype=cv2.CV_8U)
        return warped


def _over(canvas: Image, layer: Image) -> None:
    """Lay a premultiplied layer over a premultiplied canvas, in place."""
    rest = 255 - layer[..., 3]
    below = cv2.multiply(canvas, cv2.merge([rest, rest, rest, rest]), scale=1 / 255)
    canvas[:] = cv2.add(below, layer)


def _straight(canvas: Image, alpha: NDArray[np.uint8]) -> Image:
    """Premultiplied to straight colours, with the highest alpha of all layers.

    Neighbouring layers share their soft edges; laid over each other these would grow.
    """
    covered = canvas[..., 3]
    colour = cv2.divide(canvas[..., :3], cv2.merge([covered, covered, covered]), scale=255)
    return cv2.merge([*cv2.split(colour), alpha])


def _upsample(grid: Floats, width: int, height: int) -> Floats:
    """Bilinear values at every pixel from a grid whose points lie on pixels 0, 8, 16..."""
    # cv2.resize aligns pixel corners; warpAffine lets us align the grid's points instead.
    matrix = np.array([[1 / _GRID, 0, 0], [0, 1 / _GRID, 0]], np.float32)
    return cv2.warpAffine(
        grid,
        matrix,
        (width, height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
