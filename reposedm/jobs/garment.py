"""What a swap has to know beforehand: the garment on its photo, and what it would change.

Both are shown to the user before anything is made, and used again when it is: answers are kept for
the pictures used last.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from reposedm.errors import DetectionError, ImageError, PoseError
from reposedm.garments import guess, guess_product, zones
from reposedm.garments.ground import check_not_blank, is_plain, product_alpha
from reposedm.garments.labels import (
    BOTTOM,
    LEG_SKIN,
    OUTERWEAR,
    SHOES,
    SKIRT,
    TOP,
    region_mask,
)
from reposedm.garments.masks import swap_mask
from reposedm.jobs.detect import Recent, mask_of, people_on, photo_key, pose_key
from reposedm.jobs.swap_settings import Kind
from reposedm.pipelines.garment_warp import WarpedGarment, warp_garment
from reposedm.pose import Pose

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]
Labels = NDArray[np.uint8]

NO_PERSON: Final = "Nobody was found on the photo of the person: choose another one."
_FACE: Final = (0, 14, 15, 16, 17)
_REMEMBERED: Final = 8
_LEAST: Final = 64
"""Pixels of a garment that are worth a swap."""


@dataclass(frozen=True, eq=False)
class Garment:
    """A garment on its photo.

    Attributes:
        image: uint8 (H, W, 3) RGB, the photo.
        pose: of who wears it, or the garment's own landmarks.
        alpha: float32 (H, W) in [0, 1], the garment alone.
        wearer: float32 (H, W), the alpha of who wears it; None: a product picture.
        skirt: it goes round both legs in one piece.
        notes: sentences for the user.
    """

    image: Image
    pose: Pose
    alpha: Floats
    wearer: Floats | None
    skirt: bool
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Plan:
    """What a swap will change.

    Attributes:
        labels: uint8 (H, W), what the person's pixels show.
        person: float32 (H, W), the person's alpha.
        warped: the garment in place.
        mask: float32 (H, W), the automatic mask; None: the region is not on the photo.
        problem: why there is no automatic mask.
        notes: sentences for the user.
    """

    labels: Labels
    person: Floats
    warped: WarpedGarment
    mask: Floats | None
    problem: str
    notes: tuple[str, ...]


_OVER_SOCKS: Final = ("bottom", "dress", "outfit")
"""Regions whose garments hang over socks and the shafts of boots, which the parser calls shoes."""

_garments: Recent[Garment] = Recent(_REMEMBERED)
_plans: Recent[Plan] = Recent(_REMEMBERED)
_labels: Recent[tuple[Labels, tuple[str, ...]]] = Recent(_REMEMBERED)


def find_garment(
    image: Image, region: str, kind: Kind = "auto", pose: Pose | None = None,
    labels: Labels | None = None,
) -> Garment:  # fmt: skip
    """The garment of a region on a photo.

    Args:
        image: uint8 (H, W, 3) RGB, upright.
        region: one of ``garments.labels.REGIONS``.
        kind: what the photo shows; "auto": a person if one is found, else a product.
        pose: of the wearer or the garment, in pixels of ``image``; None: found here.
        labels: uint8 (H, W), what a worn garment's pixels show; None: parsed here.

    Raises:
        ImageError: an empty photo, no garment on it, or the region is not on it.
        DetectionError: ``kind`` is "worn" and nobody is there; or the detector cannot run.
        PoseError: a pose that cannot be used.
    """
    if pose is not None:
        check_fits(image, pose, "the pose on the garment photo")
    if labels is not None:
        return _found(image, region, kind, pose, labels)
    key = (photo_key(image), region, kind, None if pose is None else pose_key(pose))
    return _garments.get(key, lambda: _found(image, region, kind, pose, None))


def plan_swap(
    image: Image, pose: Pose, garment: Garment, region: str, labels: Labels | None = None
) -> Plan:
    """What swapping a region would change on a person's photo.

    Args:
        image: uint8 (H, W, 3) RGB, upright.
        pose: the person's, in its pixels.
        garment: from ``find_garment``.
        region: one of ``garments.labels.REGIONS``.
        labels: uint8 (H, W), what the person's pixels show; None: parsed here.

    Raises:
        DetectionError: the segmenter cannot run.
        PoseError: a pose that cannot be used.
    """
    check_fits(image, pose, "the pose on the photo")
    if labels is not None:
        person = (labels > 0).astype(np.float32)
        return _planned(image, pose, garment, region, labels=labels, person=person)
    key = (photo_key(image), pose_key(pose), photo_key(garment.image), pose_key(garment.pose),
           region, garment.skirt)  # fmt: skip

    def make() -> Plan:
        seen, notes = labels_of(image, pose)
        if region in _OVER_SOCKS:
            seen = np.where((seen == SHOES) & zones.shins(pose, seen.shape), LEG_SKIN, seen)
        person = mask_of(image, pose)
        return _planned(image, pose, garment, region, labels=seen, person=person, notes=notes)

    return _plans.get(key, make)


def labels_of(image: Image, pose: Pose) -> tuple[Labels, tuple[str, ...]]:
    """What each pixel of a person shows, uint8 (H, W); and notes for the user.

    By the parser, if its weights are here; otherwise guessed, and a note says so.
    """

    def make() -> tuple[Labels, tuple[str, ...]]:
        person = mask_of(image, pose)
        if parser_problem():
            return guess.guess_labels(image, pose, person), (guess.NOTE,)
        from reposedm.garments.parse import parse_person

        return parse_person(image, pose, person), ()

    return _labels.get((photo_key(image), pose_key(pose)), make)


def parser_problem() -> str:
    """Empty if the garment parser can be used, else a sentence why not."""
    from reposedm.garments.parse import parser_unavailable

    return parser_unavailable()


def landmarks_problem() -> str:
    """Empty if the landmark network can be used, else a sentence why not."""
    from reposedm.garments.landmarks import landmarks_unavailable

    return landmarks_unavailable()


def forget_garments() -> None:
    """Forget every picture: for "delete my data", and for tests."""
    _garments.clear()
    _plans.clear()
    _labels.clear()


def check_fits(image: Image, pose: Pose, name: str) -> None:
    """Refuse what is no picture, or a pose of another one.

    Raises:
        ImageError: not uint8 (H, W, 3).
        PoseError: a pose of another size, or one that cannot be used.
    """
    shape: tuple[int, ...] = getattr(image, "shape", ())
    if getattr(image, "dtype", None) != np.uint8 or len(shape) != 3 or shape[2] != 3:
        raise ImageError("a photo must be uint8 of shape (height, width, 3)")
    pose.check_usable()
    if pose.size != (shape[1], shape[0]):
        raise PoseError(
            f"{name} is for a photo of {pose.size[0]} x {pose.size[1]} pixels, and this one "
            f"has {shape[1]} x {shape[0]}"
        )


def _found(
    image: Image, region: str, kind: Kind, pose: Pose | None, labels: Labels | None
) -> Garment:
    check_not_blank(image)
    if pose is not None:
        shows_person = bool(pose.drawn[list(_FACE)].any()) or not is_plain(image)
        worn = kind == "worn" or (kind == "auto" and shows_person)
        return _worn(image, region, pose, labels) if worn else _product(image, region, pose)
    if kind == "product":
        return _product(image, region, None)
    try:
        found = people_on(image)
    except DetectionError:
        if kind == "worn":
            raise
        return _product(image, region, None)
    if kind == "auto" and _is_headless(image, found[0].pose):
        return _product(image, region, None)
    garment = _worn(image, region, found[0].pose, labels)
    if len(found) == 1:
        return garment
    note = f"{len(found)} people are on the garment photo: the largest one's garment is taken."
    return _with_notes(garment, (note,))


def _is_headless(image: Image, pose: Pose) -> bool:
    """Whether a detector took a garment for a person: no skin where the face would be.

    Only before a plain ground; a person in black and white there is told to be "worn" by the user.
    """
    face = pose.points[list(_FACE)][pose.drawn[list(_FACE)]]
    if not len(face) or not is_plain(image):
        return False
    height, width = image.shape[:2]
    x, y = face.mean(0)
    reach = max(2.0, 0.3 * float(np.hypot(*(pose.points[1] - pose.points[0]))))
    rows = slice(max(0, int(y - reach)), max(0, min(height, int(y + reach) + 1)))
    columns = slice(max(0, int(x - reach)), max(0, min(width, int(x + reach) + 1)))
    spot = image[rows, columns]
    if not spot.size:
        return True
    lab = cv2.cvtColor(spot.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    return float(zones.any_skin(lab).mean()) < 0.25


def _with_notes(garment: Garment, notes: tuple[str, ...]) -> Garment:
    return dataclasses.replace(garment, notes=(*garment.notes, *notes))


def _worn(image: Image, region: str, pose: Pose, labels: Labels | None) -> Garment:
    notes: tuple[str, ...] = ()
    wearer = mask_of(image, pose) if labels is None else (labels > 0).astype(np.float32)
    if labels is None:
        labels, notes = labels_of(image, pose)
    wanted = region_mask(labels, region)
    if region == "outerwear" and not wanted.any() and guess.NOTE in notes:
        wanted = region_mask(labels, "top")  # a guess cannot tell a jacket from a shirt
    if wanted.sum() < _LEAST:
        raise ImageError(
            f"No {PLAIN[region]} to be seen on the garment photo: choose another photo, or "
            "another region."
        )
    lower = [int((labels == one).sum()) for one in (SKIRT, BOTTOM)]
    skirt = region in ("bottom", "dress", "outfit") and lower[0] > lower[1]
    return Garment(image, pose, _soft(wanted, wearer), wearer, skirt, notes)


PLAIN: Final = {
    "top": "top is", "bottom": "trousers or skirt are", "dress": "dress is",
    "outerwear": "jacket or coat is", "shoes": "shoes are", "outfit": "clothes are",
}  # fmt: skip


def _soft(wanted: NDArray[np.bool_], wearer: Floats) -> Floats:
    """The garment's alpha: its own edge against skin, the person's against the background."""
    soft = cv2.GaussianBlur(wanted.astype(np.float32), (0, 0), 0.8)
    return np.asarray(np.minimum(np.clip(2 * soft - 0.5, 0, 1), np.maximum(wearer, 0)), np.float32)


def _product(image: Image, region: str, pose: Pose | None) -> Garment:
    alpha = product_alpha(image)
    notes: tuple[str, ...] = ()
    if pose is None:
        pose, notes = _landmarks(image, alpha, region)
    skirt = region == "dress" or (region == "bottom" and not guess_product.is_split(alpha))
    return Garment(image, pose, alpha, None, skirt, notes)


def _landmarks(image: Image, alpha: Floats, region: str) -> tuple[Pose, tuple[str, ...]]:
    guessed = guess_product.guess_garment_pose(alpha, region)
    if landmarks_problem():
        return guessed, (guess_product.NOTE,)
    from reposedm.garments.landmarks import garment_pose

    try:
        return garment_pose(image, region), ()
    except DetectionError as error:
        return guessed, (f"{error} They were guessed from the outline instead: look at them.",)


def _planned(
    image: Image, pose: Pose, garment: Garment, region: str, *, labels: Labels, person: Floats,
    notes: tuple[str, ...] = (),
) -> Plan:  # fmt: skip
    if labels.shape != image.shape[:2]:
        raise ImageError(f"labels of {labels.shape} are not of a photo {image.shape[:2]}")
    if region == "outerwear" and guess.NOTE in notes:
        labels = np.where(labels == TOP, OUTERWEAR, labels).astype(np.uint8)
    warped = warp_garment(
        garment.image, garment.alpha, garment.pose, pose,
        wearer_mask=garment.wearer, skirt=garment.skirt,
    )  # fmt: skip
    mask, problem = None, ""
    try:
        mask = swap_mask(labels, warped.alpha, region)
    except ImageError as error:
        problem = str(error)
    said = tuple(dict.fromkeys((*notes, *garment.notes, *warped.notes)))
    return Plan(labels, person, warped, mask, problem, said)
