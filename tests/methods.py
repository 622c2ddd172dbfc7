"""A small real method: a torch network that denoises for a number of steps, and its weights file.

What it draws is a coloured blob on every drawn joint of the wanted pose, reached step by step from
noise; so a test can see that the seed, the steps and the poses arrived.
"""

from __future__ import annotations

import weakref
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import torch
from safetensors.torch import load_file, save_file

from reposedm.jobs import methods
from reposedm.pipelines import loading
from reposedm.pipelines.base import Capabilities, Output, Step, refuse_extras

NAME = "tiny"
FILE = "tiny.safetensors"


class TinyDiffusion:
    """``x <- x + (model(x, pose) - x) / steps_left``: after the last step, the model's answer."""

    capabilities: ClassVar[Capabilities] = Capabilities(
        name=NAME,
        label="Tiny diffusion",
        description="For tests.",
        native_size=(44, 64),
        stages=("denoising", "decoding"),
        controls=frozenset({"steps", "guidance_scale"}),
        default_steps=4,
    )

    def __init__(self, weights: dict[str, torch.Tensor]) -> None:
        self.network = torch.nn.Conv2d(7, 3, 3, padding=1)
        self.network.load_state_dict(weights)
        self.network.requires_grad_(False)
        self.moves: list[str] = []
        self.batches: list[int] = []
        self.closed = 0
        self.running = 0
        self.most_running = 0
        self.alive: weakref.WeakSet[torch.Tensor] = weakref.WeakSet()

    @classmethod
    def from_pretrained(cls, folder: Path) -> TinyDiffusion:
        return cls(load_file(folder / FILE))

    def to(self, device: str, dtype: torch.dtype, /) -> TinyDiffusion:
        self.moves.append(device)
        return self

    def denoise(self, x: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        """(B, 3, h, w), (B, 4, h, w) -> (B, 3, h, w)."""
        return torch.sigmoid(self.network(torch.cat((x, condition), 1)))

    def decode(self, x: torch.Tensor) -> np.ndarray:
        """(3, h, w) in [0, 1] -> uint8 (h, w, 3)."""
        return (x * 255).round().byte().permute(1, 2, 0).numpy()

    def stream(
        self,
        image: np.ndarray,
        source_pose: Any,
        target_pose: Any,
        *,
        source_mask: np.ndarray | None = None,
        steps: int | None = None,
        guidance_scale: float | None = None,
        pose_guidance_scale: float | None = None,
        generators: Sequence[torch.Generator] | None = None,
        **extras: Any,
    ) -> Generator[Step, None, Output]:
        refuse_extras(self.capabilities, extras)
        total = steps or self.capabilities.default_steps
        drawn = blobs(target_pose)
        photo = torch.from_numpy(image.copy()).permute(2, 0, 1) / 255
        condition = torch.cat((photo, torch.from_numpy(drawn)[None]))[None]
        noise = [torch.randn(3, *drawn.shape, generator=one) for one in generators or ()]
        x = torch.stack(noise)
        condition = condition.expand(len(x), -1, -1, -1)
        self.batches.append(len(x))
        self.running += 1
        self.most_running = max(self.running, self.most_running)
        try:
            self.alive.add(x)
            for index in range(1, total + 1):
                aim = self.denoise(x, condition)
                x = x + (aim - x) / (total - index + 1)
                self.alive.add(x)
                yield Step(index, total, "denoising")
            images = []
            for one in x:
                alpha = np.rint(drawn * 255).astype(np.uint8)
                images.append(np.dstack((self.decode(one), alpha)))
        finally:
            self.closed += 1
            self.running -= 1
        return Output(images)


def blobs(pose: Any) -> np.ndarray:
    """float32 (h, w) in [0, 1]: a disc on each drawn joint."""
    width, height = pose.size
    disc = np.zeros((height, width), np.uint8)
    for x, y in pose.points[pose.drawn]:
        cv2.circle(disc, (round(float(x)), round(float(y))), 5, 255, -1)
    return disc.astype(np.float32) / 255


def write_weights(folder: Path) -> None:
    """Weights that make different pictures from different noise."""
    rng = torch.Generator().manual_seed(5)
    (folder / NAME).mkdir(parents=True, exist_ok=True)
    save_file(
        {
            "weight": torch.randn(3, 7, 3, 3, generator=rng) * 0.5,
            "bias": torch.randn(3, generator=rng),
        },
        folder / NAME / FILE,
    )


def install(
    folder: Path, monkeypatch: Any, *, weights: bool = True, host_gb: float = 0.001
) -> None:
    """Put the tiny method into the table of methods, with its weights in ``folder``."""
    fetch = "python -m tests.fetch tiny"
    entry = loading.Entry(__name__, "TinyDiffusion", (FILE,), fetch, host_gb)
    monkeypatch.setenv("REPOSEDM_WEIGHTS", str(folder))
    monkeypatch.setitem(loading.METHODS, NAME, entry)
    if weights:
        write_weights(folder)
    methods.unload_methods()
