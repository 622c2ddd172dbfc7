"""Triples of a garment swap -> tensors: what a training step of method "swap" gets."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from reposedm.models.autoencoder import FACTOR
from reposedm.models.mapping import Limbs
from reposedm.pipelines.garment import SwapInputs, swap_inputs
from training.datasets.swap import SwapSample
from training.sample import DataError


@dataclass(frozen=True, eq=False)
class SwapBatch:
    """B triples.

    Attributes:
        inputs: the person is the truth: outside of the mask both are the same picture, and what is
            under it no network is shown.
        names: the triples' ids.
    """

    inputs: SwapInputs
    names: tuple[str, ...]

    def __len__(self) -> int:
        """B."""
        return len(self.names)

    @property
    def target_heat(self) -> Tensor:
        """Heat maps of the pose, (B, 18, h, w), by the name that other batches have for them."""
        return self.inputs.heat

    @property
    def painted(self) -> Tensor:
        """The mask's share of each cell, (B, 1, h, w)."""
        return F.avg_pool2d(self.inputs.mask, FACTOR)

    def to(self, device: Any, *, non_blocking: bool = False) -> SwapBatch:
        """The batch with its tensors on a device."""
        return self._mapped(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> SwapBatch:
        """The batch in pinned memory; a ``DataLoader`` calls this."""
        return self._mapped(lambda tensor: tensor.pin_memory())

    def _mapped(self, change: Any) -> SwapBatch:
        return SwapBatch(_changed(self.inputs, change), self.names)


def make_swap_batch(samples: Sequence[SwapSample], size: tuple[int, int]) -> SwapBatch:
    """Triples to a batch on the CPU; all must have the size (H, W) that is trained at.

    Raises:
        DataError: a triple of another size.
    """
    for sample in samples:
        if sample.mask.shape != size:
            height, width = sample.mask.shape
            raise DataError(f"{sample.name} is {width} x {height}: set data.size to it")
    every = [inputs_of_triple(sample) for sample in samples]
    fields = [field.name for field in dataclasses.fields(SwapInputs) if field.name != "limbs"]
    joined = {name: torch.cat([getattr(one, name) for one in every]) for name in fields}
    limbs = Limbs(*map(torch.cat, zip(*(one.limbs for one in every), strict=True)))
    return SwapBatch(SwapInputs(**joined, limbs=limbs), tuple(sample.name for sample in samples))


def inputs_of_triple(sample: SwapSample) -> SwapInputs:
    """One triple as the networks see it, B = 1, with the truth as the person."""
    return swap_inputs(
        sample.truth,
        sample.pose,
        sample.garment,
        sample.garment_pose,
        mask=sample.mask.astype(np.float32),
        garment_mask=share(sample.garment_mask),
        source_mask=share(sample.truth_alpha),
        garment_person=share(sample.wearer),
    )


def share(alpha: NDArray[np.uint8]) -> NDArray[np.float32]:
    """uint8 0..255 -> float32 0..1."""
    return alpha.astype(np.float32) / 255


def _changed(inputs: SwapInputs, change: Any) -> SwapInputs:
    values = {field.name: getattr(inputs, field.name) for field in dataclasses.fields(inputs)}
    tensors = {k: change(v) for k, v in values.items() if isinstance(v, Tensor)}
    return dataclasses.replace(inputs, **tensors, limbs=Limbs(*map(change, inputs.limbs)))
