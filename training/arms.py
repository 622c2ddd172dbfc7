"""The arms of the ablation: what needs no weights, and pipelines from folders of weights.

Every arm gives the person alone, which is put over the real target's own background: then arms
differ in the person only, and a detector sees no traces of a filled background.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reposedm.errors import SettingsError, WeightsError
from reposedm.imaging import over
from reposedm.models.autoencoder import FACTOR
from reposedm.pipelines.conditions import initial_mapping
from reposedm.weights import INDEX, read_json
from training.candidates import Candidate, Flow, MethodCandidate, load_candidate, target_background
from training.metrics import Image, MetricsError
from training.sample import Sample

FREE: Final = ("copy-source", "limb-warp", "preview")
"""Arms without weights, the cheapest first."""
TRAINED: Final = ("b1", "b2", "full")
"""The paper's arms; any other name may be given besides."""
METHODS: Final = {
    "RePoseDMPipeline": "reposedm", "PIDMPipeline": "pidm", "StreetPipeline": "reposedm-street",
}  # fmt: skip


@dataclass(frozen=True)
class Wanted:
    """An arm as the command line names it: ``NAME=FOLDER[,setting=value...]``.

    Attributes:
        name: of the row.
        folder: of the pipeline, or of weights with one pipeline in it.
        options: ``steps``, ``guidance_scale``, ``pose_guidance_scale``, ``sampler``.
        texture: see ``MethodCandidate``: ``texture=on``.
    """

    name: str
    folder: Path
    options: Mapping[str, Any] = field(default_factory=dict)
    texture: bool = False


def parse_arm(text: str) -> Wanted:
    """The command line's ``NAME=FOLDER[,setting=value...]``.

    Raises:
        SettingsError: written in another way.
    """
    name, found, rest = text.partition("=")
    folder, *settings = rest.split(",")
    if not found or not name or not folder or name in FREE:
        raise SettingsError(
            f"an arm is written NAME=FOLDER or NAME=FOLDER,steps=8, with a name other than "
            f"{', '.join(FREE)}: not {text!r:.80}"
        )
    kinds: Mapping[str, Callable[[str], Any]] = {
        "steps": int, "guidance_scale": float, "pose_guidance_scale": float, "sampler": str,
        "texture": _switch,
    }  # fmt: skip
    options: dict[str, Any] = {}
    for setting in settings:
        key, _, value = setting.partition("=")
        if key not in kinds:
            raise SettingsError(f"the arm {name} knows {', '.join(kinds)}, not {key!r:.40}")
        try:
            options[key] = kinds[key](value)
        except ValueError:
            raise SettingsError(f"{key} of the arm {name} cannot be {value!r:.40}") from None
    texture = bool(options.pop("texture", False))
    return Wanted(name, Path(folder).expanduser(), options, texture)


def _switch(text: str) -> bool:
    if text not in ("on", "off"):
        raise ValueError(text)
    return text == "on"


def load_arm(wanted: Wanted, device: str = "") -> Candidate:
    """A trained arm, on its device.

    Raises:
        WeightsError: the folder holds no pipeline of ours, or a damaged one.
        SettingsError: no such device.
    """
    folder = _pipeline_folder(wanted.folder)
    kind = str(read_json(folder / INDEX).get("_class_name"))
    if kind not in METHODS:
        raise WeightsError(
            f"{folder} holds a {kind!r:.60}: an arm is a {' or a '.join(METHODS)}, as "
            "python -m training.export writes them"
        )
    found = load_candidate(
        METHODS[kind],
        folder=folder,
        background="target",
        options=wanted.options,
        device=device,
        texture=wanted.texture,
    )
    found.name = wanted.name
    return found


def free_arm(name: str) -> Candidate:
    """An arm that needs no weights."""
    if name == "preview":
        return load_candidate("preview", background="target")
    return CopySource() if name == "copy-source" else LimbWarp()


class CopySource:
    """The source person where they were: does nothing; its mapping is the identity."""

    name, stochastic, keeps = "copy-source", False, True

    def pictures(self, index: int, sample: Sample, seeds: Sequence[int]) -> list[Image]:
        """See ``Candidate.pictures``."""
        self._shape = (sample.size[0] // FACTOR, sample.size[1] // FACTOR)
        layer = np.dstack((sample.source_image, _alpha(sample)))
        return [over(target_background(sample), layer)] * len(seeds)

    def flow(self) -> Flow | None:
        """Zero everywhere."""
        return np.zeros((2, *self._shape), np.float32)

    def record(self) -> dict[str, Any]:
        """See ``Candidate.record``."""
        return {"kind": self.name, "background": "target", "format": "kept as PNG"}


class LimbWarp:
    """The source person moved by the limb mapping alone, the networks' F^0: no weights."""

    name, stochastic, keeps = "limb-warp", False, True

    def pictures(self, index: int, sample: Sample, seeds: Sequence[int]) -> list[Image]:
        """See ``Candidate.pictures``."""
        import torch

        from reposedm.models.mapping import warp

        size = (sample.size[1], sample.size[0])
        mapping = initial_mapping(sample.source_pose, sample.target_pose, size)
        self._flow: Flow = mapping[0].numpy()
        alpha = _alpha(sample)[..., None].astype(np.float32)
        # Premultiplied, so that the source's background does not bleed in at the edges.
        layer = np.concatenate((sample.source_image * (alpha / 255), alpha), 2)
        warped = warp(torch.from_numpy(layer).permute(2, 0, 1)[None], mapping, "zeros")
        found = warped[0].permute(1, 2, 0).numpy()
        share = np.maximum(found[..., 3:] / 255, 1e-3)
        pixels = np.concatenate((found[..., :3] / share, found[..., 3:]), 2)
        rgba = np.rint(pixels).clip(0, 255).astype(np.uint8)
        return [over(target_background(sample), rgba)] * len(seeds)

    def flow(self) -> Flow | None:
        """The limb mapping."""
        return self._flow

    def record(self) -> dict[str, Any]:
        """See ``Candidate.record``."""
        return {"kind": self.name, "background": "target", "format": "kept as PNG"}


def seconds_per_picture(candidate: Candidate) -> float | None:
    """The median of what pictures took in this process, or None where nothing was made."""
    seconds = candidate.seconds if isinstance(candidate, MethodCandidate) else []
    return round(float(np.median(seconds)), 4) if seconds else None


def _alpha(sample: Sample) -> NDArray[np.uint8]:
    if sample.source_alpha is None:
        raise MetricsError(f"{sample.pair}: the ablation needs the source's alpha")
    return sample.source_alpha


def _pipeline_folder(folder: Path) -> Path:
    """The folder itself, or the one pipeline in it.

    Raises:
        WeightsError: none, or several.
    """
    if (folder / INDEX).is_file():
        return folder
    found = sorted(path.parent for path in folder.glob(f"*/{INDEX}"))
    if len(found) != 1:
        raise WeightsError(
            f"{folder} holds {len(found)} pipelines: name the folder with {INDEX} in it"
        )
    return found[0]
