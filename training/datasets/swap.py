"""Triples of a garment swap with their true answer, from a folder of rendered people.

    truth     a view of somebody in one of two outfits
    person    the same view, but in the other outfit where the mask is: what a user would give
    garment   the garment of the truth: worn by the same body in another view, or the product alone
    mask      where either outfit shows the region's garment, and a thin margin

The renderer draws both outfits in the same pose, light and camera, so outside of the mask person
and truth are the same picture. It draws an outfit on one body alone: another body is imitated by
stretching the garment's picture. Products are rendered of the first outfit only.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from reposedm.errors import DetectionError
from reposedm.garments.joints import pose_of_landmarks
from reposedm.garments.labels import SKIRT, region_mask
from reposedm.garments.masks import IN_FRONT
from reposedm.pose import Pose
from training.augment import color_change
from training.datasets.synthetic import SyntheticFolder
from training.sample import DataError
from training.sampler import Key

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Rng = np.random.Generator

SHARES: Final = {
    "top": 3.0, "bottom": 2.0, "outerwear": 2.0, "dress": 1.5, "outfit": 1.5, "shoes": 0.5,
}  # fmt: skip
"""How often each region is asked for, where it is seen."""
PRODUCTS: Final = {
    "top": ("top",), "outerwear": ("outer",), "bottom": ("bottom", "skirt"), "dress": ("top",),
}  # fmt: skip
"""Endings of the product pictures that can stand for a region's garment."""
LEAST: Final = 250
"""Pixels of a garment that count as seen."""
PRODUCT_SHARE: Final = 0.6
STRETCH: Final = 0.08


@dataclass(frozen=True, eq=False)
class SwapSample:
    """One triple; all pictures are H x W.

    Attributes:
        truth: uint8 (H, W, 3).
        truth_alpha: uint8 (H, W), 255 on the person.
        truth_labels: uint8 (H, W) of ``reposedm.garments.labels.CLASSES``.
        image: the person to be changed, uint8 (H, W, 3); the truth outside of ``mask``.
        alpha: uint8 (H, W), of ``image``.
        labels: uint8 (H, W), of ``image``.
        pose: of both.
        mask: bool (H, W), what may change.
        garment: uint8 (H, W, 3).
        garment_mask: uint8 (H, W), 255 on the garment.
        wearer: uint8 (H, W), 255 on whoever is on ``garment``; the garment if nobody is.
        garment_pose: on ``garment``.
        region: of ``reposedm.garments.labels.REGIONS``.
        product: the garment is alone.
        name: of the triple.
        person: who it is.
    """

    truth: Pixels
    truth_alpha: Pixels
    truth_labels: Pixels
    image: Pixels
    alpha: Pixels
    labels: Pixels
    pose: Pose
    mask: Mask
    garment: Pixels
    garment_mask: Pixels
    wearer: Pixels
    garment_pose: Pose
    region: str
    product: bool
    name: str
    person: str


class SwapTriples:
    """A triple for each view in each outfit; region and garment are drawn.

    Args:
        root: a folder of ``python -m training.synthetic render --outfits 2 --products``.
        split: "train": all but the last tenth of the identities; "test": those; "all".
        seed: of what is drawn.
        margin: a width of the mask's margin below this is drawn, in pixels.
        limit: use only so many, evenly spread; 0: all.

    Raises:
        DataError: the folder is not a rendered one, or has one outfit alone.
    """

    def __init__(
        self,
        root: str | Path,
        split: str = "train",
        seed: int = 0,
        *,
        margin: int = 4,
        limit: int = 0,
    ) -> None:
        """Read the index; no picture is opened."""
        parts = ("train", "test") if split == "all" else (split,)
        folders = [SyntheticFolder(root, part) for part in parts]
        self.root, self.seed, self.margin = Path(root), seed, margin
        self.size = folders[0].rendered
        self.records = [record for folder in folders for record in folder.records]
        if any(int(record.get("outfits", 1)) < 2 for record in self.records):
            raise DataError(f"{root} has one outfit a person: render it with --outfits 2")
        self._items = [
            (number, outfit, view)
            for number, record in enumerate(self.records)
            for outfit in range(2)
            for view in range(len(record["views"]))
        ]
        if 0 < limit < len(self._items):
            spread = [number * len(self._items) // limit for number in range(limit)]
            self._items = [self._items[index] for index in spread]

    def __len__(self) -> int:
        """Views times outfits, or the limit."""
        return len(self._items)

    def __getitem__(self, key: int | Key | tuple[int, int]) -> SwapSample:
        """The triple of a number, as an epoch (0 for a number alone) draws it; unaugmented.

        Raises:
            IndexError: there is no such number.
            DataError: a file is missing or damaged.
        """
        epoch, index = key if isinstance(key, tuple) else (0, key)
        if not 0 <= index < len(self):
            raise IndexError(f"there are {len(self)} triples, no number {index}")
        return self.draw(index, np.random.default_rng((self.seed, 15, epoch, index)))

    def draw(self, index: int, rng: Rng) -> SwapSample:
        """The triple of a number with the region, garment and margin that ``rng`` draws."""
        number, outfit, view = self._items[index]
        record = self.records[number]
        truth, other = (_strip(self.root, record, o, self.size)[view] for o in (outfit, 1 - outfit))
        region = _drawn_region(truth.labels, rng)
        garment = self._garment(record, outfit, view, region, rng)
        mask = swap_region(truth.labels, other.labels, region, int(rng.integers(1, self.margin)))
        inside = mask[..., None]
        kind = "alone" if garment[4] else "worn"
        name = f"synthetic-{record['id']:06d}-{view}-o{outfit}-{region}-{kind}"
        return SwapSample(
            truth.image, truth.alpha, truth.labels,
            np.where(inside, other.image, truth.image), np.where(mask, other.alpha, truth.alpha),
            np.where(mask, other.labels, truth.labels), truth.pose, mask,
            *garment[:4], region=region, product=garment[4], name=name,
            person=f"synthetic-{record['id']:06d}",
        )  # fmt: skip

    def _garment(
        self, record: dict[str, Any], outfit: int, view: int, region: str, rng: Rng
    ) -> tuple[Pixels, Pixels, Pixels, Pose, bool]:
        """Picture, garment's mask, wearer's mask, pose, and whether it is the garment alone."""
        alone = rng.random() < PRODUCT_SHARE
        product = self._product(record, region) if outfit == 0 and alone else None
        views = _strip(self.root, record, outfit, self.size)
        turns = np.array([float(one["yaw"]) for one in record["views"]])
        turn = np.abs((turns - turns[view] + 180) % 360 - 180)
        seen = np.array([region_mask(one.labels, region).sum() for one in views])
        share = (np.exp(-((turn / 60) ** 2)) + 0.15) * (seen >= LEAST)
        share[view] = 0
        if not share.any():
            share = np.arange(len(views)) != view
        chosen = int(rng.choice(len(views), p=share / share.sum()))
        if product is not None:
            return product
        worn = views[chosen]
        garment = np.where(region_mask(worn.labels, region), worn.alpha, 0).astype(np.uint8)
        return worn.image, garment, worn.alpha, worn.pose, False

    def _product(self, record: dict[str, Any], region: str) -> Any:
        dress = record["outfit"] == "dress"
        if dress == (region in ("top", "bottom")):
            return None  # a dress is no top, and nothing else is a dress
        endings = tuple(f"_{name}.png" for name in PRODUCTS.get(region, ()))
        for entry in record.get("products", ()):
            if endings and entry["file"].endswith(endings):
                pixels = _read(self.root / entry["file"], cv2.IMREAD_UNCHANGED)
                alpha = pixels[..., 3].copy()
                marks = np.array(entry["landmarks"], np.float32)
                size = (alpha.shape[1], alpha.shape[0])
                try:
                    pose = pose_of_landmarks(marks[:, :2], marks[:, 2] > 0, region, size)
                except DetectionError:
                    return None  # cut off or hidden where it matters
                return pixels[..., 2::-1].copy(), alpha, alpha, pose, True
        return None


class Varied:
    """Triples as epochs show them: changed by a generator of (seed, epoch, number) alone.

    Args:
        triples: of a split.
        seed: of the changes.
    """

    def __init__(self, triples: SwapTriples, seed: int = 0) -> None:
        """Wrap."""
        self.triples, self.seed = triples, seed

    def __len__(self) -> int:
        """The number of triples."""
        return len(self.triples)

    def __getitem__(self, key: Key | tuple[int, int]) -> SwapSample:
        """The triple ``key[1]`` as epoch ``key[0]`` shows it; its name tells all that was drawn."""
        epoch, index = key
        rng = np.random.default_rng((self.seed, 16, epoch, index))
        sample = varied(self.triples[epoch, index], rng)
        return dataclasses.replace(sample, name=f"{sample.name}-{epoch}")


def varied(sample: SwapSample, rng: Rng) -> SwapSample:
    """Mirrored for every other triple, recoloured alike, the garment's picture stretched."""
    chance, colors = rng.random(), rng.uniform(-1, 1, 7)
    scale = 1 + rng.uniform(-STRETCH, STRETCH, 2)
    if chance < 0.5:
        sample = mirrored(sample)
    recolored = color_change(colors)
    names = ("truth", "image", "garment")
    pictures: dict[str, Any] = {name: recolored(getattr(sample, name)) for name in names}
    sample = dataclasses.replace(sample, **pictures)
    return stretched(sample, (float(scale[0]), float(scale[1])))


def mirrored(sample: SwapSample) -> SwapSample:
    """All pictures mirrored, left and right of the poses exchanged."""
    planes: dict[str, Any] = {
        field.name: np.ascontiguousarray(getattr(sample, field.name)[:, ::-1])
        for field in dataclasses.fields(sample)
        if isinstance(getattr(sample, field.name), np.ndarray)
    }
    poses = {name: getattr(sample, name).mirrored() for name in ("pose", "garment_pose")}
    return dataclasses.replace(sample, **planes, **poses)


def stretched(sample: SwapSample, scale: tuple[float, float]) -> SwapSample:
    """The garment's picture stretched about its middle by ``scale`` = (x, y): another body."""
    height, width = sample.mask.shape
    shift = ((1 - scale[0]) * width / 2, (1 - scale[1]) * height / 2)
    offset = [scale[k] / 2 - 0.5 + shift[k] for k in range(2)]  # OpenCV's pixel centres are at 0
    matrix = np.array([[scale[0], 0, offset[0]], [0, scale[1], offset[1]]])

    def moved(pixels: Pixels, border: int) -> Pixels:
        return cv2.warpAffine(
            pixels, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=border
        )  # type: ignore[return-value]

    return dataclasses.replace(
        sample,
        garment=moved(sample.garment, cv2.BORDER_REPLICATE),
        garment_mask=moved(sample.garment_mask, cv2.BORDER_CONSTANT),
        wearer=moved(sample.wearer, cv2.BORDER_CONSTANT),
        garment_pose=sample.garment_pose.transformed(scale, shift, (width, height)),
    )


def swap_region(truth: Pixels, other: Pixels, region: str, margin: int) -> Mask:
    """The union of a region in two outfits, ``margin`` pixels wider; what lies in front stays.

    Args:
        truth: labels (H, W) of one outfit.
        other: of the other one.
        region: of ``reposedm.garments.labels.REGIONS``.
        margin: pixels.
    """
    union = region_mask(truth, region) | region_mask(other, region)
    front = np.isin(truth, IN_FRONT[region])
    union &= ~front
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * margin + 1, 2 * margin + 1))
    grown = cv2.dilate(union.astype(np.uint8), kernel) > 0
    found: Mask = grown & ~front
    return found


def _drawn_region(labels: Pixels, rng: Rng) -> str:
    """One of the regions that are seen; a dress only where there is a skirt."""
    seen = {
        region: share
        for region, share in SHARES.items()
        if region_mask(labels, region).sum() >= LEAST
        and (region != "dress" or (labels == SKIRT).sum() >= LEAST)
    } or {"outfit": 1.0}
    shares = np.array(list(seen.values()))
    return str(rng.choice(list(seen), p=shares / shares.sum()))


@dataclass(frozen=True, eq=False)
class _View:
    image: Pixels
    alpha: Pixels
    labels: Pixels
    pose: Pose


def _strip(
    root: Path, record: dict[str, Any], outfit: int, size: tuple[int, int]
) -> tuple[_View, ...]:
    """All views of an identity in an outfit."""
    base = str(root / record["file"]) + (f"_o{outfit}" if outfit else "")
    joints = tuple(tuple(tuple(one) for one in view["kp"]) for view in record["views"])
    return _opened(base, joints, size)


@lru_cache(maxsize=2)
def _opened(base: str, joints: Sequence[Any], size: tuple[int, int]) -> tuple[_View, ...]:
    height, width = size
    image = _read(Path(f"{base}.jpg"), cv2.IMREAD_COLOR)[..., ::-1]
    alpha, labels = (
        _read(Path(f"{base}{name}.png"), cv2.IMREAD_UNCHANGED) for name in ("_alpha", "_seg")
    )
    if image.shape[:2] != (height, width * len(joints)):
        raise DataError(f"{base}.jpg does not hold {len(joints)} views: render the folder again")
    views = []
    for number, marks in enumerate(joints):
        columns = slice(number * width, (number + 1) * width)
        array = np.array(marks, np.float32)
        pose = Pose(
            array[:, :2], np.ones(18, np.float32), array[:, 2].astype(np.uint8), (width, height)
        )
        photo, mask, classes = (
            np.ascontiguousarray(one[:, columns]) for one in (image, alpha, labels)
        )
        views.append(_View(photo, mask, classes, pose))
    return tuple(views)


def _read(file: Path, mode: int) -> Pixels:
    pixels = cv2.imread(str(file), mode)
    if pixels is None:
        raise DataError(f"{file} is missing or damaged: render the folder again")
    return pixels  # type: ignore[return-value]
