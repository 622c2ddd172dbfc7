"""The asset pack: base mesh, rig, morph targets, clothes, hair, textures. Loaded once a process."""

from __future__ import annotations

import json
import os
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from training.sample import DataError
from training.synthetic.canonical import Canon
from training.synthetic.labels import BODY_VERTICES, TEXTURE, part_of_bone

Array = NDArray[Any]

ARRAYS: Final = "assets.npz"
TEXTURES: Final = "tex"
VARIABLE: Final = "REPOSEDM_ASSETS"
"""Environment variable with the pack's folder."""

_RACES: Final = ("african", "asian", "caucasian")


def find_pack(given: str | Path = "") -> Path:
    """The folder of the asset pack: as given, or from the environment.

    Raises:
        DataError: neither names a pack.
    """
    folder = Path(given or os.environ.get(VARIABLE, ""))
    if not (given or os.environ.get(VARIABLE)):
        raise DataError(
            f"synthetic people need the asset pack: give --assets DIR, or set {VARIABLE}"
        )
    if not (folder / ARRAYS).is_file():
        raise DataError(f"{folder} is not an asset pack: it has no {ARRAYS}")
    return folder.resolve()


def load_assets(folder: str | Path) -> Assets:
    """The pack of a folder, read once a process.

    Raises:
        DataError: the folder holds no readable pack.
    """
    return _load(str(Path(folder).resolve()))


@lru_cache(maxsize=2)
def _load(folder: str) -> Assets:
    return Assets(Path(folder))


class Assets:
    """Arrays of the pack, and what follows from them alone.

    Attributes:
        bones: names, parents before children; ``bone`` gives their index.
        parent: int32 (bones,), -1 the root.
        base: float32 (19158, 3), the base mesh with helper surfaces.
        template: the same of the average person: canonical coordinates are its positions.
        rest: float64 (bones, 3), joints of the template.
        canon: parts and fabric coordinates of surfaces on the template.
    """

    def __init__(self, folder: Path) -> None:
        """Read the arrays (0.4 s); textures are read when first used."""
        self.folder = folder
        try:
            with np.load(folder / ARRAYS) as archive:
                self.arrays: dict[str, Array] = {k: archive[k] for k in archive.files}
            meta = json.loads(self.arrays.pop("meta").tobytes())
            self.bones: tuple[str, ...] = tuple(meta["bones"])
            self.items: dict[str, dict[str, Any]] = meta["items"]
            self.library: tuple[str, ...] = tuple(meta["poses"])
            self.targets = {name: index for index, name in enumerate(meta["targets"])}
            targets = self.arrays.pop("targets").astype(np.float32)
        except (OSError, KeyError, ValueError) as error:
            raise DataError(f"the asset pack in {folder} cannot be read: {error}") from error
        self._targets = targets.reshape(len(self.targets), -1)
        self.bone = {name: index for index, name in enumerate(self.bones)}
        self.parent: Array = self.arrays["bone_parent"]
        self.bone_part = np.array([part_of_bone(name) for name in self.bones])
        self.base: Array = self.arrays["base_v"]
        self.template: Array = self.morphed(average_person())
        self.rest = self.joints(self.template)
        self.canon = Canon(self.template, self.rest, self.bone, self.bone_part)
        self.body_tri: Array = self.arrays["body_tri"]
        self.base_bones: Array = self.arrays["base_bi"]
        self.base_weights: Array = self.arrays["base_bw"]
        self._memory: dict[Any, Any] = {}

    def once(self, key: Any, make: Any) -> Any:
        """A value that depends on the pack alone, made on first use."""
        if key not in self._memory:
            self._memory[key] = make()
        return self._memory[key]

    def morphed(self, weights: dict[str, float]) -> Array:
        """The base mesh with morph targets added, float32 (19158, 3)."""
        amounts = np.zeros(len(self.targets), np.float32)
        for name, amount in weights.items():
            amounts[self.targets[name]] = amount
        used = np.flatnonzero(np.abs(amounts) > 1e-4)
        return self.base + (amounts[used] @ self._targets[used]).reshape(-1, 3)

    def joints(self, vertices: Array) -> NDArray[np.float64]:
        """Joint positions (bones, 3): means of the joint cubes of the morphed mesh."""
        cubes = self.arrays["bone_head"]
        listed = (cubes >= 0)[..., None]
        total = (vertices[np.maximum(cubes, 0)] * listed).sum(1)
        return np.asarray(total / listed.sum(1), np.float64)

    def fitted(self, item: str, vertices: Array) -> Array:
        """Vertices of a piece of clothing on a morphed base mesh, float32 (n, 3)."""
        scale = np.ones(3, np.float32)
        for axis, (first, second, size) in enumerate(self.arrays[f"{item}/scale"]):
            if size > 0:
                scale[axis] = abs(vertices[int(first), axis] - vertices[int(second), axis]) / size
        corners = vertices[self.arrays[f"{item}/ri"]]  # n,3,3
        mixed = (corners * self.arrays[f"{item}/rw"][..., None]).sum(1)
        return np.asarray(mixed + self.arrays[f"{item}/ro"] * scale, np.float32)

    def of_kind(self, kind: str) -> list[str]:
        """Names of the pack's items: suit, shoes, hat, hair, brow, lash or eyes."""
        return [name for name, item in self.items.items() if item["kind"] == kind]

    def texture_names(self, prefix: str) -> list[str]:
        """Names of textures, sorted."""
        return sorted(p.stem for p in (self.folder / TEXTURES).glob(f"{prefix}*"))

    def texture(self, name: str) -> Array | None:
        """A texture, uint8 (512, 512, 3 or 4) RGB(A); None where the pack has none."""
        return self.once(("texture", name), lambda: self._read_texture(name))

    def _read_texture(self, name: str) -> Array | None:
        found = next((self.folder / TEXTURES).glob(f"{name}.*"), None)
        image = None if found is None else cv2.imread(str(found), cv2.IMREAD_UNCHANGED)
        if image is None:
            return None
        if image.ndim == 2:
            image = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
        side = image.shape[0]
        if side != TEXTURE:
            method = cv2.INTER_AREA if side > TEXTURE else cv2.INTER_LINEAR
            image = cv2.resize(image, (TEXTURE, TEXTURE), interpolation=method)
        order = (2, 1, 0) if image.shape[2] == 3 else (2, 1, 0, 3)
        return np.ascontiguousarray(image[..., order])

    def body_part(self) -> Array:
        """(13380,) body part of every skin vertex."""

        def make() -> Array:
            heaviest = self.base_weights[:BODY_VERTICES].argmax(1)
            return self.bone_part[self.base_bones[np.arange(BODY_VERTICES), heaviest]]

        return self.once("body part", make)


def average_person() -> dict[str, float]:
    """Morph weights of the template: average, young, of both sexes and all ancestries alike."""
    sexes = ("female", "male")
    weights = {f"uni/{sex}-young-average-average": 0.5 for sex in sexes}
    return weights | {f"race/{race}-{sex}-young": 1 / 6 for race in _RACES for sex in sexes}
