"""Rendered people with their labels, and garments alone with their landmarks, as samples.

Read from a folder that ``python -m training.synthetic render --outfits 2 --products`` wrote.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reposedm.errors import SettingsError
from reposedm.models.parser import HEAT_SIGMA, HEAT_STRIDE
from reposedm.pose import Pose, heat_maps
from training.datasets.synthetic import SyntheticFolder
from training.garments.variation import vary_person, vary_product
from training.sample import DataError
from training.sampler import Key

SPLITS: Final = ("train", "test", "all")
SIZE: Final = (128, 88)
"""(H, W) that the networks look at."""


@dataclass(frozen=True, eq=False)
class Person:
    """A picture of a person.

    Attributes:
        image: uint8 (H, W, 3) RGB.
        alpha: uint8 (H, W), 255 on the person.
        labels: uint8 (H, W) of ``reposedm.garments.labels.CLASSES``.
        pose: in pixels of the picture.
        name: its id.
    """

    image: NDArray[np.uint8]
    alpha: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    pose: Pose
    name: str


@dataclass(frozen=True, eq=False)
class Product:
    """A garment alone.

    Attributes:
        image: uint8 (H, W, 3) RGB.
        alpha: uint8 (H, W), 255 on the garment.
        points: float32 (16, 2), pixels of ``reposedm.garments.joints.LANDMARKS``.
        known: bool (16,), which of them it has.
        name: its id.
    """

    image: NDArray[np.uint8]
    alpha: NDArray[np.uint8]
    points: NDArray[np.float32]
    known: NDArray[np.bool_]
    name: str


Picture = Person | Product
Batch = TypeVar("Batch", bound="_Batch")


class Pictures(Protocol):
    """A map-style data set of pictures."""

    def __len__(self) -> int:
        """How many."""

    def __getitem__(self, index: int, /) -> Any:
        """The picture of that number."""


class RenderedPeople:
    """Every view of every identity in every outfit.

    Args:
        root: the rendered folder.
        split: "train": all but the last tenth of the identities; "test": those; or "all".
        size: (H, W) of the pictures.

    Raises:
        DataError: the folder is not a rendered one.
    """

    def __init__(
        self, root: str | Path, split: str = "train", size: tuple[int, int] = SIZE
    ) -> None:
        """Read the index; no picture is opened."""
        self.root, self.size = Path(root), size
        self._rendered, records = _records(self.root, split)
        self._items = [
            (record, outfit, view)
            for record in records
            for outfit in range(int(record.get("outfits", 1)))
            for view in range(len(record["views"]))
        ]

    def __len__(self) -> int:
        """How many pictures."""
        return len(self._items)

    def __getitem__(self, index: int) -> Person:
        """The picture of that number.

        Raises:
            IndexError: there is none.
            DataError: a file is missing or damaged.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"there are {len(self)} pictures, no number {index}")
        record, outfit, number = self._items[index]
        file = record["file"] + (f"_o{outfit}" if outfit else "")
        height, width = self._rendered
        half = self.size[0] * 2 == height and self.size[1] * 2 == width

        def read(suffix: str, mode: int, scale: int = 1) -> NDArray[np.uint8]:
            pixels = _read(self.root / f"{file}{suffix}", mode)
            tall, wide = height // scale, width // scale
            if pixels.shape[0] != tall or pixels.shape[1] < (number + 1) * wide:
                raise DataError(f"{self.root / file}{suffix} is too small for its views")
            part = pixels[:, number * wide : (number + 1) * wide]
            return shrunk(part, self.size, exact=suffix == "_seg.png")

        # A JPEG of half the size is decoded in a quarter of the time.
        image = read(".jpg", cv2.IMREAD_REDUCED_COLOR_2 if half else cv2.IMREAD_COLOR, 1 + half)
        alpha, labels = (read(name, cv2.IMREAD_UNCHANGED) for name in ("_alpha.png", "_seg.png"))
        joints = np.array(record["views"][number]["kp"], np.float32)
        scale = np.array((self.size[1] / width, self.size[0] / height), np.float32)
        pose = Pose(
            joints[:, :2] * scale, np.ones(18, np.float32), joints[:, 2].astype(np.uint8),
            (self.size[1], self.size[0]),
        )  # fmt: skip
        name = f"{file}-{number}"
        return Person(np.ascontiguousarray(image[..., ::-1]), alpha, labels, pose, name)


class RenderedProducts:
    """Every garment alone; arguments as ``RenderedPeople``'s."""

    def __init__(
        self, root: str | Path, split: str = "train", size: tuple[int, int] = SIZE
    ) -> None:
        """Read the index; no picture is opened."""
        self.root, self.size = Path(root), size
        self._rendered, records = _records(self.root, split)
        self._items = [entry for record in records for entry in record.get("products", ())]
        if not self._items:
            raise DataError(f"{root} has no garments alone: render it with --products")

    def __len__(self) -> int:
        """How many garments."""
        return len(self._items)

    def __getitem__(self, index: int) -> Product:
        """The garment of that number.

        Raises:
            IndexError: there is none.
            DataError: a file is missing or damaged.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"there are {len(self)} garments, no number {index}")
        entry = self._items[index]
        pixels = _read(self.root / entry["file"], cv2.IMREAD_UNCHANGED)
        if pixels.ndim != 3 or pixels.shape[2] != 4:
            raise DataError(f"{self.root / entry['file']} has no alpha")
        marks = np.array(entry["landmarks"], np.float32)
        height, width = pixels.shape[:2]
        image = shrunk(np.ascontiguousarray(pixels[..., 2::-1]), self.size)
        alpha = shrunk(pixels[..., 3], self.size)
        points = marks[:, :2] * np.array((self.size[1] / width, self.size[0] / height), np.float32)
        return Product(image, alpha, points, marks[:, 2] > 0, str(entry["file"]))


class Varied:
    """Pictures as epochs show them: changed by a generator of (seed, epoch, number) alone."""

    def __init__(self, pictures: Pictures, seed: int = 0) -> None:
        """Wrap."""
        self.pictures, self.seed = pictures, seed

    def __len__(self) -> int:
        """How many pictures."""
        return len(self.pictures)

    def __getitem__(self, key: Key | tuple[int, int]) -> Picture:
        """The picture ``key[1]`` as epoch ``key[0]`` shows it."""
        epoch, index = key
        rng = np.random.default_rng((self.seed, epoch, index))
        picture = self.pictures[index]
        other = int(rng.integers(len(self.pictures)))
        vary = vary_person if isinstance(picture, Person) else vary_product
        changes = vary(picture, lambda: self.pictures[other].image, rng)
        return dataclasses.replace(picture, **changes)


@dataclass(frozen=True, eq=False)
class _Batch:
    """Tensors of some samples, and their names."""

    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    def to(self: Batch, device: Any, *, non_blocking: bool = False) -> Batch:
        """The batch with its tensors on a device."""
        return self._mapped(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self: Batch) -> Batch:
        """The batch in pinned memory; a ``DataLoader`` calls this."""
        return self._mapped(lambda tensor: tensor.pin_memory())

    def _mapped(self: Batch, change: Any) -> Batch:
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        tensors = {k: change(v) for k, v in fields.items() if isinstance(v, Tensor)}
        return dataclasses.replace(self, **tensors)


@dataclass(frozen=True, eq=False)
class ParserBatch(_Batch):
    """People.

    Attributes:
        photo: float32 (B, 3, H, W) in [-1, 1].
        heat: float32 (B, 18, H/4, W/4) in [0, 1].
        labels: int64 (B, H, W).
    """

    photo: Tensor
    heat: Tensor
    labels: Tensor


@dataclass(frozen=True, eq=False)
class LandmarkBatch(_Batch):
    """Garments.

    Attributes:
        picture: float32 (B, 3, H, W) in [-1, 1].
        points: float32 (B, 16, 2), pixels.
        known: bool (B, 16).
    """

    picture: Tensor
    points: Tensor
    known: Tensor


def open_pictures(
    stage: str, kind: str, root: str | Path, split: str = "train", size: tuple[int, int] = SIZE
) -> Pictures:
    """The pictures of a garment stage.

    Args:
        stage: "parser" or "landmarks".
        kind: "synthetic" is the only one with labels.
        root: the rendered folder.
        split: of ``SPLITS``.
        size: (H, W) of the pictures.

    Raises:
        SettingsError: another kind of data, or no such split.
        DataError: the folder is not a rendered one.
    """
    if kind != "synthetic" or not root:
        raise SettingsError(
            f"the stage {stage} is trained on rendered people: set data.kind=synthetic and "
            "data.root to a folder that python -m training.synthetic render --products wrote"
        )
    of = RenderedPeople if stage == "parser" else RenderedProducts
    return of(root, split, size)


def make_batch_of(samples: Sequence[Picture], size: tuple[int, int]) -> _Batch:
    """Samples to a batch on the CPU; all must have the size (H, W) that is trained at.

    Raises:
        DataError: a sample of another size.
    """
    for sample in samples:
        if sample.image.shape[:2] != size:
            found = sample.image.shape
            raise DataError(f"{sample.name} is {found[1]} x {found[0]}: set data.size to it")
    names = tuple(sample.name for sample in samples)
    photo = tensor_of([sample.image for sample in samples])
    people = [sample for sample in samples if isinstance(sample, Person)]
    if people:
        grid = (size[0] // HEAT_STRIDE, size[1] // HEAT_STRIDE)
        heat = np.stack([heat_maps(person.pose, grid, HEAT_SIGMA) for person in people])
        labels = np.stack([person.labels for person in people]).astype(np.int64)
        return ParserBatch(names, photo, torch.from_numpy(heat), torch.from_numpy(labels))
    garments = [sample for sample in samples if isinstance(sample, Product)]
    points = torch.from_numpy(np.stack([garment.points for garment in garments]))
    known = torch.from_numpy(np.stack([garment.known for garment in garments]))
    return LandmarkBatch(names, photo, points, known)


def shrunk(
    pixels: NDArray[np.uint8], size: tuple[int, int], *, exact: bool = False
) -> NDArray[np.uint8]:
    """Pixels at (H, W), by area; ``exact``: labels, which cannot be mixed."""
    if pixels.shape[:2] == size:
        return np.ascontiguousarray(pixels)
    how = cv2.INTER_NEAREST if exact else cv2.INTER_AREA
    return cv2.resize(pixels, (size[1], size[0]), interpolation=how)  # type: ignore[return-value]


def tensor_of(images: Sequence[NDArray[np.uint8]]) -> Tensor:
    """uint8 (H, W, 3) each -> float32 (B, 3, H, W) in [-1, 1]."""
    stacked = np.stack(images).transpose(0, 3, 1, 2)
    return torch.from_numpy(np.ascontiguousarray(stacked)).float() / 127.5 - 1


def _records(root: Path, split: str) -> tuple[tuple[int, int], list[dict[str, Any]]]:
    if split not in SPLITS:
        raise SettingsError(f"there is no split {split!r}: choose one of {', '.join(SPLITS)}")
    parts = ("train", "test") if split == "all" else (split,)
    folders = []
    for part in parts:
        try:
            folders.append(SyntheticFolder(root, part))
        except DataError:
            if split != "all" or part == "train":
                raise  # a folder of one identity has no test part
    return folders[0].rendered, [record for folder in folders for record in folder.records]


def _read(file: Path, mode: int) -> NDArray[np.uint8]:
    pixels = cv2.imread(str(file), mode)
    if pixels is None:
        raise DataError(f"{file} is missing or damaged: render the folder again")
    return pixels  # type: ignore[return-value]
