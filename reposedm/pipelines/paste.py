"""The method "warp" of a garment swap: the garment's own pixels, pasted. No network, no seed.

Also the first baseline of the trained method. What the new garment uncovers is made up from what
is there: skin in the person's own tone where the bare body must be, the cloth next to it on the
trunk, the background beyond the body.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from reposedm.errors import ImageError
from reposedm.garments import zones
from reposedm.garments.labels import (
    ARM_SKIN,
    BACKGROUND,
    BOTTOM,
    FACE,
    SKIN,
    SKIRT,
    TOP,
)
from reposedm.garments.labels import (
    region_mask as worn_in,
)
from reposedm.garments.masks import IN_FRONT
from reposedm.imaging.fill import fill_background, fill_holes
from reposedm.imaging.smooth import smooth_fill
from reposedm.pipelines.base import Capabilities, Output, Step, refuse_extras
from reposedm.pipelines.garment_warp import WarpedGarment, layered, warp_garment
from reposedm.pose import Pose

if TYPE_CHECKING:
    import torch

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

_SHADE: Final = 0.6
"""How much of the old garment's light and shadow the new one takes over."""
_STRIP: Final = 0.012
"""Of the photo's diagonal: what is less than twice that wide is no limb."""
_SKIN_HUE: Final = (20.0, 85.0)
_SKIN_CHROMA: Final = (7.0, 50.0)
"""Of skin in CIE Lab, degrees and distance from grey, the darkest and the lightest included."""
_FEWEST: Final = 40
"""Pixels of skin that tell its tone."""
_OTHER: Final = 25.0
"""Distance in CIE Lab from a person's tone of skin from which a pixel is taken for no skin."""
_UPPER: Final = ("top", "dress", "outerwear", "outfit")


class PasteWarp:
    """Lays the warped garment onto the person, in their light; called like the trained method."""

    capabilities: ClassVar[Capabilities] = Capabilities(
        name="warp",
        label="Paste the warp (no AI)",
        description=(
            "Lays the garment's own pixels onto the person along the limbs, in a moment and on "
            "any computer. It cannot make folds, or invent what the garment photo does not show."
        ),
        native_size=None,
        stages=("warp", "paste"),
        controls=frozenset({"labels", "warped"}),
        stochastic=False,
    )

    def stream(
        self,
        image: Image,
        pose: Pose,
        garment_image: Image,
        garment_pose: Pose,
        *,
        garment_mask: Floats,
        region_mask: Floats,
        region: str,
        source_mask: Floats | None = None,
        garment_person: Floats | None = None,
        labels: NDArray[np.uint8] | None = None,
        warped: WarpedGarment | None = None,
        generators: Sequence[torch.Generator] | None = None,
        **extras: Any,
    ) -> Generator[Step, None, Output]:
        """Yield a ``Step`` after each step of work; return the ``Output``, one picture.

        Args:
            image: uint8 (H, W, 3) RGB, the person's photo.
            pose: the person's, in its pixels.
            garment_image: uint8 (h, w, 3) RGB.
            garment_pose: the wearer's, or the garment's landmarks, in pixels of that photo.
            garment_mask: float32 (h, w) in [0, 1], the garment there.
            region_mask: float32 (H, W) in [0, 1], what may change.
            region: one of ``labels.REGIONS``.
            source_mask: float32 (H, W), the person's alpha; None: where ``labels`` has a person.
            garment_person: float32 (h, w), the wearer's alpha; None: nobody is in the garment.
            labels: uint8 (H, W), classes of the person's pixels; None: all of the mask is the old
                garment.
            warped: the garment in place, if it was warped already.
            generators: one picture whatever their number: no seed changes it.
            extras: what only other methods understand.

        Raises:
            SettingsError: an argument that means nothing here.
            ImageError: pictures and masks that do not fit.
            PoseError: a pose with nothing to hold on to.
        """
        refuse_extras(self.capabilities, extras)
        if region_mask.shape != image.shape[:2]:
            raise ImageError(f"a mask of {region_mask.shape} does not fit a photo {image.shape}")
        if warped is None:
            warped = warp_garment(
                garment_image, garment_mask, garment_pose, pose, wearer_mask=garment_person
            )
        yield Step(1, 2, "warp")
        mask = region_mask > 0
        if labels is None:
            labels = np.where(mask, _usual_class(region), BACKGROUND).astype(np.uint8)
        person = source_mask if source_mask is not None else (labels > 0).astype(np.float32)
        picture = paste(image, pose, warped, labels, person, mask=mask, region=region)
        layer = np.dstack((picture, np.where(mask, 255, 0).astype(np.uint8)))
        yield Step(2, 2, "paste", [layer])
        return Output([layer], warped.notes)


def paste(
    image: Image,
    pose: Pose,
    warped: WarpedGarment,
    labels: NDArray[np.uint8],
    person: Floats,
    *,
    mask: Mask,
    region: str,
) -> Image:
    """The photo with the garment on its person: uint8 (H, W, 3), changed inside ``mask`` alone."""
    zone = _full_zones(pose, mask.shape)
    old = worn_in(labels, region)
    in_front = np.isin(labels, (*IN_FRONT[region], ARM_SKIN)) & (zone != zones.LEG)
    # A forearm, bare or in the old sleeve, lies before the trunk's cloth; a new sleeve before it.
    arm = (zone == zones.ARM) & (old | (labels == ARM_SKIN)) & (region in _UPPER)
    trunk = warped.trunk.copy()
    trunk[..., 3] = np.where(in_front | arm, 0, trunk[..., 3])
    limbs = warped.limbs.copy()
    limbs[..., 3] = np.where(np.isin(labels, IN_FRONT[region]), 0, limbs[..., 3])
    cover = np.maximum(trunk[..., 3], limbs[..., 3]).astype(np.float32) / 255
    beyond = mask & ~old & (cover < 0.5) & (labels == BACKGROUND)
    beyond &= ~_near(old | (warped.alpha > 0.5), mask)
    gone = mask & (cover < 0.99) & (old | ((labels == BACKGROUND) & _near(old, old)))
    base = _uncovered(image, pose, labels, person, zone, gone=gone, old=old)
    layer = _in_light(layered(trunk, limbs), image, old & mask)
    if beyond.any():  # painted by the user: the garment goes on there
        longer = fill_holes(layer[..., :3].copy(), beyond, cover > 0.9)
        layer[beyond] = np.dstack((longer, np.full(mask.shape, 255, np.uint8)))[beyond]
    share = layer[..., 3].astype(np.float32) / 255 * mask
    mixed = base + (layer[..., :3].astype(np.float32) - base) * share[..., None]
    result = np.rint(mixed).clip(0, 255).astype(np.uint8)
    return np.asarray(np.where(mask[..., None], result, image), np.uint8)


def bare_limbs(
    pose: Pose,
    warped: WarpedGarment,
    labels: NDArray[np.uint8],
    *,
    mask: Mask,
    region: str,
) -> Floats:
    """Where arms or legs come out of the old garment: float32 (H, W) in [0, 1], soft.

    Args:
        pose: the person's.
        warped: the new garment in place.
        labels: uint8 (H, W), classes of the person's pixels.
        mask: bool (H, W), what may change.
        region: one of ``labels.REGIONS``.
    """
    zone, old = _full_zones(pose, mask.shape), worn_in(labels, region)
    limb = np.isin(zone, (zones.ARM, zones.LEG))
    where = (mask & limb & _near(old, old) & (warped.alpha < 0.5)).astype(np.uint8)
    diagonal = float(np.hypot(mask.shape[0], mask.shape[1]))
    # A strip beside the new garment is its own rim, not a limb.
    side = 2 * max(1, round(_STRIP * diagonal)) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    where = cv2.morphologyEx(where, cv2.MORPH_OPEN, kernel).astype(np.float32)
    return np.asarray(cv2.GaussianBlur(where, (0, 0), 0.002 * diagonal), np.float32)


def in_own_skin(layer: Image, where: Floats, image: Image, labels: NDArray[np.uint8]) -> Image:
    """A painted picture whose bare limbs have the person's tone of skin.

    A network that is shown somebody else in the garment gives the person that skin: light and
    shade are kept, colour and level are the person's.

    Args:
        layer: uint8 (h, w, 4) straight alpha.
        where: float32 (h, w) in [0, 1], see ``bare_limbs``.
        image: uint8 (H, W, 3) RGB, the person's photo.
        labels: uint8 (H, W), classes of its pixels.
    """
    inside = (where > 0.5) & (layer[..., 3] > 200)
    tone = _tone(image, labels)
    if tone is None or inside.sum() < _FEWEST:
        return layer
    lab = cv2.cvtColor(layer[..., :3].astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    painted = np.median(lab[inside], axis=0)
    if not (_is_skin(tone) and _is_skin(painted)):  # gloves, and a face in red light
        return layer
    change = (tone - painted) * where[..., None]
    rgb = np.asarray(cv2.cvtColor((lab + change).astype(np.float32), cv2.COLOR_LAB2RGB))
    found = layer.copy()
    found[..., :3] = np.rint(np.clip(rgb, 0, 1) * 255)
    return found


def _is_skin(lab: Floats) -> bool:
    """Whether a colour can be skin's, of whatever tone: between red and yellow, and not grey."""
    red, yellow = float(lab[1]), float(lab[2])
    chroma, hue = np.hypot(red, yellow), np.degrees(np.arctan2(yellow, red))
    return bool(_SKIN_CHROMA[0] < chroma < _SKIN_CHROMA[1] and _SKIN_HUE[0] < hue < _SKIN_HUE[1])


def _near(area: Mask, shape_of: Mask) -> Mask:
    """The area and a margin: an automatic mask's rim is no wish for a longer garment."""
    radius = 2 * max(2, round(0.008 * float(np.hypot(shape_of.shape[0], shape_of.shape[1])))) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (radius, radius))
    return np.asarray(cv2.dilate(area.astype(np.uint8), kernel) > 0)


def _full_zones(pose: Pose, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """``zones.body_zones`` found in a small copy: its borders need no detail."""
    scale = min(1.0, 384 / max(shape))
    size = (max(1, round(shape[1] * scale)), max(1, round(shape[0] * scale)))
    small = zones.body_zones(pose.transformed(np.array(size) / pose.size, 0, size), size[::-1])
    return np.asarray(
        cv2.resize(small.astype(np.uint8), (shape[1], shape[0]), interpolation=cv2.INTER_NEAREST)
    )


def _uncovered(
    image: Image,
    pose: Pose,
    labels: NDArray[np.uint8],
    person: Floats,
    zone: NDArray[np.uint8],
    *,
    gone: Mask,
    old: Mask,
) -> Floats:
    """The photo, float32 (H, W, 3), with what the ``old`` garment hid where it is ``gone``.

    ``gone`` holds the old garment's soft edge as well: in the background that would stay as a rim.
    """
    base = image.astype(np.float32)
    if not gone.any():
        return base
    body = zones.bare_body(pose, (gone.shape[0], gone.shape[1])) | (zone == zones.FOOT)
    down = zones.along_trunk(pose, gone.shape)
    cloth = np.isin(labels, (TOP, BOTTOM, SKIRT)) & ~old & ~_near(old, old)
    # A collar's place, and the body where nothing else is worn, is skin; on the trunk below it the
    # cloth next to it goes on.
    on_cloth = gone & body & (zone == zones.TRUNK) & (down > 0.25) & cloth.any()
    on_skin = gone & old & body & ~on_cloth
    away = gone & ~body
    if away.any():
        base[away] = fill_background(image, np.maximum(person, gone))[away]
    if on_cloth.any():
        base[on_cloth] = fill_holes(image, on_cloth, cloth)[on_cloth]
    if on_skin.any():
        base[on_skin] = _skin(image, labels, on_skin)[on_skin]
    inner = gone & old & body
    edge = cv2.morphologyEx(inner.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    seam = gone & (edge > 0)  # skin against background: made by two fillers, so softened once
    base[seam] = cv2.GaussianBlur(base, (0, 0), 1.0)[seam]
    return base


def _skin(image: Image, labels: NDArray[np.uint8], where: Mask) -> Floats:
    """Skin in the person's own tone, shaded as the cloth that was there: float32 (H, W, 3)."""
    lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    seen = _bare(labels, where)
    if seen.sum() < _FEWEST:
        return fill_holes(image, where, (labels > 0) & ~where).astype(np.float32)
    tone = np.median(lab[seen], axis=0).astype(np.float32)
    seen &= np.linalg.norm(lab - tone, axis=-1) < _OTHER  # a watch, a cuff that was missed
    sigma = max(2.0, 0.01 * float(np.hypot(where.shape[0], where.shape[1])))
    weight = cv2.GaussianBlur(where.astype(np.float32), (0, 0), sigma)
    light = cv2.GaussianBlur(lab[..., 0] * where, (0, 0), sigma) / np.maximum(weight, 1e-3)
    depth = cv2.distanceTransform(where.astype(np.uint8), cv2.DIST_L2, 5)
    round_off = 1 - np.exp(-depth / (2 * sigma))  # limbs are darker towards their outline
    shade = np.clip(0.2 * (light - np.median(light[where])), -5, 5) + 7 * (round_off - 0.75)
    made = np.empty_like(lab)
    made[...] = tone
    made[..., 0] += shade
    # Where skin is seen next to it, its own colour leads on.
    near = seen & _near(where, where)
    if near.any():
        error = np.where(near[..., None], lab - made, 0).astype(np.float32)
        far = cv2.distanceTransform((~near).astype(np.uint8), cv2.DIST_L2, 5)
        made += smooth_fill(error, near) * np.exp(-far / (8 * sigma))[..., None]
    rgb = cv2.cvtColor(made.astype(np.float32), cv2.COLOR_LAB2RGB)
    return np.asarray(np.clip(rgb, 0, 1) * 255, np.float32)


def _bare(labels: NDArray[np.uint8], without: Mask) -> Mask:
    """Where the person's skin is to be seen; the face's, if there is hardly any other."""
    seen = (np.isin(labels, SKIN) & ~without).astype(np.uint8)
    seen = cv2.erode(seen, np.ones((3, 3), np.uint8)) > 0
    if seen.sum() < _FEWEST:
        seen = cv2.erode((labels == FACE).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    return np.asarray(seen)


def _tone(image: Image, labels: NDArray[np.uint8]) -> Floats | None:
    """The person's tone of skin, (3,) in CIE Lab; None: none is to be seen."""
    seen = _bare(labels, np.zeros(labels.shape, bool))
    if seen.sum() < _FEWEST:
        return None
    lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    return np.median(lab[seen], axis=0).astype(np.float32)


def _in_light(layer: Image, photo: Image, old: Mask) -> Image:
    """The garment in the light that fell onto the old one: broad shading of its luminance only."""
    both = old & (layer[..., 3] > 128)
    if both.sum() < 200:
        return layer
    sigma = 0.03 * float(np.hypot(old.shape[0], old.shape[1]))

    def shading(luminance: Floats) -> Floats:
        weight = cv2.GaussianBlur(both.astype(np.float32), (0, 0), sigma)
        broad = cv2.GaussianBlur(luminance * both, (0, 0), sigma) / np.maximum(weight, 1e-3)
        level = float(np.median(broad[both]))
        return np.asarray(np.log(np.maximum(broad, 4) / max(level, 4)), np.float32)

    wanted = shading(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY).astype(np.float32))
    own = shading(cv2.cvtColor(layer[..., :3].copy(), cv2.COLOR_RGB2GRAY).astype(np.float32))
    gain = np.exp(np.clip(_SHADE * (wanted - own), -0.22, 0.22))
    # Where the old garment was not, nothing is known of the light: the gain fades out.
    known = np.clip(2 * cv2.GaussianBlur(both.astype(np.float32), (0, 0), sigma), 0, 1)
    gain = 1 + (gain - 1) * known
    result = layer.copy()
    result[..., :3] = np.rint(layer[..., :3] * gain[..., None]).clip(0, 255)
    return result


def _usual_class(region: str) -> int:
    return {"bottom": BOTTOM, "dress": SKIRT}.get(region, TOP)
