"""Batches: P people with K pictures each, and what is done to a picture before it is seen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from reposedm.errors import SettingsError
from training.reid.config import RecipeConfig

_MEAN: Final = (0.485, 0.456, 0.406)
_ERASED: Final = (0.02, 0.4)
"""Least and most of a picture that is erased."""
_ASPECT: Final = 0.3


def batches(labels: Sequence[int], people: int, each: int, seed: int) -> Iterator[NDArray[np.intp]]:
    """Numbers of pictures, P x K each, without an end.

    BoT's sampler: every identity's pictures are shuffled and cut into groups of K (with
    repetition where there are fewer than K, left over where they do not fill a group), and groups
    of P different people are dealt until fewer than P people have one. Then it begins anew.

    Args:
        labels: who is in each picture.
        people: P.
        each: K.
        seed: of the whole stream.

    Raises:
        SettingsError: there are fewer than P people.
    """
    numbers = np.asarray(labels)
    known = np.unique(numbers)
    if len(known) < people:
        raise SettingsError(f"batches of {people} people need as many: there are {len(known)}")
    places = {int(person): np.flatnonzero(numbers == person) for person in known}
    epoch = 0
    while True:
        rng = np.random.default_rng((seed, epoch))
        yield from _epoch(places, people, each, rng)
        epoch += 1


def _epoch(
    places: dict[int, NDArray[np.intp]], people: int, each: int, rng: np.random.Generator
) -> Iterator[NDArray[np.intp]]:
    groups: dict[int, list[NDArray[np.intp]]] = {}
    for person, own in places.items():
        if len(own) < each:
            groups[person] = [rng.choice(own, each)]
        else:
            order = rng.permutation(own)
            groups[person] = [
                order[start : start + each] for start in range(0, len(own) - each + 1, each)
            ]
    while len(groups) >= people:
        chosen = rng.choice(sorted(groups), people, replace=False)
        yield np.concatenate([groups[int(person)].pop() for person in chosen])
        groups = {person: left for person, left in groups.items() if left}


def prepared(
    pixels: NDArray[np.uint8],
    size: tuple[int, int],
    recipe: RecipeConfig | None = None,
    rng: np.random.Generator | None = None,
) -> Tensor:
    """A batch as the network takes it: float32 (B, 3, H, W) in [0, 1].

    Args:
        pixels: uint8 (B, h, w, 3).
        size: (H, W).
        recipe: mirrored, cropped and erased as it says; None: as they are.
        rng: of these.
    """
    images = torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2).float() / 255
    if images.shape[-2:] != size:
        images = F.interpolate(images, size, mode="bilinear", antialias=True)
    if recipe is None or rng is None:
        return images
    mirrored = torch.from_numpy(rng.random(len(images)) < recipe.flip)
    images = torch.where(mirrored[:, None, None, None], images.flip(3), images)
    images = _shifted(images, recipe.pad, rng)
    for image in images:
        if rng.random() < recipe.erase:
            _erase(image, rng)
    return images


def _shifted(images: Tensor, pad: int, rng: np.random.Generator) -> Tensor:
    """Each with a black border of ``pad`` pixels, cropped anywhere to its old size."""
    height, width = images.shape[-2:]
    wide = F.pad(images, (pad, pad, pad, pad))
    out = torch.empty_like(images)
    for number, (top, left) in enumerate(rng.integers(0, 2 * pad + 1, (len(images), 2))):
        out[number] = wide[number, :, top : top + height, left : left + width]
    return out


def _erase(image: Tensor, rng: np.random.Generator) -> None:
    """A rectangle of the mean colour, which the network's normalisation makes zero."""
    height, width = image.shape[-2:]
    for _ in range(100):
        area = rng.uniform(*_ERASED) * height * width
        aspect = rng.uniform(_ASPECT, 1 / _ASPECT)
        high, wide = round(float(np.sqrt(area * aspect))), round(float(np.sqrt(area / aspect)))
        if 0 < high < height and 0 < wide < width:
            top, left = int(rng.integers(height - high + 1)), int(rng.integers(width - wide + 1))
            image[:, top : top + high, left : left + wide] = torch.tensor(_MEAN)[:, None, None]
            return
