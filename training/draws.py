"""Random numbers of training: one generator a sample, so that no number depends on the batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


class Draws:
    """The numbers of B samples, each from a generator of (seed, stage, place) alone.

    Two processes with batches of 4 draw what one with a batch of 8 does, and a resumed run what it
    would have drawn.

    Args:
        seed: of the run.
        stage: number of the stage.
        places: of the samples in the stage's endless stream.
        device: where the numbers go; they are drawn on the CPU, the same everywhere.
    """

    def __init__(
        self, seed: int, stage: int, places: Sequence[int], device: torch.device | str = "cpu"
    ) -> None:
        """Seed the generators."""
        self.device = device
        self._generators = [
            torch.Generator().manual_seed(_mixed(seed, stage, place)) for place in places
        ]

    def normal(self, shape: Sequence[int] = ()) -> Tensor:
        """Standard normal numbers, (B, *shape) float32."""
        return self._stack(torch.randn(tuple(shape), generator=one) for one in self._generators)

    def uniform(self) -> Tensor:
        """Numbers in [0, 1), (B,) float32."""
        return self._stack(torch.rand((), generator=one) for one in self._generators)

    def integers(self, high: int) -> Tensor:
        """Whole numbers in 0 .. high - 1, (B,) int64."""
        return self._stack(torch.randint(high, (), generator=one) for one in self._generators)

    def _stack(self, values: object) -> Tensor:
        return torch.stack(list(values)).to(self.device)  # type: ignore[call-overload]


def _mixed(seed: int, stage: int, place: int) -> int:
    """One 63-bit seed of three numbers, unlike its neighbours."""
    state = np.random.SeedSequence((seed, stage, place)).generate_state(1, np.uint64)
    return int(state[0] >> np.uint64(1))
