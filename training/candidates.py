"""What an evaluation judges: a method, the source picture itself, or a folder of saved results."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from reposedm.errors import SettingsError
from reposedm.imaging import over, read_image
from reposedm.imaging.fill import fill_background
from reposedm.pipelines.base import Method, drain
from reposedm.weights import sha256_of
from training.batch import resized
from training.metrics import Image, MetricsError
from training.sample import Sample

SUFFIXES: Final = (".png", ".jpg", ".jpeg")
BACKGROUNDS: Final = ("filled", "rgb", "target")
STRIP_PANELS: Final = 5
"""PATN saves source, its pose, target, its pose and the result side by side."""
Flow = NDArray[np.float32]


class Candidate(Protocol):
    """Something that answers a pair with pictures.

    Attributes:
        name: for the row of a table.
        stochastic: whether seeds make a difference.
        keeps: whether its pictures must be kept, since making them again is work.
    """

    name: str
    stochastic: bool
    keeps: bool

    def pictures(self, index: int, sample: Sample, seeds: Sequence[int]) -> list[Image]:
        """One uint8 (H, W, 3) RGB picture per seed, of any size."""

    def flow(self) -> Flow | None:
        """The mapping (2, h, w) behind the last picture, in cells, where there is one."""

    def record(self) -> dict[str, Any]:
        """JSON of what it is: two candidates with equal records make equal pictures."""


class CopySource:
    """The baseline that does nothing: the source picture is the answer."""

    name, stochastic, keeps = "copy-source", False, False

    def pictures(self, index: int, sample: Sample, seeds: Sequence[int]) -> list[Image]:
        """See ``Candidate.pictures``."""
        return [sample.source_image for _ in seeds]

    def flow(self) -> Flow | None:
        """None."""
        return None

    def record(self) -> dict[str, Any]:
        """See ``Candidate.record``."""
        return {"kind": "copy-source", "format": "as in the data"}


class MethodCandidate:
    """Any ``base.Method``.

    Args:
        name: its name.
        method: loaded, on its device.
        weights: SHA-256 of each of its files.
        background: "filled": the person over the source picture with the old person filled in, as
            the app shows it; "rgb": the colours that the network drew, alpha ignored, as papers do;
            "target": over the real target's own background, so that only people are compared.
        options: ``steps``, ``guidance_scale`` and the like, for ``Method.stream``.
        device: where it runs and in what number format, for the record.
        texture: with the photo's own pixels where they are known to be right, as the app finishes
            pictures; else what the method drew.

    Raises:
        SettingsError: no such background.
    """

    keeps = True

    def __init__(
        self,
        name: str,
        method: Method,
        *,
        weights: Mapping[str, str] | None = None,
        background: str = "filled",
        options: Mapping[str, Any] | None = None,
        device: str = "cpu, float32",
        texture: bool = False,
    ) -> None:
        """Arguments above."""
        if background not in BACKGROUNDS:
            raise SettingsError(f"the background is {' or '.join(BACKGROUNDS)}, not {background!r}")
        self.name, self.method, self.background = name, method, background
        self.weights, self.options, self.device = dict(weights or {}), dict(options or {}), device
        self.texture = texture
        self.stochastic = method.capabilities.stochastic
        self.seconds: list[float] = []
        self._flow: Flow | None = None

    def pictures(self, index: int, sample: Sample, seeds: Sequence[int]) -> list[Image]:
        """See ``Candidate.pictures``; all seeds in one call, so that the photo is read once."""
        size = self.method.capabilities.native_size
        fitted = sample if size is None else resized(sample, size[::-1])
        mask = None
        if fitted.source_alpha is not None:
            mask = fitted.source_alpha.astype(np.float32) / 255
        start = time.perf_counter()
        output = drain(
            self.method.stream(
                fitted.source_image,
                fitted.source_pose,
                fitted.target_pose,
                source_mask=mask,
                generators=_generators(seeds, index) if self.stochastic else None,
                **self.options,
            )
        )
        self.seconds += [(time.perf_counter() - start) / len(seeds)] * len(seeds)
        found = output.correspondence
        self._flow = None if found is None else found.mapping
        layers = list(output.images)
        if self.texture:
            layers = _with_texture(fitted, _person(fitted, mask), layers, found)
        if not self.stochastic:
            layers = layers[:1] * len(seeds)
        if self.background == "rgb":
            return [np.ascontiguousarray(layer[..., :3]) for layer in layers]
        if self.background == "target":
            behind = target_background(fitted)
        else:
            behind = fill_background(fitted.source_image, _person(fitted, mask))
        return [over(behind, layer) for layer in layers]

    def flow(self) -> Flow | None:
        """See ``Candidate.flow``."""
        return self._flow

    def record(self) -> dict[str, Any]:
        """See ``Candidate.record``."""
        able = self.method.capabilities
        return {
            "kind": "method",
            "method": self.name,
            "weights": self.weights,
            "native_size": None if able.native_size is None else list(able.native_size),
            "background": self.background,
            "options": self.options,
            "device": self.device,
            "format": "uint8 RGB in memory, kept as PNG",
            # Named only where it is there: what was kept of other candidates stays theirs.
            **({"texture": True} if self.texture else {}),
        }


class ResultsFolder:
    """Pictures that some code has saved, found by the names that PIDM, PATN and FPDM give them.

    ``<source>_2_<target>_vis.png`` (PIDM), ``<source>___<target>_vis.jpg``, a strip of five panels
    with the result last (PATN), ``<source>.jpg_2_<target>.jpg.png`` (FPDM). Names are compared
    without folders, suffixes, underscores and a leading "fashion" or "deepfashion".

    Args:
        folder: its files, subfolders not included.
        pairs: (source, target) names of the data, in the order of its numbers.

    Raises:
        MetricsError: no folder, two files for one pair, or names that cannot be told apart.
    """

    stochastic, keeps = False, False

    def __init__(self, folder: Path, pairs: Mapping[int, tuple[str, str]]) -> None:
        """Match names; no picture is opened."""
        if not folder.is_dir():
            raise MetricsError(f"there is no folder {folder}")
        self.name, self.folder = folder.name, folder
        self.files: dict[int, Path] = {}
        wanted: dict[tuple[str, str], int] = {}
        for number, (source, target) in pairs.items():
            key = (plain_name(source), plain_name(target))
            if wanted.setdefault(key, number) != number:
                raise MetricsError(f"two pairs of the data are both called {source} -> {target}")
        for file in sorted(folder.iterdir()):
            known = [wanted[key] for key in possible_pairs(file.name) if key in wanted]
            if not known:
                continue
            if known[0] in self.files:
                raise MetricsError(
                    f"{self.files[known[0]].name} and {file.name} in {folder} are of the same "
                    "pair: delete one of them"
                )
            self.files[known[0]] = file

    def missing(self, numbers: Sequence[int]) -> list[int]:
        """The pairs that have no picture."""
        return [number for number in numbers if number not in self.files]

    def pictures(self, index: int, sample: Sample, seeds: Sequence[int]) -> list[Image]:
        """See ``Candidate.pictures``."""
        pixels = read_image(self.files[index], min_side=8).pixels
        height, width = pixels.shape[:2]
        truth = sample.size[1] / sample.size[0]
        # A strip is told by its shape, not by its name: five times as wide as a picture should be.
        if abs(width / STRIP_PANELS / height - truth) < abs(width / height - truth):
            panel = width // STRIP_PANELS
            pixels = pixels[:, (STRIP_PANELS - 1) * panel : STRIP_PANELS * panel]
        return [np.ascontiguousarray(pixels) for _ in seeds]

    def flow(self) -> Flow | None:
        """None."""
        return None

    def record(self) -> dict[str, Any]:
        """See ``Candidate.record``; changes when a file does."""
        suffixes = [file.suffix.lower().lstrip(".") for file in self.files.values()]
        return {
            "kind": "results",
            "folder": self.folder.name,
            "pictures": len(self.files),
            "bytes": sum(file.stat().st_size for file in self.files.values()),
            "newest": max((f.stat().st_mtime_ns for f in self.files.values()), default=0),
            "format": ", ".join(f"{suffixes.count(s)} {s}" for s in sorted(set(suffixes))),
        }


def plain_name(name: str) -> str:
    """What all spellings of a picture's name have in common.

    ``fashion/WOMEN/Skirts/id_00000629/04_3_back.jpg``, ``fashionWOMENSkirtsid0000062904_3back`` and
    ``WOMENSkirtsid_0000062904_3_back.jpg.png`` are one picture.
    """
    while name.lower().endswith(SUFFIXES):
        name = name.rsplit(".", 1)[0]
    letters = re.sub(r"[^a-z0-9]", "", name.lower())
    return re.sub(r"^(img)?(deep)?(fashion)?", "", letters)


def possible_pairs(file: str) -> Iterator[tuple[str, str]]:
    """Every (source, target) that a result's file name can mean, as ``plain_name`` gives them."""
    if not file.lower().endswith(SUFFIXES):
        return
    stem = file.rsplit(".", 1)[0].removesuffix("_vis")
    for between in ("___", "_2_"):
        for found in re.finditer(between, stem):
            yield plain_name(stem[: found.start()]), plain_name(stem[found.end() :])


def result_name(source: str, target: str) -> str:
    """PIDM's file name of a result; ``ResultsFolder`` finds it again."""
    first, second = (re.sub(r"[^A-Za-z0-9_-]", "", name) for name in (source, target))
    return f"{first}_2_{second}_vis.png"


def load_candidate(
    name: str,
    *,
    folder: Path | None = None,
    background: str = "filled",
    options: Mapping[str, Any] | None = None,
    device: str = "",
    texture: bool = False,
) -> Candidate:
    """ "copy-source", or a method of ``reposedm`` on the best device, or the one asked for.

    Args:
        name: "copy-source" or a method's.
        folder: weights to load in place of the installed ones, such as a training's.
        background: see ``MethodCandidate``.
        options: see ``MethodCandidate``.
        device: "cpu", "cuda", "mps", or "" for the best there is.
        texture: see ``MethodCandidate``.

    Raises:
        SettingsError: no such method or device.
        WeightsError: its weights are absent or damaged.
    """
    if name == "copy-source":
        return CopySource()
    import importlib

    from reposedm.jobs.methods import load_method
    from reposedm.jobs.runtime import Movable, choose_device
    from reposedm.pipelines.loading import entry, weights_root

    found = entry(name)
    if folder is None:
        method = load_method(name)
        root, files = weights_root() / name, [weights_root() / name / f for f in found.files]
    else:
        kind: Any = getattr(importlib.import_module(found.module), found.name)
        if not hasattr(kind, "from_pretrained"):
            raise SettingsError(f"the method {name} has no weights: leave --weights out")
        method, root, files = (
            kind.from_pretrained(folder),
            folder,
            list(folder.rglob("*.safetensors")),
        )
    weights = {file.relative_to(root).as_posix(): sha256_of(file) for file in sorted(files)}
    where = "cpu, no network"
    if isinstance(method, Movable):
        import torch

        place = choose_device(device)
        method.to(place.name, getattr(torch, place.dtype))
        where = f"{place.name}, {place.dtype}"
    return MethodCandidate(
        name, method, weights=weights, background=background, options=options, device=where,
        texture=texture,
    )  # fmt: skip


@lru_cache(maxsize=4)
def target_background(sample: Sample) -> Image:
    """The real target picture with its person filled in: uint8 (H, W, 3), not to be changed.

    Raises:
        MetricsError: the data has no alpha of the target.
    """
    if sample.target_alpha is None:
        raise MetricsError(
            f"{sample.pair}: the target's own background needs the target's alpha, which this data "
            "does not have: choose another --background"
        )
    return fill_background(sample.target_image, sample.target_alpha.astype(np.float32) / 255)


def _with_texture(
    sample: Sample, mask: NDArray[np.float32], layers: Sequence[Image], found: Any
) -> list[Image]:
    """Layers (H, W, 4) of the whole picture, finished as the app does it."""
    from reposedm.imaging import Frame
    from reposedm.jobs.puppets import warped_person
    from reposedm.jobs.texturing import with_texture

    height, width = sample.size
    frame = Frame((0, 0, width, height), (width, height), (width, height))
    photo, source, target = sample.source_image, sample.source_pose, sample.target_pose
    warped = warped_person(photo, source, target, mask)
    return [
        with_texture(photo, mask, source, target, frame, layer, found=found, warped=warped)[0]
        for layer in layers
    ]


def _generators(seeds: Sequence[int], index: int) -> list[Any]:
    """One CPU generator per seed; the noise of a pair depends on (seed, its number) alone."""
    import torch

    states = [np.random.SeedSequence((seed, index)).generate_state(1, np.uint64) for seed in seeds]
    return [torch.Generator("cpu").manual_seed(int(state[0]) >> 1) for state in states]


def _person(sample: Sample, mask: NDArray[np.float32] | None) -> NDArray[np.float32]:
    if mask is not None:
        return mask
    from reposedm.pipelines.puppet.silhouette import guess_mask

    return guess_mask(sample.source_image, sample.source_pose)
