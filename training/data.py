"""The data sets as training sees them: pairs by number, augmented by (epoch, number), batches.

dataset = Augmented(open_dataset("deepfashion", "data/fashion-256", "train"), seed=0)
sampler = EpochSampler(len(dataset), 16, start_step=k, rank=r, world=n)
loader = DataLoader(dataset, batch_sampler=sampler, collate_fn=collate, num_workers=8)
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from reposedm.errors import SettingsError
from reposedm.pose import Pose
from training.augment import Augmentation
from training.batch import Batch, collate, resized
from training.index import Index, read_index
from training.sample import DataError, Sample
from training.sampler import EpochSampler, Key

KINDS: Final = ("drawn", "synthetic", "deepfashion", "market", "folder", "coco")
SPLITS: Final = ("train", "test")
MAX_UNREADABLE: Final = 8
"""Pictures in a row that may be unreadable before training stops: then the disk is gone."""

__all__ = [
    "Augmentation",
    "Augmented",
    "Batch",
    "DataError",
    "EpochSampler",
    "Key",
    "PairDataset",
    "Pairs",
    "Sample",
    "collate",
    "open_dataset",
]


class Pairs(Protocol):
    """A map-style data set of pairs: the same number gives the same sample, always."""

    def __len__(self) -> int:
        """How many pairs there are."""

    def __getitem__(self, index: int, /) -> Sample:
        """The pair of that number."""


class PairDataset:
    """The pairs of one split of a prepared folder (``python -m training.prepare``).

    Args:
        root: the folder.
        split: "train" or "test".
        size: (H, W) of the samples; None: as prepared.

    Raises:
        DataError: the folder is not a prepared one, is damaged, or has no such pairs.
    """

    def __init__(
        self, root: str | Path, split: str = "train", size: tuple[int, int] | None = None
    ) -> None:
        """Read the index; no picture is opened."""
        self.index: Index = read_index(root, split)
        self.root, self.split = Path(root), split
        self.size = size or self.index.size

    @property
    def kind(self) -> str:
        """What it was prepared from: "deepfashion", "market", "folder" or "coco"."""
        return self.index.kind

    def __len__(self) -> int:
        """The number of pairs."""
        return len(self.index.pairs)

    def __getitem__(self, index: int) -> Sample:
        """The pair of that number; the next one, with a warning, where a picture is unreadable.

        Raises:
            IndexError: there is no such pair.
            DataError: picture after picture cannot be read.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"there are {len(self)} pairs, no number {index}")
        for attempt in range(MAX_UNREADABLE):
            try:
                return self._load((index + attempt) % len(self))
            except (OSError, SyntaxError, ValueError) as error:  # what Pillow raises on bad files
                # A worker must not die in the middle of the night for one bad sector (C-77).
                warnings.warn(f"skipped pair {index + attempt}: {error}", stacklevel=2)
                last = error
        raise DataError(
            f"{MAX_UNREADABLE} pairs in a row from number {index} cannot be read ({last}): is the "
            f"folder {self.root} still there? Prepare it again."
        )

    def picture_paths(self, split: str | None = None) -> list[Path]:
        """The prepared pictures of a split (default: this one), with or without a pose or a pair:
        the real set of an FID."""
        wanted = split or self.split
        return [
            self.root / file
            for file, of in zip(self.index.files, self.index.splits, strict=True)
            if of == wanted
        ]

    def _load(self, index: int) -> Sample:
        source, target = (int(number) for number in self.index.pairs[index])
        entry = self.index
        source_alpha, target_alpha = self._alpha(source), self._alpha(target)
        sample = Sample(
            self._pixels(entry.files[source], "RGB"),
            self._pixels(entry.files[target], "RGB"),
            entry.pose(source),
            entry.pose(target),
            entry.names[source],
            entry.names[target],
            entry.persons[target],
            caption=entry.captions.get(target, ""),
            people=self._people(target),
            source_alpha=source_alpha,
            target_alpha=target_alpha,
        )
        return resized(sample, self.size)

    def _people(self, picture: int) -> tuple[Pose, ...]:
        others = self.index.others.get(picture, ())
        return (self.index.pose(picture), *others) if others else ()

    def _alpha(self, picture: int) -> NDArray[np.uint8] | None:
        file = self.index.alphas.get(picture)
        return None if file is None else self._pixels(file, "L")

    def _pixels(self, file: str, mode: str) -> NDArray[np.uint8]:
        with Image.open(self.root / file, formats=("PNG", "JPEG")) as image:
            pixels = np.array(image.convert(mode))
        if pixels.shape[:2] != self.index.size:
            raise ValueError(f"{file} is {pixels.shape[1]} x {pixels.shape[0]} pixels")
        return pixels


class Augmented:
    """A data set whose samples are changed by a generator of (seed, epoch, number) alone.

    So order and augmentation do not depend on the number of workers, and a resumed run sees what
    it would have seen.
    """

    def __init__(
        self, pairs: Pairs, augmentation: Augmentation | None = None, seed: int = 0
    ) -> None:
        """Wrap; with None the default augmentation."""
        self.pairs, self.seed = pairs, seed
        self.augmentation = Augmentation() if augmentation is None else augmentation

    def __len__(self) -> int:
        """The number of pairs."""
        return len(self.pairs)

    def __getitem__(self, key: Key | tuple[int, int]) -> Sample:
        """The pair ``key[1]`` as epoch ``key[0]`` shows it."""
        epoch, index = key
        rng = np.random.default_rng((self.seed, epoch, index))
        return self.augmentation(self.pairs[index], rng)


def open_dataset(
    kind: str, root: str | Path = "", split: str = "train", size: tuple[int, int] | None = None
) -> Pairs:
    """A data set by name.

    Args:
        kind: "drawn" needs no root; "synthetic" takes a folder that ``training.synthetic``
            rendered, or the asset pack, and then renders on the fly; every other is a folder
            that ``training.prepare`` made.
        root: that folder; for "synthetic" also "": the pack that $REPOSEDM_ASSETS names.
        split: "train" or "test".
        size: (H, W) of the samples; None: as prepared (drawn: 64 x 48).

    Raises:
        SettingsError: no such kind or split.
        DataError: the folder is of another kind, or not prepared.
    """
    if kind not in KINDS or split not in SPLITS:
        raise SettingsError(
            f"there is no data set {kind!r}, {split!r}: choose one of {', '.join(KINDS)} and "
            f"{' or '.join(SPLITS)}"
        )
    if kind == "drawn":
        from training.datasets.drawn import SyntheticPairs

        return SyntheticPairs(size=size or (64, 48), seed=SPLITS.index(split))
    if kind == "synthetic":
        from training.datasets.synthetic import RenderedPairs, SyntheticFolder

        if root and (Path(root) / "meta.json").exists() and (Path(root) / "index.jsonl").exists():
            return SyntheticFolder(root, split, size)
        return RenderedPairs(root, size=size or (256, 176), split=split)
    dataset = PairDataset(root, split, size)
    if dataset.kind != kind:
        raise DataError(f"{root} was prepared from {dataset.kind}, not from {kind}")
    return dataset
