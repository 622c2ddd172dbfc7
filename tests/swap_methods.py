"""A small method of swapping for tests: fills the mask with a colour of its seed, step by step."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from reposedm.jobs import methods
from reposedm.pipelines import loading
from reposedm.pipelines.base import Capabilities, Correspondence, Output, Step, refuse_extras

NAME = "tinyswap"
FILE = "tinyswap.safetensors"


class TinySwap:
    """Works at 44 x 64; remembers what it was given."""

    capabilities: ClassVar[Capabilities] = Capabilities(
        name=NAME,
        label="Tiny swap",
        description="For tests.",
        native_size=(44, 64),
        stages=("denoising",),
        controls=frozenset({"steps", "guidance_scale", "resample"}),
        default_steps=3,
    )
    given: ClassVar[list[dict[str, Any]]] = []
    copies: ClassVar[bool] = False
    """Give back the garment's picture, which every cell looks at where it is."""
    closed: ClassVar[list[int]] = []

    @classmethod
    def from_pretrained(cls, folder: Path) -> TinySwap:
        assert (folder / FILE).exists()
        return cls()

    def stream(
        self,
        image: np.ndarray,
        pose: Any,
        garment_image: np.ndarray,
        garment_pose: Any,
        *,
        garment_mask: np.ndarray,
        region_mask: np.ndarray,
        region: str,
        source_mask: np.ndarray | None = None,
        garment_person: np.ndarray | None = None,
        steps: int | None = None,
        guidance_scale: float | None = None,
        resample: int | None = None,
        generators: Sequence[Any] | None = None,
        **extras: Any,
    ) -> Generator[Step, None, Output]:
        refuse_extras(self.capabilities, extras)
        self.given.append(
            {"image": image, "garment": garment_image, "garment_mask": garment_mask,
             "region_mask": region_mask, "region": region, "steps": steps, "pose": pose,
             "garment_pose": garment_pose, "source_mask": source_mask,
             "garment_person": garment_person, "resample": resample}
        )  # fmt: skip
        made = []
        total, index = steps or 3, 0
        try:
            for index in range(1, total + 1):
                yield Step(index, total, "denoising")
        except GeneratorExit:
            self.closed.append(index)
            raise
        for one in generators or ():
            import torch

            color = torch.randint(0, 255, (3,), generator=one).numpy()
            layer = np.full((64, 44, 4), 255, np.uint8)
            layer[..., :3] = color  # everywhere: the job keeps it inside the mask
            made.append(layer)
        if self.copies:
            layer = np.dstack((garment_image, np.full((64, 44), 255, np.uint8)))
            visible = np.ones((8, 6), np.float32)
            return Output([layer], correspondence=Correspondence(np.zeros((2, 8, 6), np.float32),
                                                                 visible))  # fmt: skip
        return Output(made)


def install(folder: Path, monkeypatch: Any) -> None:
    """Put the tiny method into the table of swaps, with its weights in ``folder``."""
    monkeypatch.setenv("REPOSEDM_WEIGHTS", str(folder))
    entry = loading.Entry(__name__, "TinySwap", (FILE,), "-")
    monkeypatch.setitem(loading.SWAPS, NAME, entry)
    (folder / NAME).mkdir(parents=True, exist_ok=True)
    (folder / NAME / FILE).write_bytes(b"\x02\x00\x00\x00\x00\x00\x00\x00{}" + bytes(64))
    TinySwap.given.clear()
    TinySwap.closed.clear()
    methods.unload_methods()
