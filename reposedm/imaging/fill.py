"""Fill holes of a picture: the background behind a person, or cloth that an arm had covered.

Three tools, from cheap to careful: ``extend_colours`` (every unknown pixel takes the nearest known
colour), ``smooth_fill`` (a membrane over the hole), ``fill_holes`` (known patches are copied in).
Numpy and OpenCV only; deterministic.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from reposedm.errors import ImageError
from reposedm.imaging.backdrop import Backdrop, plain_backdrop
from reposedm.imaging.patchmatch import match_offsets
from reposedm.imaging.smooth import channels as _channels
from reposedm.imaging.smooth import smooth_fill

Image = NDArray[np.uint8]
Mask = NDArray[np.bool_]

_LARGEST = 2048
"""Long side above which a background is made up at this size and enlarged: 12 megapixels of it
take a quarter of a minute, and it has no detail of its own that the enlarging could lose."""

_DETAIL_PIXELS = 14_000
"""Pixels of the reduced picture in which patches are searched: a compromise of speed and detail."""


def extend_colours(image: Image, known: Mask) -> Image:
    """Give every unknown pixel the colour of the nearest known one; known pixels stay as they are.

    Args:
        image: uint8 (H, W, 3).
        known: bool (H, W). With no known pixel at all the image is returned unchanged.
    """
    if known.all() or not known.any():
        return image.copy()
    _, labels = cv2.distanceTransformWithLabels(
        (~known).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    colour_of = np.zeros((int(labels.max()) + 1, 3), np.uint8)
    colour_of[labels[known]] = image[known]
    filled = colour_of[labels]
    filled[known] = image[known]
    return filled


def fill_holes(
    image: Image, hole: Mask, source: Mask | None = None, *, detail: int = _DETAIL_PIXELS
) -> Image:
    """Fill ``hole`` with patches of ``source``, found in a reduced copy and copied at full size.

    Args:
        image: uint8 (H, W, 3).
        hole: bool (H, W), pixels to make up; all others come back unchanged.
        source: bool (H, W), pixels to copy from; None: all that is not hole.
        detail: pixels of the reduced picture in which patches are searched; fewer is faster.

    Returns:
        uint8 (H, W, 3). Without any source pixel, a neutral grey fills the hole.
    """
    source = ~hole if source is None else source & ~hole
    if not hole.any():
        return image.copy()
    if not source.any():
        grey = image.copy()
        grey[hole] = 128
        return grey
    factor = max(1, int(np.ceil(np.sqrt(hole.size / detail))))
    base = smooth_fill(extend_colours(image, source).astype(np.float32), source & ~hole)
    offsets = match_offsets(base, hole, source, factor)
    filled = base if offsets is None else _copy_patches(base, hole, source, offsets, factor)
    result = np.clip(filled + 0.5, 0, 255).astype(np.uint8)
    result[~hole] = image[~hole]
    return result


def fill_background(image: Image, mask: NDArray[np.float32], *, spread: float = 0.012) -> Image:
    """The photo with the person removed: plausible from a distance, in under a second.

    The mask is grown first, so that the person's own edge colours are not carried into the
    background. Pixels further from the person than that come back bit-equal.

    Args:
        image: uint8 (H, W, 3) RGB.
        mask: float32 (H, W) in [0, 1], the person's alpha.
        spread: how far the mask is grown, in parts of the image's diagonal.

    Returns:
        uint8 (H, W, 3). If the person leaves no background at all, a neutral grey.

    Raises:
        ImageError: image and mask do not have the same size.
    """
    if image.ndim != 3 or image.shape[2] != 3 or mask.shape != image.shape[:2]:
        raise ImageError(
            f"the person's mask must have the photo's size: photo {image.shape}, mask {mask.shape}"
        )
    person = (mask > 0.02).astype(np.uint8)
    if not person.any():
        return image.copy()
    if max(mask.shape) > _LARGEST:
        return _fill_reduced(image, mask, spread)
    radius = max(3, round(spread * float(np.hypot(mask.shape[0], mask.shape[1]))))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    hole = cv2.dilate(person, kernel) > 0
    if hole.all():
        hole = person > 0
    plain = plain_backdrop(image, hole)
    filled = _mixed(image, hole, plain)
    rim = hole & (cv2.dilate(person, np.ones((3, 3), np.uint8)) == 0)
    # A plain backdrop needs nothing of the rim but the shadow that may join unmoved feet.
    wanted = 1 - plain.trust * (1 - plain.shadow) if plain else np.ones_like(mask)
    return _keep_clean(image, filled, mask, hole, np.where(rim, wanted, 0).astype(np.float32))


def _fill_reduced(image: Image, mask: NDArray[np.float32], spread: float) -> Image:
    """``fill_background`` of a large photo, made in a smaller copy; all else stays the photo's."""
    height, width = mask.shape
    scale = _LARGEST / max(height, width)
    size = (round(width * scale), round(height * scale))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    small_mask = cv2.resize(mask, size, interpolation=cv2.INTER_AREA)
    filled = fill_background(small, small_mask, spread=spread)
    changed = (filled != small).any(2).astype(np.float32)
    seam = 2 * round(2 / scale) + 1
    inner = cv2.erode(cv2.morphologyEx(changed, cv2.MORPH_CLOSE, np.ones((5, 5))), np.ones((3, 3)))
    share = cv2.resize(inner, (width, height), interpolation=cv2.INTER_NEAREST)
    share = cv2.blur(share, (seam, seam))[..., None]
    large = cv2.resize(filled, (width, height), interpolation=cv2.INTER_CUBIC)
    mixed = image + (large.astype(np.float32) - image) * share
    return np.where(share > 0, np.clip(np.rint(mixed), 0, 255), image).astype(np.uint8)


def _mixed(image: Image, hole: Mask, plain: Backdrop | None) -> Image:
    """The hole filled by the backdrop's model as far as that is trusted, else by patches."""
    if plain is None:
        return fill_holes(image, hole)
    trust = plain.trust[hole][:, None]
    result = image.copy() if trust.min() > 0.99 else fill_holes(image, hole)
    share = 1.0 if trust.min() > 0.99 else trust
    mixed = result[hole] + (plain.filled[hole] - result[hole]) * share
    result[hole] = np.clip(np.rint(mixed), 0, 255)
    return result


def _keep_clean(
    image: Image,
    filled: Image,
    mask: NDArray[np.float32],
    hole: Mask,
    wanted: NDArray[np.float32],
) -> Image:
    """Give back the rim's own pixels where they do not carry the person's colours.

    ``wanted`` (H, W) is 0 off the rim, and on it how much its own pixels are worth keeping.

    A pixel is judged by how far it lies on the way from the filled background to the colour of the
    person next to it. The filling is then shifted smoothly to meet the pixels that stay.
    """
    core, rim = mask > 0.9, wanted > 0
    if not (wanted > 0.02).any() or not core.any():
        return filled
    top, left, bottom, right = _bounds(hole)
    box = np.s_[top:bottom, left:right]
    person = cv2.blur(extend_colours(image, core)[box], (5, 5)).astype(np.float32)
    behind, here = filled[box].astype(np.float32), image[box].astype(np.float32)
    way = person - behind
    share = ((here - behind) * way).sum(-1) / ((way**2).sum(-1) + 200)
    inside = rim[box]
    dirty = np.clip((share - 0.1) / 0.2, 0, 1).astype(np.float32)
    dirty = cv2.GaussianBlur(np.where(inside, dirty, 0), (0, 0), 1.5)
    reach = np.maximum(cv2.GaussianBlur(inside.astype(np.float32), (0, 0), 1.5), 0.1)
    keep = np.where(inside, 1 - np.clip(2 * dirty / reach, 0, 1), 0) * wanted[box]
    behind += _reach_inwards(here - behind, keep, hole[box])
    result = filled.copy()
    result[box] = np.clip(np.rint(behind + (here - behind) * keep[..., None]), 0, 255)
    result[~hole] = image[~hole]
    return result


def _reach_inwards(
    error: NDArray[np.float32], trust: NDArray[np.float32], hole: Mask
) -> NDArray[np.float32]:
    """A smooth field (h, w, 3): ``error`` where it is trusted, fading away from there."""
    step = max(1, round(max(hole.shape) / 200))
    size = (max(1, hole.shape[1] // step), max(1, hole.shape[0] // step))
    weight = cv2.resize(trust.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    pulled = _channels(
        cv2.resize(np.clip(error, -40, 40) * trust[..., None], size, interpolation=cv2.INTER_AREA)
    )
    sigma = 2.0
    total = cv2.GaussianBlur(weight, (0, 0), sigma)
    known = (weight > 0.25) & (total > 0.05)
    if not known.any():
        return np.zeros((*hole.shape, 3), np.float32)
    mean = cv2.GaussianBlur(pulled, (0, 0), sigma) / np.maximum(total, 1e-3)[..., None]
    field = smooth_fill(np.where(known[..., None], mean, 0).astype(np.float32), known)
    distance = cv2.distanceTransform((~known).astype(np.uint8), cv2.DIST_L2, 5)
    field *= np.exp(-distance / (0.12 * max(size)))[..., None]
    field = _channels(cv2.GaussianBlur(field, (0, 0), 1.0))
    large = cv2.resize(field, (hole.shape[1], hole.shape[0]), interpolation=cv2.INTER_LINEAR)
    return _channels(large) * hole[..., None]


def _copy_patches(
    base: NDArray[np.float32],
    hole: Mask,
    source: Mask,
    offsets: NDArray[np.float32],
    factor: int,
) -> NDArray[np.float32]:
    """Copy full-size pixels along coarse offsets (cells), cross-fading between cells.

    Each pixel mixes the copies of its four nearest cells bilinearly; the weights are sharpened, so
    that texture is not averaged away where neighbours disagree.
    """
    height, width = hole.shape
    top, left, bottom, right = _bounds(hole)
    ys, xs = np.mgrid[top:bottom, left:right].astype(np.float32)
    inside = hole[top:bottom, left:right]
    ys, xs = ys[inside], xs[inside]
    cy, cx = (ys + 0.5) / factor - 0.5, (xs + 0.5) / factor - 0.5
    y0, x0 = np.floor(cy), np.floor(cx)
    rows, columns = offsets.shape[:2]
    total = np.zeros((len(ys), 3), np.float32)
    weights = np.zeros((len(ys), 1), np.float32)
    for dy in (0, 1):
        for dx in (0, 1):
            cell_y = np.clip(y0 + dy, 0, rows - 1).astype(np.int32)
            cell_x = np.clip(x0 + dx, 0, columns - 1).astype(np.int32)
            move = offsets[cell_y, cell_x] * factor
            py = np.clip(np.rint(ys + move[:, 0]), 0, height - 1).astype(np.int32)
            px = np.clip(np.rint(xs + move[:, 1]), 0, width - 1).astype(np.int32)
            weight = (1 - np.abs(cy - y0 - dy)) * (1 - np.abs(cx - x0 - dx))
            weight = (weight**3 * (0.02 + source[py, px]) + 1e-9)[:, None]
            total += base[py, px] * weight
            weights += weight
    filled = base.copy()
    copied = np.zeros_like(base)
    copied[top:bottom, left:right][inside] = total / weights
    filled[hole] = copied[hole]
    return _match_border(filled, base, hole, factor)


def _match_border(
    filled: NDArray[np.float32], base: NDArray[np.float32], hole: Mask, factor: int
) -> NDArray[np.float32]:
    """Shift the filled colours by a smooth field, so that they meet the known ones at the rim."""
    kernel = np.ones((3, 3), np.uint8)
    step = max(1, factor // 2)
    small = (max(1, hole.shape[1] // step), max(1, hole.shape[0] // step))
    inner = cv2.resize(hole.astype(np.uint8), small, interpolation=cv2.INTER_NEAREST)
    if not inner.any() or inner.all():
        return filled
    known = _channels(cv2.resize(filled, small, interpolation=cv2.INTER_AREA))
    rim = (inner > 0) & (cv2.erode(inner, kernel, iterations=1) == 0)
    outer = (inner == 0) & (cv2.dilate(inner, kernel) > 0)
    wanted = smooth_fill(np.where(outer[..., None], known, 0).astype(np.float32), outer)
    error = np.where(rim[..., None], wanted - known, 0).astype(np.float32)
    field = smooth_fill(np.clip(error, -24, 24), rim)
    fade = cv2.distanceTransform(inner, cv2.DIST_L2, 5) / (0.15 * max(small))
    field *= np.exp(-fade)[..., None]
    field = _channels(cv2.GaussianBlur(field, (0, 0), 1.5))
    correction = cv2.resize(field, (hole.shape[1], hole.shape[0]), interpolation=cv2.INTER_LINEAR)
    filled[hole] += _channels(correction)[hole]
    return filled


def _bounds(mask: Mask) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1
