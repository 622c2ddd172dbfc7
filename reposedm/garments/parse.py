"""What a person on a photograph wears where: a label for every pixel, at the photo's own size.

The person's frame goes through a parser, shares of the classes come back to the photo, follow its
colours, and stay inside the person's mask. "small" is our own network; "segformer" a public one.
"""

from __future__ import annotations

import importlib.util
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from reposedm.detect.refine import guided_filter
from reposedm.errors import DetectionError
from reposedm.garments import segformer
from reposedm.garments.labels import BACKGROUND, BOTTOM, CLASSES, OUTERWEAR, SKIN, SKIRT, TOP
from reposedm.garments.zones import ARM, LEG, body_zones, hands, skin_seen
from reposedm.imaging.frame import Frame, mask_box
from reposedm.pose import Pose, heat_maps
from reposedm.pose.skeleton import L_EYE, NOSE, R_EYE
from reposedm.weights import CONFIG, WEIGHTS, file_problem, weights_root

if TYPE_CHECKING:
    from reposedm.models.parser import GarmentParser

Image = NDArray[np.uint8]
Labels = NDArray[np.uint8]
Plane = NDArray[np.float32]

SIZE: Final = (88, 128)
"""(width, height) of a person that our network looks at."""
_NEEDS: Final = {"small": "torch", "segformer": "transformers"}
_WORK: Final = 384
"""Edges are refined on a picture of the person that is at most so many pixels high."""
_PLACES: Final = (
    # bg hair face torso arm leg  top outer bottom skirt shoes hat
    (1, 1.0, 1.0, 0.5, 0.3, 0.05, 0.3, 0.3, 0.05, 0.05, 0.02, 1.0),
    (1, 0.7, 0.2, 1.0, 0.5, 0.15, 1.0, 1.0, 0.70, 0.80, 0.02, 0.1),
    (1, 0.5, 0.3, 0.4, 1.0, 0.15, 1.0, 1.0, 0.40, 0.40, 0.05, 0.1),
    (1, 0.1, 0.1, 0.1, 0.5, 1.00, 0.4, 0.7, 1.00, 1.00, 0.50, 0.05),
    (1, 0.05, 0.05, 0.05, 0.1, 1.00, 0.1, 0.3, 1.00, 0.50, 1.00, 0.05),
)
"""How likely each class is in each zone of the body (head, trunk, arm, leg, foot)."""
_OFF_TONE: Final = 0.1
"""What is left of skin's share where the colour is not the face's."""
_ON_TONE: Final = 0.4
"""What is left of a limb's clothes where it is."""
_EPS: Final = 1e-3
"""Variance of colours, in [0, 1], that counts as none: folds make no edges."""

_lock = threading.Lock()
_loaded: dict[tuple[Path, int], GarmentParser] = {}


def parsers() -> dict[str, str]:
    """Every parser -> "" if it can be used, or a sentence why not and what to do.

    Nothing heavy is imported, and nothing is fetched: segformer may still need its weights.
    """
    return {name: _problem(name) for name in _NEEDS}


def parser_unavailable() -> str:
    """Empty if our own network can be used, else a sentence why not and what to do."""
    return _problem("small")


def parse_person(
    image: Image, pose: Pose, mask: Plane | None = None, backend: str = "small"
) -> Labels:
    """Label every pixel of one person; other people and everything else are background.

    Args:
        image: uint8 (H, W, 3) RGB, the upright photo.
        pose: the person's joints in its pixels.
        mask: float32 (H, W) in [0, 1], the person's alpha: its inside is labelled, nothing else.
            None: the parser decides what is person.
        backend: a key of ``parsers()``.

    Returns:
        uint8 (H, W) of ``labels.CLASSES``.

    Raises:
        DetectionError: pose or mask of another photo, no such parser, or it cannot run here; says
            which other one can.
        PoseError: the pose has no drawn joint inside the photo.
        WeightsError: the weights are damaged.
    """
    _check(image, pose, mask)
    if backend not in _NEEDS:
        raise DetectionError(f"there is no parser {backend!r:.40}: choose {' or '.join(_NEEDS)}")
    problem = _problem(backend)
    if problem:
        raise DetectionError(f"The garment parser {backend} cannot be used, {problem}.")
    height, width = image.shape[:2]
    pose.check_usable()
    box = None if mask is None else mask_box(mask)
    if mask is not None and box is None:
        return np.zeros((height, width), np.uint8)
    frame = Frame.around(pose, pose, (width, height), mask_box=box, native_size=SIZE)
    shares = (
        segformer.shares(image, frame) if backend == "segformer" else _shares(image, pose, frame)
    )
    return labels_of_shares(image, shares, frame, mask, pose)


def labels_of_shares(
    image: Image, shares: Plane, frame: Frame, mask: Plane | None, pose: Pose
) -> Labels:
    """Labels at the photo's size from shares on a frame.

    Args:
        image: uint8 (H, W, 3) RGB.
        shares: float32 (K, h, w) of the classes, over the frame's whole box.
        frame: where on the photo they are.
        mask: as ``parse_person``.
        pose: in pixels of the photo.

    Returns:
        uint8 (H, W).
    """
    left, top, right, bottom = frame.box
    height, width = image.shape[:2]
    x0, y0, x1, y1 = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
    scale = min(1.0, _WORK / (bottom - top))
    work = max(8, round((right - left) * scale)), max(8, round((bottom - top) * scale))
    fitted = Frame(frame.box, work, frame.photo_size)
    guide = fitted.crop(image)
    best = np.full((y1 - y0, x1 - x0), -np.inf, np.float32)
    labels = np.zeros((height, width), np.uint8)
    inside = labels[y0:y1, x0:x1]
    for number, plane in enumerate(_refined(shares, guide, mask is None)):
        if plane is None:
            continue
        full = _on_box(plane, (right - left, bottom - top))[
            y0 - top : y1 - top, x0 - left : x1 - left
        ]
        better = full > best
        best[better], inside[better] = full[better], number
    if mask is not None:
        labels[mask < 0.5] = BACKGROUND
        return labels
    return _attached(labels, pose)


def _refined(shares: Plane, guide: Image, background: bool) -> list[Plane | None]:
    """Shares that follow the photo's colours; None for classes that are nowhere likely.

    Without ``background`` everything is of the person, and the likeliest other class wins.
    """
    height, width = guide.shape[:2]
    radius = max(2, round(0.025 * height))
    if not background:  # where the network saw nobody, the surer places nearby decide
        shares = shares / (shares[1:].sum(0) + 0.02)
    found: list[Plane | None] = []
    for number, share in enumerate(shares):
        if (number == BACKGROUND and not background) or share.max() < 0.08:
            found.append(None)
            continue
        plane = _on_box(share, (width, height))
        found.append(0.5 * plane + 0.5 * guided_filter(guide, plane, radius, _EPS, 2))
    if all(plane is None for plane in found):
        found[1:] = [_on_box(share, (width, height)) for share in shares[1:]]
    return found


def _on_box(plane: Plane, size: tuple[int, int]) -> Plane:
    """A plane stretched over (width, height)."""
    if plane.shape == (size[1], size[0]):
        return plane
    return cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR)  # type: ignore[return-value]


def _attached(labels: Labels, pose: Pose) -> Labels:
    """Only the pieces that hold a joint of the person, or are a good part of the largest."""
    count, pieces, stats, _ = cv2.connectedComponentsWithStats((labels > 0).astype(np.uint8))
    if count <= 2:
        return labels
    points = pose.points[pose.drawn].astype(int)
    points = points[((points >= 0) & (points < pose.size)).all(1)]
    keep = np.zeros(count, bool)
    keep[pieces[points[:, 1], points[:, 0]]] = True
    keep[0] = False
    area = stats[:, cv2.CC_STAT_AREA]
    if not keep.any():
        keep[1 + int(area[1:].argmax())] = True
    return np.where(keep[pieces], labels, BACKGROUND).astype(np.uint8)


def _shares(image: Image, pose: Pose, frame: Frame) -> Plane:
    """Our network's shares of the classes, float32 (12, 128, 88): the mean of two looks, one of
    them in the mirror."""
    import torch

    from reposedm.models.parser import HEAT_SIGMA, HEAT_STRIDE

    crop, body = frame.crop(image), frame.to_frame(pose)
    both = np.stack([crop, crop[:, ::-1]]).transpose(0, 3, 1, 2).astype(np.float32) / 127.5 - 1
    grid = (SIZE[1] // HEAT_STRIDE, SIZE[0] // HEAT_STRIDE)
    heat = np.stack([heat_maps(one, grid, HEAT_SIGMA) for one in (body, body.mirrored())])
    with _lock, torch.inference_mode():
        logits = _network()(torch.from_numpy(both), torch.from_numpy(heat)).float()
        logits = logits[0] + logits[1].flip(2)
    shares: Plane = (0.5 * logits).softmax(0).numpy()
    return by_tone(in_place(shares, body), crop, body)


def by_tone(shares: Plane, image: Image, pose: Pose) -> Plane:
    """Shares (12, h, w) with skin made unlikely where the colour is not that of the person's face,
    and sleeves and trousers where it is.

    So small a network tells beige trousers from legs by their place alone. Hands stay as they are:
    gloves are rare, and hands in the light or in shadow are not. Without a visible face: as given.

    Args:
        shares: float32, of the classes.
        image: uint8 (h, w, 3) RGB of the same size.
        pose: in its pixels.
    """
    if not pose.visible[[NOSE, R_EYE, L_EYE]].any():
        return shares
    lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    skin = skin_seen(lab, pose, shares[BACKGROUND] < 0.5)
    zone = body_zones(pose, skin.shape)
    hand = hands(pose, skin.shape) & (zone == ARM)
    factor = np.ones_like(shares)
    factor[list(SKIN)] = np.where(skin | hand, 1, _OFF_TONE)
    limb = skin & np.isin(zone, (ARM, LEG))
    factor[[TOP, OUTERWEAR, BOTTOM, SKIRT]] = np.where(limb, _ON_TONE, 1)
    found = shares * factor
    return np.asarray(found / np.maximum(found.sum(0), 1e-6), np.float32)


def in_place(shares: Plane, pose: Pose) -> Plane:
    """Shares (12, h, w) with what is unlikely in its place on the body made smaller.

    Hair does not grow on knees: what a network never saw, such as a bag, it may still call so.
    """
    zones = body_zones(pose, shares.shape[1:])
    found = shares * np.array(_PLACES, np.float32)[zones].transpose(2, 0, 1)
    return np.asarray(found / np.maximum(found.sum(0), 1e-6), np.float32)


def _network() -> GarmentParser:
    """The network, read again when its file has changed."""
    from reposedm.models.parser import GarmentParser
    from reposedm.models.safe import load_safetensors_strict

    folder = weights_root() / "parser"
    key = (folder, (folder / WEIGHTS).stat().st_mtime_ns)
    if key not in _loaded:
        _loaded.clear()
        network = load_safetensors_strict(GarmentParser, folder)
        if network.config.classes != len(CLASSES):
            raise DetectionError(
                f"the parser in {folder} tells {network.config.classes} classes, not {len(CLASSES)}"
            )
        _loaded[key] = network
    return _loaded[key]


def _problem(backend: str) -> str:
    package = _NEEDS[backend]
    if importlib.util.find_spec(package) is None:
        return f"the package {package} is not installed: run pip install -r requirements.txt"
    if backend != "small":
        return ""
    for name in (CONFIG, WEIGHTS):
        file = weights_root() / "parser" / name
        problem = file_problem(file)
        if problem:
            return (
                f"its weights are {problem} ({file}): train them with python -m training.train "
                "--config parser, or set REPOSEDM_WEIGHTS to a folder that has them"
            )
    return ""


def _check(image: Image, pose: Pose, mask: Plane | None) -> None:
    shape: tuple[int, ...] = getattr(image, "shape", ())
    if getattr(image, "dtype", None) != np.uint8 or len(shape) != 3 or shape[2] != 3:
        raise DetectionError("a photo to parse must be uint8 of shape (height, width, 3)")
    if pose.size != (shape[1], shape[0]) or (mask is not None and mask.shape != shape[:2]):
        raise DetectionError(
            f"pose and mask must belong to this photo of {shape[1]} x {shape[0]} pixels; the pose "
            f"is of {pose.size[0]} x {pose.size[1]}"
            + ("" if mask is None else f", the mask of {mask.shape[1]} x {mask.shape[0]}")
        )
